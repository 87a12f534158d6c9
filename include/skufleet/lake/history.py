"""Read the history: every delivery of a day is kept, the last one delivered wins.

Rows carry ``seq``, the moment their drop was delivered. So the answer does not depend on when, or in how many
ingestions, the drops came in. Dates are as delivered, for weekly catalogues too: weeks are made of them when panels are
built, after corrections have replaced single days.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.skufleet.config import Catalogue
from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.delta import check_buckets, read_buckets, require_table
from include.skufleet.lake.files import Selection
from include.skufleet.lake.grouping import rank_values
from include.skufleet.lake.keys import table_key
from include.skufleet.lake.store import ObjectStore

HISTORY_SCHEMA = pa.schema(
    [
        ("bucket", pa.int32()),
        ("sku", pa.string()),
        ("store", pa.string()),
        ("date", pa.date32()),
        ("units", pa.float64()),
        ("price", pa.float64()),
        ("drop", pa.string()),
        ("seq", pa.int64()),
    ]
)
PRICES_SCHEMA = pa.schema([field for field in HISTORY_SCHEMA if field.name != "units"])


def read_history(
    store: ObjectStore,
    catalogue: Catalogue,
    *,
    version: int,
    as_of: date,
    buckets: Iterable[int],
    skus: Iterable[str] | None = None,
    known: Known | None = None,
) -> pd.DataFrame:
    """The sales of some buckets at one version of the history, as far as their deliveries are known.

    Returns:
        ``sku, store`` (str), ``date`` (datetime64), ``units`` (float64), ``price`` (float64, NaN where unknown); one
        row per SKU, store and date, the one delivered last; nothing dated after ``as_of``; sorted by these three.

    Raises:
        DataError: there is no such version.
        ConfigError: the history has another number of buckets than the catalogue file says.
    """
    selection = Selection(None if skus is None else list(skus), last=as_of, known=known)
    return _read(store, catalogue, "history", version, buckets, ["units", "price"], selection)


def read_prices(
    store: ObjectStore,
    catalogue: Catalogue,
    *,
    version: int,
    buckets: Iterable[int],
    skus: Iterable[str] | None = None,
    known: Known | None = None,
) -> pd.DataFrame:
    """The price changes of some buckets at one version of the price table, announced ones included, likewise.

    Returns:
        ``sku, store`` (str; store ``''`` means every store), ``date`` (datetime64: from when), ``price`` (float64); one
        row per SKU, store and date, the one delivered last; sorted by them.

    Raises:
        DataError: there is no such version.
    """
    selection = Selection(None if skus is None else list(skus), known=known)
    return _read(store, catalogue, "prices", version, buckets, ["price"], selection)


def _read(
    store: ObjectStore,
    catalogue: Catalogue,
    kind: str,
    version: int,
    buckets: Iterable[int],
    values: list[str],
    selection: Selection,
) -> pd.DataFrame:
    key = table_key(catalogue.name, kind)
    table = require_table(store, key, version)
    check_buckets(store, key, table, catalogue.fleet.buckets)
    rows = read_buckets(store, table, buckets, ["sku", "store", "date", "seq", *values], selection)
    return resolve(rows, values)


def resolve(rows: Any, values: list[str]) -> pd.DataFrame:
    """Sort deliveries (Arrow: ``sku, store`` dictionary-encoded, ``date, seq``, values) and let the last one win."""
    sku, sku_names = rank_values(rows.column("sku"))
    store, store_names = rank_values(rows.column("store"))
    days = rows.column("date").cast(pa.int32()).to_numpy().astype(np.int64)
    first = days.min(initial=0)
    keys = (sku * max(1, len(store_names)) + store) * (days.max(initial=0) - first + 1) + (days - first)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((rows.column("seq").to_numpy(), keys))
        ordered = keys[order]
        order = order[np.append(ordered[1:] != ordered[:-1], True)]
    frame = {
        "sku": _spell(sku[order], sku_names),
        "store": _spell(store[order], store_names),
        "date": pd.Series(days[order].astype("datetime64[D]").astype("datetime64[us]")),
    }
    return pd.DataFrame(frame | {name: rows.column(name).to_numpy()[order] for name in values})


def _spell(ranks: Any, names: Any) -> pd.Series:
    """Ranks as text, of pandas' ``str`` type."""
    text: pd.Series = names.take(pa.array(ranks)).to_pandas().astype("str")
    return text
