"""Levels and season factors of series with missing values: exponentially weighted averages, ratios to a moving average.

What does not belong here: choosing settings, predicting.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from include.skufleet.forecasting.calendar import Ints, to_days
from include.skufleet.forecasting.panel import PERIOD_DAYS, Dates, Floats, Frequency
from include.skufleet.forecasting.scoring import EPOCH

POOLED_PSEUDO_UNITS = 10.0
STORE_PSEUDO_UNITS = 50.0
LONGEST_STORE_SEASON = 31  # beyond it a store's own factors would rest on a few values each: pooled ones serve


def season_positions(dates: Dates, frequency: Frequency, season_length: int) -> Ints:
    """Position of each period in its season, 0 for the season that began on Monday 1970-01-05."""
    return (to_days(dates) - int(EPOCH.astype(np.int64))) // PERIOD_DAYS[frequency] % season_length


def decay(values: Floats, half_life: float) -> Floats:
    """Exponentially weighted sums along the last axis, the newest value with weight 1."""
    weight = 0.5 ** (1.0 / half_life)
    summed: Floats = lfilter([1.0], [1.0, -weight], values, axis=-1)
    return summed


def smooth_levels(units: Floats, factors: Floats, half_life: float) -> Floats:
    """Deseasonalised level after each period: weighted units over weighted season factors of the known periods.

    Args:
        units: (S, T), NaN where not known.
        factors: (S or 1, T) season factors, > 0.
        half_life: periods after which a value counts half.

    Returns:
        (S, T), NaN before a series' first known value.
    """
    known = ~np.isnan(units)
    above = decay(np.where(known, units, 0.0), half_life)
    below = decay(np.where(known, factors, 0.0), half_life)
    # After a silence of centuries both sums vanish; below this the ratio would be noise.
    valid = below > 1e-250
    return np.where(valid, above / np.where(valid, below, 1.0), np.nan)


def season_factors(units: Floats, positions: Ints, season_length: int) -> Floats:
    """Multiplicative season factors, the stores' own shrunk towards the SKU's.

    Ratio to a centred moving average (classical decomposition), from sums rather than means of ratios, so that days
    without sales count as they should. Pseudo-units pull the pooled factors towards 1 and a store's towards the pooled.

    Args:
        units: (S, T), NaN where not known.
        positions: (T,) in 0..m-1.
        season_length: m.

    Returns:
        (S, m), or (1, m) for seasons longer than 31 periods; all 1 with less than two seasons of history.
    """
    if season_length == 1 or units.shape[1] < 2 * season_length:
        return np.ones((1, season_length))
    kept = min(units.shape[1], max(5 * season_length, 728))
    units, positions = units[:, -kept:], positions[-kept:]
    known = ~np.isnan(units)
    filled = np.where(known, units, 0.0)
    around = season_length * max(1, 28 // season_length)
    usual = _centred_sum(filled, around) / np.maximum(_centred_sum(known * 1.0, around), 1.0)
    where = np.zeros((kept, season_length))
    where[np.arange(kept), positions] = 1.0
    sold, expected = filled @ where, np.where(known, usual, 0.0) @ where
    pooled: Floats = (sold.sum(0) + POOLED_PSEUDO_UNITS) / (expected.sum(0) + POOLED_PSEUDO_UNITS)
    pooled = np.maximum(pooled, 1e-3)
    if season_length > LONGEST_STORE_SEASON:
        return pooled.reshape(1, -1)
    own = (sold + STORE_PSEUDO_UNITS) / (expected * pooled + STORE_PSEUDO_UNITS)
    both: Floats = np.maximum(pooled * own, 1e-3)
    return both


def _centred_sum(values: Floats, width: int) -> Floats:
    """Sum over about ``width`` columns around each; fewer at the ends."""
    sums = np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)
    steps, length = np.arange(values.shape[1]), values.shape[1]
    begin = np.maximum(steps - width // 2, 0)
    end = np.minimum(steps - width // 2 + width, length)
    around: Floats = np.maximum(sums[:, end] - sums[:, begin], 0.0)
    return around
