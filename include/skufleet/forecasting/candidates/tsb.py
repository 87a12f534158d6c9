"""Teunter, Syntetos and Babai's method for intermittent demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.signal import lfilter

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.levels import season_factors, season_positions, weigh_by_loss
from include.skufleet.forecasting.panel import Bools, Floats, Panel

LONGEST_HISTORY = 728


@dataclass(frozen=True, slots=True)
class TSB:
    """Probability of a sale x size of a sale, each smoothed on its own (Teunter, Syntetos, Babai 2011, EJOR 214).

    The probability p is updated in every known period, p += beta (sold - p); the size z when something was sold,
    z += alpha (units / season factor - z). The forecast is p z x season factor. A missing period changes nothing.
    Both start from the store's means. The forecasts of all pairs of alpha and beta are averaged by their squared
    one-step errors, summed over the stores (``weigh_by_loss``).

    Attributes:
        alphas: grid for the size.
        betas: grid for the probability.
    """

    name: ClassVar[str] = "tsb"
    cost: ClassVar[float] = 0.15
    classes: ClassVar = EVERY_CLASS

    alphas: tuple[float, ...] = (0.05, 0.15)
    betas: tuple[float, ...] = (0.01, 0.03, 0.1)

    def fit(self, panel: Panel) -> Fitted:
        """Keep each store's average of p z, and the chance of a sale in it; a store without known values gets 0."""
        positions = season_positions(panel.dates, panel.frequency, panel.season_length)
        season = season_factors(panel.units, positions, panel.season_length)
        units = panel.units[:, -LONGEST_HISTORY:]
        factors = np.broadcast_to(season[:, positions[-LONGEST_HISTORY:]], units.shape)
        loss = np.zeros((len(self.alphas), len(self.betas)))
        sizes, chances = np.zeros((len(self.alphas), len(units))), np.zeros((len(self.betas), len(units)))
        for store, (row, factor) in enumerate(zip(units, factors, strict=True)):
            known = ~np.isnan(row)
            if not (sold := row[known] > 0).any():
                continue
            size, chance = self._smooth(row[known] / factor[known], sold)
            errors = size[:, None, :-1] * chance[None, :, :-1] * factor[known] - row[known]
            loss += np.square(errors).sum(axis=2)
            sizes[:, store], chances[:, store] = size[:, -1], chance[:, -1]
        weights = weigh_by_loss(loss.ravel()).reshape(loss.shape)
        expected = np.einsum("ab,as,bs->s", weights, sizes, chances)
        chance = weights.sum(axis=0) @ chances
        size = np.where(chance > 0, expected / np.where(chance > 0, chance, 1.0), 0.0)
        return pack(self.name, panel, {"probability": chance, "size": size, "season": season})

    def _smooth(self, values: Floats, sold: Bools) -> tuple[Floats, Floats]:
        """Size of a sale (alphas, n + 1) and its chance (betas, n + 1), before each known period and after the last."""
        sales = values[sold]
        seen = np.concatenate([[0], np.cumsum(sold)])
        sizes = np.stack([_average(sales, alpha, float(sales.mean())) for alpha in self.alphas])[:, seen]
        chances = np.stack([_average(sold.astype(float), beta, float(sold.mean())) for beta in self.betas])
        return sizes, chances


def _average(values: Floats, weight: float, start: float) -> Floats:
    """The start and the average after each value: n + 1 numbers."""
    averages, _ = lfilter([weight], [1.0, weight - 1.0], values, zi=[(1.0 - weight) * start])
    return np.concatenate([[start], averages])
