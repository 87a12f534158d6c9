"""Periods, and what a calendar says of them: events, flags and closed days as arrays over consecutive periods.

A period number counts days (``D``) since 1970-01-01, or weeks (``W``) that start on Monday.
What does not belong here: units and prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.skufleet.config import Flag, Window
from include.skufleet.errors import DataError
from include.skufleet.forecasting.panel import Bools, Dates, Floats, Frequency

Ints = NDArray[np.int64]

EVENT_SEPARATOR = "|"
WEEKS_OF_REST = 26  # a weekday without any trade for this long is one on which the chain does not open
OCCURRENCES_NEEDED = 8


def to_days(dates: pd.Series | Dates) -> Ints:
    """Dates as days since 1970-01-01; a time of day is cut off."""
    return np.asarray(dates, dtype="datetime64[D]").astype(np.int64)


def to_periods(days: Ints, frequency: Frequency) -> Ints:
    """Days since 1970-01-01 as period numbers."""
    return days if frequency == "D" else (days + 3) // 7


def first_days(periods: Ints, frequency: Frequency) -> Dates:
    """The first day of each period."""
    days = periods if frequency == "D" else 7 * periods - 3
    return days.astype("datetime64[D]")


@dataclass(frozen=True, slots=True, eq=False)
class KnownAhead:
    """The calendar of G consecutive periods: events (E names, (E, G)), flags (name -> (S, G)), closed (G,)."""

    events: tuple[str, ...]
    indicators: Floats
    flags: Mapping[str, Floats]
    closed: Bools


def align_calendar(
    calendar: pd.DataFrame | None,
    *,
    start: int,
    periods: int,
    frequency: Frequency,
    stores: Sequence[str],
    events: Sequence[str] = (),
    windows: Mapping[str, Sequence[Window]] | None = None,
    flags: Mapping[str, Sequence[Flag]] | None = None,
    closed: str | None = None,
) -> KnownAhead:
    """Lay a calendar (one row per day, column ``date``) over ``periods`` periods from period number ``start``.

    In weeks an event counts when any of its days has it, a flag is the mean of the days, and closed means that every
    day is closed. A day that the calendar does not have has no event, flag 0, and is open. A cell may hold several
    event names, separated by ``|``. The days around an event are events of their own, named ``Easter -1`` or
    ``Easter -7..-4``: those of ``windows``, whose keys are names or shell patterns, the first that matches.

    Raises:
        DataError: the calendar lacks a column that is asked for.
    """
    flags = flags or {}
    size = 1 if frequency == "D" else 7
    first = start if frequency == "D" else 7 * start - 3
    wanted = [*events, *(flag.column for group in flags.values() for flag in group), *([closed] if closed else [])]
    if calendar is None:
        calendar, events, flags, closed = pd.DataFrame({"date": np.array([], dtype="datetime64[D]")}), (), {}, None
    elif missing := sorted({"date", *wanted} - set(calendar.columns)):
        raise DataError(f"calendar: columns {missing} are missing; it has {sorted(map(str, calendar.columns))}")
    position = to_days(calendar["date"]) - first
    inside = (position >= 0) & (position < periods * size)
    rows, position = calendar.loc[inside], position[inside]

    def _column(name: str) -> Floats:
        values = np.zeros(periods * size)
        values[position] = np.nan_to_num(pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=float))
        return np.clip(values, 0.0, 1.0)

    names, indicators = _event_days(calendar, to_days(calendar["date"]) - first, events, windows or {}, periods * size)
    return KnownAhead(
        events=names,
        indicators=indicators.reshape(len(names), periods, size).max(axis=2, initial=0.0),
        flags={
            name: _flag_by_store(group, stores, _column, periods, size) for name, group in flags.items() if len(group)
        },
        closed=(_column(closed).reshape(periods, size).min(axis=1) > 0) if closed else np.zeros(periods, dtype=bool),
    )


def _event_days(
    rows: pd.DataFrame,
    position: Ints,
    columns: Sequence[str],
    windows: Mapping[str, Sequence[Window]],
    days: int,
) -> tuple[tuple[str, ...], Floats]:
    """The names of events and windows in ascending order, and on which of ``days`` days each falls."""
    found: dict[str, list[int]] = {}
    for column in columns:
        named = rows[column].notna().to_numpy()
        for cell, day in zip(rows[column][named].astype(str), position[named].tolist(), strict=True):
            for event in filter(None, map(str.strip, cell.split(EVENT_SEPARATOR))):
                found.setdefault(event, []).append(day)
                for first, last in _windows_of(event, windows):
                    around = found.setdefault(_name_window(event, first, last), [])
                    around.extend(range(day + first, day + last + 1))
    inside = {name: [day for day in days_of if 0 <= day < days] for name, days_of in found.items()}
    names = tuple(sorted(name for name, days_of in inside.items() if days_of))
    indicators = np.zeros((len(names), days))
    for row, name in enumerate(names):
        indicators[row, inside[name]] = 1.0
    return names, indicators


def _windows_of(event: str, windows: Mapping[str, Sequence[Window]]) -> Sequence[Window]:
    if event in windows:
        return windows[event]
    return next((found for pattern, found in windows.items() if fnmatchcase(event, pattern)), ())


def _name_window(event: str, first: int, last: int) -> str:
    return f"{event} {first:+d}" if first == last else f"{event} {first:+d}..{last:+d}"


def _flag_by_store(
    group: Sequence[Flag], stores: Sequence[str], column: Callable[[str], Floats], periods: int, size: int
) -> Floats:
    """One flag for each store: the first column whose pattern matches the store's name, else 0."""
    out = np.zeros((len(stores), periods))
    days = {flag.column: column(flag.column).reshape(periods, size).mean(axis=1) for flag in group}
    for row, store in enumerate(stores):
        for flag in group:
            if fnmatchcase(store, flag.stores):
                out[row] = days[flag.column]
                break
    return out


def find_rest_days(traded: Bools, horizon: int) -> Bools:
    """Days on which the chain does not open, from its habit: a weekday without a trade in the last half year.

    Whether day t is a rest day is judged on days up to t - ``horizon`` only, so that it was known at every cutoff
    from which t is forecast.

    Args:
        traded: (G,) for consecutive days: the chain had any sale; False after the last known day.
        horizon: days that are forecast.
    """
    days, lag = traded.size, -(-horizon // 7) * 7
    until = np.concatenate([[0], np.cumsum(traded)])
    rest = np.zeros(days, dtype=bool)
    for weekday in range(min(7, days)):
        same = traded[weekday::7]
        seen = np.concatenate([[0], np.cumsum(same)])
        end = np.maximum(np.arange(same.size) - lag // 7 + 1, 0)
        begin = np.maximum(end - WEEKS_OF_REST, 0)
        # Where nothing at all was traded the data have stopped, which says nothing of this weekday.
        alive = until[np.minimum(7 * end + weekday, days)] > until[np.minimum(7 * begin + weekday, days)]
        rest[weekday::7] = alive & (end - begin >= OCCURRENCES_NEEDED) & (seen[end] == seen[begin])
    return rest
