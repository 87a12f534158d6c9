"""The profile model: level x calendar profile x store ratios x price, one small model for all stores of a SKU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.panel import Floats, Panel, Prior, zero_unknown
from include.skufleet.forecasting.profile.fitting import FitSettings, Profile, fit_profile

HALF_LIVES = {"D": (5.0, 10.0, 20.0, 40.0, 80.0), "W": (1.0, 2.0, 4.0, 8.0, 16.0)}
Groups = Mapping[str, Mapping[str, float]]

SMALLEST_EFFECT = 0.02  # an event that moves sales by less is left out of the artifact


@dataclass(frozen=True, slots=True)
class ProfileModel:
    """Expected units = level of the store x profile of the SKU in the store's region x ratios of the store x price.

    The profile is a ridge-penalised Poisson regression on the regions' totals, with the smoothed level as offset, on
    weekday, day of month, flags (also at the weekend, and by region) and events; one calendar serves all stores, so
    that what one store is too small to show is learned from all. The penalties count pseudo-units and grow with the
    dispersion (quasi-Poisson): they mean the same in pieces and in kilograms. Ratios of the stores are shrunk towards
    it, the price's elasticity towards -1. The level is the mean of exponentially weighted levels of short and long
    memory, units over profile, which is why it does not mistake a busy week for growth. Movements of earlier years
    repeat with the power that the SKU's past shows. Where the panel has a prior, the coefficients are shrunk to a share
    of its department's.

    Attributes:
        half_lives: memories of the level, in periods; ``None`` takes the frequency's own.
        ridge: factor on the regression's penalties.
        store_pseudo_units: expected units with which a store's own ratios are held at 1.
        elasticity: prior of the elasticity of demand.
        elasticity_weight: units with which it is held there.
        pooling: share of the department's effects, where the panel has a prior, that the coefficients are held at.
        guard: multiple of a store's largest known value that no forecast exceeds.
    """

    name: ClassVar[str] = "profile"
    cost: ClassVar[float] = 0.6
    classes: ClassVar = EVERY_CLASS

    half_lives: tuple[float, ...] | None = None
    ridge: float = 1.0
    store_pseudo_units: float = 25.0
    elasticity: float = -1.0
    elasticity_weight: float = 5.0
    pooling: float = 0.5
    guard: float = 3.0

    def fit(self, panel: Panel) -> Fitted:
        """Fit all parts; what the data do not show stays at its prior."""
        profile = fit_profile(
            panel,
            FitSettings(
                half_lives=self.half_lives or HALF_LIVES[panel.frequency],
                ridge=self.ridge,
                store_pseudo_units=self.store_pseudo_units,
                elasticity=self.elasticity,
                elasticity_weight=self.elasticity_weight,
                pooling=self.pooling,
            ),
        )
        borrowed = panel.priors[-1] if panel.priors and self.pooling > 0 else None
        origin = None if borrowed is None else {"department": borrowed.department, "as_of": borrowed.as_of}
        groups = profile.by_group()
        effects = _new_events(groups["event"], borrowed, self.pooling) | groups["event"]
        parameters = {**_parameters(profile, groups, self.guard), "events": _events(effects), "prior": origin}
        return pack(self.name, panel, parameters)


def _parameters(profile: Profile, groups: Groups, guard: float) -> dict[str, Any]:
    """The artifact's parameters: effects to three decimals, stores' ratios to two, what all stores share once."""
    regions = profile.design.regions
    count = int(regions.max()) + 1
    prices, outage = profile.prices, profile.outage
    return {
        "level": _once(profile.level),
        "cap": _once(guard * profile.largest),
        "regions": regions.tolist() if count > 1 else [0],
        "season": _seasons(groups["season"]),
        "store_weekday": None if profile.store_weekday is None else _digits(profile.store_weekday, 2),
        "month": [_short(value) for value in groups["month"].values()],
        "regional_month": _by_region(groups["regional_month"], count),
        "flags": _flags(groups, profile.store_flags, count),
        "price": _short(profile.elasticity) if prices is not None else 0.0,
        "usual_price": _once(zero_unknown(prices.usual)) if prices is not None else [0.0],
        "last_price": _once(zero_unknown(prices.last)) if prices is not None else [0.0],
        "limits": [float(prices.relative.min()), float(prices.relative.max())] if prices is not None else [0.0, 0.0],
        "year": [_short(value) for value in profile.year],
        "year_block": profile.year_block,
        "outage": {
            "chance": _digits(outage.chance, 2),
            "gain": _digits(outage.gain, 2),
            "rate": _digits(outage.rate, 4),
        }
        if outage.chance.any()
        else None,
    }


def _seasons(effects: Mapping[str, float]) -> dict[str, list[float]]:
    """Length of a season -> effect of each position."""
    seasons: dict[str, list[float]] = {}
    for name, value in effects.items():
        seasons.setdefault(name.split(":")[0], []).append(_short(value))
    return seasons


def _by_region(effects: Mapping[str, float], count: int) -> list[list[float]] | None:
    """Effects named ``region:what`` as one list per region."""
    if not effects:
        return None
    return [
        [_short(value) for name, value in effects.items() if name.split(":")[0] == str(region)]
        for region in range(count)
    ]


def _flags(groups: Groups, stores: Mapping[str, Floats], count: int) -> dict[str, dict[str, Any]]:
    """Flag -> effect by region, what the weekend adds, and the ratio of each store."""
    own, weekend = groups["regional_flag"], groups["weekend"]
    return {
        name: {
            "region": _once([effect + own.get(f"{region}:{name}", 0.0) for region in range(count)], 3),
            "weekend": _short(weekend.get(name, 0.0)),
            "store": _once(stores[name], 2) if name in stores else [1.0],
        }
        for name, effect in groups["flag"].items()
    }


def _new_events(seen: Mapping[str, float], prior: Prior | None, pooling: float) -> dict[str, float]:
    """What the department says of events that the SKU has not seen yet: all that is known of its first Christmas."""
    if prior is None:
        return {}
    named = {key.partition("|")[2]: value for key, value in prior.coefficients.items() if key.startswith("event|")}
    return {name: pooling * value for name, value in named.items() if name not in seen}


def _events(effects: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Event -> days around it (``""``: its own) -> effect; the names of days repeat, those of events need not."""
    events: dict[str, dict[str, float]] = {}
    for name, value in effects.items():
        if abs(value) >= SMALLEST_EFFECT:
            event, _, days = name.rpartition(" ")
            event, days = (event, days) if event and days[0] in "+-" else (name, "")
            events.setdefault(event, {})[days] = round(value, 2)
    return events


def _short(value: float) -> float:
    return round(float(value), 3)


def _digits(values: Floats, digits: int) -> list[Any]:
    rounded: list[Any] = np.round(values, digits).tolist()
    return rounded


def _once(values: Any, digits: int | None = None) -> list[float]:
    """One value per store, or a single one where all are the same."""
    array = np.asarray(values, dtype=float)
    items = [float(f"{value:.5g}") for value in array] if digits is None else _digits(array, digits)
    return items[:1] if len(set(items)) == 1 else items
