"""Reading: the last delivery wins, nothing after as_of, only what was asked for."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_shop import Shop

from include.skufleet.errors import DataError
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.history import resolve

CODES = st.sampled_from(["a", "b", "a/b", "ü", "🧦", "10", "9"])
DELIVERY = st.tuples(CODES, st.sampled_from(["s", "t"]), st.integers(0, 3), st.floats(0, 9))


@given(st.lists(DELIVERY, max_size=30), st.randoms(use_true_random=False))
def test_the_highest_seq_of_a_day_wins_in_whatever_order_the_rows_lie(deliveries: list, shuffle) -> None:
    expected = {(sku, store, day): units for sku, store, day, units in deliveries}
    rows = [(*delivery, seq) for seq, delivery in enumerate(deliveries)]
    shuffle.shuffle(rows)
    sku, store, day, units, seq = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 5
    table = pa.table(
        {
            "sku": pa.chunked_array([pa.array(sku, pa.string()).dictionary_encode()]),
            "store": pa.chunked_array([pa.array(store, pa.string()).dictionary_encode()]),
            "date": pa.array(day, pa.int32()).cast(pa.date32()),
            "units": pa.array(units, pa.float64()),
            "seq": pa.array(seq, pa.int64()),
        }
    )
    frame = resolve(table, ["units"])
    days = (frame["date"] - pd.Timestamp(0)).dt.days
    got = dict(zip(zip(frame["sku"], frame["store"], days, strict=True), frame["units"], strict=True))
    assert list(got) == sorted(expected)
    assert got == expected


def test_the_frame_has_the_promised_types_even_when_it_is_empty(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1")
    version = shop.ingest().table_version
    types = {"sku": "str", "store": "str", "date": "datetime64[us]", "units": "float64", "price": "float64"}
    for frame in (shop.history(version), shop.history(version, skus=[]), shop.history(version, buckets=[])):
        assert frame.dtypes.astype(str).to_dict() == types
    assert len(shop.history(version)) == 1
    assert shop.history(version)["price"].isna().all()
    assert shop.history(version, buckets=[]).empty


def test_nothing_after_as_of_is_read(shop: Shop) -> None:
    """Poisoning the future changes nothing of the past."""
    days = [date(2024, 1, 1) + timedelta(days=offset) for offset in range(60)]
    shop.drop("1.csv", *(f"a,s,{day},{offset}" for offset, day in enumerate(days)))
    before = shop.ingest().table_version
    as_of = days[29]
    shop.drop("2.csv", *(f"a,s,{day},1e9" for day in days[30:]))
    after = shop.ingest().table_version
    pd.testing.assert_frame_equal(shop.history(before, as_of), shop.history(after, as_of))
    assert shop.history(after, as_of)["units"].tolist() == [float(number) for number in range(30)]
    assert shop.history(after, date(2023, 12, 31)).empty


def test_only_the_buckets_and_skus_asked_for_are_read(shop: Shop) -> None:
    codes = [f"sku {number}" for number in range(20)]
    shop.drop("1.csv", *(f"{code},s,2024-01-01,1" for code in codes))
    version = shop.ingest().table_version
    for bucket in range(4):
        got = shop.history(version, buckets=[bucket])["sku"].tolist()
        assert got == sorted(code for code in codes if bucket_of(code, 4) == bucket)
    chosen = shop.history(version, skus=["sku 3", "sku 17", "no such"])
    assert chosen["sku"].tolist() == ["sku 17", "sku 3"]


def test_names_of_any_kind_survive_the_way_through_s3(shop: Shop) -> None:
    names = ["a/b:c", "100%", "it's", '5" nail', "..", "two\nlines", "🧦", "x" * 300, "007", "NaN"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    shop.drop("1.csv", *(f"{name},s,2024-01-01,1" for name in quoted))
    frame = shop.history(shop.ingest().table_version)
    assert sorted(frame["sku"]) == sorted(names)


def test_a_version_that_does_not_exist_is_named(shop: Shop) -> None:
    with pytest.raises(DataError, match="lake/shop/history: there is no table; ingest the catalogue's drops first"):
        shop.history(0)
    shop.drop("1.csv", "a,s,2024-01-01,1")
    version = shop.ingest().table_version
    with pytest.raises(DataError, match=f"has no version 99, the newest is {version}"):
        shop.history(99)


def test_the_environment_does_not_override_the_store(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    shop.drop("1.csv", "a,s,2024-01-01,1")
    assert len(shop.history(shop.ingest().table_version)) == 1


def test_buckets_are_the_same_for_ever() -> None:
    """Changing these numbers would tear the history of a SKU apart."""
    assert [bucket_of(sku, 16) for sku in ("FOODS_1_001", "007", "🧦", "a/b")] == [13, 13, 2, 0]


@given(st.text(), st.integers(1, 1024))
def test_every_code_has_a_bucket(sku: str, buckets: int) -> None:
    assert 0 <= bucket_of(sku, buckets) < buckets
