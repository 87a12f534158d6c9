"""The simulated chain's prices: regular prices that change now and then, and promotions, planned ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.sources.demo.spec import DEPARTMENTS, DemoSpec

_PROMOTION_CYCLE = 28
_PRICE_CYCLE = 84


def plan_prices(spec: DemoSpec, days: int) -> tuple[Any, Any]:
    """Regular and asked price of every SKU on every day from ``spec.start`` on, both of shape (skus, days), in money.

    A later day never changes an earlier one: regular prices move once in 12 weeks at most, promotions are drawn per
    four weeks, both from random numbers of their own cycle.
    """
    regular = _regular_prices(spec, days)
    cut = _promotion_cuts(spec, days)
    asked = np.where(cut > 0, np.maximum(np.round(regular * (1 - cut), 2), 0.05), regular)
    return regular, asked


def price_changes(spec: DemoSpec, asked: Any, first: int, last: int) -> pd.DataFrame:
    """The price list from day number ``first`` to ``last``: one row for each day on which a SKU's price changes.

    Returns:
        ``article, valid_from, price``, by date and SKU; day number 0 lists every SKU.
    """
    changed = np.ones_like(asked, dtype=bool)
    changed[:, 1:] = asked[:, 1:] != asked[:, :-1]
    day, sku = np.nonzero(changed[:, first : last + 1].T)
    codes = spec.assortment["sku"].to_numpy()
    dates = np.datetime64(spec.start) + (day + first)
    return pd.DataFrame({"article": codes[sku], "valid_from": dates, "price": asked[sku, day + first]})


def _regular_prices(spec: DemoSpec, days: int) -> Any:
    """Start at the assortment's price; in each 12 weeks a third of the SKUs change by some per cent, mostly upwards."""
    level = spec.assortment["price"].to_numpy(dtype=float)
    offset = spec.rng("price offset").integers(0, _PRICE_CYCLE, spec.skus)
    prices = np.empty((spec.skus, days))
    number = np.arange(days)
    changes = np.empty((spec.skus, days // _PRICE_CYCLE + 2))
    changes[:, 0] = level
    for cycle in range(1, changes.shape[1]):
        rng = spec.rng("price", cycle)
        move = np.where(rng.random(spec.skus) < 0.33, rng.normal(0.035, 0.05, spec.skus), 0.0)
        rounded = np.maximum(np.round(changes[:, cycle - 1] * (1 + move) * 10) / 10 - 0.01, 0.29)
        changes[:, cycle] = np.where(move == 0, changes[:, cycle - 1], rounded)
    for sku in range(spec.skus):
        prices[sku] = changes[sku, (number + offset[sku]) // _PRICE_CYCLE]
    return prices


def _promotion_cuts(spec: DemoSpec, days: int) -> Any:
    """Share taken off the price, 0 where there is no promotion: one or two weeks in four, for some SKUs."""
    cuts = np.zeros((spec.skus, days), dtype=np.float32)
    share = np.array([entry.promoted for entry in DEPARTMENTS])[spec.assortment["department"]]
    for cycle in range(days // _PROMOTION_CYCLE + 1):
        rng = spec.rng("promotion", cycle)
        on = rng.random(spec.skus) < share
        begin = cycle * _PROMOTION_CYCLE + 7 * rng.integers(0, 3, spec.skus)
        length = 7 * rng.integers(1, 3, spec.skus)
        cut = rng.choice((0.10, 0.15, 0.20, 0.25, 0.33, 0.40), spec.skus)
        for sku in np.flatnonzero(on):
            cuts[sku, begin[sku] : begin[sku] + length[sku]] = cut[sku]
    return cuts
