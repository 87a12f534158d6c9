"""Units of a history added up over groups of SKUs, day by day, with one bucket in memory at a time.

What does not belong here: the rows themselves (``history.py``), what the groups are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from include.skufleet.config import Catalogue
from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.delta import check_buckets, read_buckets, require_table
from include.skufleet.lake.files import Selection
from include.skufleet.lake.grouping import Floats, Ints, day_number, has_repeats, indices_of
from include.skufleet.lake.keys import table_key
from include.skufleet.lake.store import ObjectStore


def sum_units(
    store: ObjectStore,
    catalogue: Catalogue,
    *,
    version: int,
    first: date,
    as_of: date,
    groups: Mapping[str, int],
    places: Mapping[str, int],
    known: Known | None = None,
) -> Floats:
    """What each group of SKUs sold in each place on each day, at one version of the history.

    A day that was delivered twice counts as the last delivery says. Units that are no number, below zero or above the
    catalogue's ``max_units`` do not count.

    Args:
        store: the lake.
        catalogue: its name, buckets and limits.
        version: of the history.
        first: earlier days are left out.
        as_of: later days are left out.
        groups: SKU -> number of its group, from 0; a SKU that is not named is left out.
        places: store -> number of its place, from 0; a store that is not named is left out.
        known: deliveries that count; ``None``: all.

    Returns:
        (groups, places, days from ``first`` to ``as_of``); NaN where no SKU of the group has a row that counts.

    Raises:
        DataError: there is no such version.
        ConfigError: the history has another number of buckets than the catalogue file says.
    """
    key = table_key(catalogue.name, "history")
    table = require_table(store, key, version)
    check_buckets(store, key, table, catalogue.fleet.buckets)
    begin, days = day_number(first), (as_of - first).days + 1
    shape = (1 + max(groups.values(), default=-1), 1 + max(places.values(), default=-1), max(days, 0))
    totals = np.full(shape, np.nan)
    for bucket in range(catalogue.fleet.buckets):
        wanted = Selection(first=first, last=as_of, known=known)
        rows = read_buckets(store, table, [bucket], ["sku", "store", "date", "seq", "units"], wanted)
        if rows.num_rows:
            _add(totals, rows, begin, groups, places, catalogue.validation.max_units)
    return totals


def _add(
    totals: Floats, rows: Any, begin: int, groups: Mapping[str, int], places: Mapping[str, int], most: float
) -> None:
    """Add the rows of one bucket to the totals, in place."""
    sku, store = (rows.column(name).combine_chunks() for name in ("sku", "store"))
    day = rows.column("date").cast(pa.int32()).to_numpy().astype(np.int64) - begin
    units = rows.column("units").to_numpy().astype(float)
    keys = (indices_of(sku) * len(store.dictionary) + indices_of(store)) * totals.shape[2] + day
    group, place = _number(sku, groups), _number(store, places)
    counted = (group >= 0) & (place >= 0) & np.isfinite(units) & (units >= 0) & (units <= most)
    if has_repeats(keys):
        counted &= _find_last(keys, rows.column("seq").to_numpy())
    cells = (group[counted] * totals.shape[1] + place[counted]) * totals.shape[2] + day[counted]
    flat = totals.reshape(-1)
    flat[cells] = np.nan_to_num(flat[cells])
    np.add.at(flat, cells, units[counted])


def _number(column: Any, numbers: Mapping[str, int]) -> Ints:
    """The number of each row's name, -1 where it has none."""
    known = np.array([numbers.get(name, -1) for name in column.dictionary.to_pylist()], dtype=np.int64)
    found: Ints = known[indices_of(column)]
    return found


def _find_last(keys: Ints, delivered: Ints) -> Any:
    """Which rows were delivered last of those that share a key."""
    order = np.lexsort((delivered, keys))
    ordered = keys[order]
    last = np.zeros(keys.size, dtype=bool)
    last[order[np.append(ordered[1:] != ordered[:-1], True)]] = True
    return last
