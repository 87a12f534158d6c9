"""Teunter, Syntetos and Babai's method for intermittent demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.signal import lfilter

from include.skufleet.forecasting.candidates.contract import Fitted, pack
from include.skufleet.forecasting.panel import Floats, Panel

LONGEST_HISTORY = 728


@dataclass(frozen=True, slots=True)
class TSB:
    """Probability of a sale x size of a sale, each smoothed on its own (Teunter, Syntetos, Babai 2011, EJOR 214).

    The probability p is updated in every known period, p += beta (sold - p); the size z when something was sold,
    z += alpha (units - z). The forecast is p z, the same for every period. A missing period changes nothing.
    Both start from the store's means. alpha and beta are chosen per SKU by squared one-step errors, summed over stores.

    Attributes:
        alphas: grid for the size.
        betas: grid for the probability.
    """

    name: ClassVar[str] = "tsb"
    complexity: ClassVar[int] = 3

    alphas: tuple[float, ...] = (0.05, 0.15)
    betas: tuple[float, ...] = (0.01, 0.03, 0.1)

    def fit(self, panel: Panel) -> Fitted:
        """Choose alpha and beta, keep each store's last p and z; a store without known values gets 0."""
        stores = panel.units.shape[0]
        loss = np.zeros((len(self.alphas), len(self.betas)))
        size, chance = np.zeros((len(self.alphas), stores)), np.zeros((len(self.betas), stores))
        for store, row in enumerate(panel.units[:, -LONGEST_HISTORY:]):
            known = row[~np.isnan(row)]
            if not known.any():
                continue
            sold = known > 0
            sales = known[sold]
            # Before period t, as many sales were seen as the running count says.
            seen = np.concatenate([[0], np.cumsum(sold)[:-1]])
            sizes = np.stack([_smooth(sales, alpha, float(sales.mean())) for alpha in self.alphas])
            chances = np.stack([_smooth(sold * 1.0, beta, float(sold.mean())) for beta in self.betas])
            errors = sizes[:, None, seen] * chances[None, :, :-1] - known
            loss += np.square(errors).sum(axis=2)
            size[:, store], chance[:, store] = sizes[:, -1], chances[:, -1]
        a, b = np.unravel_index(int(loss.argmin()), loss.shape)
        return pack(
            self.name,
            panel,
            {"probability": chance[b], "size": size[a], "alpha": self.alphas[a], "beta": self.betas[b]},
        )


def _smooth(values: Floats, weight: float, start: float) -> Floats:
    """The start and the average after each value: n + 1 numbers."""
    averages, _ = lfilter([weight], [1.0, weight - 1.0], values, zi=[(1.0 - weight) * start])
    return np.concatenate([[start], averages])
