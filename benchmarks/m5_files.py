"""Kaggle's M5 files as arrays, up to an origin: read in small pieces, never as 46 million long rows.

What the numbers mean is the M5 importer's affair (``include/skufleet/sources/m5.py``): a series begins with the first
week in which it has a price, and days on which the whole chain sells next to nothing are closed. This reader gives the
same panels without the long tables in between, which a test compares. What does not belong here: models.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from include.skufleet.errors import DataError
from include.skufleet.sources.archive import Archive

HORIZON = 28
CLOSED_BELOW = 0.01

_SALES = ("sales_train_evaluation.csv", "sales_train_validation.csv")
_BYTES_AT_ONCE = 1 << 20

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class M5:
    """All series of M5 up to an origin, and what is known of the 28 days after it.

    Attributes:
        items: I item codes, ascending; every array that has items has them in this order.
        departments: (I,) ``dept_id`` of each item.
        stores: S store codes, ascending.
        dates: (T,) days up to the origin.
        rows: (I, S) the series' row in ``units`` and ``prices``; -1 where a store never had the item.
        units: (N, T) int16, days before the launch as the zeros that the file has.
        listed: (N,) number of the first day of the first week with a price; beyond T where there is none.
        prices: (N, W) by week, NaN where none is written.
        weeks: (T+28,) each day's column in ``prices``.
        calendar: the calendar file up to the last of these days, with ``closed``.
    """

    items: tuple[str, ...]
    departments: tuple[str, ...]
    stores: tuple[str, ...]
    dates: NDArray[np.datetime64]
    rows: Ints
    units: NDArray[np.int16]
    listed: Ints
    prices: Floats
    weeks: Ints
    calendar: pd.DataFrame

    def sample(self, count: int) -> M5:
        """So many items, evenly spread; what all of them say together, such as closed days, stays as it was."""
        chosen = np.unique(np.linspace(0, len(self.items) - 1, min(count, len(self.items))).astype(int))
        return replace(
            self,
            items=tuple(self.items[number] for number in chosen),
            departments=tuple(self.departments[number] for number in chosen),
            rows=self.rows[chosen],
        )


def read_m5(archive: Archive, origin: date) -> M5:
    """Read the days up to ``origin``; of the days after it only prices and calendar, which are known ahead.

    Raises:
        DataError: a file is not M5's, or does not reach the origin.
        LandingError: a file cannot be read.
    """
    calendar = _read_calendar(archive, origin)
    known = int((calendar["date"] <= pd.Timestamp(origin)).sum())
    ids, units = _read_units(archive, calendar["d"].iloc[:known].tolist())
    items, item = np.unique(ids["item_id"], return_inverse=True)
    stores, store = np.unique(ids["store_id"], return_inverse=True)
    rows = np.full((items.size, stores.size), -1)
    rows[item, store] = np.arange(len(ids))
    codes, weeks = np.unique(calendar["wm_yr_wk"], return_inverse=True)
    prices = _read_prices(archive, items, stores, rows, codes)
    department = ids.drop_duplicates("item_id").set_index("item_id")["dept_id"].reindex(items)
    calendar["closed"] = _closed_days(calendar["date"], units)
    return M5(
        items=tuple(map(str, items)),
        departments=tuple(map(str, department)),
        stores=tuple(map(str, stores)),
        dates=calendar["date"].to_numpy()[:known].astype("datetime64[D]"),
        rows=rows,
        units=units,
        listed=_first_listed(prices, weeks),
        prices=prices,
        weeks=weeks,
        calendar=calendar.drop(columns=["d", "wm_yr_wk"]),
    )


def _read_calendar(archive: Archive, origin: date) -> pd.DataFrame:
    """The calendar's days up to 28 days after the origin."""
    with archive.open("calendar.csv") as stream:
        frame = pd.read_csv(stream, parse_dates=["date"])
    last = pd.Timestamp(origin) + pd.Timedelta(days=HORIZON)
    frame = frame[frame["date"] <= last].reset_index(drop=True)
    whole = len(frame) > HORIZON and frame["date"].iloc[-1] == last
    if not whole or (frame["date"].diff().dropna() != pd.Timedelta(days=1)).any():
        raise DataError(
            f"{archive.source}: calendar.csv: expected every day up to {last.date()}, {HORIZON} days after the origin "
            f"{origin}; choose an origin that the calendar reaches beyond"
        )
    return frame


