"""The theta method: a smoothed level with half the trend, on deseasonalised units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.candidates.smoothing import HALF_LIVES, LONGEST_HISTORY, try_half_lives
from include.skufleet.forecasting.levels import find_season, weigh_by_loss
from include.skufleet.forecasting.panel import Floats, Panel

MOST_CHANGE = 0.5  # relative, over one horizon


@dataclass(frozen=True, slots=True)
class Theta:
    """Season factor x (level + drift x step), drift being half of the slope of the store's linear trend.

    Assimakopoulos and Nikolopoulos (2000, IJF 16) in the form of Hyndman and Billah (2003, IJF 19): simple exponential
    smoothing with drift, the level moved by drift / alpha to where the trend has taken it. Three things differ, for
    sparse sales: the levels of several half-lives are averaged as in ``exponential_smoothing``; a slope is multiplied
    by slope^2 / (slope^2 + its variance); and over one horizon the drift moves a level by half of it at most, and
    beyond the horizon no further.

    Attributes:
        half_lives: the grid, in periods; ``None`` takes the frequency's own.
    """

    name: ClassVar[str] = "theta"
    cost: ClassVar[float] = 0.1
    classes: ClassVar = EVERY_CLASS

    half_lives: tuple[float, ...] | None = None

    def fit(self, panel: Panel) -> Fitted:
        """Fit factors, levels and slopes; a store without known values gets level 0."""
        recent, season = slice(-LONGEST_HISTORY, None), find_season(panel, LONGEST_HISTORY)
        units = panel.units[:, recent]
        grid = np.array(self.half_lives or HALF_LIVES[panel.frequency])
        last, loss = try_half_lives(panel, tuple(grid.tolist()))
        weights = weigh_by_loss(loss)

        count = (~np.isnan(units)).sum(axis=1)
        alpha = (1.0 - 0.5 ** (1.0 / grid))[:, None]
        behind = weights @ ((1.0 - (1.0 - alpha) ** count) / alpha)  # periods by which the level lags the trend
        drift = 0.5 * fit_slopes(units / season.factors_at(recent))
        level = np.maximum(weights @ last + drift * (behind - 1.0), 0.0)
        most = MOST_CHANGE / max(panel.horizon, 1)
        trend = np.clip(np.where(level > 0, drift / np.where(level > 0, level, 1.0), 0.0), -most, most)
        return pack(self.name, panel, {"level": level, "season": season.factors, "trend": trend})


def fit_slopes(values: Floats) -> Floats:
    """Slope per period of each row's least-squares line through its known values, shrunk by what is known of it.

    The slope is multiplied by slope^2 / (slope^2 + variance of the slope); 0 with less than three known values.

    >>> fit_slopes(np.array([[1.0, np.nan, 5.0, 7.0]])).tolist()
    [2.0]
    """
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    number = np.maximum(count, 1)[:, None]
    steps = np.broadcast_to(np.arange(values.shape[1], dtype=float), values.shape)
    filled = np.where(known, values, 0.0)
    away = np.where(known, steps - np.where(known, steps, 0.0).sum(axis=1, keepdims=True) / number, 0.0)
    off = np.where(known, filled - filled.sum(axis=1, keepdims=True) / number, 0.0)
    spread = np.square(away).sum(axis=1)
    fits = (count > 2) & (spread > 0)
    slope = np.where(fits, (away * off).sum(axis=1) / np.where(fits, spread, 1.0), 0.0)
    rest = np.square(off - slope[:, None] * away).sum(axis=1) / np.maximum(count - 2, 1)
    variance = rest / np.where(fits, spread, 1.0)
    sure = np.square(slope) > 0
    shrunk: Floats = np.where(sure, slope / (1.0 + variance / np.where(sure, np.square(slope), 1.0)), 0.0)
    return shrunk
