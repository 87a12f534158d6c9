"""What a version of the history holds, small enough to plan by: its series, and the dates with any row.

Both objects are derived: kept up to date from the drops of each commit, made anew from the table where missing.
What does not belong here: the rows themselves (``history.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.delta import read_buckets
from include.skufleet.lake.digests import add_hashes, hash_rows
from include.skufleet.lake.files import EVERYTHING, Selection
from include.skufleet.lake.keys import dates_key, index_key, prices_index_key
from include.skufleet.lake.store import ObjectStore

_SERIES = ["sku", "store", "bucket", "first_date", "last_date", "last_sale", "rows", "digest", "delivered"]
_VALUES = ("units", "price")
_NEVER = np.iinfo(np.int32).min


@dataclass(frozen=True)
class Index:
    """Series and dates of some rows.

    ``series``: ``sku, store, bucket, first_date, last_date, last_sale, rows, digest, delivered``; ``dates``: ``date,
    rows``.
    ``rows`` counts deliveries: a corrected day counts twice. ``last_sale`` is the last date of which more than zero
    units were ever delivered, NaT if none: where that was corrected to zero, it is too late a date. ``digest`` (int64)
    tells whether two series had the same deliveries: dates, values, and moments of delivery, which decide what counts.
    ``delivered`` is the ``seq`` of the last one.
    """

    series: pd.DataFrame
    dates: pd.DataFrame


def read_series_index(store: ObjectStore, key: str) -> pd.DataFrame:
    """The series of one version of the history: the columns of ``Index.series``, sorted.

    One row per SKU and store that ever had a row; the dates are ``datetime64``.
    """
    return store.get_frame(key)


def read_price_index(store: ObjectStore, key: str) -> pd.DataFrame:
    """The series of one version of the price table, likewise; ``last_sale`` is NaT."""
    return store.get_frame(key)


def read_trading_dates(store: ObjectStore, key: str) -> pd.Series:
    """The dates (``datetime64``, ascending) on which anything of the catalogue has a row.

    A day that is not among them is a day that nobody delivered, or on which the whole chain was closed.
    """
    return store.get_frame(key, ["date"])["date"]


def index_rows(rows: Any) -> Index:
    """The index of an Arrow table in any order.

    Args:
        rows: ``bucket``, ``sku, store`` (dictionary-encoded), ``date, seq`` and ``units`` or ``price`` or both.
    """
    if rows.num_rows == 0:
        return merge_indexes([])
    sku, stores = _encoded(rows.column("sku")), _encoded(rows.column("store"))
    codes = sku.indices.to_numpy().astype(np.int64) * len(stores.dictionary) + stores.indices.to_numpy()
    days = rows.column("date").combine_chunks().cast(pa.int32()).to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.insert(np.diff(codes[order]) != 0, 0, True))
    firsts = pa.array(order[starts])
    values = [rows.column(name).to_numpy() for name in _VALUES if name in rows.column_names]
    hashes = hash_rows([days.astype(np.int64), rows.column("seq").to_numpy(), *values])
    sales = np.where(rows.column("units").to_numpy() > 0, days, _NEVER) if "units" in rows.column_names else None
    series = pd.DataFrame(
        {
            "sku": sku.take(firsts).cast(pa.string()).to_pandas(),
            "store": stores.take(firsts).cast(pa.string()).to_pandas(),
            "bucket": rows.column("bucket").combine_chunks().take(firsts).to_pandas(),
            "first_date": _to_datetime(np.minimum.reduceat(days[order], starts)),
            "last_date": _to_datetime(np.maximum.reduceat(days[order], starts)),
            "last_sale": _latest(days if sales is None else sales, order, starts, known=sales is not None),
            "rows": np.diff(np.append(starts, len(order))),
            "digest": add_hashes(hashes[order], starts),
            "delivered": np.maximum.reduceat(rows.column("seq").to_numpy()[order], starts),
        }
    )
    unique, counts = np.unique(days, return_counts=True)
    dates = pd.DataFrame({"date": _to_datetime(unique), "rows": counts})
    return merge_indexes([Index(series, dates)])


def merge_indexes(parts: Iterable[Index]) -> Index:
    """One index of the rows of several; sorted by SKU and store, and by date."""
    kept = list(parts)
    if not kept:
        none = pd.Series([], dtype="datetime64[us]")
        text, number = pd.Series([], dtype="str"), pd.Series([], dtype="int64")
        bucket = pd.Series([], dtype="int32")
        return Index(
            pd.DataFrame(
                dict(zip(_SERIES, (text, text, bucket, none, none, none, number, number, number), strict=True))
            ),
            pd.DataFrame({"date": none, "rows": number}),
        )
    series = pd.concat([part.series for part in kept], ignore_index=True)
    dates = pd.concat([part.dates for part in kept], ignore_index=True)
    grouped = series.groupby(["sku", "store"], as_index=False, sort=True)
    merged = grouped.agg(
        bucket=("bucket", "first"),
        first_date=("first_date", "min"),
        last_date=("last_date", "max"),
        last_sale=("last_sale", "max"),
        rows=("rows", "sum"),
        digest=("digest", "sum"),
        delivered=("delivered", "max"),
    )
    return Index(merged[_SERIES], dates.groupby("date", as_index=False, sort=True).agg(rows=("rows", "sum")))


def find_index(store: ObjectStore, catalogue: str, version: int) -> Index | None:
    """The stored index of a version; ``None`` where it was not written or only half of it."""
    keys = index_key(catalogue, version), dates_key(catalogue, version)
    if not all(store.exists(key) for key in keys):
        return None
    return _as_index(*(store.get_frame(key) for key in keys))


def find_price_index(store: ObjectStore, catalogue: str, version: int) -> Index | None:
    """The stored index of a version of the price table; ``None`` where it was not written."""
    key = prices_index_key(catalogue, version)
    return _as_index(store.get_frame(key), merge_indexes([]).dates) if store.exists(key) else None


def _as_index(series: pd.DataFrame, dates: pd.DataFrame) -> Index | None:
    """``None`` where an earlier version of the code wrote it: then it is made anew."""
    return Index(series, dates) if set(_SERIES) <= set(series.columns) else None


def write_index(store: ObjectStore, catalogue: str, version: int, index: Index) -> None:
    """Store the index of a version."""
    store.put_frame(index_key(catalogue, version), index.series)
    store.put_frame(dates_key(catalogue, version), index.dates)


def write_price_index(store: ObjectStore, catalogue: str, version: int, index: Index) -> None:
    """Store the index of a version of the price table; its dates are of no use."""
    store.put_frame(prices_index_key(catalogue, version), index.series)


def rebuild_index(store: ObjectStore, table: Any, buckets: int) -> Index:
    """The index of a table made by reading it, one bucket in memory at a time."""
    index, _ = index_as_known(store, table, buckets, EVERYTHING, None)
    return index


def index_as_known(
    store: ObjectStore, table: Any, buckets: int, selection: Selection, known: Known | None
) -> tuple[Index, int]:
    """The index of those selected rows of a table whose deliveries are known; how many rows came too late for it."""
    parts, late = [], 0
    names = [field.name for field in table.schema().fields]
    columns = ["sku", "store", "date", "seq", *(name for name in _VALUES if name in names)]
    for bucket in range(buckets):
        rows = read_buckets(store, table, [bucket], columns, selection)
        if known is not None:
            in_time = known.includes(rows.column("seq").to_numpy())
            late += int((~in_time).sum())
            rows = rows.filter(pa.array(in_time))
        numbers = pa.array(np.full(rows.num_rows, bucket, dtype=np.int32))
        parts.append(index_rows(rows.append_column("bucket", numbers)))
    return merge_indexes(parts), late


def _encoded(column: Any) -> Any:
    whole = column.unify_dictionaries().combine_chunks()
    return whole if isinstance(whole, pa.Array) else pc.dictionary_encode(whole)


def _latest(days: Any, order: Any, starts: Any, *, known: bool) -> pd.Series:
    """The last of each run of days; NaT where there is none."""
    latest = np.maximum.reduceat(days[order], starts)
    found = _to_datetime(np.where(latest == _NEVER, 0, latest))
    return found.where(known & (latest != _NEVER))


def _to_datetime(days: Any) -> pd.Series:
    return pd.Series(days.astype("datetime64[D]").astype("datetime64[us]"))
