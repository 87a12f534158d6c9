"""What one chunk works on: its manifest, its validated history, one panel per SKU, and what is known ahead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.departments import pool, read_priors
from include.skufleet.fleet.gating import Ring
from include.skufleet.fleet.known_then import parse_known
from include.skufleet.fleet.layout import Layout
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.trials import read_trials
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.history import read_history, read_prices
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
        as_of: the run's date.
        trials: SKU -> rows of its open trial (``lifecycle.trials.COLUMNS``).
        verdicts: recipe -> whether it did no worse in the canaries.
    """

    skus: Mapping[str, Mapping[str, Any]]
    table_version: int
    verdict: Verdict
    panels: Mapping[str, Panel]
    as_of: date
    trials: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    verdicts: Mapping[str, bool] = field(default_factory=dict)

    def ring(self, sku: str) -> Ring:
        """What the SKU's challenger meets."""
        trial = self.trials.get(sku)
        return Ring(self.as_of, self.skus[sku]["production"], pd.DataFrame() if trial is None else trial, self.verdicts)


def load_chunk(clients: Clients, catalogue: Catalogue, run: Run, chunk: str) -> ChunkData:
    """Read a chunk's buckets as of the run's date at the plan's table version, validate, and lay out as panels.

    The panels have the profiles of their departments, where the run has fitted any.
    """
    return load_part(clients, catalogue, run, chunk)


def load_part(
    clients: Clients, catalogue: Catalogue, run: Run, chunk: str, skus: Collection[str] | None = None
) -> ChunkData:
    """``load_chunk`` for some of its SKUs; all where none are named."""
    manifest = clients.store.get_json(f"{run.chunk_folder(chunk)}/manifest.json")
    known = {sku: item for sku, item in manifest["skus"].items() if skus is None or sku in set(skus)}
    buckets = sorted({bucket_of(sku, catalogue.fleet.buckets) for sku in known})
    data = load_skus(clients, catalogue, run.as_of, manifest["ingested"], known, buckets)
    priors = read_priors(clients.store, run)
    pooled = {sku: pool(panel, priors, data.skus[sku]["department"]) for sku, panel in data.panels.items()}
    trials = read_trials(clients.store, run, known)
    return replace(data, panels=pooled, trials=trials, verdicts=dict(manifest.get("canaries", {})))


def load_skus(
    clients: Clients,
    catalogue: Catalogue,
    as_of: date,
    ingested: Mapping[str, Any],
    skus: Mapping[str, Mapping[str, Any]],
    buckets: Sequence[int],
) -> ChunkData:
    """Read some SKUs, validate them, and lay them out as panels.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        as_of: nothing later is read.
        ingested: the JSON of the ingestion's summary: table versions and keys.
        skus: what the plan knows of each SKU.
        buckets: the buckets of the history that they are in.
    """
    layout = Layout.read(clients, catalogue, as_of, ingested)
    history = read_history(
        clients.store,
        catalogue,
        version=ingested["table_version"],
        as_of=as_of,
        buckets=buckets,
        skus=list(skus),
        known=parse_known(ingested),
    )
    verdict = validate_chunk(
        history,
        limits=catalogue.validation,
        as_of=as_of,
        planned=list(skus),
        newest=layout.newest,
        frequency=catalogue.frequency,
        gaps=catalogue.landing.sales.gaps,
    )
    usable = _with_usable_rows_of_quarantined(verdict, history, catalogue)
    panels = lay_out(clients, layout, ingested, usable, buckets)
    return ChunkData(skus=skus, table_version=ingested["table_version"], verdict=verdict, panels=panels, as_of=as_of)


def lay_out(
    clients: Clients, layout: Layout, ingested: Mapping[str, Any], usable: pd.DataFrame, buckets: Sequence[int]
) -> dict[str, Panel]:
    """One panel per SKU of validated rows (``sku, store, date, units, price``), with what is known ahead."""
    catalogue, prices = layout.catalogue, None
    if catalogue.landing.prices and "price" in catalogue.known_future:
        prices = read_prices(
            clients.store,
            catalogue,
            version=ingested["prices_version"],
            buckets=buckets,
            skus=[str(sku) for sku in usable["sku"].unique()],
            known=parse_known(ingested, "prices"),
        )
    return layout.build(usable, prices)


def _with_usable_rows_of_quarantined(verdict: Verdict, history: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The clean rows, and of SKUs set aside as a whole those rows that are within the limits."""
    aside = [sku for sku, item in verdict.skus.items() if item.status == "quarantined"]
    if not aside:
        return verdict.clean
    rows = history[history["sku"].isin(aside)]
    usable = rows[rows["units"].between(0, catalogue.validation.max_units)]
    return pd.concat([verdict.clean, usable.drop_duplicates(["sku", "store", "date"], keep="last")], ignore_index=True)
