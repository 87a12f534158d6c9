"""Teunter, Syntetos and Babai's method for intermittent demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.signal import lfilter

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.levels import find_season, weigh_by_loss
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
        season, recent = find_season(panel), slice(-LONGEST_HISTORY, None)
        units = panel.units[:, recent]
        factors = np.broadcast_to(season.factors_at(recent), units.shape)
        known = ~np.isnan(units)
        actual, factor = _pack_left(units, known), _pack_left(factors, known)
        size, chance = self._smooth(actual, factor, known.sum(axis=1))
        errors = size[:, None, :, :-1] * chance[None, :, :, :-1] * factor - actual
        weights = weigh_by_loss(np.square(errors).sum(axis=(2, 3)).ravel()).reshape(errors.shape[:2])
        sizes, chances = size[:, :, -1], chance[:, :, -1]
        expected = np.einsum("ab,as,bs->s", weights, sizes, chances)
        likely = weights.sum(axis=0) @ chances
        mean = np.where(likely > 0, expected / np.where(likely > 0, likely, 1.0), 0.0)
        return pack(self.name, panel, {"probability": likely, "size": mean, "season": season.factors})

    def _smooth(self, actual: Floats, factor: Floats, count: Ints) -> tuple[Floats, Floats]:
        """Size of a sale (alphas, S, n + 1) and its chance (betas, S, n + 1), before each period and after the last.

        Args:
            actual: (S, n) units of each store's known periods, then 0.
            factor: (S, n) season factors of these, then 0.
            count: (S,) known periods.
        """
        sold = actual > 0
        seen = _count_before(sold)
        sales = _pack_left(np.divide(actual, factor, out=np.zeros(actual.shape), where=sold), sold)
        typical = sales.sum(axis=1) / np.maximum(seen[:, -1], 1)
        sizes = [np.take_along_axis(_average(sales, alpha, typical), seen, axis=1) for alpha in self.alphas]
        often = seen[:, -1] / np.maximum(count, 1)
        until = np.minimum(np.arange(actual.shape[1] + 1), count[:, None])  # later periods are not known: no change
        chances = [np.take_along_axis(_average(sold.astype(float), beta, often), until, axis=1) for beta in self.betas]
        return np.stack(sizes), np.stack(chances)


def _pack_left(values: Floats, kept: Bools) -> Floats:
    """What is kept of each row's values, one after the other, then 0: (S, most in a row)."""
    count = kept.sum(axis=1)
    packed = np.zeros((len(values), int(count.max(initial=0))))
    packed[np.arange(packed.shape[1]) < count[:, None]] = values[kept]
    return packed


def _count_before(marked: Bools) -> Ints:
    """Marked periods before each period, and in all: (S, n + 1)."""
    return np.concatenate([np.zeros((len(marked), 1), dtype=np.int64), np.cumsum(marked, axis=1)], axis=1)


def _average(values: Floats, weight: float, start: Floats) -> Floats:
    """Each row's start (S,), and its average after each of the values (S, n): (S, n + 1)."""
    averages, _ = lfilter([weight], [1.0, weight - 1.0], values, zi=(1.0 - weight) * start[:, None])
    return np.concatenate([start[:, None], averages], axis=1)
