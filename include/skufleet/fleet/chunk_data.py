"""What one chunk works on: its manifest, its validated history, one panel per SKU, and what is known ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.run import Run
from include.skufleet.forecasting.building import build_panels
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.history import read_history, read_prices
from include.skufleet.lake.index import read_trading_dates
from include.skufleet.quality.records import Verdict
from include.skufleet.quality.validate import validate_chunk


@dataclass(frozen=True)
class ChunkData:
    """One chunk, ready to be trained.

    Attributes:
        skus: the manifest's SKUs, each with its department and its version in production.
        table_version: of the history that was read.
        verdict: what the validation said.
        panels: one per SKU that has a usable row; of quarantined SKUs too, made from their usable rows, so that a
            fallback can serve them.
    """

    skus: Mapping[str, Mapping[str, Any]]
    table_version: int
    verdict: Verdict
    panels: Mapping[str, Panel]


def load_chunk(clients: Clients, catalogue: Catalogue, run: Run, chunk: str) -> ChunkData:
    """Read a chunk's buckets as of the run's date at the plan's table version, validate, and lay out as panels."""
    manifest = clients.store.get_json(f"{run.chunk_folder(chunk)}/manifest.json")
    ingested = clients.store.get_json(run.plan_key)["ingested"]
    planned, buckets = list(manifest["skus"]), manifest["buckets"]
    history = read_history(
        clients.store,
        catalogue,
        version=ingested["table_version"],
        as_of=run.as_of,
        buckets=buckets,
        skus=planned,
    )
    trading_dates = _until(read_trading_dates(clients.store, ingested["dates_key"]), run.as_of)
    newest = trading_dates.max().date() if len(trading_dates) else None
    verdict = validate_chunk(
        history,
        limits=catalogue.validation,
        as_of=run.as_of,
        planned=planned,
        newest=newest,
        frequency=catalogue.frequency,
        gaps=catalogue.landing.sales.gaps,
    )
    usable = _with_usable_rows_of_quarantined(verdict, history, catalogue)
    calendar, landing = _read_calendar(clients, ingested), catalogue.landing
    prices = None
    if landing.prices and "price" in catalogue.known_future:
        prices = read_prices(
            clients.store, catalogue, version=ingested["prices_version"], buckets=buckets, skus=planned
        )
    panels = build_panels(
        usable,
        as_of=run.as_of,
        horizon=catalogue.horizon,
        frequency=catalogue.frequency,
        season_length=catalogue.season_length,
        gaps=landing.sales.gaps,
        calendar=calendar,
        events=landing.calendar.events if landing.calendar else (),
        flags=landing.calendar.flags if landing.calendar else {},
        closed=landing.calendar.closed if landing.calendar else None,
        prices=prices,
        trading_dates=trading_dates,
        last_date=newest,
        known_future=catalogue.known_future,
    )
    return ChunkData(skus=manifest["skus"], table_version=ingested["table_version"], verdict=verdict, panels=panels)


def _until(dates: pd.Series, as_of: date) -> pd.Series:
    stamps = pd.to_datetime(dates)
    return stamps[stamps <= pd.Timestamp(as_of)]


def _with_usable_rows_of_quarantined(verdict: Verdict, history: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The clean rows, and of SKUs set aside as a whole those rows that are within the limits."""
    aside = [sku for sku, item in verdict.skus.items() if item.status == "quarantined"]
    if not aside:
        return verdict.clean
    rows = history[history["sku"].isin(aside)]
    usable = rows[rows["units"].between(0, catalogue.validation.max_units)]
    return pd.concat([verdict.clean, usable.drop_duplicates(["sku", "store", "date"], keep="last")], ignore_index=True)


def _read_calendar(clients: Clients, ingested: Mapping[str, Any]) -> pd.DataFrame | None:
    key = ingested.get("calendar_key")
    return clients.store.get_frame(key) if key else None
