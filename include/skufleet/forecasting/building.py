"""From long frames to one panel per SKU: sorted once, cut at the series' boundaries, no group-by per SKU.

What does not belong here: reading the frames, judging whether a SKU can be trained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from include.skufleet.config import Catalogue, Flag, Window
from include.skufleet.errors import DataError
from include.skufleet.forecasting.calendar import (
    Ints,
    align_calendar,
    find_rest_days,
    first_days,
    to_days,
    to_periods,
)
from include.skufleet.forecasting.panel import Bools, Dates, Floats, Frequency, Panel

Gaps = Literal["zero", "missing"]
ALL_STORES = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows sorted by SKU, store and period: codes point into the ascending names."""

    skus: Sequence[str]
    stores: Sequence[str]
    sku: Ints
    store: Ints
    period: Ints
    units: Floats
    price: Floats


@dataclass(frozen=True, slots=True)
class _Span:
    """Period numbers: the first of any series, the last complete one, the last with delivered data."""

    first: int
    last: int
    delivered: int
    horizon: int


def build_panels(
    history: pd.DataFrame,
    *,
    as_of: date,
    horizon: int,
    frequency: Frequency = "D",
    season_length: int = 7,
    gaps: Gaps = "missing",
    calendar: pd.DataFrame | None = None,
    events: Sequence[str] = (),
    windows: Mapping[str, Sequence[Window]] | None = None,
    flags: Mapping[str, Sequence[Flag]] | None = None,
    closed: str | None = None,
    prices: pd.DataFrame | None = None,
    trading_dates: Iterable[date] | Dates | pd.Series | None = None,
    last_date: date | None = None,
    known_future: Collection[str] = (),
) -> dict[str, Panel]:
    """One panel per SKU that has a row up to ``as_of``; SKUs in ascending order. Nothing later than ``as_of`` counts.

    What the units are:

    * before a series' first row, and after the last delivered day: NaN;
    * a day without a row in between: 0 or NaN, by ``gaps``; with ``zero``, days after the series' last row are 0 up to
      the last delivered day, and days on which the chain traded nowhere are NaN;
    * closed days of the calendar: NaN; a row with NaN, infinite or negative units: NaN.

    In weeks (Monday to Sunday) units are summed over the known days. A week counts once it is over; where all rows
    fall on one weekday, a row is taken for its week's total, and the week counts with it.

    Args:
        history: ``sku, store, date, units`` and optionally ``price``; one row per SKU, store and date.
        as_of: the date of the run.
        horizon: periods to forecast, >= 1.
        frequency: ``D`` or ``W``.
        season_length: periods in a season.
        gaps: what a day without a row means.
        calendar: one row per day, column ``date`` and those named by ``events``, ``flags`` and ``closed``.
        events: columns with event names; used when ``known_future`` has ``events``.
        windows: event -> days around it that are events of their own; see ``calendar.align_calendar``.
        flags: flag name -> columns by store pattern; used when ``known_future`` has ``flags``.
        closed: 0/1 column.
        prices: ``sku, store, date, price``: a price holds until the next one; store ``''`` means every store.
            Used, like the history's own price, when ``known_future`` has ``price``. Its future rows are announced
            prices by declaration; a SKU without any row takes the history's prices, and the last one is repeated.
        trading_dates: dates on which any SKU of the whole catalogue has a row.
        last_date: the last date of the whole catalogue's history; else the last of ``trading_dates`` or ``history``.
        known_future: which inputs a model may use: ``price, events, flags``.

    Raises:
        DataError: a column is missing, or a SKU, store and day has two rows.
    """
    if missing := sorted({"sku", "store", "date", "units"} - set(history.columns)):
        raise DataError(f"history: columns {missing} are missing; it has {sorted(map(str, history.columns))}")
    stop = int(np.datetime64(as_of, "D").astype(np.int64))
    traded = _days_until(trading_dates, stop)
    rows, last = _sort_rows(history, stop, frequency)
    if not rows.period.size:
        return {}
    days = to_days(history["date"])
    day = days[days <= stop].max()
    if last_date is not None or traded.size:
        given = to_days(np.array([last_date], dtype="datetime64[D]"))[0] if last_date is not None else traded[-1]
        day = max(day, min(given, stop))
    newest = min(int(to_periods(np.array([day]), frequency)[0]), last)
    span = _Span(int(rows.period.min()), last, newest, horizon)
    ahead = align_calendar(
        calendar,
        start=span.first,
        periods=span.last - span.first + 1 + horizon,
        frequency=frequency,
        stores=rows.stores,
        events=events if "events" in known_future else (),
        windows=windows,
        flags=flags if "flags" in known_future else {},
        closed=closed,
    )
    resting, idle = _rest_and_idle(traded, span, frequency)
    announced = _price_rows(prices, rows, span, frequency) if "price" in known_future else None
    shut = ahead.closed | resting
    shared: dict[tuple[bytes, int], dict[str, Floats]] = {}  # SKUs of the same stores and first day have the same flags
    panels: dict[str, Panel] = {}
    for name, chosen in _by_sku(rows):
        own = None if announced is None else announced.get(name)
        units, price, codes, start = _fill_sku(rows, chosen, span, gaps, ahead.closed, idle, own)
        begin, place = start - span.first, (codes.tobytes(), start)
        if place not in shared:
            shared[place] = {flag: values[codes, begin:] for flag, values in ahead.flags.items()}
        panels[name] = Panel(
            sku=name,
            stores=tuple(rows.stores[code] for code in codes),
            dates=first_days(np.arange(start, span.last + 1), frequency),
            units=units,
            price=price if "price" in known_future else None,
            price_known_ahead=own is not None,
            events=ahead.events,
            indicators=ahead.indicators[:, begin:],
            flags=shared[place],
            closed=shut[begin:],
            frequency=frequency,
            season_length=season_length,
        )
    return panels


