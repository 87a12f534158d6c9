"""What the models of a chunk are asked: one row per active series and day of the horizon, with what is known ahead."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.chunk_data import ChunkData
from include.skufleet.forecasting.candidates import fallback
from include.skufleet.forecasting.panel import Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


def forecast_inputs(data: ChunkData, catalogue: Catalogue) -> pd.DataFrame:
    """The questions of a whole chunk, and in column ``fallback`` the answer where no model can give one.

    SKUs that are retired, and series that are, are not asked for.
    """
    frames = []
    for sku, panel in data.panels.items():
        if data.verdict.skus[sku].status == "inactive":
            continue
        stores = active_stores(panel, catalogue.validation.inactive_after)
        if stores:
            frames.append(model_inputs(panel, stores).assign(fallback=_expect(panel)[list(stores)].reshape(-1)))
    return (
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["sku", "store", "date", "fallback"])
    )


def _expect(panel: Panel) -> NDArray[np.float64]:
    """The fallback's forecasts, shape (stores, horizon); zero where even that fails, for the chunk must go on."""
    try:
        return fallback(panel).predict(panel.future)
    except Exception:
        log.warning("SKU %r: the fallback failed, its forecast is zero", panel.sku, exc_info=True)
        return np.zeros((len(panel.stores), panel.horizon))


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
