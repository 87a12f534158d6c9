"""From long frames to panels: what is zero, what is missing, what is known ahead."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.skufleet.config import Flag
from include.skufleet.errors import DataError
from include.skufleet.forecasting.building import build_panels
from include.skufleet.forecasting.calendar import find_rest_days

NAN = np.nan


def make_history(*rows):
    frame = pd.DataFrame(rows, columns=["sku", "store", "date", "units", "price"][: len(rows[0])])
    return frame.assign(date=pd.to_datetime(frame["date"]))


TWO_STORES = make_history(
    ("b", "x", "2024-01-01", 1.0),
    ("b", "x", "2024-01-04", 4.0),
    ("b", "y", "2024-01-03", 9.0),
    ("a", "x", "2024-01-02", 7.0),
)


def test_gaps_are_missing_before_between_and_after_unless_the_file_says_zero():
    panels = build_panels(TWO_STORES, as_of=date(2024, 1, 6), horizon=2, gaps="missing")
    assert list(panels) == ["a", "b"]
    assert panels["b"].stores == ("x", "y")
    np.testing.assert_array_equal(panels["b"].units, [[1, NAN, NAN, 4, NAN, NAN], [NAN, NAN, 9, NAN, NAN, NAN]])
    assert panels["a"].dates[0] == np.datetime64("2024-01-02")


def test_zero_gaps_run_from_the_first_row_to_the_last_delivered_day():
    panels = build_panels(TWO_STORES, as_of=date(2024, 1, 6), horizon=2, gaps="zero", last_date=date(2024, 1, 5))
    np.testing.assert_array_equal(panels["b"].units, [[1, 0, 0, 4, 0, NAN], [NAN, NAN, 9, 0, 0, NAN]])


def test_days_on_which_the_chain_traded_nowhere_are_missing():
    days = pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-04", "2024-01-05"])
    panels = build_panels(TWO_STORES, as_of=date(2024, 1, 6), horizon=2, gaps="zero", trading_dates=days.to_series())
    np.testing.assert_array_equal(panels["b"].units[0], [1, NAN, 0, 4, 0, NAN])


def test_nothing_after_as_of_is_read():
    early = build_panels(TWO_STORES, as_of=date(2024, 1, 2), horizon=2, gaps="zero")
    np.testing.assert_array_equal(early["b"].units, [[1, 0]])
    assert build_panels(TWO_STORES, as_of=date(2023, 12, 31), horizon=2) == {}


def test_values_that_are_no_sales_are_missing():
    history = make_history(
        ("a", "x", "2024-01-01", -3.0), ("a", "x", "2024-01-02", np.inf), ("a", "x", "2024-01-03", 2.0)
    )
    panel = build_panels(history, as_of=date(2024, 1, 3), horizon=1, gaps="zero")["a"]
    np.testing.assert_array_equal(panel.units, [[NAN, NAN, 2]])


def test_two_rows_of_one_day_are_refused_by_name():
    history = make_history(("a", "x", "2024-01-01", 1.0), ("a", "x", "2024-01-01", 2.0))
    with pytest.raises(DataError, match="'a', store 'x' has two rows on 2024-01-01"):
        build_panels(history, as_of=date(2024, 1, 3), horizon=1)


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="units"):
        build_panels(TWO_STORES.drop(columns="units"), as_of=date(2024, 1, 3), horizon=1)
    with pytest.raises(DataError, match="holiday"):
        build_panels(
            TWO_STORES,
            as_of=date(2024, 1, 3),
            horizon=1,
            calendar=pd.DataFrame({"date": pd.to_datetime(["2024-01-01"])}),
            events=["holiday"],
            known_future=["events"],
        )


CALENDAR = pd.DataFrame(
    {
        "date": pd.date_range("2024-01-01", "2024-01-09"),
        "event": [None, "fair", None, None, None, None, "fair|eve", None, None],
        "west": [1, 0, 0, 0, 0, 0, 1, 0, 0],
        "east": [0, 1, 0, 0, 0, 0, 0, 1, 0],
        "shut": [0, 0, 0, 1, 0, 0, 0, 1, 0],
    }
)
SETTINGS = {
    "calendar": CALENDAR,
    "events": ["event"],
    "flags": {"benefit": (Flag(column="west", stores="x*"), Flag(column="east", stores="y"))},
    "closed": "shut",
}


def test_the_calendar_gives_events_flags_by_store_and_closed_days():
    panel = build_panels(
        TWO_STORES, as_of=date(2024, 1, 6), horizon=2, known_future=["events", "flags"], gaps="zero", **SETTINGS
    )["b"]
    assert panel.events == ("eve", "fair")
    assert panel.indicators.tolist() == [[0, 0, 0, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, 0, 1, 0]]
    assert panel.flags["benefit"].tolist() == [[1, 0, 0, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, 0, 0, 1]]
    assert panel.closed.tolist() == [False, False, False, True, False, False, False, True]
    assert np.isnan(panel.units[0, 3])


def test_inputs_that_are_not_declared_known_ahead_are_not_used():
    history = TWO_STORES.assign(price=3.0)
    panel = build_panels(history, as_of=date(2024, 1, 6), horizon=2, **SETTINGS)["b"]
    assert panel.events == ()
    assert panel.flags == {}
    assert panel.price is None


def test_announced_prices_hold_until_the_next_one_and_an_empty_store_means_all():
    prices = make_history(
        ("b", "", "2023-12-01", 5.0), ("b", "y", "2024-01-02", 4.0), ("b", "", "2024-01-08", 3.0),
        ("b", "z", "2024-01-02", 99.0), ("b", "x", "2024-01-03", 0.0),
    ).rename(columns={"units": "price"})  # fmt: skip
    panels = build_panels(TWO_STORES, as_of=date(2024, 1, 6), horizon=2, prices=prices, known_future=["price"])
    assert panels["b"].price.tolist() == [[5, 5, 5, 5, 5, 5, 5, 3], [5, 4, 4, 4, 4, 4, 4, 3]]
    assert panels["b"].price_known_ahead
    assert panels["a"].price is None


def test_the_historys_own_price_is_carried_forward_and_not_called_announced():
    history = make_history(
        ("a", "x", "2024-01-01", 1.0, 2.0), ("a", "x", "2024-01-02", 1.0, NAN), ("a", "x", "2024-01-03", 1.0, 3.0)
    )
    panel = build_panels(history, as_of=date(2024, 1, 3), horizon=2, known_future=["price"])["a"]
    assert panel.price.tolist() == [[2, 2, 3, 3, 3]]
    assert not panel.price_known_ahead


def test_weeks_start_on_monday_are_summed_and_count_once_they_are_over():
    history = make_history(
        ("a", "x", "2024-01-03", 1.0), ("a", "x", "2024-01-07", 2.0), ("a", "x", "2024-01-08", 5.0),
        ("a", "x", "2024-01-23", 8.0),
    )  # fmt: skip
    panel = build_panels(history, as_of=date(2024, 1, 24), horizon=1, frequency="W", gaps="zero", season_length=52)["a"]
    assert [str(day) for day in panel.dates] == ["2024-01-01", "2024-01-08", "2024-01-15"]
    np.testing.assert_array_equal(panel.units, [[3, 5, 0]])
    assert str(panel.future.dates[0]) == "2024-01-22"


def test_rows_on_one_weekday_only_are_weekly_totals_known_when_delivered():
    history = make_history(("a", "x", "2024-01-03", 1.0), ("a", "x", "2024-01-10", 2.0))
    panel = build_panels(history, as_of=date(2024, 1, 10), horizon=1, frequency="W")["a"]
    assert panel.units.tolist() == [[1, 2]]


def test_a_week_has_an_event_if_a_day_has_it_and_the_mean_of_a_flag():
    history = make_history(("a", "x", "2024-01-01", 1.0), ("a", "x", "2024-01-02", 1.0))
    panel = build_panels(
        history, as_of=date(2024, 1, 7), horizon=1, frequency="W", known_future=["events", "flags"], **SETTINGS
    )["a"]
    assert panel.events == ("eve", "fair")
    assert panel.indicators.tolist() == [[1, 0], [1, 0]]
    np.testing.assert_allclose(panel.flags["benefit"], [[2 / 7, 0]])
    assert not panel.closed.any()


def test_a_weekday_without_trade_for_half_a_year_is_a_rest_day_known_ahead():
    traded = np.tile([True] * 5 + [False, True], 40)
    rest = find_rest_days(np.append(traded, np.zeros(14, dtype=bool)), horizon=14)
    assert rest[-14:].tolist() == ([False] * 5 + [True, False]) * 2
    assert not rest[:56].any()


def test_a_rest_day_is_judged_by_what_was_known_a_horizon_before():
    traded = np.tile([True] * 5 + [False, True], 60)
    changed = traded.copy()
    changed[300:] = True
    before, after = find_rest_days(traded, 14), find_rest_days(changed, 14)
    np.testing.assert_array_equal(before[:314], after[:314])
    assert (before != after).any()


def test_data_that_stopped_are_not_a_habit_of_resting():
    traded = np.append(np.ones(200, dtype=bool), np.zeros(400, dtype=bool))
    assert not find_rest_days(traded, 14)[-14:].any()


def test_the_order_of_the_rows_does_not_matter():
    shuffled = TWO_STORES.iloc[[3, 1, 0, 2]]
    one = build_panels(TWO_STORES, as_of=date(2024, 1, 6), horizon=2)
    two = build_panels(shuffled, as_of=date(2024, 1, 6), horizon=2)
    for sku in one:
        np.testing.assert_array_equal(one[sku].units, two[sku].units)