def build_catalogue_panels(
    history: pd.DataFrame,
    catalogue: Catalogue,
    *,
    as_of: date,
    calendar: pd.DataFrame | None,
    prices: pd.DataFrame | None,
    trading_dates: Iterable[date] | Dates | pd.Series | None,
    last_date: date | None,
) -> dict[str, Panel]:
    """``build_panels`` with what the catalogue's file says of its data."""
    sales, known = catalogue.landing.sales, catalogue.landing.calendar
    return build_panels(
        history,
        as_of=as_of,
        horizon=catalogue.horizon,
        frequency=catalogue.frequency,
        season_length=catalogue.season_length,
        gaps=sales.gaps,
        calendar=calendar,
        events=known.events if known else (),
        windows=known.windows if known else {},
        flags=known.flags if known else {},
        closed=known.closed if known else None,
        prices=prices,
        trading_dates=trading_dates,
        last_date=last_date,
        known_future=catalogue.known_future,
    )


def _days_until(dates: Iterable[date] | Dates | pd.Series | None, stop: int) -> Ints:
    """Distinct days up to ``stop``, ascending."""
    if dates is None:
        return np.array([], dtype=np.int64)
    values = dates if isinstance(dates, (np.ndarray, pd.Series)) else np.array(list(dates), dtype="datetime64[D]")
    days = np.unique(to_days(values))
    return days[days <= stop]


def _sort_rows(history: pd.DataFrame, stop: int, frequency: Frequency) -> tuple[_Rows, int]:
    """The rows up to day ``stop``, one per SKU, store and period, and the last complete period."""
    days = to_days(history["date"])
    if (days > stop).any():
        history, days = history[days <= stop], days[days <= stop]
    sku, skus = pd.factorize(history["sku"], sort=True)
    store, stores = pd.factorize(history["store"], sort=True)
    units = history["units"].to_numpy(dtype=float, na_value=np.nan)
    units = np.where(np.isfinite(units) & (units >= 0), units, np.nan)
    price = (
        history["price"].to_numpy(dtype=float, na_value=np.nan) if "price" in history else np.full(days.size, np.nan)
    )
    price = np.where(np.isfinite(price) & (price > 0), price, np.nan)
    rows = _Rows([str(name) for name in skus], [str(name) for name in stores], sku, store, days, units, price)
    rows = _in_order(rows)
    return (rows, stop) if frequency == "D" else _sum_weeks(rows, stop)


def _in_order(rows: _Rows) -> _Rows:
    """The rows by SKU, store and day, as the history table gives them already.

    Raises:
        DataError: a SKU, store and day has two rows.
    """
    first = int(rows.period.min(initial=0))
    width = int(rows.period.max(initial=0)) - first + 1
    key = (rows.sku * max(len(rows.stores), 1) + rows.store) * width + (rows.period - first)
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        key = key[order]
        sku, store, period = rows.sku[order], rows.store[order], rows.period[order]
        rows = _Rows(rows.skus, rows.stores, sku, store, period, rows.units[order], rows.price[order])
    if (same := key[1:] == key[:-1]).any():
        at = int(np.argmax(same))
        raise DataError(
            f"history: SKU {rows.skus[rows.sku[at]]!r}, store {rows.stores[rows.store[at]]!r} has two rows on "
            f"{rows.period[at : at + 1].astype('datetime64[D]')[0]}, expected one; take the duplicates out first"
        )
    return rows


def _sum_weeks(rows: _Rows, stop: int) -> tuple[_Rows, int]:
    """Weekly totals of daily rows up to day ``stop``, and the last complete week."""
    weekdays = np.unique((rows.period + 3) % 7)
    closing = int(weekdays[0]) if weekdays.size == 1 else 6
    last = (stop + 3 - closing) // 7
    week = (rows.period + 3) // 7
    kept = week <= last
    sku, store, week = rows.sku[kept], rows.store[kept], week[kept]
    units, price = rows.units[kept], rows.price[kept]
    if not week.size:
        return _Rows(rows.skus, rows.stores, sku, store, week, units, price), last
    new = np.ones(week.size, dtype=bool)
    new[1:] = (sku[1:] != sku[:-1]) | (store[1:] != store[:-1]) | (week[1:] != week[:-1])
    starts = np.flatnonzero(new)

    def _total(values: Floats) -> tuple[Floats, Floats]:
        return np.add.reduceat(np.nan_to_num(values), starts), np.add.reduceat(~np.isnan(values) * 1.0, starts)

    (sums, known), (price_sums, priced) = _total(units), _total(price)
    return _Rows(
        rows.skus,
        rows.stores,
        sku[starts],
        store[starts],
        week[starts],
        np.where(known > 0, sums, np.nan),
        np.where(priced > 0, price_sums / np.maximum(priced, 1), np.nan),
    ), last


