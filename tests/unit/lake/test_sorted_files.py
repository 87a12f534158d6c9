"""Data files: sorted, and a reader decodes no more row groups than can hold what it asks for."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_shop import Shop

from include.skufleet.lake import files
from include.skufleet.lake.delta import list_files, require_table
from include.skufleet.lake.files import Selection, read_file, sort_rows, write_files
from include.skufleet.lake.store import ObjectStore

DAY = date(2024, 1, 1)
CODES = ["a", "b", "b/1", "ü", "🧦", "Z"]


def make_rows(keys: list[tuple[str, int, int]], bucket: int = 0) -> pa.Table:
    """Rows of (sku, day, seq)."""
    sku, day, seq = (list(column) for column in zip(*keys, strict=True))
    count = len(keys)
    return pa.table(
        {
            "bucket": pa.array([bucket] * count, pa.int32()),
            "sku": pa.array(sku, pa.string()).dictionary_encode(),
            "store": pa.array(["s"] * count).dictionary_encode(),
            "date": pa.array([DAY + timedelta(days=number) for number in day], pa.date32()),
            "units": pa.array([1.0] * count),
            "seq": pa.array(seq, pa.int64()),
        }
    )


@given(st.lists(st.tuples(st.sampled_from(CODES), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_rows_are_sorted_by_sku_day_and_delivery(keys: list[tuple[str, int, int]]) -> None:
    rows = sort_rows(make_rows(keys))
    days = [(day - DAY).days for day in rows.column("date").to_pylist()]
    got = list(zip(rows.column("sku").to_pylist(), days, rows.column("seq").to_pylist(), strict=True))
    assert got == sorted(keys)


def test_each_bucket_gets_a_file_of_its_own_with_what_the_log_has_to_say_of_it(store: ObjectStore) -> None:
    rows = pa.concat_tables([make_rows([("a", 0, 1), ("b", 0, 1)], 3), make_rows([("c", 0, 1)], 7)])
    first, second = write_files(store, "lake/x", rows.unify_dictionaries())
    assert [(first.bucket, first.rows), (second.bucket, second.rows)] == [(3, 2), (7, 1)]
    assert first.path.startswith("bucket=3/")
    assert [item.size for item in store.list("lake/x/")] == [first.size, second.size]
    assert write_files(store, "lake/x", rows.slice(0, 0)) == []


@pytest.mark.parametrize(
    ("skus", "groups"),
    [(["c"], 1), (["c", "d"], 1), (["c", "e"], 2), (["a", "z"], 1), (["bb"], 0), (["z"], 0), ([], 0), (None, 3)],
)
def test_only_row_groups_that_can_hold_the_skus_are_decoded(
    monkeypatch: pytest.MonkeyPatch, store: ObjectStore, skus: list[str] | None, groups: int
) -> None:
    monkeypatch.setattr(files, "ROWS_PER_GROUP", 4)
    rows = make_rows([(sku, day, 1) for sku in "abcdef" for day in range(2)])
    (file,) = write_files(store, "lake/x", rows)
    decoded = []
    read = pq.ParquetFile.read_row_groups

    def watched(self: pq.ParquetFile, numbers: list[int], **options: object) -> pa.Table:
        decoded.extend(numbers)
        return read(self, numbers, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", watched)
    got = read_file(store.get(f"lake/x/{file.path}"), ["sku", "date"], Selection(skus))
    assert len(decoded) == groups
    assert set(got.column("sku").to_pylist()) == set("abcdef") & set("abcdef" if skus is None else skus)


@given(st.sets(st.sampled_from(CODES)), st.sampled_from(CODES), st.sampled_from(CODES))
def test_a_range_is_left_out_only_when_no_sku_is_in_it(skus: set[str], one: str, other: str) -> None:
    least, greatest = sorted([one, other])
    assert Selection(list(skus)).may_be_between(least, greatest) == any(least <= sku <= greatest for sku in skus)


@pytest.mark.parametrize(
    ("first", "last", "days"), [(None, None, [0, 1, 2]), (1, None, [1, 2]), (None, 1, [0, 1]), (1, 1, [1]), (2, 1, [])]
)
def test_both_ends_of_a_period_are_included(first: int | None, last: int | None, days: list[int]) -> None:
    begin, end = (None if day is None else DAY + timedelta(days=day) for day in (first, last))
    got = Selection(first=begin, last=end).apply(make_rows([("a", day, 1) for day in range(3)]))
    assert [(day - DAY).days for day in got.column("date").to_pylist()] == days


def test_a_row_takes_few_bytes(shop: Shop) -> None:
    """A year of 20 SKUs at a steady price; compression is what makes whole objects cheap to read."""
    days = [date(2024, 1, 1) + timedelta(days=offset) for offset in range(365)]
    shop.drop("1.csv", *(f"sku{sku},s,{day},{(sku * day.day) % 7}" for sku in range(20) for day in days))
    version = shop.ingest().table_version
    found = list_files(require_table(shop.store, "lake/shop/history", version))
    assert sum(file.rows for file in found) == 20 * 365
    assert sum(file.size for file in found) < 4 * 20 * 365
