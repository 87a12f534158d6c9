"""Rows of one drop that share SKU, store and date: find them, keep the last, add them up."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.skufleet.lake.set_aside import Mask, SetAside

EARLIEST = date(1970, 1, 1)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def key_rows(sku: Any, store: Any, days: Ints) -> Ints:
    """One number per (SKU, store, date), int64 (rows,); only meaningful on rows where all three are there."""
    first = days.min(initial=0)
    span = int(days.max(initial=0)) - int(first) + 1
    keys: Ints = (indices_of(sku) * max(1, len(store.dictionary)) + indices_of(store)) * span + (days - first)
    return keys


def has_repeats(keys: Ints) -> bool:
    """Whether two rows share a key."""
    if len(keys) < 2 or bool(np.all(keys[1:] > keys[:-1])):
        return False
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())


def keep_last(aside: SetAside, keys: Ints, rows: Ints) -> Ints:
    """The last of the rows of every key, in the order of the keys; the others are set aside."""
    order = np.argsort(keys[rows], kind="stable")
    ordered = keys[rows][order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    earlier = np.zeros(len(keys), dtype=np.bool_)
    earlier[rows[order[~last]]] = True
    aside.mark(earlier, "repeated", "a later row of the drop has the same SKU, store and date")
    winners: Ints = rows[order[last]]
    return winners


def add_up(keys: Ints, rows: Ints, units: Floats, price: Floats) -> tuple[Ints, Floats, Floats]:
    """One row per key: units added up, price the mean weighted by the units sold at a known price."""
    if not len(rows):
        return rows, units, price
    order = np.argsort(keys[rows], kind="stable")
    ordered = keys[rows][order]
    starts = np.flatnonzero(np.insert(ordered[1:] != ordered[:-1], 0, True))
    weight = np.where(np.isnan(price) | (units <= 0), 0.0, units)[order]
    sold = np.add.reduceat(weight, starts)
    paid = np.add.reduceat(weight * np.nan_to_num(price[order]), starts)
    mean = np.divide(paid, sold, out=np.full(len(starts), np.nan), where=sold > 0)
    return rows[order[starts]], np.add.reduceat(units[order], starts), mean


def indices_of(encoded: Any) -> Ints:
    """The codes of a dictionary-encoded column, 0 for null."""
    codes: Ints = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def nulls_of(column: Any) -> Mask:
    """Which cells are null."""
    mask: Mask = column.is_null().to_numpy(zero_copy_only=False)
    return mask


def days_of(dates: Any) -> Ints:
    """Days since 1970-01-01 of a date column, 0 for null."""
    days: Ints = pc.fill_null(dates.cast(pa.int32()), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return days


def day_number(value: date) -> int:
    """Days since 1970-01-01."""
    return (value - date(1970, 1, 1)).days


def rank_values(column: Any) -> tuple[Ints, Any]:
    """Of each row its value's rank among the distinct values, and those in order."""
    if not len(column):
        return np.zeros(0, dtype=np.int64), pa.array([], pa.string())
    encoded = column.combine_chunks()
    order = pc.array_sort_indices(encoded.dictionary)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order.to_numpy()] = np.arange(len(order))
    return ranks[encoded.indices.to_numpy()], encoded.dictionary.take(order)