def _rest_and_idle(traded: Ints, span: _Span, frequency: Frequency) -> tuple[Bools, Bools]:
    """Over the calendar's periods: the chain habitually rests, and the chain traded nowhere."""
    size = span.last - span.first + 1 + span.horizon
    nothing = np.zeros(size, dtype=bool)
    if not traded.size:
        return nothing, nothing
    idle = np.ones(size, dtype=bool)
    periods = np.unique(to_periods(traded, frequency)) - span.first
    idle[periods[(periods >= 0) & (periods < size)]] = False
    if frequency == "W":
        return nothing, idle
    begin = min(int(traded[0]), span.first)  # the whole catalogue's first day: the same for every part of it
    open_days = np.zeros(span.first - begin + size, dtype=bool)
    open_days[traded - begin] = True
    return find_rest_days(open_days, span.horizon)[span.first - begin :], idle


def _by_sku(rows: _Rows) -> Iterator[tuple[str, slice]]:
    """Each SKU with the slice of its rows."""
    starts = np.flatnonzero(np.concatenate([[True], rows.sku[1:] != rows.sku[:-1]]))
    for begin, end in zip(starts, [*starts[1:], rows.sku.size], strict=True):
        yield rows.skus[rows.sku[begin]], slice(int(begin), int(end))


def _price_rows(
    prices: pd.DataFrame | None, rows: _Rows, span: _Span, frequency: Frequency
) -> dict[str, tuple[Ints, Ints, Floats]]:
    """SKU -> store codes (-1 for all stores), periods and prices of its announced prices, by date."""
    if prices is None or not len(prices):
        return {}
    days, value = to_days(prices["date"]), prices["price"].to_numpy(dtype=float, na_value=np.nan)
    period = to_periods(days, frequency)
    name = pd.Index(rows.skus).get_indexer(pd.Index(prices["sku"]))
    shop = prices["store"].to_numpy()
    store = np.where(shop == ALL_STORES, -1, pd.Index(rows.stores).get_indexer(pd.Index(shop)))
    kept = np.isfinite(value) & (value > 0) & (period <= span.last + span.horizon) & (name >= 0)
    kept &= (store >= 0) | (shop == ALL_STORES)
    order = np.flatnonzero(kept)[np.lexsort((days[kept], name[kept]))]
    name, store, period, value = name[order], store[order].astype(np.int64), period[order], value[order]
    cuts = np.flatnonzero(np.concatenate([[True], name[1:] != name[:-1]])) if name.size else np.array([], dtype=int)
    return {
        rows.skus[name[begin]]: (store[begin:end], period[begin:end], value[begin:end])
        for begin, end in zip(cuts, [*cuts[1:], name.size], strict=False)
    }


def _fill_sku(
    rows: _Rows,
    chosen: slice,
    span: _Span,
    gaps: Gaps,
    closed: Bools,
    idle: Bools,
    announced: tuple[Ints, Ints, Floats] | None,
) -> tuple[Floats, Floats | None, Ints, int]:
    """Units (S, T), prices (S, T+h) or None, store codes, and the first period of one SKU."""
    store, period = rows.store[chosen], rows.period[chosen]
    firsts = np.flatnonzero(np.concatenate([[True], store[1:] != store[:-1]]))
    codes, start = store[firsts], int(period.min())
    length = span.last - start + 1
    local, position = np.searchsorted(codes, store), period - start
    units = np.full((codes.size, length), np.nan)
    if gaps == "zero":
        steps = np.arange(length)
        units[(steps >= position[firsts][:, None]) & (steps <= span.delivered - start)] = 0.0
        units[:, idle[start - span.first :][:length]] = np.nan
    units[local, position] = rows.units[chosen]
    units[:, closed[start - span.first :][:length]] = np.nan
    price = np.full((codes.size, length + span.horizon), np.nan)
    if announced is None:
        price[local, position] = rows.price[chosen]
    else:
        shop, when, value = announced
        when, everywhere = np.maximum(when - start, 0), shop < 0
        price[:, when[everywhere]] = value[everywhere]
        here = ~everywhere & np.isin(shop, codes)
        price[np.searchsorted(codes, shop[here]), when[here]] = value[here]
    return units, _carry_forward(price), codes, start


def _carry_forward(values: Floats) -> Floats | None:
    """Each row's last known value up to each column; ``None`` where nothing is known at all."""
    known = ~np.isnan(values)
    if not known.any():
        return None
    last = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), 0), axis=1)
    return np.take_along_axis(values, last, axis=1)
