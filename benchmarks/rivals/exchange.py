"""The same series for every tool, as Parquet files: what was known at an origin, in a form without holes.

The other tools take no missing values. A series begins with its first known day; a later day that is not known
(closed, never delivered) takes the mean of the seven days before it, which moves no level, and is marked as filled.
Days ahead carry what is known ahead and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.skufleet.forecasting.panel import Panel

Floats = NDArray[np.float64]

HISTORY, FUTURE, SERIES = "history.parquet", "future.parquet", "series.parquet"
AROUND = 7


def write_origin(
    folder: Path, panels: Mapping[str, Panel], departments: Mapping[str, str], slow: Collection[str]
) -> pd.DataFrame:
    """Write the series, the history and the days ahead of one origin.

    Args:
        folder: made if need be.
        panels: as known at the origin.
        departments: SKU -> department.
        slow: SKUs that the slow tools are given too.

    Returns:
        The series: ``series`` (a number), ``sku, store, department, slow``; only those with a known value.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[int, str, str, str, bool]] = []
    history, future = [], []
    for sku, panel in panels.items():
        events = _event_codes(panel)
        for place, store in enumerate(panel.stores):
            units = panel.units[place]
            known = np.flatnonzero(~np.isnan(units))
            if not known.size:
                continue
            number, first = len(rows), int(known[0])
            rows.append((number, sku, store, departments[sku], sku in slow))
            filled = np.isnan(units[first:])
            values = {"series": np.full(filled.size, number), "y": fill_gaps(units[first:]), "filled": filled}
            history.append(pd.DataFrame(values | _known(panel, place, events, slice(first, units.size))))
            ahead = _known(panel, place, events, slice(units.size, panel.closed.size))
            future.append(pd.DataFrame({"series": np.full(panel.horizon, number)} | ahead))
    series = pd.DataFrame(rows, columns=["series", "sku", "store", "department", "slow"])
    series.to_parquet(folder / SERIES)
    pd.concat(history, ignore_index=True).to_parquet(folder / HISTORY)
    pd.concat(future, ignore_index=True).to_parquet(folder / FUTURE)
    return series


def fill_gaps(units: Floats) -> Floats:
    """Each missing value replaced by the mean of the (filled) seven before it; the first must be known.

    >>> fill_gaps(np.array([2.0, 4.0, np.nan, np.nan])).tolist()
    [2.0, 4.0, 3.0, 3.0]
    """
    values = units.copy()
    for day in np.flatnonzero(np.isnan(units)):
        values[day] = values[max(day - AROUND, 0) : day].mean()
    return values


def _event_codes(panel: Panel) -> NDArray[np.int32]:
    """A number for each day's set of events, 0 for none: one categorical feature."""
    if not panel.events:
        return np.zeros(panel.closed.size, dtype=np.int32)
    _, codes = np.unique(np.column_stack([np.zeros(len(panel.events)), panel.indicators]), axis=1, return_inverse=True)
    numbers: NDArray[np.int32] = (codes[1:] - codes[0]).astype(np.int32)
    return numbers


def _known(panel: Panel, place: int, events: NDArray[np.int32], days: slice) -> dict[str, NDArray[np.generic]]:
    """What is known of some days of one store whether they lie ahead or not."""
    dates = np.concatenate([panel.dates, panel.future.dates])
    columns: dict[str, NDArray[np.generic]] = {"date": dates[days].astype("datetime64[us]"), "event": events[days]}
    if panel.price is not None:
        columns["price"] = panel.price[place, days]
    return columns | {name: values[place, days] for name, values in panel.flags.items()}
