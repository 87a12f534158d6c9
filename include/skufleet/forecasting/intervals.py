"""Prediction intervals: fitted to a backtest's errors, judged on windows that they were not fitted to.

A forecast's error is scored by how far out in a count distribution around the forecast the actual lies; what covers the
wanted share of scores is a mix of the SKU's own (split conformal prediction: Lei et al. 2018, JASA 113; with scores
from a distribution: Chernozhukov, Wuethrich, Zhu 2021, PNAS 118) and of what the distribution itself says.
``scoring.count_bounds`` turns the few numbers found into bounds. What does not belong here: forecasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from include.skufleet.forecasting.demand import DemandClass
from include.skufleet.forecasting.panel import Floats, Frequency
from include.skufleet.forecasting.scoring import count_bounds, count_range, cube_root, score_count

PRIOR_BEYOND = 40.0  # actuals beyond a quantile that weigh as much as the distribution's own one
PRIOR_DISPERSION_ROWS = 10.0
SLOPE_ROWS = 50.0
LIMITS = (0.003, 20.0)  # of the dispersion
FARTHEST = 6.0  # of a score: beyond it all are equally impossible
FEW_ZEROS = 0.02
SHARES = (np.arange(64) + 0.5) / 64
GRID = np.linspace(0.0, 4.0, 81)
LIKELY = 51  # of the grid's points: up to 2.5, where at least 98.8 % are covered

# Measured with rolling origins on three catalogues (a grocer with ten stores, a simulated one, a web shop), also with
# stores added up or alone, cut to a year, and by week: the median dispersion of errors by demand class; and by share of
# zeros how much larger the quantile that covered 80 % and 95 % of the next window was than the distribution's own.
# Levels drift, and sales stop and go; weeks look farther ahead. Below 1 makes up for SKUs so sparse that even no width
# at all covers more than 80 %.
DISPERSION: Mapping[DemandClass, float] = {
    "smooth": 0.15,
    "erratic": 0.5,
    "intermittent": 0.6,
    "lumpy": 1.2,
    "no_demand": 1.0,
}
ZEROS = (0.0, 0.05, 0.3, 0.5, 0.7, 0.85)
WIDER_80 = (1.0, 1.05, 1.08, 1.02, 0.92, 0.75)
WIDER_95 = (1.09, 1.1, 1.05, 1.05, 1.07, 1.25)
WIDER_WEEKS = (1.08, 1.12)
Z_80, Z_95 = 1.2816, 1.96
UNKNOWN_ZEROS = 0.3


def fit_intervals(
    y: Floats, y_hat: Floats, levels: Sequence[float], demand_class: DemandClass, frequency: Frequency = "D"
) -> dict[str, Any]:
    """What an artifact keeps under ``intervals``: a dozen numbers.

    Args:
        y: actuals; NaN are left out.
        y_hat: forecasts made for them without knowing them; without any actual only the priors count.
        levels: shares to cover, ascending.
        demand_class: whose typical dispersion is mixed in.
        frequency: of the periods.

    >>> given = fit_intervals(np.array([2.0, 0.0, 1.0, 3.0]), np.ones(4), (0.8, 0.95), "erratic")
    >>> [(float(lower), float(upper)) for lower, upper in count_bounds(given, np.array(1.0))]
    [(0.0, 2.0), (0.0, 3.0)]
    """
    known = ~np.isnan(y)
    actual, expected = y[known], y_hat[known]
    whole = bool((actual == np.rint(actual)).all())
    shift, slope = _recalibrate(actual, expected)
    mean = shift + slope * expected
    unit = 1.0 if whole else find_unit(actual, mean)
    actual, mean = actual / unit, mean / unit
    dispersion = _fit_dispersion(actual, mean, DISPERSION[demand_class])
    own = np.sort(_score(actual, mean, dispersion))
    implied = _imply_coverage(mean if mean.size else np.ones(1), dispersion, levels[-1])
    wider = _widen(actual, levels, frequency)
    two_tails = []
    for level, factor in zip(levels, wider, strict=True):
        prior, rows = float(np.interp(level, implied, GRID[: implied.size])) * factor, PRIOR_BEYOND / (1.0 - level)
        two_tails.append((prior * rows + own.size * _conformal_quantile(own, level)) / (rows + own.size))
    two = np.maximum.accumulate(two_tails)
    return {
        "levels": list(levels),
        "unit": unit,
        "whole": whole,
        "shift": _short(shift),
        "slope": _short(slope),
        "dispersion": _short(dispersion),
        "one_tail": [_short(z) for z in _to_one_tail(two)],
        "two_tails": [_short(z) for z in two],
    }


def bound_windows(
    y: Floats, y_hat: Floats, levels: Sequence[float], demand_class: DemandClass, frequency: Frequency = "D"
) -> dict[str, Floats]:
    """Bounds of each window's forecasts, fitted to the other windows: ``lower_80, upper_80, ...``.

    Args:
        y: (W, S, h) actuals.
        y_hat: (W, S, h) forecasts.
        levels: ascending.
        demand_class: see ``fit_intervals``.
        frequency: of the periods.

    Returns:
        (W, S, h) each; NaN with one window, for there is none to fit to.
    """
    windows = len(y)
    bounds = {
        f"{side}_{round(100 * level)}": np.full(y.shape, np.nan) for level in levels for side in ("lower", "upper")
    }
    for window in range(windows if windows > 1 else 0):
        others = np.arange(windows) != window
        given = fit_intervals(y[others], y_hat[others], levels, demand_class, frequency)
        for level, (lower, upper) in zip(levels, count_bounds(given, y_hat[window]), strict=True):
            bounds[f"lower_{round(100 * level)}"][window] = lower
            bounds[f"upper_{round(100 * level)}"][window] = upper
    return bounds


def find_unit(actual: Floats, mean: Floats) -> float:
    """What sales that are not whole numbers, weights or amounts, come in multiples of, to one digit.

    The unit with which the distribution has as many zeros as the actuals; where there are hardly any, a hundredth of a
    typical sale, which is to say none.

    Args:
        actual: (n,) with a value that is not whole.
        mean: (n,) expected.
    """
    size = float(actual[actual > 0].mean())
    zeros = float((actual == 0).mean())
    finest = float(f"{size / 100:.0e}")
    squares = float(np.square(mean).sum())
    if zeros < FEW_ZEROS or squares == 0.0:
        return finest
    error = float(np.square(actual - mean).sum())
    typical = _find_typical(mean)

    def miss(unit: float) -> float:
        dispersion = float(np.clip((error - unit * mean.sum()) / squares, *LIMITS))
        root, centre = cube_root(typical / unit, dispersion)
        return abs(float(ndtr(score_count(0.0, typical / unit, root, centre)).mean()) - zeros)

    return float(f"{min(np.geomspace(finest, 4.0 * size, 24).tolist(), key=miss):.0e}")


def _recalibrate(actual: Floats, expected: Floats) -> tuple[float, float]:
    """Shift and slope of the actuals' mean over the forecasts (Mincer and Zarnowitz 1969), the slope within 0 to 1.

    A forecast that jumps with the last days, as the naive one does, tells less than its size: on a day for which it
    says zero something may well be sold. Rows weigh by one over their forecast; the slope is pulled towards 1.
    """
    if not expected.any():
        return 0.0, 1.0
    middle = expected.mean()
    weight = 1.0 / (expected + middle)
    centre = (weight * expected).sum() / weight.sum()
    away = weight * (expected - centre)
    pull = SLOPE_ROWS * weight.mean() * middle**2
    slope = float(np.clip(((away * actual).sum() + pull) / ((away * expected).sum() + pull), 0.0, 1.0))
    return (1.0 - slope) * float(centre), slope


def _fit_dispersion(actual: Floats, mean: Floats, prior: float) -> float:
    """The factor phi of variance = mean + phi mean^2, by moments; its logarithm is pulled towards the prior's."""
    squares = float(np.square(mean).sum())
    if squares == 0.0:
        return prior
    own = float(np.clip((np.square(actual - mean) - mean).sum() / squares, *LIMITS))
    weight = actual.size / (actual.size + PRIOR_DISPERSION_ROWS)
    return float(np.exp(weight * np.log(own) + (1.0 - weight) * np.log(prior)))


