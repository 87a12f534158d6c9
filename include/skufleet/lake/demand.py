"""How much and how often each SKU of a history sells: sums for cutting the SKUs into strata, not for training.

What does not belong here: the rows themselves (``history.py``), what the strata are.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.skufleet.config import Catalogue
from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.delta import read_buckets, require_table
from include.skufleet.lake.files import Selection
from include.skufleet.lake.keys import table_key
from include.skufleet.lake.store import ObjectStore


def read_demand(
    store: ObjectStore, catalogue: Catalogue, *, version: int, as_of: date, known: Known | None = None
) -> pd.DataFrame:
    """One row per SKU of the history, nothing later than ``as_of`` nor of other deliveries than the known ones.

    One bucket in memory at a time.

    A corrected day counts once per delivery, which is near enough for strata.

    Returns:
        ``sku`` (str, ascending), ``rows`` (with a known number of units), ``sales`` (rows that sold something),
        ``units`` (sum), ``squares`` (sum of squared units); all float64.

    Raises:
        DataError: there is no such version.
    """
    table = require_table(store, table_key(catalogue.name, "history"), version)
    parts, wanted = [], Selection(last=as_of, known=known)
    for bucket in range(catalogue.fleet.buckets):
        rows = read_buckets(store, table, [bucket], ["sku", "date", "seq", "units"], wanted)
        if rows.num_rows:
            parts.append(_sum_up(rows))
    columns = ["sku", "rows", "sales", "units", "squares"]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="str" if name == "sku" else "float64") for name in columns})
    return pd.concat(parts)[columns].sort_values("sku", ignore_index=True)


def _sum_up(rows: Any) -> pd.DataFrame:
    """Sums by SKU of an Arrow table with ``sku`` (dictionary-encoded) and ``units``."""
    sku = rows.column("sku").combine_chunks()
    codes, names = sku.indices.to_numpy(), sku.dictionary
    units = np.nan_to_num(rows.column("units").to_numpy(), nan=-1.0, posinf=-1.0, neginf=-1.0)
    known = units >= 0
    codes, units = codes[known], units[known]
    sums = {"rows": None, "sales": (units > 0).astype(float), "units": units, "squares": np.square(units)}
    frame = pd.DataFrame({"sku": names.cast(pa.string()).to_pandas().astype("str")})
    for name, weights in sums.items():
        frame[name] = np.bincount(codes, weights=weights, minlength=len(names)).astype(float)
    return frame[frame["rows"] > 0]
