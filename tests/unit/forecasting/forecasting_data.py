"""Panels and frames for the tests of the forecasting package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.config import Backtest, Catalogue
from include.skufleet.forecasting.panel import Panel

MONDAY = np.datetime64("2022-01-03")


def make_panel(units: Any, *, horizon: int = 14, start: np.datetime64 = MONDAY, **more: Any) -> Panel:
    """A daily panel with store names s0, s1, ..."""
    values = np.atleast_2d(np.asarray(units, dtype=float))
    days = 7 if more.get("frequency") == "W" else 1
    return Panel(
        sku=more.pop("sku", "tea"),
        stores=tuple(f"s{row}" for row in range(values.shape[0])),
        dates=start + np.arange(values.shape[1]) * np.timedelta64(days, "D"),
        units=values,
        closed=more.pop("closed", np.zeros(values.shape[1] + horizon, dtype=bool)),
        **more,
    )


def make_catalogue(*candidates: str, horizon: int = 14, backtest: Any = None, **more: Any) -> Catalogue:
    """A catalogue of which only what forecasting reads matters; three windows, by ``wape``."""
    sales = {"columns": {"sku": "sku", "date": "date", "units": "units"}, "store": "ALL"}
    return Catalogue.model_validate(
        {
            "name": "shop",
            "landing": {"prefix": "landing/shop", "sales": sales},
            "candidates": candidates or ("seasonal_naive", "exponential_smoothing", "tsb", "poisson_regression"),
            "horizon": horizon,
            "backtest": Backtest(metric="wape", simpler_within=0.0) if backtest is None else backtest,
            **more,
        }
    )


def simulate(stores: int = 3, periods: int = 400, seed: int = 0, mean: float = 5.0) -> np.ndarray:
    """Poisson sales with a weekend twice as strong; day 0 is a Monday."""
    rng = np.random.default_rng(seed)
    weekday = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0])[np.arange(periods) % 7]
    return rng.poisson(mean * weekday * np.linspace(0.5, 1.5, stores)[:, None]).astype(float)


def rich_panel(stores: int = 3, periods: int = 400, horizon: int = 14, seed: int = 0) -> Panel:
    """With prices (a promotion every 40 days), an event every 50 days, a flag every fifth day and closed days."""
    rng = np.random.default_rng(seed)
    known = periods + horizon
    steps = np.arange(known)
    price = np.where(steps % 40 < 5, 2.0, 4.0) * np.ones((stores, 1))
    event, flag = (steps % 50 == 25) * 1.0, (steps % 5 == 0) * 1.0
    rate = 6.0 * np.where(price < 3, 3.0, 1.0) * np.where(event > 0, 4.0, 1.0) * np.where(flag > 0, 1.5, 1.0)
    units = rng.poisson(rate[:, :periods]).astype(float)
    closed = steps % 180 == 100
    units[:, closed[:periods]] = np.nan
    return make_panel(
        units,
        horizon=horizon,
        price=price,
        price_known_ahead=True,
        events=("fair",),
        indicators=event[None, :],
        flags={"benefit": np.tile(flag, (stores, 1))},
        closed=closed,
    )


def frame_of(panel: Panel) -> pd.DataFrame:
    """The panel's future as the frame that a user of the shipped model would write."""
    future = panel.future
    rows = []
    for row, store in enumerate(panel.stores):
        for step, date in enumerate(future.dates):
            names = [name for index, name in enumerate(future.events) if future.indicators[index, step] > 0]
            rows.append(
                {
                    "store": store,
                    "date": str(date),
                    "events": "|".join(names) or None,
                    "closed": int(future.closed[step]),
                    **({} if future.price is None else {"price": future.price[row, step]}),
                    **{name: values[row, step] for name, values in future.flags.items()},
                }
            )
    return pd.DataFrame(rows)
