"""The stock-outs of a chunk as a table: which zeros of which series no candidate was shown, and why.

What counts as a stock-out is decided by ``forecasting.stockouts``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
import pandas as pd

from include.skufleet.forecasting.panel import Bools, Panel
from include.skufleet.forecasting.stockouts import find_stockouts

log = logging.getLogger(__name__)

NO_STOCKOUTS = pd.DataFrame(
    {
        **{name: pd.Series(dtype="str") for name in ("sku", "store")},
        **{name: pd.Series(dtype="datetime64[s]") for name in ("from", "to")},
        "periods": pd.Series(dtype="int64"),
        "expected_units": pd.Series(dtype="float64"),
        "reason": pd.Series(dtype="str"),
    }
)


def list_stockouts(panels: Iterable[Panel]) -> pd.DataFrame:
    """One row per stretch of masked periods: ``sku, store, from, to, periods, expected_units, reason``.

    ``periods`` counts the masked ones only: a closed or unknown day within a stretch does not end it.
    """
    frames = []
    for panel in panels:
        try:
            frames.append(_list_stretches(panel))
        except Exception:
            log.warning("SKU %r: its stock-outs cannot be listed", panel.sku, exc_info=True)
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else NO_STOCKOUTS


def _list_stretches(panel: Panel) -> pd.DataFrame:
    found = find_stockouts(panel)
    masked = found.masked
    if not masked.any():
        return NO_STOCKOUTS
    edges = np.diff(np.pad(_bridge(masked, np.isnan(panel.units)).astype(np.int8), ((0, 0), (1, 1))), axis=1)
    stores, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    before = np.zeros((masked.shape[0], 1))
    units = np.concatenate([before, np.cumsum(np.where(masked, found.expected, 0.0), axis=1)], axis=1)
    periods = np.concatenate([before, np.cumsum(masked, axis=1)], axis=1)
    frame = pd.DataFrame(
        {
            "sku": panel.sku,
            "store": np.array(panel.stores, dtype=object)[stores],
            "from": panel.dates[starts].astype("datetime64[s]"),
            "to": panel.dates[ends - 1].astype("datetime64[s]"),
            "periods": (periods[stores, ends] - periods[stores, starts]).astype(np.int64),
            "expected_units": units[stores, ends] - units[stores, starts],
        }
    )
    unit = "days" if panel.frequency == "D" else "weeks"
    reasons = [
        f"nothing sold in {row.periods} {unit} in which about {row.expected_units:.0f} units were to be expected"
        for row in frame.itertuples()
    ]
    return frame.assign(reason=reasons)


def _bridge(masked: Bools, unknown: Bools) -> Bools:
    """Masked periods (S, T), and the unknown ones between two of them."""

    def carry(values: Bools, gaps: Bools) -> Bools:
        steps = np.where(gaps, 0, np.arange(values.shape[1])[None, :])
        last = np.maximum.accumulate(steps, axis=1)
        carried: Bools = np.take_along_axis(values, last, axis=1)
        return carried

    backward = carry(masked[:, ::-1], unknown[:, ::-1])[:, ::-1]
    return carry(masked, unknown) & backward