def _score(actual: Floats, mean: Floats, dispersion: float) -> Floats:
    """The least two-tailed quantile with which ``count_bounds`` covers each actual, 0 to ``FARTHEST``."""
    root, centre = cube_root(mean, dispersion)
    least = -score_count(0.0, mean, root, centre)
    below = -score_count(actual, mean, root, centre)
    above = score_count(actual - 1.0, mean, root, centre)
    # Up to ``least`` both tails are cut; from there on all that is cut is above.
    alone = above > least
    above = np.where(alone, ndtri(0.5 + 0.5 * ndtr(np.minimum(above, FARTHEST))), above)
    return np.clip(np.maximum(below, np.where(actual > 0, above, 0.0)), 0.0, FARTHEST)


def _imply_coverage(mean: Floats, dispersion: float, most: float) -> Floats:
    """The share that the distribution itself gives to the bounds of each quantile in ``GRID``, ascending.

    Counts being whole, bounds cover more than the quantile says, the more so the sparser the sales. What of the grid
    lies beyond the share ``most`` may be left out.
    """
    typical = _find_typical(mean)
    share = _share_within(typical, dispersion, slice(LIKELY))
    if share[-1] <= most:
        share = np.concatenate([share, _share_within(typical, dispersion, slice(LIKELY, None))])
    return np.maximum.accumulate(share)


