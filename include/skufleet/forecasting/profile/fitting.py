"""Fit the profile of one SKU, part after part.

What does not belong here: the artifact, choosing settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from include.skufleet.forecasting.levels import around, season_positions
from include.skufleet.forecasting.panel import Bools, Floats, Panel
from include.skufleet.forecasting.profile import terms
from include.skufleet.forecasting.profile.design import RIDGE, Design, Key, make_design
from include.skufleet.forecasting.profile.solving import dispersion, solve

HISTORY = {"D": 1900, "W": 520}
RECENT = {"D": 728, "W": 156}  # periods from which a store's own ratios are learned
OFFSET_HALF_LIFE = {"D": 35.0, "W": 8.0}
PRICE_HALF_LIFE = {"D": 56.0, "W": 8.0}
YEAR_BLOCK = {"D": 28, "W": 4}
NEWTON_STEPS = (2, 2, 2)  # a round each: the first takes what it has not learned yet for noise, and holds back too much


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What can be set; ``config.candidates.ProfileSettings`` says what each means."""

    half_lives: tuple[float, ...]
    ridge: float
    store_pseudo_units: float
    elasticity: float
    elasticity_weight: float
    pooling: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A fitted profile.

    Attributes:
        design: the regression's columns.
        coefficients: one per column.
        spread: dispersion of the region totals.
        level: (S,) units per period at a profile of 1; 0 for a store without known units.
        store_weekday: (S, 7) ratios; ``None`` for weeks or one store.
        store_flags: flag -> (S,) ratios; none for one store.
        elasticity: of demand to the relative price.
        prices: ``None`` without an effect.
        year: factor for each block of the horizon, ``year_block`` periods long.
        outage: stores that may have run out.
        largest: (S,) largest known units.
    """

    design: Design
    coefficients: Floats
    spread: float
    level: Floats
    store_weekday: Floats | None
    store_flags: Mapping[str, Floats]
    elasticity: float
    prices: terms.PriceHistory | None
    year: Floats
    year_block: int
    outage: terms.Outage
    largest: Floats

    def by_group(self) -> dict[str, dict[str, float]]:
        """Group -> name -> coefficient; a group without coefficients is empty."""
        groups: dict[str, dict[str, float]] = {group: {} for group in RIDGE}
        for (group, name), value in zip(self.design.keys, self.coefficients.tolist(), strict=True):
            groups[group][name] = value
        return groups


def fit_profile(panel: Panel, settings: FitSettings) -> Profile:
    """Fit all parts on the panel's last periods (1,900 days or 520 weeks at most).

    Nothing fails for lack of data: what cannot be learned stays at its prior, a profile of 1 or the department's.
    """
    fit = _Fit(panel, settings)
    fit.regression()
    fit.store_ratios()
    return fit.finish()


class _Fit:
    """One fit under way. Units are 0 where they are not known, and expectations are 0 there too."""

    def __init__(self, panel: Panel, settings: FitSettings) -> None:
        self.panel, self.settings, self.frequency = panel, settings, panel.frequency
        self.first = _first_period(panel)
        units = panel.units[:, self.first :]
        self.known: Bools = ~np.isnan(units) & ~panel.closed[self.first : panel.dates.size]
        self.units = np.where(self.known, units, 0.0)
        self.design = make_design(panel, self.first)
        self.members = (self.design.regions == np.arange(self.design.regions.max() + 1)[:, None]) * 1.0  # (R, S)
        self.prices = terms.read_prices(panel, self.first, PRICE_HALF_LIFE[panel.frequency])
        self.prior = settings.pooling * prior_coefficients(panel, self.design.keys)
        self.coefficients, self.spread = self.prior, 1.0
        self.profile = self.design.ratios(self.prior)  # of the regions
        self.smooth = np.zeros(self.units.shape)  # level of each store, smoothed to both sides
        self.ratios = np.ones(self.units.shape)  # of the stores
        self.store_weekday: Floats | None = None
        self.store_flags: dict[str, Floats] = {}
        self.elasticity = 0.0
        self.price: Floats | float = 1.0  # the effect of prices, (S, T)
        if self.prices is not None:
            self._set_elasticity(self.prices, settings.elasticity)

    def regression(self) -> None:
        """The calendar's effects, the smooth level and the elasticity; each needs the others, hence rounds."""
        half_life = OFFSET_HALF_LIFE[self.frequency]
        actual, sold = self.members @ self.units, around(self.units, half_life)
        for steps in NEWTON_STEPS:
            self.smooth = terms.divide(sold, around(self._mask(self._calendar() * self.price), half_life))
            offset = self.members @ self._mask(self.smooth * self.price)
            self.spread = dispersion(actual, offset * self.profile)
            self.coefficients, self.profile = solve(
                actual,
                offset,
                self.design,
                start=self.coefficients,
                ratios=self.profile,
                prior=self.prior,
                penalty=self.design.ridge * self.settings.ridge * self.spread,
                steps=steps,
            )
            if self.prices is not None:
                self._fit_elasticity(self.prices)

    def _fit_elasticity(self, prices: terms.PriceHistory) -> None:
        found = terms.fit_elasticity(
            self.units,
            self._mask(self.smooth * self._calendar()),
            prices.relative,
            prior=self.settings.elasticity,
            weight=self.settings.elasticity_weight * self.spread,
            start=self.elasticity,
        )
        self._set_elasticity(prices, found)

    def _set_elasticity(self, prices: terms.PriceHistory, elasticity: float) -> None:
        self.elasticity, self.price = elasticity, terms.price_effect(prices.relative, elasticity)

    def store_ratios(self) -> None:
        """What a store's weekdays and flags sell of what the common profile expects, in the last periods."""
        if len(self.panel.stores) == 1:
            return
        pseudo = self.settings.store_pseudo_units * self.spread
        recent = slice(max(0, self.units.shape[1] - RECENT[self.frequency]), None)
        units, base = self.units[:, recent], self._mask(self.smooth * self._calendar() * self.price)[:, recent]
        if self.frequency == "D":
            positions = season_positions(self.panel.dates[self.first :], "D", 7)
            self.store_weekday = terms.store_season(units, base, positions[recent], 7, pseudo)
            self.ratios = self.store_weekday[:, positions]
        for name, values in self.panel.flags.items():
            flag = values[:, self.first : self.panel.dates.size]
            own = terms.store_flag(units, base * self.ratios[:, recent], flag[:, recent], pseudo)
            self.ratios = self.ratios * own[:, None] ** flag
            self.store_flags[name] = own

    def finish(self) -> Profile:
        """Levels and what follows from them, with everything else known."""
        block, horizon = YEAR_BLOCK[self.frequency], self.panel.horizon
        expected = self._mask(self._calendar() * self.ratios * self.price)
        sums = terms.add_up(self.units, expected, self.settings.half_lives)
        level = terms.mix_levels(self.units, expected, sums, lag=max(1, horizon // 4))
        return Profile(
            design=self.design,
            coefficients=self.coefficients,
            spread=self.spread,
            level=level,
            store_weekday=self.store_weekday,
            store_flags=self.store_flags,
            elasticity=self.elasticity,
            prices=self.prices,
            year=terms.year_ago(
                self.units, expected, level, sums, block=block, horizon=max(horizon, 1), spread=self.spread
            ),
            year_block=block,
            outage=terms.find_outages(self.units, expected, sums, self.spread, terms.OUTAGE_PERIODS[self.frequency]),
            largest=self._largest(),
        )

    def _largest(self) -> Floats:
        """Largest known units of each store; of any store where one is known for less than four weeks."""
        own = self.units.max(axis=1)
        young = self.known.sum(axis=1) < terms.SHORT_HISTORY
        largest: Floats = np.where(young, own.max(), own)
        return largest

    def _calendar(self) -> Floats:
        """The calendar profile of each store's region, (S, T)."""
        return self.profile[self.design.regions]

    def _mask(self, values: Floats) -> Floats:
        return np.where(self.known, values, 0.0)


def _first_period(panel: Panel) -> int:
    """The first known period within the history that is learned from."""
    earliest = max(0, panel.dates.size - HISTORY[panel.frequency])
    known = ~np.isnan(panel.units[:, earliest:]).all(axis=0)
    return earliest + (int(known.argmax()) if known.any() else 0)


def prior_coefficients(panel: Panel, keys: Sequence[Key]) -> Floats:
    """The department's coefficients where the panel has a prior, else 0: what the penalty holds those of the SKU at."""
    known = panel.priors[-1].coefficients if panel.priors else {}
    return np.array([known.get(f"{group}|{name}", 0.0) for group, name in keys])
