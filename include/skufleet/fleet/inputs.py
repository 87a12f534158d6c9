"""What the models of a chunk are asked: one row per active series and day of the horizon, with what is known ahead."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.chunk_data import ChunkData
from include.skufleet.forecasting.evaluation import fall_back
from include.skufleet.forecasting.panel import Panel
from include.skufleet.forecasting.scoring import predict

FALLBACK = "fallback "
"""What the columns of the fallback's answer begin with; no flag has a name with a space in it."""

log = logging.getLogger(__name__)


def forecast_inputs(data: ChunkData, catalogue: Catalogue) -> pd.DataFrame:
    """The questions of a whole chunk, and the answer where no model can give one.

    SKUs that are retired, and series that are, are not asked for. The answers, ``y_hat`` and the bounds, are in columns
    of these names with ``FALLBACK`` before them; see ``drop_answers``.
    """
    frames = []
    for sku, panel in data.panels.items():
        if data.verdict.skus[sku].status == "inactive":
            continue
        stores = active_stores(panel, catalogue.validation.inactive_after)
        if stores:
            frames.append(_answer(panel, model_inputs(panel, stores), catalogue))
    names = ("y_hat", *bound_columns(catalogue))
    nothing = pd.DataFrame(columns=["sku", "store", "date", *(FALLBACK + name for name in names)])
    return pd.concat(frames, ignore_index=True) if frames else nothing


def drop_answers(asked: pd.DataFrame) -> pd.DataFrame:
    """The questions alone: what a model's ``predict`` takes."""
    return asked[[name for name in asked.columns if not str(name).startswith(FALLBACK)]]


def _answer(panel: Panel, asked: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The questions with the fallback's forecasts; zero without bounds where even that fails: the chunk must go on."""
    names = ("y_hat", *bound_columns(catalogue))
    try:
        answer = predict(fall_back(panel, catalogue).artifact, asked)
    except Exception:
        log.warning("SKU %r: the fallback failed, its forecast is zero", panel.sku, exc_info=True)
        answer = pd.DataFrame({"y_hat": 0.0}, index=asked.index)
    return asked.assign(**{FALLBACK + name: answer.get(name, np.nan) for name in names})


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
