"""The mean of the last weeks: what a planner would do by hand, and the second yardstick next to the seasonal naive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.levels import LONGEST_STORE_SEASON, season_positions
from include.skufleet.forecasting.panel import Panel


@dataclass(frozen=True, slots=True)
class WeekdayMean:
    """Each store's mean at each position of the season over the last seasons.

    A season longer than 31 periods (the weeks of a year) is not averaged by position: few years are known, and the
    level of years ago is not today's. There, as for a season of one, it is the mean of the last ``seasons`` periods.
    A position without a known value gets the store's mean of the window, a store without any in the window its mean
    over all time, a store without any value 0.

    Attributes:
        seasons: how many are averaged.
    """

    name: ClassVar[str] = "weekday_mean"
    cost: ClassVar[float] = 0.015
    classes: ClassVar = EVERY_CLASS

    seasons: int = 8

    def fit(self, panel: Panel) -> Fitted:
        """Average; kept as the store's mean and the ratio of each position's mean to it."""
        length = panel.season_length if panel.season_length <= LONGEST_STORE_SEASON else 1
        kept = min(self.seasons * length, panel.dates.size)
        positions = season_positions(panel.dates[-kept:], panel.frequency, length)
        where = np.zeros((kept, length))
        where[np.arange(kept), positions] = 1.0
        known = ~np.isnan(panel.units)
        filled = np.where(known, panel.units, 0.0)
        ever = filled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        sums, counts = filled[:, -kept:] @ where, known[:, -kept:] @ where
        total = counts.sum(axis=1)
        level = np.where(total > 0, sums.sum(axis=1) / np.maximum(total, 1.0), ever)
        sells = (level > 0)[:, None] & (counts > 0)
        means = sums / np.maximum(counts, 1.0)
        ratio = np.where(sells, means / np.where(sells, level[:, None], 1.0), 1.0)
        return pack(self.name, panel, {"level": level, "season": ratio})
