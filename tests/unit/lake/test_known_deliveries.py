"""What was known on a date: by the moments of delivery, with the backlog as known in time."""

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from include.skufleet.lake import deliveries
from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.delta import open_table, read_backlog
from include.skufleet.lake.demand import read_demand
from include.skufleet.lake.drops import list_drops
from include.skufleet.lake.files import Selection
from include.skufleet.lake.index import index_as_known
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lake.sums import sum_units
from tests.unit.lake.lake_shop import TODAY, Shop, make_catalogue


@pytest.fixture
def shop(store: ObjectStore) -> Shop:
    return Shop(store, make_catalogue())


def moments(shop: Shop) -> dict[str, int]:
    """Name of the drop -> its ``seq``."""
    return {Path(drop.stored.key).name: drop.seq for drop in list_drops(shop.store, "landing/shop/sales/")}


def land(shop: Shop) -> int:
    """A backlog of two drops, a correction of a day in it, and a day that came late; the newest version."""
    shop.drop("a.csv", "A,S1,2026-06-01,1", "A,S1,2026-06-02,2")
    shop.drop("b.csv", "B,S1,2026-06-02,3")
    shop.ingest()
    shop.drop("c.csv", "A,S1,2026-06-02,9")
    shop.ingest()
    shop.drop("d.csv", "A,S1,2026-06-03,4", "C,S1,2026-06-01,5")
    return shop.ingest().table_version


def test_the_formulas() -> None:
    found = doctest.testmod(deliveries, extraglobs={"date": date})
    assert found.attempted > 0
    assert found.failed == 0


def test_a_day_ends_at_midnight_utc() -> None:
    known = Known.at_the_end_of(date(2026, 3, 1), backlog=0)
    last = datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)
    micro = (last - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert not known.misses(micro)
    assert known.misses(micro + 1)
    assert Known.parse(known.to_json()) == known
    assert Known.parse(None) is None


def test_the_drops_of_the_first_ingestion_are_the_backlog_for_good(shop: Shop) -> None:
    land(shop)
    table, seq = open_table(shop.store, "lake/shop/history"), moments(shop)
    assert read_backlog(table) == seq["b.csv"]
    summary = shop.ingest().to_json()
    assert summary["deliveries"] == {"history": {"last": seq["d.csv"], "backlog": seq["b.csv"]}}


def test_a_table_that_does_not_say_was_created_after_its_backlog() -> None:
    class Table:
        def metadata(self) -> object:
            return type("Metadata", (), {"configuration": {}, "created_time": 1_000})()

    assert read_backlog(Table()) == 1_000_000


def test_what_was_delivered_later_does_not_count(shop: Shop) -> None:
    version, seq = land(shop), moments(shop)
    then = Known(before=0, backlog=seq["b.csv"])
    known = shop.history(version, known=then)
    assert list(zip(known["sku"], known["units"], strict=True)) == [("A", 1), ("A", 2), ("B", 3)]
    corrected = shop.history(version, known=Known(before=seq["d.csv"], backlog=0))
    assert list(zip(corrected["sku"], corrected["units"], strict=True)) == [("A", 1), ("A", 9), ("B", 3)]
    assert len(shop.history(version)) == 5


def test_sums_and_demand_count_the_same_deliveries(shop: Shop) -> None:
    version, seq = land(shop), moments(shop)
    then = Known(before=0, backlog=seq["b.csv"])
    own = {"version": version, "as_of": TODAY, "known": then}
    sums = sum_units(
        shop.store, shop.catalogue, first=date(2026, 6, 1), groups={"A": 0, "B": 0, "C": 0}, places={"S1": 0}, **own
    )
    assert sums[0, 0, :2].tolist() == [1, 5]
    demand = read_demand(shop.store, shop.catalogue, **own)
    assert dict(zip(demand["sku"], demand["units"], strict=True)) == {"A": 3, "B": 3}


def test_the_index_as_known_is_the_one_that_there_was(shop: Shop) -> None:
    shop.drop("a.csv", "A,S1,2026-06-01,1", "A,S1,2026-06-02,2")
    shop.drop("b.csv", "B,S1,2026-06-02,3")
    before = shop.store.get_frame(shop.ingest().index_key)
    version, seq = land(shop), moments(shop)
    table = open_table(shop.store, "lake/shop/history", version)
    then = Known(before=0, backlog=seq["b.csv"])
    index, late = index_as_known(shop.store, table, 4, Selection(last=date(2026, 6, 2)), then)
    assert late == 2  # the correction, and C's first day; A's third day is after the date
    assert index.series["sku"].tolist() == ["A", "B"]
    assert [stamp.date() for stamp in index.dates["date"]] == [date(2026, 6, 1), date(2026, 6, 2)]
    assert len(before) == 2