def _read_units(archive: Archive, days: Sequence[str]) -> tuple[pd.DataFrame, NDArray[np.int16]]:
    """Series in the file's order: ``item_id, dept_id, store_id``, and their units on ``days`` (N, T)."""
    name = next((name for name in _SALES if name in archive.names), _SALES[0])
    with archive.open(name) as stream:
        header = next(csv.reader([stream.readline().decode("utf-8", "replace")]))
    if missing := [day for day in days if day not in header]:
        raise DataError(
            f"{archive.source}: {name}: has no column {missing[-1]}, the origin's day; it ends with {header[-1]}"
        )
    keys = ("item_id", "dept_id", "store_id")
    types = {**dict.fromkeys(keys, pa.string()), **dict.fromkeys(days, pa.int16())}
    ids, units = [], np.empty((0, len(days)), dtype=np.int16)
    for batch in _batches(archive, name, types):
        start = units.shape[0]
        # Grown in place, page by page: a list of parts would stand beside their concatenation.
        units.resize((start + batch.num_rows, len(days)), refcheck=False)
        block = np.empty((len(days), batch.num_rows), dtype=np.int16)
        for row, column in enumerate(batch.columns[len(keys) :]):
            block[row] = column.to_numpy(zero_copy_only=False)
        units[start:] = block.T
        ids.append(batch.select(list(keys)).to_pandas())
    return pd.concat(ids, ignore_index=True), units


def _read_prices(archive: Archive, items: Any, stores: Any, rows: Ints, codes: Ints) -> Floats:
    """Prices by series and week (N, W) of the weeks whose numbers are ``codes``."""
    text = pa.dictionary(pa.int32(), pa.string())
    types = {"store_id": text, "item_id": text, "wm_yr_wk": pa.int32(), "sell_price": pa.float64()}
    prices = np.full((int(rows.max()) + 1, codes.size), np.nan)
    item_index, store_index = pd.Index(items), pd.Index(stores)
    for batch in _batches(archive, "sell_prices.csv", types):
        store, item, number, price = batch.columns
        week = number.to_numpy()
        column = np.minimum(np.searchsorted(codes, week), codes.size - 1)
        i = item_index.get_indexer(item.dictionary.to_pandas())[item.indices.to_numpy()]
        s = store_index.get_indexer(store.dictionary.to_pandas())[store.indices.to_numpy()]
        row = np.where((i >= 0) & (s >= 0), rows[i, s], -1)
        kept = (row >= 0) & (codes[column] == week)
        prices[row[kept], column[kept]] = price.to_numpy()[kept]
    return prices


def _batches(archive: Archive, name: str, types: dict[str, Any]) -> Iterator[Any]:
    """A CSV as Arrow batches of some columns, in the order of ``types``, without empty cells."""
    convert = pa_csv.ConvertOptions(column_types=types, include_columns=list(types))
    read = pa_csv.ReadOptions(block_size=_BYTES_AT_ONCE)
    try:
        with archive.open(name) as stream:
            for batch in pa_csv.open_csv(stream, read_options=read, convert_options=convert):
                if blank := [key for key, column in zip(types, batch.columns, strict=True) if column.null_count]:
                    raise DataError(f"{archive.source}: {name}: empty cells in {', '.join(blank[:5])}")
                yield batch
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"{archive.source}: {name}: is not the M5 file of that name: {error}") from error
    pa.default_memory_pool().release_unused()


def _first_listed(prices: Floats, weeks: Ints) -> Ints:
    """Number of the first day of each series' first week with a price; the number of days where there is none."""
    known = np.isfinite(prices)
    first = np.where(known.any(axis=1), known.argmax(axis=1), np.iinfo(np.int64).max)
    return np.searchsorted(weeks, first)


def _closed_days(dates: pd.Series, units: NDArray[np.int16]) -> NDArray[np.int8]:
    """1 where the chain sold less than 1 % of its median day, and after the origin on those days' anniversaries."""
    total = units.sum(axis=0, dtype=np.int64)
    shut = np.zeros(len(dates), dtype=bool)
    shut[: total.size] = total < CLOSED_BELOW * np.median(total)
    day = dates.dt.strftime("%m-%d")
    shut[total.size :] = day.iloc[total.size :].isin(day[shut])
    return shut.astype(np.int8)
