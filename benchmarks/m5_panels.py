"""Blocks of M5 items, small enough to hand to a worker, and the panels that are made of them.

What does not belong here: reading files (``m5_files``), fitting (``accuracy``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.m5_files import M5, Floats, Ints
from include.skufleet.config import Catalogue
from include.skufleet.forecasting.calendar import KnownAhead, align_calendar
from include.skufleet.forecasting.panel import Panel, Prior


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some items' data, on its way to a worker.

    Attributes:
        start: number of the first of its items among all.
        items: their codes.
        priors: profiles of each item's department, perhaps none.
        rows: (I, S) the series' row in the arrays of this block; -1 where a store never had the item.
        units: (n, T) int16.
        listed: (n,) day number of each series' launch.
        prices: (n, W) by week.
    """

    start: int
    items: tuple[str, ...]
    priors: tuple[tuple[Prior, ...], ...]
    rows: Ints
    units: NDArray[np.int16]
    listed: Ints
    prices: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What all blocks share.

    Attributes:
        catalogue: the catalogue file's settings.
        stores: S store codes.
        dates: (T,) days.
        weeks: (T+28,) each day's column in the prices.
        known: the calendar over T+28 days, flags for all stores.
    """

    catalogue: Catalogue
    stores: tuple[str, ...]
    dates: NDArray[np.datetime64]
    weeks: Ints
    known: KnownAhead


def frame_of(m5: M5, catalogue: Catalogue) -> Frame:
    """Lay the calendar out once for all items, as the catalogue file reads it.

    Raises:
        DataError: the calendar lacks a column that the catalogue file names.
    """
    calendar = catalogue.landing.calendar
    known = align_calendar(
        m5.calendar,
        start=int(m5.dates[0].astype(np.int64)),
        periods=m5.weeks.size,
        frequency="D",
        stores=m5.stores,
        events=calendar.events if calendar and "events" in catalogue.known_future else (),
        windows=calendar.windows if calendar else {},
        flags=calendar.flags if calendar and "flags" in catalogue.known_future else {},
        closed=calendar.closed if calendar else None,
    )
    return Frame(catalogue, m5.stores, m5.dates, m5.weeks, known)


def cut_blocks(m5: M5, size: int, priors: Mapping[str, tuple[Prior, ...]] | None = None) -> Iterator[Block]:
    """All items in blocks of at most ``size``, made one at a time, with the profiles of their departments."""
    known = priors or {}
    for start in range(0, len(m5.items), size):
        rows = m5.rows[start : start + size]
        present = rows >= 0
        own = np.full(rows.shape, -1)
        own[present] = np.arange(int(present.sum()))
        chosen = rows[present]
        yield Block(
            start=start,
            items=m5.items[start : start + size],
            priors=tuple(known.get(name, ()) for name in m5.departments[start : start + size]),
            rows=own,
            units=m5.units[chosen],
            listed=m5.listed[chosen],
            prices=m5.prices[chosen],
        )


def panel_of(frame: Frame, block: Block, number: int) -> Panel | None:
    """The panel of the block's item ``number``: its stores that listed it up to the origin; ``None`` if none did.

    The same as ``build_panels`` makes of the long tables that the importer writes.
    """
    rows, periods = block.rows[number], frame.dates.size
    stores = np.flatnonzero((rows >= 0) & (block.listed[rows] < periods))
    if not stores.size:
        return None
    rows = rows[stores]
    start = int(block.listed[rows].min())
    steps = np.arange(start, periods)
    unknown = (steps < block.listed[rows][:, None]) | frame.known.closed[start:periods]
    units = block.units[rows, start:].astype(float)
    units[unknown] = np.nan
    catalogue, known = frame.catalogue, frame.known
    return Panel(
        sku=block.items[number],
        stores=tuple(frame.stores[store] for store in stores),
        dates=frame.dates[start:],
        units=units,
        price=_carried(block.prices[rows])[:, frame.weeks[start:]] if "price" in catalogue.known_future else None,
        price_known_ahead="price" in catalogue.known_future,
        events=known.events,
        indicators=known.indicators[:, start:],
        flags={name: values[stores, start:] for name, values in known.flags.items()},
        closed=known.closed[start:],
        frequency=catalogue.frequency,
        season_length=catalogue.season_length,
        priors=block.priors[number],
    )


def department_panels(m5: M5, frame: Frame) -> list[Panel]:
    """What each department sold by store and day: the sum of the panels of its items, without prices."""
    found = (_department_panel(m5, frame, name) for name in sorted(set(m5.departments)))
    return [panel for panel in found if panel is not None]


def _department_panel(m5: M5, frame: Frame, name: str) -> Panel | None:
    """One department's sums; ``None`` if nothing of it was listed up to the origin."""
    rows, known = m5.rows[np.array(m5.departments) == name], frame.known
    units = np.full((len(m5.stores), m5.dates.size), np.nan)
    for store in range(len(m5.stores)):
        series = rows[rows[:, store] >= 0, store]
        listed = m5.listed[series].min(initial=m5.dates.size)
        units[store, listed:] = m5.units[series, listed:].sum(axis=0, dtype=np.int64)
    stores = np.flatnonzero(np.isfinite(units).any(axis=1))
    if not stores.size:
        return None
    first = int(np.isfinite(units).any(axis=0).argmax())
    units[:, known.closed[: m5.dates.size]] = np.nan
    return Panel(
        sku=name,
        stores=tuple(m5.stores[store] for store in stores),
        dates=m5.dates[first:],
        units=units[stores, first:],
        events=known.events,
        indicators=known.indicators[:, first:],
        flags={flag: values[stores, first:] for flag, values in known.flags.items()},
        closed=known.closed[first:],
        frequency=frame.catalogue.frequency,
        season_length=frame.catalogue.season_length,
    )


def _carried(prices: Floats) -> Floats:
    """Each week's price, or the last one before it."""
    last = np.maximum.accumulate(np.where(np.isfinite(prices), np.arange(prices.shape[1]), 0), axis=1)
    return np.take_along_axis(prices, last, axis=1)


def to_frames(m5: M5, chosen: Ints) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The long tables of some items, as the importer lands them: sales, and prices where they change.

    Returns:
        ``sku, store, date, units`` and ``sku, store, date, price``; texts are categories.
    """
    item, store = np.nonzero(m5.rows[chosen] >= 0)
    series = m5.rows[chosen][item, store]
    skus, stores = pd.Index(np.array(m5.items)[chosen]), pd.Index(m5.stores)
    at, day = np.nonzero(np.arange(m5.dates.size) >= m5.listed[series][:, None])
    history = {"date": m5.dates[day].astype("datetime64[s]"), "units": m5.units[series[at], day].astype(float)}
    first_days = np.unique(m5.weeks, return_index=True)[1]
    prices = m5.prices[series]
    before = np.concatenate([np.full((len(series), 1), np.nan), _carried(prices)[:, :-1]], axis=1)
    priced, week = np.nonzero(np.isfinite(prices) & (prices != before))
    start = m5.dates[0] + first_days[week].astype("timedelta64[D]")
    changes = {"date": start.astype("datetime64[s]"), "price": prices[priced, week]}

    def _label(where: Ints, values: dict[str, NDArray[np.generic]]) -> pd.DataFrame:
        names = {
            "sku": pd.Categorical.from_codes(item[where], skus),
            "store": pd.Categorical.from_codes(store[where], stores),
        }
        return pd.DataFrame(names | values)

    return _label(at, history), _label(priced, changes)
