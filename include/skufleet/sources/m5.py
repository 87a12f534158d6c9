"""Walmart's M5 as Kaggle ships it: wide sales, weekly prices and a calendar, turned into drops of long tables.

https://www.kaggle.com/competitions/m5-forecasting-accuracy describes the files. A SKU is an item, in ten stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from include.skufleet.errors import LandingError
from include.skufleet.lake.store import to_parquet
from include.skufleet.sources.archive import Archive
from include.skufleet.sources.upload import Content, Drop

SALES_COLUMNS = ("date", "store_id", "item_id", "units")

_SALES = ("sales_train_evaluation.csv", "sales_train_validation.csv")
_CALENDAR, _PRICES = "calendar.csv", "sell_prices.csv"
_IDS = ("item_id", "dept_id", "cat_id", "store_id")
_CALENDAR_COLUMNS = ("event_name_1", "event_type_1", "event_name_2", "event_type_2", "snap_CA", "snap_TX", "snap_WI")
_CLOSED_BELOW = 0.01


@dataclass(frozen=True)
class Wide:
    """The sales file.

    Attributes:
        ids: one row per series: ``item_id, dept_id, cat_id, store_id``.
        units: shape (days, series), int16.
        dates: the days, shape (days,), datetime64[D].
        weeks: Walmart's number of each day's week, shape (days,).
    """

    ids: pd.DataFrame
    units: Any
    dates: Any
    weeks: Any


def looks_like_m5(archive: Archive) -> bool:
    """Whether the files that make an M5 are there."""
    return {_CALENDAR, _PRICES} <= set(archive.names) and any(name in archive.names for name in _SALES)


def list_m5_drops(archive: Archive, stores: Sequence[str] = ()) -> list[Drop]:
    """Read M5 and list what it delivers; the sales stay in memory as int16 and are melted month by month.

    Sales have a row for every day from a series' first listed week on (a price exists from then); prices have a row
    where they change; the calendar gains ``closed``: days on which the whole chain sold next to nothing, and the same
    days of the years to come.

    Raises:
        LandingError: a file is missing, corrupt or not M5's, or one of ``stores`` is not in it.
    """
    calendar = _read_calendar(archive)
    wide = _read_wide(archive, calendar)
    closed = _closed_days(calendar["date"], wide)
    keep = _chosen(archive, wide.ids["store_id"], stores)
    ids = wide.ids[keep].reset_index(drop=True)
    wide = Wide(ids, wide.units if keep.all() else wide.units[:, keep], wide.dates, wide.weeks)
    prices = _read_prices(archive, stores)
    listed = _first_listed(prices, wide)
    changes = _price_changes(prices, calendar)
    return [
        *_months(wide, listed),
        Drop("prices", "prices.parquet", partial(_pack, changes)),
        Drop("attributes", "attributes.parquet", partial(_pack, _attributes(ids))),
        Drop("calendar", "calendar.parquet", partial(_pack, _calendar(calendar, closed))),
    ]


def _read_calendar(archive: Archive) -> pd.DataFrame:
    types = {"date": pa.date32(), "wm_yr_wk": pa.int32(), "d": pa.string()}
    frame: pd.DataFrame = _read_csv(archive, _CALENDAR, types, (*types, *_CALENDAR_COLUMNS)).to_pandas()
    frame["date"] = frame["date"].to_numpy().astype("datetime64[D]")
    return frame


def _read_wide(archive: Archive, calendar: pd.DataFrame) -> Wide:
    """Read the sales file: one column per day becomes one row of ``units``."""
    name = next(name for name in _SALES if name in archive.names)
    with archive.open(name) as stream:
        header = stream.readline().decode("utf-8", "replace").strip().split(",")
    days = [column for column in header if column.startswith("d_")]
    numbers = calendar.set_index("d").reindex(days)
    if not days or numbers["wm_yr_wk"].isna().any():
        raise LandingError(f"{archive.source}: {name}: expected day columns d_1, d_2, ... that {_CALENDAR} lists")
    types = {**dict.fromkeys(days, pa.int16()), **dict.fromkeys(_IDS, pa.dictionary(pa.int32(), pa.string()))}
    table = _read_csv(archive, name, types, (*_IDS, *days))
    units = np.empty((len(days), table.num_rows), dtype=np.int16)
    for row, column in enumerate(days):
        units[row] = table[column].to_numpy()
    ids = table.select(list(_IDS)).to_pandas()
    dates = numbers["date"].to_numpy().astype("datetime64[D]")
    return Wide(ids, units, dates, numbers["wm_yr_wk"].to_numpy(dtype=int))


def _read_csv(archive: Archive, name: str, types: dict[str, Any], columns: Sequence[str]) -> Any:
    """Some columns of a CSV as an Arrow table.

    Raises:
        LandingError: it cannot be read, or is not what M5's file of that name is.
    """
    convert = pa_csv.ConvertOptions(
        column_types=types, include_columns=list(columns), strings_can_be_null=True, null_values=[""]
    )
    try:
        with archive.open(name) as stream:
            table = pa_csv.read_csv(stream, convert_options=convert)
    except (pa.ArrowException, KeyError) as error:
        raise LandingError(
            f"{archive.source}: {name}: is not the M5 file of that name: {' '.join(str(error).split())[:200]}"
        ) from error
    blank = [key for key in types if table[key].null_count]
    if blank:
        raise LandingError(f"{archive.source}: {name}: empty cells in {', '.join(blank[:5])}; fetch the source again")
    return table


def _chosen(archive: Archive, store_id: Any, stores: Sequence[str]) -> Any:
    """Which series are of these stores (all of them where none is named), shape (series,)."""
    known = set(store_id.cat.categories)
    if unknown := sorted(set(stores) - known):
        raise LandingError(
            f"{archive.source}: has no store {', '.join(unknown)}; STORES may name {', '.join(sorted(known))}"
        )
    return store_id.isin(stores).to_numpy() if stores else np.ones(len(store_id), dtype=bool)


def _read_prices(archive: Archive, stores: Sequence[str]) -> pd.DataFrame:
    """``item_id, store_id`` (categories), ``wm_yr_wk, sell_price`` by series and week."""
    text = pa.dictionary(pa.int32(), pa.string())
    types = {"store_id": text, "item_id": text, "wm_yr_wk": pa.int32(), "sell_price": pa.float64()}
    table = _read_csv(archive, _PRICES, types, tuple(types))
    if stores:
        table = table.filter(pc.is_in(table["store_id"].cast(pa.string()), value_set=pa.array(list(stores))))
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas()
    order = np.lexsort((frame["wm_yr_wk"], frame["item_id"].cat.codes, frame["store_id"].cat.codes))
    return frame.iloc[order].reset_index(drop=True)


def _first_listed(prices: pd.DataFrame, wide: Wide) -> Any:
    """Number of the first day of each series' first listed week; the number of days where no price ever stood."""
    first = prices.drop_duplicates(["store_id", "item_id"])
    week = first.astype({"store_id": str, "item_id": str}).set_index(["store_id", "item_id"])["wm_yr_wk"]
    keys = pd.MultiIndex.from_frame(wide.ids[["store_id", "item_id"]].astype(str))
    number = week.reindex(keys).fillna(np.iinfo(np.int32).max).to_numpy()
    return np.searchsorted(wide.weeks, number)


