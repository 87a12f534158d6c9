"""Hold the history against its drops: what each delivery brought, counted in the table itself, a bucket at a time.

For audits. Nothing of a run reads it: the ledger and the index say the same, and this is how it is known that they do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from include.skufleet.config import Catalogue
from include.skufleet.lake.delta import open_table, read_buckets
from include.skufleet.lake.drops import list_drops
from include.skufleet.lake.index import read_series_index
from include.skufleet.lake.keys import index_key, ledger_folder, table_key
from include.skufleet.lake.store import ObjectStore

_SERIES = ["sku", "store"]


@dataclass
class _Counted:
    """What the table holds.

    Attributes:
        drops: id -> rows.
        series: SKU and store -> deliveries.
        doubled: series with a date that one drop brought twice.
    """

    drops: Counter[str] = field(default_factory=Counter)
    series: Counter[tuple[str, str]] = field(default_factory=Counter)
    doubled: list[tuple[str, str]] = field(default_factory=list)


def find_discrepancies(store: ObjectStore, catalogue: Catalogue) -> Iterator[str]:
    """What does not agree between landing, ledger and the newest version of history and index, a sentence each.

    Drops that were landed since the last ingestion count as lost: audit after a run, not after a delivery.
    """
    ledger = [store.get_json(item.key) for item in store.list(ledger_folder(catalogue.name))]
    recorded = {record["drop"] for record in ledger}
    for drop in list_drops(store, f"{catalogue.landing.prefix}/{catalogue.landing.sales.path}"):
        if drop.id not in recorded:
            yield f"{store.uri(drop.stored.key)} lies in the landing, but is not in the ledger"
    table = open_table(store, table_key(catalogue.name, "history"))
    counted = _Counted() if table is None else _count(store, catalogue, table)
    for sku, place in counted.doubled:
        yield f"SKU {sku!r} in {place!r} has a day twice from one drop"
    for record in ledger:
        if record["kind"] != "history":
            continue
        present, expected = counted.drops[record["drop"]], record["rows"] if record["status"] == "ingested" else 0
        if present != expected:
            yield f"{store.uri(record['key'])} ({record['status']}): {present} of {expected} rows are in the history"
        if record["status"] == "rejected" and not record["reason"]:
            yield f"{store.uri(record['key'])} was rejected without a reason"
    key = "" if table is None else index_key(catalogue.name, table.version())
    if not key or not store.exists(key):
        return  # it is made anew by whoever needs it
    index = read_series_index(store, key)
    indexed = dict(zip(zip(index["sku"], index["store"], strict=True), index["rows"], strict=True))
    for series in sorted(set(indexed) | set(counted.series)):
        if indexed.get(series, 0) != counted.series[series]:
            sku, place = series
            yield (
                f"SKU {sku!r} in {place!r}: {counted.series[series]} deliveries in the history, "
                f"{indexed.get(series, 0)} by its index"
            )


def _count(store: ObjectStore, catalogue: Catalogue, table: Any) -> _Counted:
    found = _Counted()
    for bucket in range(catalogue.fleet.buckets):
        rows = read_buckets(store, table, [bucket], [*_SERIES, "date", "drop"]).to_pandas()
        found.drops.update(rows["drop"].astype("str"))
        pairs = rows[_SERIES].astype("str")
        found.series.update(zip(pairs["sku"], pairs["store"], strict=True))
        doubled = pairs[rows.duplicated([*_SERIES, "date", "drop"])].drop_duplicates()
        found.doubled += list(zip(doubled["sku"], doubled["store"], strict=True))
    return found
