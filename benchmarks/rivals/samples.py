"""The three samples of the comparison: history, prices and calendar as the product would have read them.

Rows go through the lake's own rules (returns netted, doubles, corrections) and the validation's limits. What does not
belong here: panels' shape (the engine's), files for the other tools (``exchange``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.m5_files import read_m5
from benchmarks.m5_panels import to_frames
from include.skufleet.config import Catalogue, find_catalogue
from include.skufleet.errors import DropError
from include.skufleet.forecasting.building import build_catalogue_panels
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.prices import clean_prices
from include.skufleet.lake.sales import clean_sales
from include.skufleet.lake.tables import read_rows
from include.skufleet.quality.validate import validate_chunk
from include.skufleet.sources.archive import open_archive
from include.skufleet.sources.demo.calendar import build_calendar
from include.skufleet.sources.demo.demand import Demand, simulate
from include.skufleet.sources.demo.drops import list_drops
from include.skufleet.sources.demo.spec import AHEAD, DEPARTMENTS, DemoSpec
from include.skufleet.sources.files import list_file_drops
from include.skufleet.sources.upload import Drop

SEED = 20160522
ORIGINS = 3
M5_END, RETAIL_END, DEMO_END = date(2016, 5, 22), date(2011, 12, 9), date(2026, 6, 28)
KEYS = ["sku", "store", "date"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One catalogue's part in the comparison.

    Attributes:
        catalogue: its settings.
        history: ``sku, store, date, units`` and perhaps ``price``, one row per key, to the end of the last window.
        prices: announced prices ``sku, store, date, price``, or ``None``.
        calendar: one row per day, or ``None``.
        departments: SKU -> department, ``""`` where there is none.
        trading_dates: days on which the whole catalogue sold anything; ``None`` where every day is written.
        origins: last known days, ascending; each is followed by a horizon of actuals.
    """

    catalogue: Catalogue
    history: pd.DataFrame
    prices: pd.DataFrame | None
    calendar: pd.DataFrame | None
    departments: dict[str, str]
    trading_dates: pd.Series | None
    origins: tuple[date, ...]

    @property
    def name(self) -> str:
        """The catalogue's name."""
        return self.catalogue.name

    def build(self, as_of: date) -> dict[str, Panel]:
        """One panel per SKU of what was known on a date."""
        return build_catalogue_panels(
            self.history,
            self.catalogue,
            as_of=as_of,
            calendar=self.calendar,
            prices=self.prices,
            trading_dates=self.trading_dates,
            last_date=self._last_delivery(as_of),
        )

    def _last_delivery(self, as_of: date) -> date:
        if self.trading_dates is None:
            return as_of
        known: pd.Timestamp = self.trading_dates[self.trading_dates <= pd.Timestamp(as_of)].max()
        return known.date()

    def only(self, skus: Sequence[str]) -> Sample:
        """The sample without the other SKUs; days on which the catalogue traded stay."""
        history = self.history[self.history["sku"].isin(skus)].reset_index(drop=True)
        prices = None if self.prices is None else self.prices[self.prices["sku"].isin(skus)].reset_index(drop=True)
        return replace(self, history=history, prices=prices, departments={sku: self.departments[sku] for sku in skus})


def choose_origins(end: date, horizon: int, count: int = ORIGINS) -> tuple[date, ...]:
    """Origins a horizon apart, the last one a horizon before ``end``, ascending.

    >>> choose_origins(date(2016, 5, 22), 28, 2)
    (datetime.date(2016, 3, 27), datetime.date(2016, 4, 24))
    """
    return tuple(end - timedelta(days=horizon * back) for back in range(count, 0, -1))


