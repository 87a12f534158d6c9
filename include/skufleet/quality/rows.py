"""Row level: which rows are set aside, and the reason a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from include.skufleet.config import Validation
from include.skufleet.quality.engine import run_suite
from include.skufleet.quality.records import ExpectationResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

DUPLICATES = "one_row_per_day"


@dataclass(frozen=True)
class RowOutcome:
    """Rows by position: ``bad`` is a mask; ``reason`` and ``expectation`` belong to the bad rows, in their order."""

    bad: NDArray[np.bool_]
    reason: NDArray[Any]
    expectation: NDArray[Any]
    results: tuple[ExpectationResult, ...]


def check_rows(history: pd.DataFrame, limits: Validation, as_of: date) -> RowOutcome:
    """Run the row suite and say of every failing row why.

    A row that fails several expectations gets all the reasons, and the name of the first. Rows of one SKU, store and
    date: of identical copies the first stays, the others go; rows that disagree all go, as nobody knows which is right.

    Args:
        history: ``sku, store, date, units, price``, schema checked. Not changed.
        limits: the catalogue's limits.
        as_of: no row may be dated after it.
    """
    frame = _make_frame(history, as_of)
    outcome = run_suite("rows", frame, limits)
    reasons: dict[int, list[str]] = {}
    first: dict[int, str] = {}
    for name, rows in outcome.failing.items():
        told = _tell_duplicates(frame, [row for row in rows if row not in first]) if name == DUPLICATES else None
        if told is None:
            told = _tell(name, frame.loc[rows], limits, as_of)
        for row, reason in told.items():
            reasons.setdefault(row, []).append(reason)
            first.setdefault(row, name)
    positions = sorted(reasons)
    bad = np.zeros(len(frame), dtype=bool)
    bad[positions] = True
    return RowOutcome(
        bad=bad,
        reason=np.array(["; ".join(reasons[row]) for row in positions], dtype=object),
        expectation=np.array([first[row] for row in positions], dtype=object),
        results=outcome.results,
    )


def _make_frame(history: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The frame to validate: plain types, index ``row`` from 0, and the date also as a number.

    Great Expectations compares dates one by one in Python (0.9 s for 365,000 rows), numbers all at once.
    """
    dates = pd.to_datetime(history["date"]).to_numpy(dtype="datetime64[us]")
    days = (dates - np.datetime64(as_of, "us")) / np.timedelta64(1, "D")
    return pd.DataFrame(
        {
            "sku": history["sku"].array,
            "store": history["store"].array,
            "date": dates,
            "units": history["units"].to_numpy(dtype="float64", na_value=np.nan),
            "price": history["price"].to_numpy(dtype="float64", na_value=np.nan),
            "days_after_as_of": np.floor(days),
        },
        index=pd.RangeIndex(len(history), name="row"),
    )


def _tell(name: str, rows: pd.DataFrame, limits: Validation, as_of: date) -> Mapping[int, str]:
    """The reason of each row that fails an expectation other than uniqueness."""
    if name == "units_in_range":
        reasons = [_tell_units(value, limits.max_units) for value in rows["units"]]
    elif name == "price_above_zero":
        finite = np.isfinite(rows["price"].to_numpy())
        ends = np.where(finite, "is not above 0", "is not a finite number")
        reasons = [f"price {value:.10g} {end}" for value, end in zip(rows["price"], ends, strict=True)]
    elif name == "not_after_as_of":
        reasons = [f"date {value:%Y-%m-%d} is after as_of {as_of:%Y-%m-%d}" for value in rows["date"]]
    else:
        reasons = [f"{name.removesuffix('_present')} is missing"] * len(rows)
    return dict(zip(rows.index, reasons, strict=True))


def _tell_units(value: float, max_units: float) -> str:
    if not np.isfinite(value):
        return f"units {value} is not a finite number"
    return f"units {value:.10g} is below 0" if value < 0 else f"units {value:.10g} is above max_units {max_units:.10g}"


def _tell_duplicates(frame: pd.DataFrame, rows: list[int]) -> Mapping[int, str]:
    """The reason of each row that repeats another good row's SKU, store and date; see ``check_rows`` for which stay."""
    told: dict[int, str] = {}
    repeated = frame.loc[rows]
    for _, group in repeated.groupby(["sku", "store", "date"], sort=False, observed=True):
        if len(group) < 2:
            continue
        if group.duplicated(["units", "price"]).sum() == len(group) - 1:
            told |= dict.fromkeys(group.index[1:], f"same row {len(group)} times; the first is kept")
            continue
        column = "price" if group.duplicated("units").sum() == len(group) - 1 else "units"
        values = ", ".join(f"{value:.10g}" for value in group[column].drop_duplicates()[:3])
        told |= dict.fromkeys(group.index, f"{len(group)} rows of this sku, store and date disagree: {column} {values}")
    return told
