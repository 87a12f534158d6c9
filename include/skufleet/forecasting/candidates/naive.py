"""The baseline, and what serves where nothing can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.panel import Panel, zero_unknown


@dataclass(frozen=True, slots=True)
class ZeroDemand:
    """Forecasts zero: for a SKU that never sold."""

    name: ClassVar[str] = "zero_demand"
    cost: ClassVar[float] = 0.01
    classes: ClassVar = EVERY_CLASS

    def fit(self, panel: Panel) -> Fitted:
        """Take stores and dates from the panel, nothing else."""
        return pack(self.name, panel, {})


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Repeats each store's last season (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2).

    A value that is missing in the last season is taken from the newest season that has one at that position, else
    from the store's mean; a store without any known value gets 0.
    """

    name: ClassVar[str] = "seasonal_naive"
    cost: ClassVar[float] = 0.015
    classes: ClassVar = EVERY_CLASS

    def fit(self, panel: Panel) -> Fitted:
        """Keep the last known value at each position of the season, the position after the cutoff first."""
        season, units = panel.season_length, panel.units
        seasons = -(-units.shape[1] // season)
        padded = np.full((units.shape[0], seasons * season), np.nan)
        padded[:, padded.shape[1] - units.shape[1] :] = units
        newest_first = padded.reshape(units.shape[0], seasons, season)[:, ::-1]
        known = ~np.isnan(newest_first)
        last = np.take_along_axis(newest_first, known.argmax(axis=1)[:, None, :], axis=1)[:, 0]
        counts = np.maximum((~np.isnan(units)).sum(axis=1), 1)
        mean = zero_unknown(units).sum(axis=1) / counts
        return pack(self.name, panel, {"last": np.where(np.isnan(last), mean[:, None], last)})


def fallback(panel: Panel) -> Fitted:
    """What serves a SKU that cannot be trained: zero demand if it never sold, else the seasonal naive."""
    sold = bool(zero_unknown(panel.units).any())
    return (SeasonalNaive() if sold else ZeroDemand()).fit(panel)
