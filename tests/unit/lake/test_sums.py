"""Units added up over groups of SKUs, straight from the history table."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from include.skufleet.errors import DataError
from include.skufleet.lake.sums import sum_units
from tests.unit.fleet.small_fleet import DAYS, END, SmallFleet, day, same

NAN = np.nan
FIRST = day(0)
GROUPS, PLACES = {"A": 0, "B": 0, "C": 1}, {"S1": 0, "S2": 1}


@pytest.fixture(scope="module")
def fleet() -> SmallFleet:
    opened = SmallFleet.open(validation={"max_units": 1000})
    opened.deliver(
        [
            *same("A", 2),
            *same("A", 3, days=range(10), store="S2"),
            *same("B", 0.5, days=range(80, DAYS)),
            ("C", "S1", day(0), 5),
            ("C", "S1", day(1), 1001),
            ("D", "S1", day(0), 7),
        ]
    )
    opened.ingest()
    return opened


def sums(fleet: SmallFleet, first: date = FIRST, as_of: date = END) -> np.ndarray:
    version = fleet.ingest()["table_version"]
    return sum_units(
        fleet.store, fleet.catalogue, version=version, first=first, as_of=as_of, groups=GROUPS, places=PLACES
    )


def test_the_skus_of_a_group_are_added_up_by_store_and_day_over_all_buckets(fleet: SmallFleet) -> None:
    found = sums(fleet)
    assert found.shape == (2, 2, DAYS)
    np.testing.assert_array_equal(found[0, 0], [2.0] * 80 + [2.5] * 4)
    np.testing.assert_array_equal(found[0, 1], [3.0] * 10 + [NAN] * (DAYS - 10))


def test_what_has_no_row_that_counts_is_not_known(fleet: SmallFleet) -> None:
    """On its second day C sold more than the catalogue believes, and D belongs to nobody."""
    np.testing.assert_array_equal(sums(fleet)[1, 0], [5.0] + [NAN] * (DAYS - 1))
    assert np.isnan(sums(fleet)[1, 1]).all()


def test_days_outside_the_range_do_not_count(fleet: SmallFleet) -> None:
    np.testing.assert_array_equal(sums(fleet, day(9), day(11))[0], [[2.0, 2.0, 2.0], [3.0, NAN, NAN]])


def test_of_a_day_that_was_delivered_twice_the_last_delivery_counts() -> None:
    fleet = SmallFleet.open()
    fleet.deliver([("A", "S1", day(0), 4), ("A", "S1", day(1), 4)])
    fleet.ingest()
    fleet.deliver([("A", "S1", day(1), 9), ("B", "S1", day(1), 1)], "second.csv")
    np.testing.assert_array_equal(sums(fleet, as_of=day(1))[0, 0], [4.0, 10.0])


def test_a_version_that_is_not_there_is_refused(fleet: SmallFleet) -> None:
    with pytest.raises(DataError, match="has no version 99"):
        sum_units(fleet.store, fleet.catalogue, version=99, first=FIRST, as_of=END, groups=GROUPS, places=PLACES)