def _find_typical(mean: Floats) -> Floats:
    """Quantiles of the means, so few that a grid of bounds around each is cheap (``np.quantile`` takes five times)."""
    typical: Floats = np.interp(SHARES * (mean.size - 1), np.arange(mean.size), np.sort(mean))
    return typical


def _share_within(typical: Floats, dispersion: float, part: slice) -> Floats:
    """Mean share that the distribution gives to the bounds of each quantile in a part of ``GRID``."""
    lower, upper = count_range(typical, dispersion, ONE_TAIL_GRID[part, None], GRID[part, None])
    lower, upper = np.ceil(lower - 1e-9) + 0.0, np.floor(upper + 1e-9)
    root, centre = cube_root(typical, dispersion)
    inside = ndtr(score_count(upper, typical, root, centre))
    cut = np.where(lower > 0, ndtr(score_count(lower - 1.0, typical, root, centre)), 0.0)
    share: Floats = (inside - cut).mean(axis=1)
    return share


def _widen(actual: Floats, levels: Sequence[float], frequency: Frequency) -> Floats:
    """Factor on the distribution's own quantile of each level."""
    zeros = float((actual == 0).mean()) if actual.size else UNKNOWN_ZEROS
    known = np.array([np.interp(zeros, ZEROS, WIDER_80), np.interp(zeros, ZEROS, WIDER_95)])
    if frequency == "W":
        known *= WIDER_WEEKS
    wider: Floats = np.interp(ndtri(0.5 + 0.5 * np.array(levels)), (Z_80, Z_95), known)
    return wider


def _conformal_quantile(ascending: Floats, level: float) -> float:
    """The score that covers ``level`` of the next one too: rank (n + 1) x level, rounded up, at most n."""
    if not ascending.size:
        return 0.0
    rank = min(int(np.ceil((ascending.size + 1) * level)), ascending.size)
    return float(ascending[rank - 1])


def _to_one_tail(two: Floats) -> Floats:
    """The normal quantile that cuts in one tail what ``two`` cuts in both together."""
    one: Floats = ndtri(np.clip(2.0 * ndtr(two) - 1.0, 1e-6, 1.0 - 1e-12))
    return one


def _short(value: float) -> float:
    return float(f"{value:.6g}")


ONE_TAIL_GRID = _to_one_tail(GRID)
