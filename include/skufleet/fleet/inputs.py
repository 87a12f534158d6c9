"""What a model is asked: one row per active series and period of the horizon, with what is known ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.forecasting.panel import Panel


def active_stores(panel: Panel, inactive_after: int) -> tuple[int, ...]:
    """Positions of the stores whose series is alive: sold above zero, or first known, in the last periods.

    Args:
        panel: one SKU.
        inactive_after: periods of silence after which a series is retired.
    """
    recent = panel.units[:, -inactive_after:]
    known_before = ~np.isnan(panel.units[:, :-inactive_after]).all(axis=1)
    alive = (np.nan_to_num(recent) > 0).any(axis=1) | (~known_before & ~np.isnan(recent).all(axis=1))
    return tuple(int(index) for index in np.flatnonzero(alive))


def model_inputs(panel: Panel, stores: tuple[int, ...]) -> pd.DataFrame:
    """What a model is asked: ``sku, store, date`` of the horizon with everything known ahead of it.

    The columns are those of ``scoring.predict``: ``price`` (NaN where unknown), ``events`` (names separated by ``|``),
    ``closed`` and one column per flag; only those that the catalogue knows ahead.
    """
    future, count = panel.future, len(stores)
    columns: dict[str, Any] = {
        "sku": np.repeat(panel.sku, count * panel.horizon),
        "store": np.repeat([panel.stores[index] for index in stores], panel.horizon),
        "date": np.tile(future.dates.astype("datetime64[s]"), count),
        "closed": np.tile(future.closed.astype(float), count),
    }
    if future.price is not None:
        columns["price"] = future.price[list(stores)].reshape(-1)
    if future.events:
        names = [
            "|".join(name for name, row in zip(future.events, future.indicators, strict=True) if row[step] > 0)
            for step in range(panel.horizon)
        ]
        columns["events"] = np.tile(np.array(names, dtype=object), count)
    for name, values in future.flags.items():
        columns[name] = values[list(stores)].reshape(-1)
    return pd.DataFrame(columns)
