"""Drops become history whole, once, and in the order of their delivery, whatever happens in between."""

from __future__ import annotations

import gzip
import threading
from datetime import date
from typing import Any

import pandas as pd
import pytest
from deltalake import DeltaTable
from lake_shop import Shop, make_catalogue

from include.skufleet.errors import ConfigError, LandingError, ServiceUnavailableError
from include.skufleet.lake import feed, ingest
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.drops import list_drops
from include.skufleet.lake.history import HISTORY_SCHEMA
from include.skufleet.lake.index import index_rows, read_series_index, read_trading_dates, rebuild_index
from include.skufleet.lake.store import ObjectStore, StoredObject


def raw_rows(shop: Shop) -> int:
    """Rows of the Delta table, superseded ones included."""
    uri = shop.store.uri("lake/shop/history")
    return DeltaTable(uri, storage_options=dict(shop.store.storage_options)).count()


def test_drops_are_ingested_once(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1", "b,s,2024-01-01,2")
    first = shop.ingest()
    assert (first.drops_ingested, first.rows, first.drops_rejected) == (1, 2, 0)
    again = shop.ingest()
    assert (again.drops_ingested, again.rows, again.table_version) == (0, 0, first.table_version)
    shop.drop("2.csv", "a,s,2024-01-02,3")
    second = shop.ingest()
    assert (second.drops_ingested, second.rows) == (1, 1)
    assert second.table_version > first.table_version
    assert shop.units(second.table_version) == {
        ("a", "s", "2024-01-01"): 1,
        ("a", "s", "2024-01-02"): 3,
        ("b", "s", "2024-01-01"): 2,
    }
    assert raw_rows(shop) == 3


def test_the_summary_is_small_json(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-03,1", "a,s,2024-01-01,2", "a,s,soon,2")
    summary = shop.ingest()
    seq = list_drops(shop.store, "landing/shop/sales/")[0].seq
    assert summary.to_json() == {
        "table_version": summary.table_version,
        "drops_ingested": 1,
        "drops_rejected": 0,
        "drops_left": 0,
        "rows": 2,
        "set_aside": {"date_unreadable": 1},
        "rejections": [],
        "attributes_key": None,
        "calendar_key": None,
        "prices_version": None,
        "prices_index_key": None,
        "index_key": f"lake/shop/index/{summary.table_version}.parquet",
        "dates_key": f"lake/shop/index/{summary.table_version}.dates.parquet",
        "first_date": "2024-01-01",
        "last_date": "2024-01-03",
        "deliveries": {"history": dict.fromkeys(("last", "backlog"), seq)},
    }


def test_a_late_correction_wins_and_an_old_version_does_not_know_it(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1", "a,s,2024-01-02,2")
    before = shop.ingest().table_version
    shop.drop("2.csv", "a,s,2024-01-01,10")
    after = shop.ingest().table_version
    assert shop.units(after) == {("a", "s", "2024-01-01"): 10, ("a", "s", "2024-01-02"): 2}
    assert shop.units(before) == {("a", "s", "2024-01-01"): 1, ("a", "s", "2024-01-02"): 2}


def test_a_key_delivered_again_with_other_content_is_a_new_drop(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1")
    shop.ingest()
    shop.drop("1.csv", "a,s,2024-01-01,5")
    assert shop.units(shop.ingest().table_version) == {("a", "s", "2024-01-01"): 5}
    shop.drop("1.csv", "a,s,2024-01-01,5")
    assert shop.ingest().drops_ingested == 0


DELIVERIES = [
    ["a,s,2024-01-01,1", "b,s,2024-01-01,2"],
    ["a,s,2024-01-02,3", "a,s,2024-01-01,4"],
    ["b,t,2024-01-01,5", "b,s,2024-01-01,6", "a,s,2024-01-02,7"],
    ["a,s,2024-01-01,8"],
]
EXPECTED = {
    ("a", "s", "2024-01-01"): 8,
    ("a", "s", "2024-01-02"): 7,
    ("b", "s", "2024-01-01"): 6,
    ("b", "t", "2024-01-01"): 5,
}


@pytest.mark.parametrize("stops", [{3}, {0, 1, 2, 3}, {1, 3}])
def test_drop_by_drop_is_the_same_as_all_at_once(shop: Shop, stops: set[int]) -> None:
    for number, rows in enumerate(DELIVERIES):
        shop.drop(f"{number}.csv", *rows)
        if number in stops:
            summary = shop.ingest()
    assert shop.units(summary.table_version) == EXPECTED
    series = read_series_index(shop.store, summary.index_key)
    assert series[["sku", "store", "rows"]].to_numpy().tolist() == [["a", "s", 5], ["b", "s", 2], ["b", "t", 1]]


def test_the_order_of_delivery_counts_not_the_order_of_ingestion(shop: Shop) -> None:
    """A drop that could be read only after the settings were corrected does not override what came after it."""
    shop.put("1.csv", "sku;store;date;units\na;s;2024-01-01;1\nb;s;2024-01-01;2\n")
    shop.drop("2.csv", "a,s,2024-01-01,9")
    assert shop.ingest().drops_rejected == 1
    shop.store.delete("landing/shop/sales/2.csv")
    summary = shop.with_sales(delimiter=";").ingest()
    assert summary.drops_ingested == 1
    assert shop.units(summary.table_version) == {("a", "s", "2024-01-01"): 9, ("b", "s", "2024-01-01"): 2}


def test_an_unreadable_drop_is_rejected_with_a_sentence_and_the_others_go_on(shop: Shop) -> None:
    shop.put("1.csv.gz", gzip.compress(b"sku,store,date,units\na,s,2024-01-01,1\n" * 50)[:-8])
    shop.drop("2.csv", "b,s,2024-01-01,1")
    shop.put("3.parquet", b"PAR1 and not much more")
    summary = shop.ingest()
    assert (summary.drops_ingested, summary.drops_rejected) == (1, 2)
    assert summary.rejections[0].startswith(
        f"s3://{shop.store.bucket}/landing/shop/sales/1.csv.gz: the gzip file is truncated or broken"
    )
    ledger = shop.ledger()
    assert {name: record["status"] for name, record in ledger.items()} == {
        "1.csv.gz": "rejected",
        "2.csv": "ingested",
        "3.parquet": "rejected",
    }
    assert "is not a whole Parquet file" in ledger["3.parquet"]["reason"]


def test_a_rejected_drop_is_read_again_when_delivered_anew_but_not_before(shop: Shop) -> None:
    shop.drop("0.csv", "z,s,2024-01-01,1")
    shop.put("1.csv", "")
    assert shop.ingest().drops_rejected == 1
    assert shop.ingest().drops_rejected == 0
    shop.drop("1.csv", "a,s,2024-01-01,1")
    assert shop.ingest().drops_ingested == 1


def test_rows_set_aside_are_kept_with_number_text_and_reason(shop: Shop) -> None:
    shop.drop(
        "1.csv",
        "a,s,2024-01-01,1",
        "a,s,2024-01-02,x",
        "b,s,2026-07-01,1",
        "c,s,2024-01-01,1",
        "d,s",
        "e,s,2024-01-01,1",
    )
    summary = shop.ingest()
    assert summary.set_aside == {"units_unreadable": 1, "date_future": 1, "fields": 1}
    record = shop.ledger()["1.csv"]
    assert (record["rows"], record["set_aside"]) == (3, {"units_unreadable": 1, "date_future": 1, "fields": 1})
    frame = shop.store.get_frame(f"lake/shop/quarantine/drops/{record['drop']}.parquet")
    assert frame.to_numpy().tolist() == [
        [2, "a,s,2024-01-02,x", "units_unreadable", "units 'x' is not a number with the decimal mark '.'"],
        [3, "b,s,2026-07-01,1", "date_future", "date '2026-07-01' is after 2026-06-30, the day of the ingestion"],
        [5, "d,s", "fields", "has 2 fields, expected 4"],
    ]


def test_an_empty_landing_says_where_and_how_to_fill_it(shop: Shop) -> None:
    with pytest.raises(LandingError) as caught:
        shop.ingest()
    assert str(caught.value) == (
        f"s3://{shop.store.bucket}/landing/shop/sales/: bucket '{shop.store.bucket}' holds no sales drop under this "
        "prefix; expected .csv, .csv.gz or .parquet objects with the columns of landing.sales; land them with "
        "`make import CATALOGUE=shop FROM=<folder or zip>`"
    )


def test_a_landing_of_nothing_readable_says_why_now_and_later(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1", header="article,store,date,units")
    shop.put("_SUCCESS", "")
    with pytest.raises(
        LandingError, match=r"none of 1 drops can be read; the first: .*1\.csv: has no column 'sku'; got"
    ):
        shop.ingest()
    with pytest.raises(LandingError, match="all 1 drops were rejected by earlier ingestions under the same settings"):
        shop.ingest()


def test_drops_without_a_usable_row_are_no_history(shop: Shop) -> None:
    shop.drop("1.csv")
    for _ in range(2):
        with pytest.raises(LandingError, match="1 drops, and not one usable row in them"):
            shop.ingest()


def test_a_landing_that_was_tidied_up_keeps_its_history(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1")
    version = shop.ingest().table_version
    shop.store.delete("landing/shop/sales/1.csv")
    assert shop.ingest().table_version == version


def test_another_number_of_buckets_is_refused(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1")
    version = shop.ingest().table_version
    fleet = shop.catalogue.fleet.model_copy(update={"buckets": 8})
    other = Shop(shop.store, shop.catalogue.model_copy(update={"fleet": fleet}))
    other.drop("2.csv", "a,s,2024-01-02,1")
    with pytest.raises(ConfigError, match=r"has 4 buckets, the catalogue file says fleet.buckets: 8; set it back to 4"):
        other.ingest()
    with pytest.raises(ConfigError, match="has 4 buckets"):
        other.history(version)


class FlakyStore(ObjectStore):
    """Replaces an object just before it is read, some times."""

    def get_if_unchanged(self, stored: StoredObject) -> bytes | None:
        if self.replacements:  # type: ignore[attr-defined]
            self.put(stored.key, self.replacements.pop(0))  # type: ignore[attr-defined]
        return super().get_if_unchanged(stored)


def flaky(shop: Shop, *replacements: bytes) -> Shop:
    store = FlakyStore(shop.store.client, shop.store.bucket, shop.store.storage_options)
    object.__setattr__(store, "replacements", list(replacements))
    return Shop(store, shop.catalogue)


def content(units: int) -> bytes:
    return f"sku,store,date,units\na,s,2024-01-01,{units}\n".encode()


def test_a_drop_replaced_while_it_is_read_is_read_as_it_is_now(shop: Shop) -> None:
    shop.put("1.csv", content(1))
    summary = flaky(shop, content(22)).ingest()
    assert shop.units(summary.table_version) == {("a", "s", "2024-01-01"): 22}
    assert shop.ingest().drops_ingested == 0
    assert raw_rows(shop) == 1


def test_a_drop_that_keeps_changing_is_left_for_the_next_ingestion(shop: Shop) -> None:
    shop.drop("0.csv", "z,s,2024-01-01,1")
    shop.ingest()
    shop.put("1.csv", content(1))
    summary = flaky(shop, content(22), content(333), content(4444)).ingest()
    assert (summary.drops_ingested, summary.drops_left) == (0, 1)
    assert shop.units(shop.ingest().table_version)["a", "s", "2024-01-01"] == 4444


@pytest.mark.parametrize("crash", ["before the commit", "after the commit", "after the answer got lost"])
def test_a_crash_loses_no_drop_and_doubles_none(shop: Shop, monkeypatch: pytest.MonkeyPatch, crash: str) -> None:
    shop.drop("0.csv", "z,s,2024-01-01,1")
    shop.ingest()
    shop.drop("1.csv", "a,s,2024-01-01,1", "a,s,bad,1")
    append = feed.append

    def broken(*arguments: Any) -> bool:
        if crash != "before the commit":
            append(*arguments)
        if crash == "after the answer got lost":
            return False
        raise ServiceUnavailableError("pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(feed, "append", broken)
        if crash == "after the answer got lost":
            shop.ingest()
        else:
            with pytest.raises(ServiceUnavailableError, match="plug"):
                shop.ingest()
    summary = shop.ingest()
    assert shop.units(summary.table_version) == {("a", "s", "2024-01-01"): 1, ("z", "s", "2024-01-01"): 1}
    assert raw_rows(shop) == 2
    assert read_series_index(shop.store, summary.index_key)["rows"].tolist() == [1, 1]


def test_a_crash_before_the_index_is_mended_by_the_next_ingestion(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise ServiceUnavailableError("pulled the plug")

    shop.drop("1.csv", "a,s,2024-01-01,1", "b,s,2024-01-05,1")
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "write_index", broken)
        with pytest.raises(ServiceUnavailableError, match="plug"):
            shop.ingest()
    summary = shop.ingest()
    assert read_series_index(shop.store, summary.index_key)["sku"].tolist() == ["a", "b"]
    assert read_trading_dates(shop.store, summary.dates_key).dt.day.tolist() == [1, 5]


def test_several_ingestions_at_once_add_each_drop_once(
    shop: Shop, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits of one drop each make the writers meet again and again."""
    monkeypatch.setattr(feed, "DROPS_PER_COMMIT", 1)
    for number in range(12):
        shop.drop(f"{number:02}.csv", f"a,s,2024-01-{number + 1:02},{number}", f"a,s,2024-02-01,{number}")
    start, outcomes = threading.Barrier(3), list[int]()

    def run() -> None:
        other = Shop(open_store(shop.store.bucket, s3), shop.catalogue)
        start.wait()
        outcomes.append(other.ingest().rows)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes) == 24
    summary = shop.ingest()
    assert raw_rows(shop) == 24
    units = shop.units(summary.table_version)
    assert len(units) == 13
    assert units["a", "s", "2024-02-01"] == 11
    assert read_series_index(shop.store, summary.index_key)["rows"].tolist() == [24]


def test_the_index_kept_up_to_date_is_the_one_made_anew(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "ROWS_PER_COMMIT", 3)
    for number, rows in enumerate(DELIVERIES):
        shop.drop(f"{number}.csv", *rows)
    shop.ingest()
    shop.drop("9.csv", "ü/🧦,t,2023-12-25,1")
    summary = shop.ingest()
    uri = shop.store.uri("lake/shop/history")
    table = DeltaTable(uri, storage_options=dict(shop.store.storage_options))
    anew = rebuild_index(shop.store, table, 4)
    pd.testing.assert_frame_equal(read_series_index(shop.store, summary.index_key), anew.series)
    dates = read_trading_dates(shop.store, summary.dates_key)
    assert dates.tolist() == anew.dates["date"].tolist()
    assert [day.date() for day in dates] == [date(2023, 12, 25), date(2024, 1, 1), date(2024, 1, 2)]


def test_a_weekly_catalogue_keeps_the_dates_as_delivered(store: ObjectStore) -> None:
    """Weeks are made when panels are built, so that a corrected day replaces that day and not its week."""
    weekly = make_catalogue(repeated="sum").model_copy(update={"frequency": "W"})
    shop = Shop(store, weekly)
    shop.drop("1.csv", "a,s,2024-01-01,1", "a,s,2024-01-02,2")
    shop.drop("2.csv", "a,s,2024-01-02,5")
    assert shop.units(shop.ingest().table_version) == {("a", "s", "2024-01-01"): 1, ("a", "s", "2024-01-02"): 5}


def test_an_index_of_no_rows_is_empty() -> None:
    index = index_rows(HISTORY_SCHEMA.empty_table())
    assert index.series.empty
    assert index.dates.empty
