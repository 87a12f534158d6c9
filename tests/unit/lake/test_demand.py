"""Sums of how SKUs sell, straight from the history table."""

from __future__ import annotations

from datetime import date

import pytest

from include.skufleet.lake.demand import read_demand
from tests.unit.fleet.small_fleet import END, SmallFleet, day, same


@pytest.fixture(scope="module")
def fleet() -> SmallFleet:
    opened = SmallFleet.open()
    opened.deliver([*same("A", 2), *same("A", 3, store="S2"), *same("B", 0), ("C", "S1", day(0), 5)])
    opened.ingest()
    return opened


def read(fleet: SmallFleet, as_of: date) -> dict[str, tuple[float, ...]]:
    frame = read_demand(fleet.store, fleet.catalogue, version=fleet.ingest()["table_version"], as_of=as_of)
    columns = ["rows", "sales", "units", "squares"]
    return {str(row["sku"]): tuple(row[name] for name in columns) for row in frame.to_dict("records")}


def test_every_sku_of_every_bucket_is_summed_over_its_stores(fleet: SmallFleet) -> None:
    assert read(fleet, END) == {
        "A": (168.0, 168.0, 84 * 2.0 + 84 * 3.0, 84 * 4.0 + 84 * 9.0),
        "B": (84.0, 0.0, 0.0, 0.0),
        "C": (1.0, 1.0, 5.0, 25.0),
    }


def test_nothing_later_than_as_of_counts(fleet: SmallFleet) -> None:
    assert read(fleet, day(9))["A"] == (20.0, 20.0, 50.0, 130.0)
    assert read(fleet, date(2000, 1, 1)) == {}