def draw_m5(source: Path, skus: int) -> Sample:
    """Random items of M5 that the validation lets train at the first origin, in all of their stores.

    Raises:
        DataError: a file is not M5's. LandingError: it cannot be read.
    """
    catalogue = find_catalogue("m5")
    m5 = read_m5(open_archive(source), M5_END)
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(m5.items))[: skus + skus // 5 + 10])
    history, prices = to_frames(m5, chosen)
    sample = Sample(
        catalogue=catalogue,
        history=history.astype({"sku": str, "store": str}),
        prices=prices.astype({"sku": str, "store": str}),
        calendar=m5.calendar,
        departments={m5.items[number]: m5.departments[number] for number in chosen},
        trading_dates=None,
        origins=choose_origins(M5_END, catalogue.horizon),
    )
    return _trainable(sample, skus)


def draw_retail(source: Path, skus: int) -> Sample:
    """Random products of Online Retail that the validation lets train at the first origin.

    Raises:
        LandingError: the source cannot be read.
    """
    catalogue = find_catalogue("online_retail")
    drops, _ = list_file_drops(open_archive(source), catalogue.landing)
    history = _read_sales(catalogue, drops, RETAIL_END)
    sample = Sample(
        catalogue=catalogue,
        history=history,
        prices=None,
        calendar=None,
        departments=dict.fromkeys(sorted(history["sku"].unique()), ""),
        trading_dates=pd.Series(np.sort(history["date"].unique())),
        origins=choose_origins(RETAIL_END, catalogue.horizon),
    )
    return _trainable(sample, skus)


def draw_demo(skus: int) -> Sample:
    """The simulated chain as its nightly exports tell of it, dirt and corrections included."""
    catalogue = find_catalogue("demo")
    demand = simulate(DemoSpec(anchor=DEMO_END, skus=max(skus, 20)), DEMO_END)
    drops = list_drops(demand)
    history = _read_sales(catalogue, drops, DEMO_END)
    lines = demand.spec.assortment
    names = [DEPARTMENTS[number].name for number in lines["department"]]
    known = dict(zip(lines["sku"].astype(str), names, strict=True))
    sample = Sample(
        catalogue=catalogue,
        history=history,
        prices=_read_prices(catalogue, drops),
        calendar=_demo_calendar(demand),
        departments={sku: known.get(sku, "") for sku in sorted(history["sku"].unique())},
        trading_dates=pd.Series(np.sort(history["date"].unique())),
        origins=choose_origins(DEMO_END, catalogue.horizon),
    )
    return _trainable(sample, skus)


def _read_sales(catalogue: Catalogue, drops: Iterable[Drop], today: date) -> pd.DataFrame:
    """Every readable drop in the order of delivery, cleaned; the last delivery of a day wins."""
    sales, frames = catalogue.landing.sales, []
    names = sales.columns
    columns = [name for name in (names.sku, names.date, names.units, names.store) if name is not None]
    optional = [names.price] if names.price is not None else []
    for drop in (drop for drop in drops if drop.folder == "sales"):
        try:
            raw = read_rows(drop.name, drop.make().data, sales, columns, optional)
            frames.append(_to_frame(clean_sales(drop.name, raw, sales, today).rows.to_pandas()))
        except DropError:
            continue  # an export that was cut off: set aside, as an ingestion would
    return pd.concat(frames, ignore_index=True).drop_duplicates(KEYS, keep="last", ignore_index=True)


def _read_prices(catalogue: Catalogue, drops: Iterable[Drop]) -> pd.DataFrame | None:
    """All announced prices, the last announcement of a day first in force."""
    prices, frames = catalogue.landing.prices, []
    if prices is None:
        return None
    names = prices.columns
    columns = [name for name in (names.sku, names.date, names.price, names.store) if name is not None]
    for drop in (drop for drop in drops if drop.folder == "prices"):
        raw = read_rows(drop.name, drop.make().data, prices, columns)
        frames.append(_to_frame(clean_prices(drop.name, raw, prices).rows.to_pandas()))
    return pd.concat(frames, ignore_index=True).drop_duplicates(KEYS, keep="last", ignore_index=True)


def _to_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """Plain types, so that frames of several drops can be put together."""
    return rows.astype({"sku": str, "store": str, "date": "datetime64[s]"})


def _demo_calendar(demand: Demand) -> pd.DataFrame:
    frame = build_calendar(demand.spec.start, demand.day(demand.days - 1 + AHEAD)).rename(columns={"day": "date"})
    frame["date"] = pd.to_datetime(frame["date"])
    return frame


def _trainable(sample: Sample, count: int) -> Sample:
    """At most ``count`` SKUs that the validation lets train at the first origin, and only their rows within limits."""
    first, limits = sample.origins[0], sample.catalogue.validation
    known = sample.history[sample.history["date"] <= pd.Timestamp(first)]
    verdict = validate_chunk(
        known if "price" in known else known.assign(price=np.nan),
        limits=limits,
        as_of=first,
        planned=list(sample.departments),
        newest=known["date"].max().date(),
        frequency=sample.catalogue.frequency,
        gaps=sample.catalogue.landing.sales.gaps,
    )
    able = [sku for sku, found in verdict.skus.items() if found.train]
    chosen = np.sort(np.random.default_rng(SEED).permutation(np.array(sorted(able)))[:count])
    within = sample.history["units"].between(0, limits.max_units)
    return replace(sample, history=sample.history[within]).only([str(sku) for sku in chosen])
