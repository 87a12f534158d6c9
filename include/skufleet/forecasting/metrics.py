"""Accuracy of forecasts: pure functions of arrays.

Common rules. Arrays of any shape that broadcast; every sum runs over all entries whose actual is known (NaN actuals are
left out), so for a SKU over S stores and W windows the metric is the ratio of pooled sums, not a mean of ratios. With
nothing known the result is NaN. A ratio whose denominator is zero is 0 where the numerator is zero too (nothing
sold, nothing forecast: no error) and NaN otherwise (no scale to measure the error by), never infinite. To aggregate a
fleet add up numerators and denominators (the sums in ``Scores``), do not average ratios.

What does not belong here: choosing a metric, backtests.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from include.skufleet.forecasting.panel import Floats


def _errors(y: ArrayLike, y_hat: ArrayLike) -> tuple[Floats, Floats]:
    """Actuals and errors (forecast minus actual) where the actual is known, flat."""
    actual, forecast = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(y_hat, dtype=float))
    known = ~np.isnan(actual)
    return actual[known], forecast[known] - actual[known]


def _ratio(above: float, below: float) -> float:
    """The common zero policy: 0/0 is 0, x/0 is NaN."""
    if below > 0:
        return above / below
    return 0.0 if above == 0 else float("nan")


def mae(y: ArrayLike, y_hat: ArrayLike) -> float:
    """Mean absolute error, in units: mean |y_hat - y|.

    >>> mae([2, 0, float("nan")], [3, 2, 9])
    1.5
    """
    actual, error = _errors(y, y_hat)
    return float(np.abs(error).mean()) if actual.size else float("nan")


def rmse(y: ArrayLike, y_hat: ArrayLike) -> float:
    """Root mean squared error, in units: sqrt(mean (y_hat - y)^2).

    >>> rmse([0, 0], [3, 4]) == 12.5**0.5
    True
    """
    actual, error = _errors(y, y_hat)
    return float(np.sqrt(np.square(error).mean())) if actual.size else float("nan")


def wape(y: ArrayLike, y_hat: ArrayLike) -> float:
    """Weighted absolute percentage error: sum |y_hat - y| / sum y (Kolassa and Schuetz 2007, MAD/mean ratio).

    >>> wape([4, 0, 4], [5, 1, 2])
    0.5
    >>> wape([0, 0], [0, 0]), wape([0, 0], [1, 0])
    (0.0, nan)
    """
    actual, error = _errors(y, y_hat)
    return _ratio(float(np.abs(error).sum()), float(np.abs(actual).sum())) if actual.size else float("nan")


def bias(y: ArrayLike, y_hat: ArrayLike) -> float:
    """Relative bias: sum (y_hat - y) / sum y; above 0 is forecast too high.

    >>> bias([4, 0, 4], [5, 1, 4])
    0.25
    """
    actual, error = _errors(y, y_hat)
    return _ratio(float(error.sum()), float(np.abs(actual).sum())) if actual.size else float("nan")


def squared_scale(history: ArrayLike) -> Floats:
    """Mean squared change from one known period to the next along the last axis: what ``rmsse`` scales by.

    >>> squared_scale([[1.0, 2.0, 4.0]]).tolist()
    [2.5]
    """
    return _mean_change(np.asarray(history, dtype=float), 1, np.square)


def absolute_scale(history: ArrayLike, season_length: int) -> Floats:
    """Mean absolute seasonal change along the last axis: what ``mase`` scales by.

    Over one period instead where the history is not longer than a season.

    >>> absolute_scale([[1.0, 5.0, 2.0, 7.0]], 2).tolist()
    [1.5]
    """
    values = np.asarray(history, dtype=float)
    return _mean_change(values, season_length if values.shape[-1] > season_length else 1, np.abs)


def _mean_change(history: Floats, lag: int, size: Callable[[Floats], Floats]) -> Floats:
    change = history[..., lag:] - history[..., :-lag]
    known = ~np.isnan(change)
    mean: Floats = np.where(known, size(change), 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return mean


def rmsse(y: ArrayLike, y_hat: ArrayLike, scale: ArrayLike) -> float:
    """Root mean squared scaled error (M5 guide 2020): sqrt(sum (y_hat - y)^2 / sum scale).

    Args:
        y: actuals.
        y_hat: forecasts.
        scale: ``squared_scale`` of each series before the cutoff; broadcasts to ``y``.

    >>> rmsse([[2, 2]], [[4, 4]], [[1.0]])
    2.0
    """
    actual, error = _errors(y, y_hat)
    below = _pooled_scale(y, scale)
    return float(np.sqrt(_ratio(float(np.square(error).sum()), below))) if actual.size else float("nan")


def mase(y: ArrayLike, y_hat: ArrayLike, scale: ArrayLike) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006): sum |y_hat - y| / sum scale.

    Args:
        y: actuals.
        y_hat: forecasts.
        scale: ``absolute_scale`` of each series before the cutoff; broadcasts to ``y``.

    >>> mase([[2, 2]], [[4, 3]], [[3.0]])
    0.5
    """
    actual, error = _errors(y, y_hat)
    return _ratio(float(np.abs(error).sum()), _pooled_scale(y, scale)) if actual.size else float("nan")


def _pooled_scale(y: ArrayLike, scale: ArrayLike) -> float:
    actual, scales = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(scale, dtype=float))
    return float(scales[~np.isnan(actual)].sum())


def coverage(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of known actuals within [lower, upper], bounds included.

    >>> coverage([1, 5, float("nan")], [0, 0, 0], [2, 2, 2])
    0.5
    """
    actual, low, high = np.broadcast_arrays(*(np.asarray(part, dtype=float) for part in (y, lower, upper)))
    known = ~np.isnan(actual)
    inside = (low[known] <= actual[known]) & (actual[known] <= high[known])
    return float(inside.mean()) if known.any() else float("nan")
