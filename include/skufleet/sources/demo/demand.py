"""The simulated chain's true sales: what the tills counted, before any dirt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from include.skufleet.sources.demo.calendar import calendar_effects, holiday_effects, is_closed
from include.skufleet.sources.demo.prices import plan_prices
from include.skufleet.sources.demo.spec import AHEAD, DemoSpec

_STOCK_CYCLE = 56
_ON_OFFER = 0.12
"""Log uplift of standing on the promotion shelf, beside the lower price."""


@dataclass(frozen=True)
class Demand:
    """True sales of every series.

    Attributes:
        spec: what was simulated.
        sku: SKU number of each series, shape (series,).
        store: store number of each series, shape (series,).
        units: units sold, shape (series, days), int32, from ``spec.start`` on; zero where not on sale.
        on_sale: whether the series was listed in the store on an open day, same shape.
        asked: asked price, shape (skus, days + 90): the last 90 days are planned ahead.
    """

    spec: DemoSpec
    sku: Any
    store: Any
    units: Any
    on_sale: Any
    asked: Any

    @property
    def days(self) -> int:
        """Days simulated."""
        return int(self.units.shape[1])

    def day(self, number: int) -> date:
        """The date of a day number."""
        return self.spec.start + timedelta(days=number)


def simulate(spec: DemoSpec, end: date) -> Demand:
    """Simulate every day from ``spec.start`` to ``end``.

    Demand is compound: shoppers come as a Poisson count whose mean carries level, weekday, season, events, price and
    store, times gamma noise (so that counts are negative binomial), and each buys one unit or more.
    """
    days = (end - spec.start).days + 1
    regular, asked = plan_prices(spec, days + AHEAD)
    sku, store = _series(spec)
    lines = spec.assortment
    department = lines["department"].to_numpy()[sku]
    effect = _sku_effects(spec, days, regular[:, :days], asked[:, :days])
    calendar, holidays = calendar_effects(spec, days), holiday_effects(spec, days)
    base = np.log(np.maximum(lines["rate"].to_numpy(), 1e-9))[sku] + np.log(spec.store_sizes)[store]
    base = base + 0.25 * spec.rng("affinity").standard_normal(len(sku))
    size, shape = lines["size"].to_numpy()[sku], lines["shape"].to_numpy()[sku]
    on_sale = _on_sale(spec, days)[sku] & _open(spec, days)
    sold_out = _stock_outs(spec, days, sku)
    units = np.zeros((len(sku), days), dtype=np.int32)
    for number in range(days):
        rng = spec.rng("day", number)
        mood = 0.06 * rng.standard_normal(spec.stores)
        log_mean = base + effect[sku, number] + calendar[department, number] + mood[store]
        log_mean = log_mean + holidays[department, store % 2, number]
        shoppers = rng.poisson(np.exp(log_mean) / size * rng.standard_gamma(shape) / shape)
        units[:, number] = shoppers + rng.poisson(shoppers * (size - 1))
    units[~on_sale | sold_out] = 0
    return Demand(spec, sku, store, units, on_sale, asked)


def _series(spec: DemoSpec) -> tuple[Any, Any]:
    """Which SKU stands in which store: all in the biggest, about nine in ten in the others."""
    stocked = spec.rng("stocked").random((spec.skus, spec.stores)) < 0.9
    stocked[:, 0] = True
    sku, store = np.nonzero(stocked)
    return sku, store


def _sku_effects(spec: DemoSpec, days: int, regular: Any, asked: Any) -> Any:
    """Log effect of price, promotion, trend, launch and a slowly wandering level, shape (skus, days)."""
    lines, number = spec.assortment, np.arange(days)
    ratio = asked / regular
    effect = -lines["elasticity"].to_numpy()[:, None] * np.log(ratio) + _ON_OFFER * (ratio < 1)
    effect += lines["trend"].to_numpy()[:, None] * (number - spec.days) / 365.25
    age = number[None, :] - lines["launch"].to_numpy()[:, None]
    fresh = (lines["launch"].to_numpy() > 0)[:, None] & (age >= 0) & (age < 28)
    effect += np.where(fresh, np.log(0.35 + 0.65 * np.clip(age, 0, 28) / 28), 0.0)
    level = np.zeros((spec.skus, days // 7 + 1))
    for week in range(1, level.shape[1]):
        level[:, week] = 0.97 * level[:, week - 1] + 0.05 * spec.rng("level", week).standard_normal(spec.skus)
    return effect + level[:, number // 7]


def _on_sale(spec: DemoSpec, days: int) -> Any:
    """Whether a SKU is listed, shape (skus, days)."""
    number = np.arange(days)[None, :]
    lines = spec.assortment
    return (number >= lines["launch"].to_numpy()[:, None]) & (number < lines["end"].to_numpy()[:, None])


def _open(spec: DemoSpec, days: int) -> Any:
    """Whether the chain is open, shape (days,)."""
    return np.array([not is_closed(spec.start + timedelta(days=number)) for number in range(days)])


def _stock_outs(spec: DemoSpec, days: int, sku: Any) -> Any:
    """Empty shelves, shape (series, days): now and then in one store for 4 to 20 days, seldom in the whole chain."""
    empty = np.zeros((len(sku), days), dtype=bool)
    for cycle in range(days // _STOCK_CYCLE + 1):
        rng = spec.rng("stock", cycle)
        begin = cycle * _STOCK_CYCLE + rng.integers(0, _STOCK_CYCLE, len(sku))
        length = rng.integers(4, 21, len(sku))
        hit = rng.random(len(sku)) < 0.06
        chain_hit = rng.random(spec.skus) < 0.015
        chain_begin = cycle * _STOCK_CYCLE + rng.integers(0, _STOCK_CYCLE, spec.skus)
        for series in np.flatnonzero(hit | chain_hit[sku]):
            first = chain_begin[sku[series]] if chain_hit[sku[series]] else begin[series]
            empty[series, first : first + length[series]] = True
    return empty
