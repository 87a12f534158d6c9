"""What the simulated chain sells: the same for the same specification, realistic in its kinds, and forecastable."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.errors import LandingError
from include.skufleet.sources.demo.calendar import (
    EVENTS,
    build_calendar,
    event_days,
    is_closed,
    school_holidays,
)
from include.skufleet.sources.demo.demand import Demand, simulate
from include.skufleet.sources.demo.prices import plan_prices, price_changes
from include.skufleet.sources.demo.spec import AHEAD, CLASSES, DEPARTMENTS, DemoSpec

ANCHOR = date(2026, 3, 15)


@pytest.fixture(scope="module")
def chain() -> Demand:
    return simulate(DemoSpec(ANCHOR), ANCHOR)


@settings(max_examples=15, deadline=None)
@given(later=st.integers(0, 60), seed=st.integers(0, 10_000))
def test_a_later_end_adds_days_and_changes_none(later: int, seed: int) -> None:
    spec = DemoSpec(ANCHOR, seed=seed, skus=20, stores=2, days=120)
    first = simulate(spec, ANCHOR)
    second = simulate(spec, ANCHOR + timedelta(days=later))
    assert second.days == 120 + later
    np.testing.assert_array_equal(second.units[:, :120], first.units)
    np.testing.assert_array_equal(second.asked[:, : 120 + AHEAD], first.asked)


def test_another_seed_is_another_chain() -> None:
    one, two = (simulate(DemoSpec(ANCHOR, seed=seed, skus=20, stores=1, days=120), ANCHOR) for seed in (1, 2))
    assert one.units.sum() != two.units.sum()


def test_every_demand_class_occurs_in_realistic_shares(chain: Demand) -> None:
    """Syntetos and Boylan's classes over the last year: ADI cut at 1.32, squared variation of sizes at 0.49."""
    year = chain.units[:, -365:].astype(float)
    selling = (year > 0).sum(axis=1) > 10
    year = year[selling]
    sold = year > 0
    interval = 365 / sold.sum(axis=1)
    mean = year.sum(axis=1) / sold.sum(axis=1)
    variation = np.where(sold, (year - mean[:, None]) ** 2, 0).sum(axis=1) / sold.sum(axis=1) / mean**2
    shares = {
        "smooth": np.mean((interval < 1.32) & (variation < 0.49)),
        "erratic": np.mean((interval < 1.32) & (variation >= 0.49)),
        "intermittent": np.mean((interval >= 1.32) & (variation < 0.49)),
        "lumpy": np.mean((interval >= 1.32) & (variation >= 0.49)),
    }
    assert set(shares) == set(CLASSES)
    assert min(shares.values()) > 0.05
    assert shares["intermittent"] > 0.35


def test_nothing_is_sold_on_the_closed_day_and_before_the_launch(chain: Demand) -> None:
    spec = chain.spec
    closed = [number for number in range(chain.days) if is_closed(chain.day(number))]
    assert [chain.day(number) for number in closed] == [date(2023, 12, 25), date(2024, 12, 25), date(2025, 12, 25)]
    assert not chain.on_sale[:, closed].any()
    assert not chain.units[~chain.on_sale].any()
    launch = spec.assortment["launch"].to_numpy()[chain.sku]
    first = np.where(chain.on_sale.any(axis=1), chain.on_sale.argmax(axis=1), 10**6)
    assert (first >= launch).all()


def test_the_assortment_has_its_oddities(chain: Demand) -> None:
    lines, last = chain.spec.assortment, chain.days - 1
    assert len(lines) == lines["sku"].nunique() == 300
    assert (lines["launch"].between(last - 30, last)).sum() >= 5
    assert ((lines["end"] < last) & (lines["end"] > 0)).sum() >= 5
    assert (lines["listed"] & (lines["launch"] > last)).sum() >= 2
    assert (~lines["listed"]).sum() == 2
    assert lines["broken"].sum() == 1
    for character in "/: Ü&%":
        assert lines["sku"].str.contains(character, regex=False).any(), character
    listed = chain.units[chain.sku == 6]
    assert listed.size
    assert listed.sum() == 0


def test_shelves_run_empty_for_days_in_a_row(chain: Demand) -> None:
    """A series that sells 20 a day never has seven idle days in a row but for an empty shelf."""
    brisk = (chain.units.mean(axis=1) > 20) & chain.on_sale[:, 0] & chain.on_sale[:, -1]
    idle = (chain.units[brisk] == 0) & chain.on_sale[brisk]
    runs = sum("1111111" in "".join("1" if day else "0" for day in series) for series in idle)
    assert runs >= 10


