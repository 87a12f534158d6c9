"""Simple exponential smoothing of the deseasonalised level, one smoothing weight per SKU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import Fitted, pack
from include.skufleet.forecasting.levels import season_factors, season_positions, smooth_levels
from include.skufleet.forecasting.panel import Panel

DAILY_HALF_LIVES = (7.0, 14.0, 28.0, 56.0, 112.0)
WEEKLY_HALF_LIVES = (1.0, 2.0, 4.0, 8.0, 16.0)
LONGEST_HISTORY = 1095


@dataclass(frozen=True, slots=True)
class ExponentialSmoothing:
    """Level x season factor; the level is an exponentially weighted average of deseasonalised units.

    Simple exponential smoothing (Brown 1956) with multiplicative seasonality; the weight is the one of a small grid
    whose one-step errors over the last year, squared and summed over the stores, are least.

    Attributes:
        half_lives: the grid, in periods; ``None`` takes the frequency's own.
    """

    name: ClassVar[str] = "exponential_smoothing"
    complexity: ClassVar[int] = 2

    half_lives: tuple[float, ...] | None = None

    def fit(self, panel: Panel) -> Fitted:
        """Fit factors, choose the half-life, keep the last levels; a store without known values gets level 0."""
        units = panel.units[:, -LONGEST_HISTORY:]
        positions = season_positions(panel.dates, panel.frequency, panel.season_length)[-LONGEST_HISTORY:]
        season = season_factors(units, positions, panel.season_length)
        factors = season[:, positions]
        grid = self.half_lives or (DAILY_HALF_LIVES if panel.frequency == "D" else WEEKLY_HALF_LIVES)

        best, chosen, level = np.inf, grid[len(grid) // 2], np.zeros(units.shape[0])
        for half_life in grid:
            levels = smooth_levels(units, factors, half_life)
            errors = (levels[:, :-1] * factors[:, 1:] - units[:, 1:])[:, -364:]
            loss = float(np.square(np.nan_to_num(errors)).sum())
            if loss < best:
                best, chosen, level = loss, half_life, levels[:, -1]
        return pack(self.name, panel, {"level": np.nan_to_num(level), "season": season, "half_life": chosen})
