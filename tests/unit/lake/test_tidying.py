"""Compaction and vacuum: the same rows in fewer files, old versions readable for as long as was promised, no growth."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st
from lake_shop import Shop

from include.skufleet.errors import DataError
from include.skufleet.lake import compaction, feed, vacuum
from include.skufleet.lake.compaction import LEAST_FILES, choose_buckets
from include.skufleet.lake.delta import append, list_files, open_table, read_buckets, require_table
from include.skufleet.lake.files import DataFile
from include.skufleet.lake.index import read_series_index, rebuild_index
from include.skufleet.lake.store import ObjectStore

SKUS = [f"sku{number}" for number in range(16)]
HISTORY = "lake/shop/history"


def deliver(shop: Shop, day: int, units: int = 1) -> int:
    """One day of every SKU, ingested; the version after it."""
    moment = date(2024, 1, 1) + timedelta(days=day)
    shop.drop(f"{day:03}-{units}.csv", *(f"{sku},s,{moment},{units}" for sku in SKUS))
    return shop.ingest().table_version


def newest(shop: Shop) -> Any:
    table = open_table(shop.store, HISTORY)
    assert table is not None
    return table


def files_per_bucket(shop: Shop) -> dict[int, int]:
    buckets = [file.bucket for file in list_files(newest(shop))]
    return {bucket: buckets.count(bucket) for bucket in sorted(set(buckets))}


def without_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is superseded is old enough to go."""
    monkeypatch.setattr(feed, "remove_files", lambda store, key, table, _: vacuum.remove_files(store, key, table, 0))


def test_files_stay_few_however_many_days_come(shop: Shop) -> None:
    for day in range(24):
        version = deliver(shop, day)
    assert max(files_per_bucket(shop).values()) <= LEAST_FILES + 4
    assert len(shop.units(version)) == 24 * len(SKUS)
    series = read_series_index(shop.store, shop.ingest().index_key)
    pd.testing.assert_frame_equal(rebuild_index(shop.store, newest(shop), 4).series, series)


def test_a_first_load_leaves_one_file_per_bucket(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "DROPS_PER_COMMIT", 1)
    for day in range(LEAST_FILES):
        shop.drop(f"{day}.csv", *(f"{sku},s,2024-01-0{day + 1},1" for sku in SKUS))
    shop.ingest()
    assert set(files_per_bucket(shop).values()) == {1}