def test_a_weekday_profile_beats_last_week_and_knowing_the_price_beats_the_profile(chain: Demand) -> None:
    """Seasonal naive is beaten clearly, but not by far: the noise is honest."""
    units, fast = chain.units.astype(float), chain.units[:, -140:].mean(axis=1) > 3
    days = chain.days
    actual = units[fast, days - 28 :]
    history = units[fast, days - 84 : days - 28].reshape(fast.sum(), 8, 7)
    naive = np.tile(history[:, -1], 4)
    profile = np.tile(history.mean(axis=1), 4)
    regular, asked = plan_prices(chain.spec, days)
    ratio = (asked / regular)[chain.sku[fast]]
    effect = ratio ** -chain.spec.assortment["elasticity"].to_numpy()[chain.sku[fast], None]
    plain = (units[fast] / effect)[:, days - 84 : days - 28].reshape(fast.sum(), 8, 7).mean(axis=1)
    priced = np.tile(plain, 4) * effect[:, days - 28 :]
    error = {
        name: np.abs(actual - forecast).sum() / actual.sum()
        for name, forecast in (("naive", naive), ("profile", profile), ("priced", priced))
    }
    assert error["profile"] < 0.9 * error["naive"]
    assert error["priced"] < 0.97 * error["profile"]
    assert error["priced"] > 0.2


def test_promotions_cut_prices_and_lift_sales(chain: Demand) -> None:
    regular, asked = plan_prices(chain.spec, chain.days)
    assert (asked <= regular).all()
    assert asked.min() > 0
    offer = (asked < regular)[chain.sku]
    assert 0.05 < offer.mean() < 0.25
    brisk = (chain.units.mean(axis=1) > 5) & chain.on_sale.all(axis=1, where=chain.on_sale.any(axis=0))
    lift = [row[mask].mean() / row[~mask].mean() for row, mask in zip(chain.units[brisk], offer[brisk], strict=True)]
    assert np.median(lift) > 1.3


def test_the_price_list_rebuilds_every_price() -> None:
    spec = DemoSpec(ANCHOR, skus=20, stores=1, days=200)
    _, asked = plan_prices(spec, 250)
    changes = price_changes(spec, asked, 0, 249)
    for sku, row in zip(spec.assortment["sku"], asked, strict=True):
        own = changes[changes["article"] == sku]
        day = (own["valid_from"].to_numpy() - np.datetime64(spec.start)).astype("timedelta64[D]").astype(int)
        np.testing.assert_array_equal(own["price"].to_numpy()[np.searchsorted(day, np.arange(250), "right") - 1], row)


def test_prices_of_a_range_are_those_of_the_whole_list() -> None:
    spec = DemoSpec(ANCHOR, skus=30, stores=1, days=200)
    _, asked = plan_prices(spec, 250)
    whole = price_changes(spec, asked, 0, 249)
    parts = [price_changes(spec, asked, first, last) for first, last in ((0, 99), (100, 100), (101, 249))]
    assert sum(len(part) for part in parts) == len(whole)
    assert [price for part in parts for price in part["price"]] == list(whole["price"])


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (1954, 4, 18), (1981, 4, 19)]
)
def test_easter_is_where_it_is(year: int, month: int, day: int) -> None:
    assert event_days(year)[date(year, month, day)] == "Easter"


def test_every_event_has_a_day_each_year() -> None:
    for year in range(2020, 2035):
        assert sorted(event_days(year).values()) == sorted(event.name for event in EVENTS)
    assert event_days(2025)[date(2025, 11, 28)] == "Black Friday"
    assert event_days(2025)[date(2025, 5, 11)] == "Mother's Day"


def test_the_calendar_has_a_row_per_day() -> None:
    calendar = build_calendar(date(2025, 12, 20), date(2026, 1, 2))
    assert len(calendar) == 14
    assert list(calendar.loc[calendar["event"] != "", "event"]) == ["Christmas", "New Year"]
    assert calendar["closed"].sum() == 1
    assert school_holidays(date(2025, 7, 1)) == (True, False)


def test_events_name_only_departments_that_exist() -> None:
    codes = {entry.code for entry in DEPARTMENTS}
    assert all(set(event.uplift) <= codes for event in EVENTS)


@pytest.mark.parametrize(("size", "least"), [("skus", 20), ("stores", 1), ("days", 120), ("seed", 0)])
def test_a_size_that_is_too_small_is_refused(size: str, least: int) -> None:
    with pytest.raises(LandingError, match=f"{size}: got {least - 1}, expected at least {least}"):
        DemoSpec(ANCHOR, **{size: least - 1})


def test_a_specification_survives_json() -> None:
    spec = DemoSpec(ANCHOR, seed=3, skus=25)
    assert DemoSpec.from_json(spec.to_json(), "state") == spec


@pytest.mark.parametrize("raw", [None, [], {}, {"anchor": "soon"}, {"anchor": "2026-01-01", "colour": 1}])
def test_a_foreign_state_is_refused_with_what_to_do(raw: object) -> None:
    with pytest.raises(LandingError, match=r"s3://b/state: is not the demo's state .* import again"):
        DemoSpec.from_json(raw, "s3://b/state")
