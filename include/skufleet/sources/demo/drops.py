"""The simulated chain's deliveries: which object holds what, and which days something goes wrong.

The history up to 31 days before the anchor comes as one Parquet file a month (the warehouse's archive), every later
day as one CSV (the nightly export), every third of them compressed. Now and then an export goes wrong: it is cut off
half way and never sent again, or it misses half of a store's sales, and a correction follows three days later.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.skufleet.lake.store import to_parquet
from include.skufleet.sources.demo.calendar import build_calendar, is_closed
from include.skufleet.sources.demo.demand import Demand
from include.skufleet.sources.demo.dirt import SALES_COLUMNS, soil_rows, write_csv
from include.skufleet.sources.demo.prices import price_changes
from include.skufleet.sources.demo.spec import AHEAD, DEPARTMENTS
from include.skufleet.sources.upload import Content, Drop

DAILY = 31
"""Days up to the anchor that are delivered day by day."""

_CUT_EVERY, _CUT_BEFORE = 97, 12
_SHORT_EVERY, _SHORT_BEFORE = 29, 9
_CORRECTED_AFTER = 3


def list_drops(demand: Demand) -> list[Drop]:
    """Everything that the chain has delivered up to the end of what was simulated, in the order of delivery."""
    end = demand.day(demand.days - 1)
    found = list(_months(demand))
    for number in range(demand.spec.days - DAILY, demand.days):
        found += _night(demand, number)
    found += _price_lists(demand)
    stamp = end.isoformat()
    found.append(Drop("attributes", f"attributes_{stamp}.csv", lambda: _attributes(demand)))
    found.append(Drop("calendar", f"calendar_{stamp}.csv", lambda: _calendar(demand)))
    return found


def is_cut_off(demand: Demand, day: date) -> bool:
    """Whether this day's export arrives truncated."""
    return _every(demand, day, _CUT_EVERY, _CUT_BEFORE)


def is_short(demand: Demand, day: date) -> bool:
    """Whether this day's export misses half of the last store's sales, to be corrected three days later."""
    return _every(demand, day, _SHORT_EVERY, _SHORT_BEFORE)


def _every(demand: Demand, day: date, cycle: int, before: int) -> bool:
    """Once in a cycle of days around the anchor; the day before where the chain is closed."""

    def due(candidate: date) -> bool:
        since = (candidate - demand.spec.anchor).days
        return since >= -DAILY and (since + before) % cycle == 0

    tomorrow = day + timedelta(days=1)
    return not is_closed(day) and (due(day) or (is_closed(tomorrow) and due(tomorrow)))


def _months(demand: Demand) -> Iterator[Drop]:
    """The archive: one Parquet file per month, the last one up to the first nightly export."""
    first = 0
    while first < demand.spec.days - DAILY:
        day = demand.day(first)
        month_end = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        last = min((month_end - demand.spec.start).days, demand.spec.days - DAILY - 1)
        yield Drop("sales", f"{day:%Y-%m}_archive.parquet", partial(_archive, demand, first, last))
        first = last + 1


def _night(demand: Demand, number: int) -> Iterator[Drop]:
    """The export of one day (none when closed), and the correction that is due that night."""
    day, earlier = demand.day(number), number - _CORRECTED_AFTER
    ending = "csv.gz" if day.toordinal() % 3 == 0 or is_cut_off(demand, day) else "csv"
    if not is_closed(day):
        yield Drop("sales", f"{day}.{ending}", partial(_export, demand, number, packed=ending == "csv.gz"))
    if is_short(demand, demand.day(earlier)):
        yield Drop("sales", f"{day}_correction.csv", partial(_correction, demand, earlier))


def _price_lists(demand: Demand) -> Iterator[Drop]:
    """All price changes known at the anchor; after it, one list for each day on which something new is planned."""
    known = demand.spec.days - 1 + AHEAD
    anchor = demand.spec.anchor
    yield Drop("prices", f"prices_{anchor}.csv", partial(_prices, demand, 0, known))
    for number in range(demand.spec.days, demand.days):
        changed = demand.asked[:, number + AHEAD] != demand.asked[:, number + AHEAD - 1]
        if changed.any():
            planned = number + AHEAD
            yield Drop("prices", f"prices_{demand.day(number)}.csv", partial(_prices, demand, planned, planned))


def _rows(demand: Demand, first: int, last: int, units: Any = None) -> tuple[pd.DataFrame, Any]:
    """True rows of some days by day, store and SKU, and whether each is of a SKU with a broken scanner."""
    spec = demand.spec
    order = np.lexsort((demand.sku, demand.store))
    counted = demand.units[:, first : last + 1] if units is None else units
    day, place = np.nonzero(demand.on_sale[order, first : last + 1].T)
    series = order[place]
    lines = spec.assortment
    frame = pd.DataFrame(
        {
            "day": np.datetime64(spec.start) + (day + first),
            "store": np.array(spec.store_names, dtype=object)[demand.store[series]],
            "article": lines["sku"].to_numpy(dtype=object)[demand.sku[series]],
            "sold": counted[series, day].astype(float),
        },
        columns=list(SALES_COLUMNS),
    )
    return frame, lines["broken"].to_numpy()[demand.sku[series]]


def _archive(demand: Demand, first: int, last: int) -> Content:
    rows, broken = _rows(demand, first, last)
    soiled = soil_rows(rows, broken, demand.spec.rng("dirt", first))
    days = pa.array(soiled["day"].to_numpy().astype("datetime64[D]"))
    table = pa.table({"day": days, **{key: pa.array(soiled[key]) for key in SALES_COLUMNS[1:]}})
    return Content(to_parquet(table), len(soiled))


def _export(demand: Demand, number: int, *, packed: bool) -> Content:
    spec, day = demand.spec, demand.day(number)
    units = demand.units[:, number : number + 1]
    if is_short(demand, day):
        last_store = (demand.store == spec.stores - 1)[:, None]
        units = np.where(last_store, units // 2, units)
    rows, broken = _rows(demand, number, number, units)
    rng = spec.rng("dirt", number)
    soiled = soil_rows(rows, broken, rng)
    data = write_csv(soiled, rng, every_kind=number == spec.days - 4)
    if packed:
        data = gzip.compress(data, mtime=0)
    return Content(data[: len(data) // 2] if is_cut_off(demand, day) else data, len(soiled))


def _correction(demand: Demand, number: int) -> Content:
    rows, _ = _rows(demand, number, number)
    right = rows[rows["store"] == demand.spec.store_names[-1]]
    return Content(write_csv(right, demand.spec.rng("correction", number)), len(right))


def _prices(demand: Demand, first: int, last: int) -> Content:
    return _csv(price_changes(demand.spec, demand.asked, first, last))


def _attributes(demand: Demand) -> Content:
    lines = demand.spec.assortment
    department = np.array([entry.name for entry in DEPARTMENTS])[lines["department"]]
    frame = pd.DataFrame(
        {
            "article": lines["sku"],
            "description": lines["description"],
            "department": department,
            "category": lines["category"],
        }
    )
    return _csv(frame[lines["listed"].to_numpy()])


def _calendar(demand: Demand) -> Content:
    last = demand.day(demand.days - 1 + AHEAD)
    return _csv(build_calendar(demand.spec.start, last))


def _csv(frame: pd.DataFrame) -> Content:
    return Content(frame.to_csv(index=False, lineterminator="\n").encode(), len(frame))