def test_a_compacted_bucket_is_sorted_and_keeps_every_delivery(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SHARE", 1)
    for units, day in enumerate((3, 1, 2, 1)):
        version = deliver(shop, day, units)
    rows = read_buckets(shop.store, newest(shop), range(4), ["sku", "date", "seq"])
    assert rows.num_rows == 4 * len(SKUS)
    assert set(files_per_bucket(shop).values()) == {1}
    one = read_buckets(shop.store, require_table(shop.store, HISTORY, version), [0], ["sku", "date", "seq"]).to_pandas()
    keys = list(zip(one["sku"].astype(str), one["date"], one["seq"], strict=True))
    assert keys == sorted(keys)


def test_readers_of_an_old_version_are_not_disturbed_before_the_retention_ends(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SHARE", 1)
    versions = [deliver(shop, day) for day in range(8)]
    for day, version in enumerate(versions):
        assert len(shop.units(version)) == (day + 1) * len(SKUS)
    newest_units = shop.units(versions[-1])
    without_retention(monkeypatch)
    last = deliver(shop, 8)
    with pytest.raises(
        DataError, match=r"version \d+ cannot be read any more, its files are removed after `fleet.keep"
    ):
        shop.history(versions[3])
    units = shop.units(last)
    assert {key: value for key, value in units.items() if not key[2].endswith("-09")} == newest_units


def test_files_of_a_commit_that_lost_are_removed_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(shop, 0)
    stale = newest(shop)
    deliver(shop, 1)
    rows = read_buckets(shop.store, stale, [1], ["sku", "store", "date", "units", "price", "drop", "seq"])
    again = rows.append_column("bucket", pa.array([1] * rows.num_rows, pa.int32()))
    assert not append(shop.store, HISTORY, stale, again, {"another": 1})
    used = len(list_files(newest(shop)))
    assert len(shop.store.list(f"{HISTORY}/bucket=")) == used + 1
    assert vacuum.remove_files(shop.store, HISTORY, newest(shop), 1) == 0
    assert vacuum.remove_files(shop.store, HISTORY, newest(shop), 0) == 1
    assert len(shop.units(shop.ingest().table_version)) == 2 * len(SKUS)


def test_objects_stop_growing_in_number(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything superseded old enough: indexes, log and data files of forty days are those of twenty."""
    without_retention(monkeypatch)
    monkeypatch.setattr(vacuum, "LOG_DAYS", -7)
    monkeypatch.setattr(
        "include.skufleet.lake.ingest.remove_indexes",
        lambda store, catalogue, _: vacuum.remove_indexes(store, catalogue, 0),
    )
    counts = []
    for day in range(44):
        deliver(shop, day)
        found = [item.key for item in shop.store.list("lake/shop/")]
        counts.append(sum("/ledger/" not in key for key in found))
    assert max(counts[24:]) <= max(counts[:24])
    assert len(shop.units(shop.ingest().table_version)) == 44 * len(SKUS)


def test_a_version_whose_log_is_gone_is_named(shop: Shop) -> None:
    version = deliver(shop, 0)
    deliver(shop, 1)
    newest(shop).create_checkpoint()
    for older in range(version + 1):
        shop.store.delete(f"{HISTORY}/_delta_log/{older:020}.json")
    with pytest.raises(DataError, match=f"version {version} cannot be read any more"):
        shop.history(version)


def test_another_retention_reaches_a_table_that_is_there(shop: Shop) -> None:
    deliver(shop, 0)
    fleet = shop.catalogue.fleet.model_copy(update={"keep_versions": 3})
    other = Shop(shop.store, shop.catalogue.model_copy(update={"fleet": fleet}))
    version = deliver(other, 1)
    configuration = DeltaTable(shop.store.uri(HISTORY), storage_options=dict(shop.store.storage_options)).metadata()
    assert configuration.configuration["delta.deletedFileRetentionDuration"] == "interval 3 days"
    assert configuration.configuration["delta.logRetentionDuration"] == "interval 33 days"
    assert read_series_index(shop.store, other.ingest().index_key)["rows"].sum() == 2 * len(SKUS)
    assert len(other.units(version)) == 2 * len(SKUS)


FILES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 100)), max_size=40)


@given(FILES, st.integers(0, 500))
def test_what_is_rewritten_is_bounded_and_whole_buckets(sizes: list[tuple[int, int]], rows: int) -> None:
    files = [DataFile(str(number), bucket, 1, count) for number, (bucket, count) in enumerate(sorted(sizes))]
    chosen = choose_buckets(files, rows)
    budget = max(rows, -(-sum(file.rows for file in files) // compaction.SHARE))
    assert sum(file.rows for items in chosen[:-1] for file in items) < max(budget, 1)
    for items in chosen:
        assert len(items) >= LEAST_FILES
        assert items == [file for file in files if file.bucket == items[0].bucket]
    if any(sum(file.bucket == bucket for file in files) >= LEAST_FILES for bucket in range(6)):
        assert chosen


class Counting(ObjectStore):
    """Counts the objects that are read."""

    def _read(self, key: str, condition: dict[str, str]) -> bytes:
        self.reads.append(key)  # type: ignore[attr-defined]
        return super()._read(key, condition)


def test_a_day_without_news_reads_neither_drops_nor_records(shop: Shop) -> None:
    shop.drop("bad.csv", "nothing", header="of,use")
    for day in range(3):
        deliver(shop, day)
    store = Counting(shop.store.client, shop.store.bucket, shop.store.storage_options)
    object.__setattr__(store, "reads", [])
    summary = Shop(store, shop.catalogue).ingest()
    assert summary.drops_ingested == summary.drops_rejected == 0
    reads = store.reads  # type: ignore[attr-defined]
    assert sorted(reads) == sorted(["lake/shop/history.drops.json", summary.index_key, summary.dates_key])


def test_the_short_cut_is_made_anew_where_it_is_missing_or_of_another_table(shop: Shop) -> None:
    shop.drop("bad.csv", "nothing", header="of,use")
    version = deliver(shop, 0)
    right = shop.store.get_json("lake/shop/history.drops.json")
    for wrong in (None, {**right, "table": "another", "added": [], "rejected": {}}):
        shop.store.delete("lake/shop/history.drops.json")
        if wrong:
            shop.store.put_json("lake/shop/history.drops.json", wrong)
        again = shop.ingest()
        assert (again.table_version, again.drops_ingested, again.drops_rejected) == (version, 0, 0)
        assert shop.store.get_json("lake/shop/history.drops.json") == right
