"""The rules that turn the rows of one sales drop into rows of the history.

A row whose SKU, store, date or units cannot be read is set aside with its number, its text and the reason. Units that
are numbers go on, however absurd: judging ranges is the validation's task, which knows a SKU's other days.
What does not belong here: several drops (``history.py`` lets the last delivery win).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.skufleet.config import Sales
from include.skufleet.errors import DropError
from include.skufleet.lake.convert import to_dates, to_numbers, to_text
from include.skufleet.lake.grouping import (
    EARLIEST,
    Floats,
    Ints,
    add_up,
    day_number,
    days_of,
    has_repeats,
    indices_of,
    keep_last,
    key_rows,
    nulls_of,
)
from include.skufleet.lake.set_aside import CleanDrop, Mask, SetAside
from include.skufleet.lake.tables import RawRows

MAX_OTHER_DECIMAL_SHARE = 0.05


@dataclass(frozen=True)
class _Columns:
    """The columns of a drop, one entry per row of the file; NaN where a price is unknown."""

    sku: Any
    store: Any
    dates: Any
    days: Ints
    units: Floats
    price: Floats


def clean_sales(key: str, raw: RawRows, sales: Sales, today: date) -> CleanDrop:
    """Apply a catalogue's rules to one drop.

    In this order: unreadable rows and dates after ``today`` are set aside, SKU codes off the pattern, rows identical
    to an earlier one (``identical: drop``), returns (``drop``; ``reject`` where lines are summed), repeated rows
    (``last``: all but the last; ``sum``: added up, the price is the mean of those above zero weighted by units). What
    is then below zero becomes zero under ``returns: net``, and the excess is noted.

    Raises:
        DropError: most rows are unreadable, or the numbers have the other decimal mark.
    """
    columns = _convert(raw, sales)
    aside = SetAside(raw)
    _mark_unreadable(aside, key, raw, columns, sales, today)
    if sales.sku_pattern is not None:
        aside.mark(
            _off_pattern(columns.sku, sales.sku_pattern),
            "sku_pattern",
            "SKU {value} does not match sku_pattern",
            sales.columns.sku,
        )
    keys = key_rows(columns.sku, columns.store, columns.days)
    repeated = has_repeats(keys[aside.kept])
    if repeated and sales.identical == "drop":
        aside.mark(_identical(raw, keys, aside.kept), "identical", "is the same in every column as an earlier row")
    _mark_returns(aside, columns, sales)
    rows = np.flatnonzero(aside.kept)
    units, price = columns.units[rows], columns.price[rows]
    if repeated and sales.repeated == "last":
        rows = keep_last(aside, keys, rows)
        units, price = columns.units[rows], columns.price[rows]
    elif repeated:
        rows, units, price = add_up(keys, rows, units, price)
    if sales.returns == "net":
        for place in np.flatnonzero(units < 0):
            excess = f"returns exceed the day's sales by {-units[place]:g}; the day counts as zero"
            aside.note(int(rows[place]), "returns_exceed_sales", excess)
        units = np.maximum(units, 0.0)
    return CleanDrop(_to_table(columns, rows, units, price), aside.to_table())


def _convert(raw: RawRows, sales: Sales) -> _Columns:
    table, names = raw.table, sales.columns
    dates = to_dates(table.column(names.date), sales.date_format)
    if names.store is None:
        zeros = pa.array(np.zeros(table.num_rows, dtype=np.int32))
        store = pa.DictionaryArray.from_arrays(zeros, pa.array([sales.store]))
    else:
        store = to_text(table.column(names.store))
    units = to_numbers(table.column(names.units), sales.decimal)
    price = np.full(table.num_rows, np.nan)
    if names.price is not None and names.price in table.column_names:
        price = to_numbers(table.column(names.price), sales.decimal).to_numpy(zero_copy_only=False)
        price = np.where(np.isfinite(price) & (price > 0), price, np.nan)
    return _Columns(
        sku=to_text(table.column(names.sku)),
        store=store,
        dates=dates,
        days=days_of(dates),
        units=units.to_numpy(zero_copy_only=False),
        price=price,
    )


def _mark_unreadable(aside: SetAside, key: str, raw: RawRows, columns: _Columns, sales: Sales, today: date) -> None:
    names = sales.columns
    aside.mark(nulls_of(columns.sku), "sku_missing", "the SKU is empty", names.sku)
    aside.mark(nulls_of(columns.store), "store_missing", "the store is empty", names.store)
    pattern = sales.date_format or "ISO 8601 (YYYY-MM-DD)"
    aside.mark(nulls_of(columns.dates), "date_unreadable", f"date {{value}} is not {pattern}", names.date)
    late, early = columns.days > day_number(today), columns.days < day_number(EARLIEST)
    aside.mark(late, "date_future", f"date {{value}} is after {today}, the day of the ingestion", names.date)
    aside.mark(early, "date_implausible", f"date {{value}} is before {EARLIEST}", names.date)
    infinite = np.isinf(columns.units)
    # A null and a NaN are one in numpy; the text of the cell, which is recorded, tells them apart.
    aside.mark(
        np.isnan(columns.units),
        "units_unreadable",
        f"units {{value}} is not a number with the decimal mark {sales.decimal!r}",
        names.units,
    )
    aside.mark(infinite, "units_infinite", "units {value} is not finite", names.units)
    _check_decimal(key, raw, columns.units, sales)
    aside.check_share(key)


def _check_decimal(key: str, raw: RawRows, units: Floats, sales: Sales) -> None:
    """Whole numbers are read with either mark: a drop must not lose just its fractions. So a few percent suffice."""
    cells = raw.table.column(sales.columns.units)
    if not pa.types.is_string(cells.type) or not np.isnan(units).any():
        return
    other = "," if sales.decimal == "." else "."
    shape = rf"^\s*[+-]?\d*\{other}\d+\s*$"
    matches = pc.match_substring_regex(cells, shape).to_numpy(zero_copy_only=False).astype(np.bool_) & np.isnan(units)
    if matches.sum() > MAX_OTHER_DECIMAL_SHARE * len(units):
        example = cells[int(np.flatnonzero(matches)[0])].as_py()
        raise DropError(
            f"{key}: {int(matches.sum())} of {len(units)} units have the decimal mark {other!r}, "
            f"for example {example!r}, expected {sales.decimal!r}; set `decimal` in the catalogue file "
            "(thousands separators are not read)"
        )


def _off_pattern(sku: Any, pattern: str) -> Mask:
    matcher = re.compile(pattern)
    off = np.array([matcher.fullmatch(text) is None for text in sku.dictionary.to_pylist()], dtype=np.bool_)
    return np.asarray(off[indices_of(sku)], dtype=np.bool_) if len(off) else np.zeros(len(sku), dtype=np.bool_)


def _identical(raw: RawRows, keys: Ints, kept: Mask) -> Mask:
    """Rows that are the same in every column of the file as an earlier one; only rows that share a key can be."""
    rows = np.flatnonzero(kept)
    order = np.argsort(keys[rows], kind="stable")
    ordered = keys[rows][order]
    same = ordered[1:] == ordered[:-1]
    shared = np.sort(rows[order[np.append(same, False) | np.insert(same, 0, False)]])
    table = raw.table.take(pa.array(shared))
    frame = table.rename_columns([str(position) for position in range(table.num_columns)]).to_pandas()
    mask = np.zeros(len(keys), dtype=np.bool_)
    mask[shared[frame.duplicated().to_numpy()]] = True
    return mask


def _mark_returns(aside: SetAside, columns: _Columns, sales: Sales) -> None:
    negative = columns.units < 0
    if sales.returns == "drop":
        aside.mark(negative, "return", "a return ({value} units), left out by `returns: drop`", sales.columns.units)
    elif sales.returns == "reject" and sales.repeated == "sum":
        # Summed into its day it could not be seen any more; single daily totals are left to the validation.
        aside.mark(
            negative, "units_negative", "units {value} is negative, refused by `returns: reject`", sales.columns.units
        )


def _to_table(columns: _Columns, rows: Ints, units: Floats, price: Floats) -> Any:
    take = pa.array(rows)
    return pa.table(
        {
            "sku": columns.sku.take(take),
            "store": columns.store.take(take),
            "date": columns.dates.take(take),
            "units": pa.array(units, pa.float64()),
            "price": pa.array(price, pa.float64(), mask=np.isnan(price)),
        }
    )
