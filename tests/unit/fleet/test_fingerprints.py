"""A SKU's fingerprint: the same as long as nothing that its model depends on is new."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from include.skufleet.config import Catalogue
from include.skufleet.fleet.fingerprints import digest_code, digest_shared, fingerprint_skus
from tests.unit.fleet.small_fleet import make_catalogue

NEWEST = date(2026, 3, 31)
SERIES = pd.DataFrame({"sku": ["A", "A", "B"], "store": ["S1", "S2", "S1"], "digest": [1, -2, 3]})
PRICES = pd.DataFrame({"sku": ["A"], "store": [""], "digest": [9]})
GROUPS = {"A": {"department": "Food"}, "B": {"department": "Food"}}
CALENDAR = pd.DataFrame({"date": pd.to_datetime(["2026-03-30", "2026-03-31", "2026-04-01"]), "event": ["", "Fair", ""]})


def marks(
    series: pd.DataFrame = SERIES, prices: Any = PRICES, groups: Any = GROUPS, shared: str = "s"
) -> dict[str, str]:
    return fingerprint_skus(series, prices, groups, shared)


def test_the_order_of_the_series_does_not_matter() -> None:
    assert marks(SERIES.iloc[::-1]) == marks()
    assert all(len(mark) == 32 for mark in marks().values())


@pytest.mark.parametrize(
    ("changed", "whose"),
    [
        ({"series": SERIES.assign(digest=[1, -2, 4])}, {"B"}),
        ({"series": SERIES.assign(digest=[-2, 1, 3])}, {"A"}),
        ({"series": SERIES.assign(store=["S1", "S3", "S1"])}, {"A"}),
        ({"series": SERIES.drop(index=1)}, {"A"}),
        ({"prices": PRICES.assign(digest=[8])}, {"A"}),
        ({"prices": None}, {"A"}),
        ({"groups": {**GROUPS, "B": {"department": "Drinks"}}}, {"B"}),
        ({"shared": "other"}, {"A", "B"}),
    ],
    ids=["a row", "two stores' rows", "a store's name", "a store less", "a price", "no prices", "department", "shared"],
)
def test_what_a_model_depends_on_changes_its_skus_alone(changed: dict[str, Any], whose: set[str]) -> None:
    before, after = marks(), marks(**changed)
    assert {sku for sku in before if before[sku] != after[sku]} == whose


def shared(
    catalogue: Catalogue | None = None,
    calendar: Any = CALENDAR,
    as_of: date = NEWEST,
    newest: date = NEWEST,
) -> str:
    return digest_shared(catalogue or make_catalogue("shop"), calendar, as_of, newest)


def test_neither_the_clock_nor_the_future_of_the_calendar_counts() -> None:
    assert shared(as_of=date(2026, 4, 5)) == shared()
    assert shared(calendar=CALENDAR.assign(event=["", "Fair", "Easter"])) == shared()
    assert shared(make_catalogue("shop", fleet={"buckets": 8})) == shared()


def test_the_past_of_the_calendar_and_the_settings_count() -> None:
    assert shared(calendar=CALENDAR.assign(event=["Fair", "Fair", ""])) != shared()
    assert shared(calendar=None) != shared()
    assert shared(make_catalogue("shop", backtest={"windows": 3})) != shared()


def test_a_new_day_of_trade_counts_where_a_day_without_a_row_means_that_nothing_sold() -> None:
    tomorrow = date(2026, 4, 1)
    calendar = CALENDAR.head(2)
    assert shared(calendar=calendar, as_of=tomorrow, newest=tomorrow) == shared(calendar=calendar)
    landing = make_catalogue("shop").model_dump(mode="json")["landing"]
    zero = make_catalogue("shop", landing=landing | {"sales": landing["sales"] | {"gaps": "zero"}})
    assert shared(zero, calendar, tomorrow, tomorrow) != shared(zero, calendar)


def test_weeks_count_once_they_are_over_so_the_date_counts() -> None:
    weekly = make_catalogue("shop", frequency="W", season_length=4)
    assert shared(weekly, as_of=date(2026, 4, 5)) != shared(weekly)


def test_the_code_has_a_digest() -> None:
    assert len(digest_code()) == 64
