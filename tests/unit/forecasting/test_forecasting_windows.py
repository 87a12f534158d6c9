"""The days around an event: their names, where they fall, which pattern counts; windows that are refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.skufleet.config.landing import Calendar
from include.skufleet.forecasting.calendar import align_calendar, to_days

START = np.datetime64("2024-12-16")  # a Monday


def lay(rows, windows, *, periods=14, frequency="D", start=START):
    """The indicators by name of the calendar's ``rows`` (date -> cell), of ``periods`` from ``start``."""
    calendar = pd.DataFrame({"date": pd.to_datetime(list(rows)), "event": list(rows.values())})
    day = int(to_days(start[None])[0])
    laid = align_calendar(
        calendar,
        start=day if frequency == "D" else (day + 3) // 7,
        periods=periods,
        frequency=frequency,
        stores=("s0",),
        events=["event"],
        windows=windows,
    )
    assert laid.indicators.shape == (len(laid.events), periods)
    assert set(np.unique(laid.indicators)) <= {0.0, 1.0}
    return {name: np.flatnonzero(row).tolist() for name, row in zip(laid.events, laid.indicators, strict=True)}


CHRISTMAS = {"2024-12-25": "Christmas"}  # day 9


def test_days_around_an_event_are_events_of_their_own():
    assert lay(CHRISTMAS, {"Christmas": ((-1, -1), (-7, -4), (2, 3))}) == {
        "Christmas": [9],
        "Christmas -1": [8],
        "Christmas -7..-4": [2, 3, 4, 5],
        "Christmas +2..+3": [11, 12],
    }


def test_names_ascend():
    calendar = pd.DataFrame({"date": pd.to_datetime(["2024-12-25"]), "event": ["b|a"]})
    start = int(to_days(START[None])[0])
    laid = align_calendar(
        calendar,
        start=start,
        periods=14,
        frequency="D",
        stores=(),
        events=["event"],
        windows={"*": ((1, 1), (-1, -1))},
    )
    assert laid.events == ("a", "a +1", "a -1", "b", "b +1", "b -1")


def test_an_event_just_after_the_span_reaches_into_it_by_its_eve():
    assert lay({"2024-12-30": "New"}, {"New": ((-1, -1), (-3, -2))}) == {"New -1": [13], "New -3..-2": [11, 12]}
    assert lay({"2024-12-31": "New"}, {"New": ((-1, -1), (-3, -2))}) == {"New -3..-2": [12, 13]}


def test_an_event_just_before_the_span_reaches_into_it_by_the_day_after():
    assert lay({"2024-12-15": "Sale"}, {"Sale": ((1, 2), (-1, -1))}) == {"Sale +1..+2": [0, 1]}


def test_events_out_of_reach_are_not_named():
    assert lay({"2025-02-01": "Far", "2024-11-01": "Gone"}, {"*": ((-1, -1), (1, 1))}) == {}


def test_windows_of_repeated_events_overlap_without_counting_twice():
    got = lay({"2024-12-18": "match", "2024-12-19": "match"}, {"match": ((-2, -1),)})
    assert got == {"match": [2, 3], "match -2..-1": [0, 1, 2]}


def test_the_first_pattern_that_matches_counts():
    windows = {"Ch*": ((-1, -1),), "*": ((-2, -2),)}
    got = lay({"2024-12-20": "Fair", "2024-12-25": "Christmas"}, windows)
    assert set(got) == {"Fair", "Fair -2", "Christmas", "Christmas -1"}
    swapped = lay({"2024-12-20": "Fair", "2024-12-25": "Christmas"}, dict(reversed(windows.items())))
    assert set(swapped) == {"Fair", "Fair -2", "Christmas", "Christmas -2"}


def test_an_events_own_name_counts_before_any_pattern():
    got = lay(CHRISTMAS, {"*": ((-2, -2),), "Christmas": ((-1, -1),)})
    assert set(got) == {"Christmas", "Christmas -1"}


def test_patterns_tell_small_letters_from_capitals_and_what_matches_none_has_no_window():
    assert lay(CHRISTMAS, {"christ*": ((-1, -1),)}) == {"Christmas": [9]}


def test_several_events_in_a_cell_have_their_windows_each():
    got = lay({"2024-12-25": "Christmas | Sunday"}, {"Sunday": ((1, 1),)})
    assert got == {"Christmas": [9], "Sunday": [9], "Sunday +1": [10]}


def test_a_week_has_a_window_when_any_of_its_days_has():
    # weeks of 16, 23 and 30 December; Christmas is the second's Wednesday
    windows = {"Christmas": ((-7, -4), (-3, -1), (2, 3), (5, 6))}
    assert lay(CHRISTMAS, windows, periods=3, frequency="W") == {
        "Christmas": [1],
        "Christmas -7..-4": [0],
        "Christmas -3..-1": [0, 1],
        "Christmas +2..+3": [1],
        "Christmas +5..+6": [2],
    }


@given(st.integers(0, 40), st.integers(-30, 30), st.integers(0, 10), st.integers(1, 30))
def test_a_window_falls_where_its_days_do(day, first, length, periods):
    last = first + length
    got = lay({str(START + day): "fair"}, {"fair": ((first, last),)}, periods=periods)
    days = [each for each in range(day + first, day + last + 1) if 0 <= each < periods]
    name = f"fair {first:+d}" if length == 0 else f"fair {first:+d}..{last:+d}"
    assert got.get(name, []) == days


def calendar_with(*windows):
    return Calendar.model_validate({"date": "day", "events": ["event"], "windows": {"Easter": list(windows)}})


def test_a_window_is_one_day_or_a_first_and_a_last_one():
    assert calendar_with(-1, [-7, -4], 2).windows == {"Easter": ((-1, -1), (-7, -4), (2, 2))}


@pytest.mark.parametrize("window", [0, [0, 0], [-1, 1], [-3, 0], [0, 2]])
def test_a_window_that_contains_the_event_is_refused(window):
    with pytest.raises(ValidationError, match=r"Easter: window \[.*the event's own day always counts"):
        calendar_with(window)


@pytest.mark.parametrize("window", [[-4, -7], [3, 2], [1, -1]])
def test_a_window_in_reverse_is_refused(window):
    with pytest.raises(ValidationError, match=rf"Easter: window \[{window[0]}, {window[1]}\], .*the first one first"):
        calendar_with(window)


@pytest.mark.parametrize("window", [-61, 61, [-61, -1], [1.5, 2], [1], [1, 2, 3], "eve", True])
def test_what_is_no_window_is_refused(window):
    with pytest.raises(ValidationError):
        calendar_with(window)
