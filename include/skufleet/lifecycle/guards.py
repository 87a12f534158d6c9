"""Guard rails of a refit model: what no version may do, however good its backtest was. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.skufleet.config import Gate

Floats = NDArray[np.float64]


def check_forecasts(y_hat: Floats, history: Floats, gate: Gate) -> str:
    """What is wrong with a model's own forecasts; empty where nothing is.

    Args:
        y_hat: (S, h) units forecast.
        history: (S, T) units that the same stores sold, NaN where not known.
        gate: ``max_times_history``: no forecast above so many times the store's best period, or above so many units
            where it never sold more than one.
    """
    broken = ~np.isfinite(y_hat) | (y_hat < 0)
    if broken.any():
        return f"{int(broken.sum())} of {y_hat.size} forecasts are not a number of units"
    most = np.where(np.isnan(history), 0.0, history).max(axis=1, initial=0.0)
    limit = gate.max_times_history * np.maximum(most, 1.0)[:, None]
    above = y_hat > limit
    if not above.any():
        return ""
    store = int(np.argmax((y_hat / limit).max(axis=1)))
    return (
        f"a forecast of {y_hat[store].max():.4g} units, where a store never sold more than {most[store]:.4g} in a "
        f"period (limit: {gate.max_times_history:g} times as many)"
    )


def check_size(size: int, gate: Gate) -> str:
    """What is wrong with a model's size in bytes; empty where nothing is."""
    return f"the model has {size:,} bytes, the limit is {gate.max_bytes:,}" if size > gate.max_bytes else ""
