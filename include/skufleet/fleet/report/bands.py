"""Intervals of a SKU's total, put together from those of its stores.

Bounds of single stores must not be added up: errors of different stores partly cancel. How much they do is taken from
the backtest, as one correlation of the stores' errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

_LOWER = re.compile(r"lower_(\d{1,2})")


def find_levels(columns: Iterable[object]) -> list[int]:
    """Levels in per cent for which a frame has both bounds, the narrowest first."""
    names = {str(name) for name in columns}
    found = (_LOWER.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in found if match and f"upper_{match[1]}" in names)


def estimate_correlation(backtest: pd.DataFrame, level: int) -> float:
    """Mean correlation of the stores' errors on a date, between 0 and 1; 1 where it cannot be told.

    With errors e and half-widths w of the stores' intervals, w scaled so that the sums of their squares agree: the sum
    over dates of (sum e)^2 - sum e^2, over that of (sum w)^2 - sum w^2.

    Args:
        backtest: ``store, date, cutoff, y, y_hat`` and the bounds of ``level``, of one SKU.
        level: in per cent.
    """
    if level not in find_levels(backtest.columns):
        return 1.0
    width = (backtest[f"upper_{level}"] - backtest[f"lower_{level}"]) / 2
    rows = pd.DataFrame({"when": backtest["date"], "cutoff": backtest["cutoff"], "width": width})
    rows = rows.assign(error=backtest["y_hat"] - backtest["y"]).dropna()
    squares = rows.assign(error=rows["error"] ** 2, width=rows["width"] ** 2).groupby(["when", "cutoff"]).sum()
    cross = rows.groupby(["when", "cutoff"]).sum() ** 2 - squares
    if cross["width"].sum() <= 0 or squares["error"].sum() <= 0:
        return 1.0
    relative = cross["error"].sum() / squares["error"].sum() / (cross["width"].sum() / squares["width"].sum())
    return float(np.clip(relative, 0.0, 1.0))


def sum_bounds(frame: pd.DataFrame, level: int, correlation: float, by: list[str]) -> pd.DataFrame:
    """``lower, upper`` of the stores' total by ``by``, sorted; NaN where a store has no bound; ``lower`` is >= 0.

    Half-widths w of the stores, below and above each, make sqrt((1 - r) sum w^2 + r (sum w)^2), r the correlation.
    """
    rows = frame[by].assign(
        y_hat=frame["y_hat"],
        lower=frame["y_hat"] - frame[f"lower_{level}"],
        upper=frame[f"upper_{level}"] - frame["y_hat"],
    )
    total = rows.groupby(by, sort=True)[["y_hat", "lower", "upper"]].sum(min_count=1)
    known = rows.groupby(by, sort=True)[["lower", "upper"]].count()
    complete = known.eq(rows.groupby(by, sort=True).size(), axis=0)
    squares = rows.assign(lower=rows["lower"] ** 2, upper=rows["upper"] ** 2).groupby(by, sort=True)[["lower", "upper"]]
    variance = (1 - correlation) * squares.sum() + correlation * total[["lower", "upper"]] ** 2
    width = variance.pow(0.5).where(complete)
    lower = (total["y_hat"] - width["lower"]).clip(lower=0.0)
    return pd.DataFrame({"lower": lower, "upper": total["y_hat"] + width["upper"]})
