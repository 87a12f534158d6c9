"""The simulated chain's calendar: events, school holidays, the closed day, and what they do to demand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.sources.demo.spec import DEPARTMENTS, DemoSpec

CLOSED = (12, 25)
"""Month and day on which every store is closed."""


@dataclass(frozen=True)
class Event:
    """A named day and how the days before it sell, by department code: log uplift on the last day of the run-up.

    The uplift grows evenly over ``days_before`` days up to the day itself, and shoppers stay away for ``dip`` (log) on
    the day after.
    """

    name: str
    days_before: int
    uplift: dict[str, float]
    dip: float = 0.0


EVENTS = (
    Event("New Year", 3, {"DRK": 0.55, "GRO": 0.30, "FRE": 0.15}, 0.35),
    Event("Valentine's Day", 4, {"GRO": 0.25, "PER": 0.30, "LEI": 0.25}),
    Event("Easter", 8, {"FRE": 0.40, "GRO": 0.35, "LEI": 0.45, "DRK": 0.20}, 0.45),
    Event("Mother's Day", 3, {"FRE": 0.25, "PER": 0.35, "LEI": 0.20}),
    Event("Summer Festival", 5, {"DRK": 0.60, "FRE": 0.35, "GRO": 0.25}, 0.20),
    Event("Back to School", 14, {"LEI": 0.55, "GRO": 0.12}),
    Event("Halloween", 6, {"GRO": 0.40, "LEI": 0.30}, 0.15),
    Event("Black Friday", 3, {"HOM": 0.65, "LEI": 0.60, "PER": 0.30}, 0.10),
    Event("Christmas", 21, {"LEI": 0.95, "GRO": 0.55, "DRK": 0.50, "FRE": 0.45, "PER": 0.45, "HOM": 0.20}, 0.50),
)


def event_days(year: int) -> dict[date, str]:
    """The chain's events of one year by their day."""
    easter = _easter(year)
    return {
        date(year, 1, 1): "New Year",
        date(year, 2, 14): "Valentine's Day",
        easter: "Easter",
        _weekday(year, 5, 6, 2): "Mother's Day",
        _weekday(year, 7, 5, 2): "Summer Festival",
        _weekday(year, 8, 0, 4): "Back to School",
        date(year, 10, 31): "Halloween",
        _weekday(year, 11, 3, 4) + timedelta(days=1): "Black Friday",
        date(year, 12, 24): "Christmas",
    }


def is_closed(day: date) -> bool:
    """Whether every store is closed."""
    return (day.month, day.day) == CLOSED


def school_holidays(day: date) -> tuple[bool, bool]:
    """Whether schools are off in the north and in the south."""
    key = (day.month, day.day)
    winter = key >= (12, 22) or key <= (1, 4)
    north = winter or (6, 24) <= key <= (8, 5) or (10, 4) <= key <= (10, 18)
    south = winter or (7, 22) <= key <= (9, 3) or (10, 27) <= key <= (11, 2)
    return north, south


def build_calendar(first: date, last: date) -> pd.DataFrame:
    """One row per day: ``day, event`` (or an empty text), ``school_holiday_north, school_holiday_south, closed``."""
    named = {day: name for year in range(first.year, last.year + 1) for day, name in event_days(year).items()}
    rows = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        north, south = school_holidays(day)
        rows.append((day, named.get(day, ""), int(north), int(south), int(is_closed(day))))
    return pd.DataFrame(rows, columns=["day", "event", "school_holiday_north", "school_holiday_south", "closed"])


def calendar_effects(spec: DemoSpec, days: int) -> Any:
    """Log effect of weekday, season and events by department, shape (departments, days), from ``spec.start`` on."""
    dates = [spec.start + timedelta(days=offset) for offset in range(days)]
    weekday = np.array([day.weekday() for day in dates])
    year_day = np.array([day.timetuple().tm_yday for day in dates])
    effects = np.empty((len(DEPARTMENTS), days))
    for index, entry in enumerate(DEPARTMENTS):
        season = entry.season * np.cos(2 * np.pi * (year_day - entry.peak) / 365.25)
        effects[index] = np.log(entry.weekdays)[weekday] + season
    position = {day: offset for offset, day in enumerate(dates)}
    by_name = {event.name: event for event in EVENTS}
    for year in range(dates[0].year, dates[-1].year + 2):
        for day, name in event_days(year).items():
            _add_event(effects, position, day, by_name[name])
    return effects


def holiday_effects(spec: DemoSpec, days: int) -> Any:
    """Log effect of school holidays by department and region (north, south), shape (departments, 2, days)."""
    dates = [spec.start + timedelta(days=offset) for offset in range(days)]
    off = np.array([school_holidays(day) for day in dates], dtype=float).T
    strength = {"LEI": 0.22, "DRK": 0.15, "GRO": -0.06, "FRE": -0.08}
    return np.array([strength.get(entry.code, 0.0) for entry in DEPARTMENTS])[:, None, None] * off[None]


def _add_event(effects: Any, position: dict[date, int], day: date, event: Event) -> None:
    for index, entry in enumerate(DEPARTMENTS):
        for back in range(event.days_before):
            offset = position.get(day - timedelta(days=back))
            if offset is not None:
                effects[index, offset] += event.uplift.get(entry.code, 0.0) * (1 - back / event.days_before)
        offset = position.get(day + timedelta(days=1))
        if offset is not None:
            effects[index, offset] -= event.dip


def _weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth given weekday (Monday is 0) of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by Gauss's rule with both of its exceptions."""
    century = year // 100
    moon = (15 + century - century // 4 - (8 * century + 13) // 25) % 30
    full = (19 * (year % 19) + moon) % 30
    if full == 29 or (full == 28 and year % 19 > 10):
        full -= 1
    sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * full + (4 + century - century // 4) % 7) % 7
    return date(year, 3, 22) + timedelta(days=full + sunday)
