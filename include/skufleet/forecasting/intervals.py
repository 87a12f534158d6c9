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
from include.skufleet.forecasting.panel import Floats
from include.skufleet.forecasting.scoring import count_bounds, count_range, cube_root, score_count

PRIOR_ROWS = 400.0  # actuals that weigh as much as the distribution's own quantile
PRIOR_DISPERSION_ROWS = 10.0
SLOPE_ROWS = 50.0
LIMITS = (0.003, 20.0)  # of the dispersion
FARTHEST = 6.0  # of a score: beyond it all are equally impossible
MEANS = 64
GRID = np.linspace(0.0, 4.0, 81)

# Measured with rolling origins on three catalogues (a grocer with ten stores, a simulated one, a web shop): the median
# dispersion of errors, and by how much the quantile that covered 80 % and 95 % of the next window was larger than the
# distribution's own. Levels drift and tails are fat, and both show most far out. Below 1 makes up for SKUs so sparse
# that even the narrowest bounds cover more than 80 %.
DISPERSION: Mapping[DemandClass, float] = {
    "smooth": 0.15,
    "erratic": 0.5,
    "intermittent": 0.6,
    "lumpy": 1.2,
    "no_demand": 1.0,
}
WIDER: Mapping[DemandClass, tuple[float, float]] = {
    "smooth": (1.07, 1.14),
    "erratic": (1.05, 1.07),
    "intermittent": (0.97, 1.08),
    "lumpy": (0.97, 1.12),
    "no_demand": (1.0, 1.0),
}
Z_80, Z_95 = 1.2816, 1.96


def fit_intervals(y: Floats, y_hat: Floats, levels: Sequence[float], demand_class: DemandClass) -> dict[str, Any]:
    """What an artifact keeps under ``intervals``: a dozen numbers.

    Args:
        y: actuals; NaN are left out.
        y_hat: forecasts made for them without knowing them; without any actual only the prior of the class counts.
        levels: shares to cover, ascending.
        demand_class: whose prior is mixed in; it counts as much as ``PRIOR_ROWS`` actuals.
    """
    known = ~np.isnan(y)
    unit = find_unit(y[known])
    actual, expected = y[known] / unit, y_hat[known] / unit
    shift, slope = _recalibrate(actual, expected)
    mean = shift + slope * expected
    dispersion = _fit_dispersion(actual, mean, DISPERSION[demand_class])
    own = np.sort(_score(actual, mean, dispersion))
    implied = _imply_coverage(mean if mean.size else np.ones(1), dispersion)
    two_tails = []
    for level in levels:
        prior = float(np.interp(level, implied, GRID)) * _widen(level, demand_class)
        mixed = prior * PRIOR_ROWS + own.size * _conformal_quantile(own, level)
        two_tails.append(mixed / (PRIOR_ROWS + own.size))
    two = np.maximum.accumulate(two_tails)
    return {
        "levels": list(levels),
        "unit": unit,
        "shift": _short(shift * unit),
        "slope": _short(slope),
        "dispersion": _short(dispersion),
        "one_tail": [_short(z) for z in _to_one_tail(two)],
        "two_tails": [_short(z) for z in two],
    }


def bound_windows(y: Floats, y_hat: Floats, levels: Sequence[float], demand_class: DemandClass) -> dict[str, Floats]:
    """Bounds of each window's forecasts, fitted to the other windows: ``lower_80, upper_80, ...``.

    Args:
        y: (W, S, h) actuals.
        y_hat: (W, S, h) forecasts.
        levels: ascending.
        demand_class: see ``fit_intervals``.

    Returns:
        (W, S, h) each; NaN with one window, for there is none to fit to.
    """
    windows = len(y)
    bounds = {
        f"{side}_{round(100 * level)}": np.full(y.shape, np.nan) for level in levels for side in ("lower", "upper")
    }
    for window in range(windows if windows > 1 else 0):
        others = np.arange(windows) != window
        given = fit_intervals(y[others], y_hat[others], levels, demand_class)
        for level, (lower, upper) in zip(levels, count_bounds(given, y_hat[window]), strict=True):
            bounds[f"lower_{round(100 * level)}"][window] = lower
            bounds[f"upper_{round(100 * level)}"][window] = upper
    return bounds


def find_unit(units: Floats) -> float:
    """What units are counted in: 1 where all are whole, else a hundredth of their size, for weights and amounts.

    >>> find_unit(np.array([0.0, 3.0])), find_unit(np.array([0.25, 31.5]))
    (1.0, 0.1)
    """
    sold = units[units > 0]
    if not sold.size or bool((units == np.rint(units)).all()):
        return 1.0
    return float(10.0 ** (np.floor(np.log10(float(sold.mean()))) - 2))


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


def _imply_coverage(mean: Floats, dispersion: float) -> Floats:
    """The share that the distribution itself gives to the bounds of each quantile in ``GRID``, ascending.

    Counts being whole, bounds cover more than the quantile says, the more so the sparser the sales.
    """
    typical = np.quantile(mean, (np.arange(MEANS) + 0.5) / MEANS)
    lower, upper = count_range(typical, dispersion, _to_one_tail(GRID)[:, None], GRID[:, None])
    root, centre = cube_root(typical, dispersion)
    inside = ndtr(score_count(upper, typical, root, centre))
    cut = np.where(lower > 0, ndtr(score_count(lower - 1.0, typical, root, centre)), 0.0)
    share: Floats = np.maximum.accumulate((inside - cut).mean(axis=1))
    return share


def _widen(level: float, demand_class: DemandClass) -> float:
    return float(np.interp(ndtri(0.5 + 0.5 * level), (Z_80, Z_95), WIDER[demand_class]))


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
