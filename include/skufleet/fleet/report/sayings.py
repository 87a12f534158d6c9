"""What is said of the effects on a forecast: weekdays, events, stretches of dates, in a planner's words.

Ratios by date come in, a few words go out. Which effects are shown is decided in ``explain``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import pandas as pd

from include.skufleet.fleet.report.words import times

SLIGHT = 0.015
"""A ratio that is never further from 1 than this is not shown."""
ALIKE = 0.01
"""Ratios that differ by less than this, relative, are said to be the same."""
STEADY = 0.002
"""Within a stretch of one price, say, ratios differ by no more than this, relative: what drifts is no stretch."""
MOSTLY = 0.7
"""What moves no more than this share of the dates is told by them."""
MOST_EVENTS = 4
MOST_STRETCHES = 3
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WINDOW = re.compile(r"(?P<event>.+) (?P<first>[+-]\d+)(?:\.\.(?P<last>[+-]\d+))?")


def say_effect(name: str, ratios: pd.Series, kind: str, days: int) -> str:
    """What a component does."""
    if kind == "closed":
        return f"closed on {say_dates(_dates(ratios[ratios == 0]), days)}"
    if name == "weekday":
        return _say_weekdays(ratios)
    if ratios.max() <= ratios.min() * (1 + ALIKE):
        return f"{times(float(ratios.mean()))} throughout"
    stretches = _find_stretches(ratios)
    felt = [part for part in stretches if abs(float(part.mean()) - 1) > SLIGHT]
    if len(stretches) <= 2 * MOST_STRETCHES and 0 < len(felt) <= MOST_STRETCHES:
        return ", ".join(f"{times(float(part.mean()))} {_when(part, ratios, days)}" for part in felt)
    moved = ratios[(ratios - 1).abs() > SLIGHT]
    if 0 < len(moved) <= MOSTLY * len(ratios) and (moved.min() > 1 or moved.max() < 1):
        weak, strong = sorted((float(moved.min()), float(moved.max())), key=lambda ratio: abs(ratio - 1))
        alike = abs(strong - weak) <= 2 * ALIKE
        size = times(float(moved.mean())) if alike else f"{times(weak)} to {times(strong)}"
        return f"{size} on {say_dates(_dates(moved), days)}"
    dates, values = _dates(ratios), ratios.to_numpy(dtype=float)
    low, high = int(values.argmin()), int(values.argmax())
    return f"from {times(values[low])} ({_day(dates[low])}) to {times(values[high])} ({_day(dates[high])})"


def _find_stretches(ratios: pd.Series) -> list[pd.Series]:
    """The dates cut where the ratio has moved by more than ``STEADY`` since the last cut."""
    cuts, first = [0], float(ratios.iloc[0])
    for row, value in enumerate(ratios):
        if abs(value - first) > STEADY * max(value, first):
            cuts.append(row)
            first = float(value)
    return [ratios.iloc[start:end] for start, end in pairwise([*cuts, len(ratios)])]


def _when(part: pd.Series, whole: pd.Series, days: int) -> str:
    """From when to when a stretch lasts; its open end is not named."""
    first, last = _dates(part)[0], _dates(part)[-1]
    if part.index[0] == whole.index[0]:
        return f"until {_day(last)}"
    return f"from {_day(first)} on" if part.index[-1] == whole.index[-1] else f"on {say_dates(_dates(part), days)}"


def _say_weekdays(ratios: pd.Series) -> str:
    """The best and the worst weekday beside an average day."""
    sold = ratios[ratios > 0]
    days = pd.DatetimeIndex(sold.index).day_of_week
    means = {name: float(sold[days == day].mean()) for day, name in enumerate(WEEKDAYS) if (days == day).any()}
    beside = {name: value * len(means) / sum(means.values()) for name, value in means.items()}
    if not beside or max(beside.values()) - min(beside.values()) < 0.03:
        return "all weekdays sell alike"
    high, low = max(beside, key=lambda name: beside[name]), min(beside, key=lambda name: beside[name])
    return f"{high}s sell {beside[high]:.2g}\u00a0× an average day, {low}s {beside[low]:.2g}\u00a0×"


def say_events(table: pd.DataFrame, days: int) -> str:
    """The events that move the forecast most, each with its date."""
    felt = {str(name): ratios[(ratios - 1).abs() > SLIGHT] for name, ratios in table.items()}
    strongest = {name: max(moved, key=lambda ratio: abs(ratio - 1)) for name, moved in felt.items() if len(moved)}
    names = sorted(strongest, key=lambda name: -abs(strongest[name] - 1))
    said = [
        f"{say_event(name)} ({say_dates(_dates(felt[name]), days)}) {times(strongest[name])}"
        for name in names[:MOST_EVENTS]
    ]
    if not said:
        return "none in this horizon that moves sales"
    more = len(names) - MOST_EVENTS
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def say_event(name: str) -> str:
    """An event's name; those of the days around it, ``Easter -1`` or ``Easter -7..-4``, in words.

    >>> say_event("Easter"), say_event("Easter -1"), say_event("Easter +2")
    ('Easter', 'day before Easter', '2 days after Easter')
    >>> say_event("Easter -7..-4"), say_event("New Year +2..+3")
    ('7 to 4 days before Easter', '2 to 3 days after New Year')
    """
    match = _WINDOW.fullmatch(name)
    if match is None:
        return name
    first, last = int(match["first"]), int(match["last"] or match["first"])
    side = "before" if first < 0 else "after"
    if first != last:
        return f"{abs(first)} to {abs(last)} days {side} {match['event']}"
    return f"{f'{abs(first)} days' if abs(first) > 1 else 'day'} {side} {match['event']}"


def say_dates(dates: Sequence[date], days: int) -> str:
    """Dates in words: a day, a stretch of days, or how many.

    >>> say_dates([date(2026, 4, 3), date(2026, 4, 4), date(2026, 4, 5)], 1)
    '3 to 5 Apr'
    >>> say_dates([date(2026, 4, 3), date(2026, 4, 10)], 1), say_dates([date(2026, 4, 28), date(2026, 5, 1)], 1)
    ('3 and 10 Apr', '28 Apr and 1 May')
    >>> say_dates([date(2026, 4, day) for day in (4, 11, 18)], 1), say_dates([date(2026, 4, d) for d in (1, 4, 9)], 1)
    ('3 Saturdays', '3 days')
    """
    if not dates:
        return "no date"
    if len(dates) > 1 and all((after - before).days == days for before, after in pairwise(dates)):
        return _join(dates[0], dates[-1], " to ")
    if len(dates) == 1:
        return _day(dates[0])
    if len({when.weekday() for when in dates}) == 1 and days == 1 and len(dates) > 2:
        return f"{len(dates)} {WEEKDAYS[dates[0].weekday()]}s"
    if len(dates) == 2:
        return _join(dates[0], dates[1], " and ")
    return f"{len(dates)} {'days' if days == 1 else 'weeks'}"


def _join(first: date, last: date, word: str) -> str:
    same = (first.year, first.month) == (last.year, last.month)
    return f"{first.day if same else _day(first)}{word}{_day(last)}"


def _day(when: date) -> str:
    return f"{when.day} {when:%b}"


def _dates(ratios: pd.Series) -> list[date]:
    return [stamp.date() for stamp in pd.DatetimeIndex(ratios.index)]
