"""One measure for all: forecasts of any tool against the same actuals, pooled over SKUs, stores, origins and days.

A day counts when it is known what was sold (not closed, not before the launch) and the store had any history at the
origin. WAPE and bias are ratios of pooled sums; RMSSE is pooled per SKU, and the SKUs are weighted by their units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.skufleet.forecasting import metrics
from include.skufleet.forecasting.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What happened after one origin.

    Attributes:
        stores: SKU -> its stores at the origin.
        y: SKU -> (S, h), NaN where not known.
        scale: SKU -> (S, 1), what RMSSE scales by, from the history up to the origin.
    """

    stores: Mapping[str, tuple[str, ...]]
    y: Mapping[str, Floats]
    scale: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Figures:
    """Accuracy on some SKUs; ratios, NaN where nothing was sold."""

    skus: int
    wape: float
    rmsse: float
    bias: float


def read_truth(panels: Mapping[str, Panel], later: Mapping[str, Panel]) -> Truth:
    """The actuals of the horizon after the origin.

    Args:
        panels: as known at the origin.
        later: as known a horizon after it.
    """
    stores, actual, scale = {}, {}, {}
    for sku, panel in panels.items():
        after = later[sku]
        rows = [after.stores.index(store) for store in panel.stores]
        y = after.units[rows, -panel.horizon :].copy()
        y[np.isnan(panel.units).all(axis=1)] = np.nan
        stores[sku], actual[sku] = panel.stores, y
        scale[sku] = metrics.squared_scale(panel.units)[:, None]
    return Truth(stores, actual, scale)


def lay_out(truth: Truth, series: pd.DataFrame, values: pd.Series) -> dict[str, Floats]:
    """Forecasts by ``series, date`` as SKU -> (S, h); NaN for a store without history, which is not scored.

    Raises:
        ValueError: a series has not one finite forecast for each day.
    """
    horizon = next(iter(truth.y.values())).shape[1]
    ordered = values.sort_index()
    found = ordered.to_numpy().reshape(-1, horizon)
    numbers = ordered.index.get_level_values("series").to_numpy().reshape(-1, horizon)[:, 0]
    if not np.isfinite(found).all() or np.unique(numbers).size * horizon != len(values):
        raise ValueError(f"{values.name}: forecasts are missing or not finite, expected {horizon} days of each series")
    rows = dict(zip(numbers.tolist(), found, strict=True))
    out: dict[str, Floats] = {}
    for number, sku, store in series[["series", "sku", "store"]].itertuples(index=False):
        if number in rows:
            stores = truth.stores[sku]
            out.setdefault(sku, np.full((len(stores), horizon), np.nan))[stores.index(store)] = rows[number]
    return out


def judge(pairs: Iterable[tuple[Truth, Mapping[str, Floats]]], skus: Collection[str]) -> Figures:
    """Accuracy over several origins on the SKUs named."""
    per_sku: dict[str, list[tuple[Floats, Floats, Floats]]] = {}
    for truth, forecasts in pairs:
        for sku in skus:
            if sku in forecasts:
                per_sku.setdefault(sku, []).append((truth.y[sku], forecasts[sku], truth.scale[sku]))
    if not per_sku:
        return Figures(0, float("nan"), float("nan"), float("nan"))
    joined = {sku: _join(parts) for sku, parts in per_sku.items()}
    y, y_hat = (np.concatenate([parts[k] for parts in joined.values()]) for k in (0, 1))
    rmsse = np.array([metrics.rmsse(*parts) for parts in joined.values()])
    units = np.array([np.nansum(parts[0]) for parts in joined.values()])
    weighed = np.isfinite(rmsse) & (units > 0)
    return Figures(
        skus=len(joined),
        wape=metrics.wape(y, y_hat),
        rmsse=float(np.average(rmsse[weighed], weights=units[weighed])) if weighed.any() else float("nan"),
        bias=metrics.bias(y, y_hat),
    )


def cover(pairs: Iterable[tuple[Truth, Mapping[str, tuple[Floats, Floats]]]]) -> float:
    """Share of the known actuals within the bounds, over all SKUs and origins; NaN without any."""
    y, lower, upper = [], [], []
    for truth, bounds in pairs:
        for sku, (low, high) in bounds.items():
            y.append(truth.y[sku].ravel())
            lower.append(low.ravel())
            upper.append(high.ravel())
    return metrics.coverage(*(np.concatenate(parts) for parts in (y, lower, upper))) if y else float("nan")


def _join(parts: Sequence[tuple[Floats, Floats, Floats]]) -> tuple[Floats, Floats, Floats]:
    """Actuals, forecasts and scales of all origins, flat and of one length."""
    y, y_hat, scale = (
        np.concatenate([np.broadcast_to(part[k], part[0].shape).ravel() for part in parts]) for k in range(3)
    )
    return y, y_hat, scale