def _price_changes(prices: pd.DataFrame, calendar: pd.DataFrame) -> Any:
    """``date, store_id, item_id, price``: the first price of each series, and every week with another than before."""
    start = calendar.groupby("wm_yr_wk")["date"].min()
    columns = [prices["store_id"].cat.codes, prices["item_id"].cat.codes, prices["sell_price"]]
    changed = np.zeros(len(prices), dtype=bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column.to_numpy()[1:] != column.to_numpy()[:-1]
    kept = prices[changed]
    dates = start.reindex(kept["wm_yr_wk"]).to_numpy().astype("datetime64[D]")
    ids = {key: pa.array(kept[key].astype(str)) for key in ("store_id", "item_id")}
    return pa.table({"date": pa.array(dates), **ids, "price": pa.array(kept["sell_price"].to_numpy())})


def _months(wide: Wide, listed: Any) -> Iterator[Drop]:
    """One drop per calendar month."""
    month = wide.dates.astype("datetime64[M]")
    for value in np.unique(month):
        days = np.flatnonzero(month == value)
        yield Drop("sales", f"{value}.parquet", partial(_melt, wide, listed, days))


def _melt(wide: Wide, listed: Any, days: Any) -> Content:
    """The rows of some days, by day and series."""
    day, series = np.nonzero(days[:, None] >= listed[None, :])
    ids = {
        key: pa.DictionaryArray.from_arrays(wide.ids[key].cat.codes.to_numpy()[series], wide.ids[key].cat.categories)
        for key in ("store_id", "item_id")
    }
    units = pa.array(wide.units[days][day, series].astype(np.int32))
    return _pack(pa.table({"date": pa.array(wide.dates[days][day]), **ids, "units": units}))


def _closed_days(dates: pd.Series, wide: Wide) -> Any:
    """Days on which the chain sold less than 1 % of its median day, and later days of the same month and day.

    The chain is every store of the file. Not exactly zero: M5 has some ten units on each Christmas Day.
    """
    total = wide.units.sum(axis=1, dtype=np.int64)
    shut = pd.DatetimeIndex(wide.dates[total < _CLOSED_BELOW * np.median(total)])
    every = pd.DatetimeIndex(dates)
    again = every.strftime("%m-%d").isin(shut.strftime("%m-%d")) & (every > wide.dates[-1])
    return every.isin(shut) | again


def _calendar(calendar: pd.DataFrame, closed: Any) -> Any:
    frame = calendar[list(_CALENDAR_COLUMNS)].assign(closed=np.asarray(closed).astype(np.int8))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return table.add_column(0, "date", pa.array(calendar["date"].to_numpy().astype("datetime64[D]")))


def _attributes(ids: pd.DataFrame) -> Any:
    frame = ids[["item_id", "dept_id", "cat_id"]].astype(str).drop_duplicates()
    return pa.Table.from_pandas(frame, preserve_index=False)


def _pack(table: Any) -> Content:
    return Content(to_parquet(table), table.num_rows)
