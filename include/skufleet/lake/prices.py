"""The rules that turn the rows of one price file into price changes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from include.skufleet.config import Prices
from include.skufleet.lake.convert import to_dates, to_numbers, to_text
from include.skufleet.lake.grouping import EARLIEST, day_number, days_of, has_repeats, keep_last, key_rows, nulls_of
from include.skufleet.lake.set_aside import CleanDrop, SetAside
from include.skufleet.lake.tables import RawRows

EVERY_STORE = ""


def clean_prices(key: str, raw: RawRows, prices: Prices) -> CleanDrop:
    """Apply a catalogue's rules to one price file.

    A row whose SKU, store, date or price cannot be read, or whose price is not above zero, is set aside; of rows with
    the same SKU, store and date the last counts. Dates may lie ahead: a price list is announced.

    Raises:
        DropError: most rows are unreadable.
    """
    table, names = raw.table, prices.columns
    sku, dates = to_text(table.column(names.sku)), to_dates(table.column(names.date), prices.date_format)
    if names.store is None:
        zeros = pa.array(np.zeros(table.num_rows, dtype=np.int32))
        store = pa.DictionaryArray.from_arrays(zeros, pa.array([EVERY_STORE]))
    else:
        store = to_text(table.column(names.store))
    price = to_numbers(table.column(names.price), prices.decimal).to_numpy(zero_copy_only=False)
    days = days_of(dates)
    aside = SetAside(raw)
    aside.mark(nulls_of(sku), "sku_missing", "the SKU is empty")
    aside.mark(nulls_of(store), "store_missing", "the store is empty")
    aside.mark(nulls_of(dates), "date_unreadable", "date {value} is not a date of the configured form", names.date)
    early = days < day_number(EARLIEST)
    aside.mark(early, "date_implausible", f"date {{value}} is before {EARLIEST}", names.date)
    aside.mark(~np.isfinite(price), "price_unreadable", "price {value} is not a finite number", names.price)
    aside.check_share(key)
    aside.mark(price <= 0, "price_not_positive", "price {value} is not above zero", names.price)
    keys = key_rows(sku, store, days)
    rows = np.flatnonzero(aside.kept)
    if has_repeats(keys[rows]):
        rows = keep_last(aside, keys, rows)
    take = pa.array(rows)
    columns = {"sku": sku.take(take), "store": store.take(take), "date": dates.take(take)}
    return CleanDrop(pa.table(columns | {"price": pa.array(price[rows], pa.float64())}), aside.to_table())
