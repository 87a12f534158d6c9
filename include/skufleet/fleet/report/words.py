"""How values are written: one form per kind of value, a dash for what is not defined."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

import pandas as pd

NONE = "–"
# Control characters and halves of surrogate pairs: no page can show them, the latter cannot even be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_NUMBER = re.compile(r"\d[\d.,:-]*\d|\d")


def text(value: Any) -> str:
    """Any value as text that a page can show; nothing for a missing one."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    return _UNPRINTABLE.sub("\ufffd", str(value))


def cut(value: Any, length: int = 80) -> str:
    """Text of at most so many characters."""
    shown = text(value)
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage.

    >>> percent(0.4123), percent(math.nan), percent(-0.0001)
    ('41.2%', '–', '0.0%')
    """
    if value is None or not math.isfinite(value):
        return NONE
    shown = f"{100 * value:,.{digits}f}%"
    return shown.removeprefix("-") if not shown.strip("-0.%") else shown


def signed(value: float) -> str:
    """A share as a percentage with its sign; a true minus, so that it stands as wide as the plus."""
    shown = percent(value)
    if shown == NONE or not shown.strip("0.%"):
        return shown
    return shown.replace("-", "−") if value < 0 else f"+{shown}"


def number(value: float) -> str:
    """A count or a quantity: thousands separated, three significant digits below ten.

    >>> number(1234567.0), number(0.0456), number(math.nan)
    ('1,234,567', '0.0456', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3g}"


def times(value: float) -> str:
    """A factor: the change in per cent where it is less than twofold, else what it multiplies by.

    >>> times(1.352), times(0.994), times(0.72), times(3.14).split(), times(math.nan)
    ('+35%', '−0.6%', '−28%', ['×', '3.1'], '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if not 0.5 <= value < 2:
        return f"×\u00a0{value:.2g}"
    change = 100 * (value - 1)
    shown = f"{abs(change):.1f}" if abs(change) < 0.95 else f"{abs(change):.0f}"
    return "0%" if shown == "0.0" else f"{'−' if change < 0 else '+'}{shown}%"


def ratio(value: float) -> str:
    """A ratio that is no percentage, with two decimals."""
    return NONE if value is None or not math.isfinite(value) else f"{value:,.2f}"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.42), duration(75), duration(3725), duration(math.nan)
    ('0.42 s', '1 min 15 s', '1 h 2 min', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def blank_numbers(reason: str) -> str:
    """A reason without its numbers, so that reasons of one kind can be counted together.

    >>> blank_numbers("wape 0.52 is above 0.48 (+8.3%)")
    'wape # is above # (+#%)'
    """
    return _NUMBER.sub("#", reason)


def say_late_rows(rows: int, as_of: date) -> str:
    """How many rows a run of the past left out because they came later.

    >>> say_late_rows(2, date(2026, 3, 1))
    '2 rows of days up to 2026-03-01 were delivered later: they were not known then, and are left out.'
    """
    what, were = ("row", "was") if rows == 1 else ("rows", "were")
    known = "it was not known then, and is" if rows == 1 else "they were not known then, and are"
    return f"{rows:,} {what} of days up to {as_of} {were} delivered later: {known} left out."


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame whose columns have names."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
