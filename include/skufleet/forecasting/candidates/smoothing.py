"""Simple exponential smoothing of the deseasonalised level, averaged over smoothing weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.levels import find_season, smooth_levels, weigh_by_loss
from include.skufleet.forecasting.panel import Floats, Frequency, Panel, zero_unknown
from include.skufleet.forecasting.sharing import once_per_panel

HALF_LIVES: dict[Frequency, tuple[float, ...]] = {"D": (7.0, 14.0, 28.0, 56.0, 112.0), "W": (1.0, 2.0, 4.0, 8.0, 16.0)}
LONGEST_HISTORY = 1095
YEAR = 364  # of days, or seven of weeks: losses over more would lean on sales of long ago


@dataclass(frozen=True, slots=True)
class ExponentialSmoothing:
    """Level x season factor; the level is an exponentially weighted average of deseasonalised units.

    Simple exponential smoothing (Brown 1956) with multiplicative seasonality. Instead of one smoothing weight, the
    levels of a small grid of half-lives are averaged by ``weigh_by_loss``: one choice rests on little in sparse sales.

    Attributes:
        half_lives: the grid, in periods; ``None`` takes the frequency's own.
    """

    name: ClassVar[str] = "exponential_smoothing"
    cost: ClassVar[float] = 0.1
    classes: ClassVar = EVERY_CLASS

    half_lives: tuple[float, ...] | None = None

    def fit(self, panel: Panel) -> Fitted:
        """Fit factors, average the last levels; a store without known values gets level 0."""
        grid = self.half_lives or HALF_LIVES[panel.frequency]
        last, loss = try_half_lives(panel, grid)
        weights = weigh_by_loss(loss)
        half_life = float(np.exp(weights @ np.log(grid)))
        season = find_season(panel, LONGEST_HISTORY).factors
        return pack(self.name, panel, {"level": weights @ last, "season": season, "half_life": half_life})


@once_per_panel
def try_half_lives(panel: Panel, grid: tuple[float, ...]) -> tuple[Floats, Floats]:
    """``score_half_lives`` of the panel's last three years, deseasonalised."""
    recent = slice(-LONGEST_HISTORY, None)
    factors = find_season(panel, LONGEST_HISTORY).factors_at(recent)
    return score_half_lives(panel.units[:, recent], factors, grid, lag=max(1, panel.horizon // 4))


def score_half_lives(units: Floats, factors: Floats, grid: Sequence[float], *, lag: int) -> tuple[Floats, Floats]:
    """The last level for each half-life, and how badly the levels forecast ``lag`` periods ahead.

    A lag of a part of the horizon rather than one period: what is looked for is a level that holds for the horizon.

    Args:
        units: (S, T), NaN where not known.
        factors: (S or 1, T) season factors.
        grid: G half-lives.
        lag: periods between a level and what it is compared with.

    Returns:
        Levels (G, S), 0 for a store without known values, and losses (G,): squared errors over the last year, summed
        over the stores.
    """
    periods = units.shape[1]
    seen = min(periods, YEAR + lag)
    levels = smooth_levels(units, factors, grid, slice(-seen, None))
    later = slice(periods - max(seen - lag, 0), None)
    errors = levels[:, :, : periods - later.start] * factors[:, later] - units[:, later]
    return zero_unknown(levels[:, :, -1]), np.square(zero_unknown(errors)).sum(axis=(1, 2))
