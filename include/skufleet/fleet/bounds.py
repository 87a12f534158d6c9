"""The columns that hold the bounds of the prediction intervals, in every table that has them.

How intervals are made is the business of ``forecasting``.
"""

from __future__ import annotations

from include.skufleet.config import Catalogue


def bound_columns(catalogue: Catalogue) -> list[str]:
    """``lower_80, upper_80, lower_95, upper_95`` for the catalogue's levels 0.8 and 0.95, the narrowest first."""
    return [f"{side}_{round(100 * level)}" for level in catalogue.intervals.levels for side in ("lower", "upper")]
