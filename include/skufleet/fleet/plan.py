"""Decide what a run trains, and cut it into chunks: the plan is an object on S3, tasks get its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.changes import Before, Changes, find_changes
from include.skufleet.fleet.chunks import Chunk, Limits, balance, estimate_seconds, pack_chunks
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.fingerprints import digest_shared, fingerprint_skus
from include.skufleet.fleet.known_then import limit_to_known
from include.skufleet.fleet.outcomes import SkuOutcome, to_frame, to_json
from include.skufleet.fleet.releases import read_release, read_release_at
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.selection import Selection, find_skus
from include.skufleet.fleet.standing import read_standing
from include.skufleet.fleet.trials import read_verdicts
from include.skufleet.lake.index import read_price_index
from include.skufleet.lake.publishing import read_published
from include.skufleet.registry.names import registered_name
from include.skufleet.registry.records import RegisteredVersion
from include.skufleet.registry.states import ModelState


def plan_run(clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any]) -> list[dict[str, str]]:
    """Write the plan of a run and the manifest of each chunk to S3.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        run: the run; ``skus`` limits it, ``force`` trains what has nothing new too, ``dry_run`` keeps the chunks from
            being handed out.
        ingested: the JSON of the ingestion's summary: table versions and the keys of index and reference data.

    Returns:
        One ``{"chunk", "label"}`` per chunk; none for a dry run. All else is in the plan object.

    Raises:
        PlanError: nothing was known on ``as_of``, or ``skus`` selects nothing.
    """
    ingested = limit_to_known(clients, catalogue, run, ingested)
    selection = find_skus(clients, catalogue, run, ingested)
    states = clients.registry.states(catalogue.name, read_release(clients.store, run))
    fingerprints = _fingerprint(clients, catalogue, run, ingested, selection)
    standing = read_standing(clients.store, run)
    changes = _find_changes(clients, catalogue, run, ingested, selection, states, fingerprints, standing)
    handed_out = {*changes.train, *changes.forecast}
    planned = [item for item in selection.planned if item.sku in handed_out]
    estimated = estimate_seconds(planned, _measured(standing), changes.forecast)
    chunks = pack_chunks(estimated, _limits(clients, catalogue))
    left_out = [*selection.left_out, *changes.carried.values()]
    canaries = read_verdicts(clients.store, run, run.as_of)
    known = _Known(run, selection, states, fingerprints, changes)
    for chunk in chunks:
        manifest = {"chunk": chunk.name, "label": chunk.label, "ingested": dict(ingested), "canaries": canaries}
        skus = {sku: known.describe(sku) for sku in chunk.skus}
        clients.store.put_json(f"{run.chunk_folder(chunk.name)}/manifest.json", manifest | {"skus": skus})
    clients.store.put_frame(run.not_planned_key, to_frame(left_out))
    clients.store.put_json(run.plan_key, _describe(catalogue, run, ingested, chunks, left_out, changes))
    return [] if run.dry_run else [{"chunk": chunk.name, "label": chunk.label} for chunk in chunks]


def _fingerprint(
    clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any], selection: Selection
) -> dict[str, str]:
    """SKU -> its fingerprint, from the digests that the lake keeps of each series."""
    calendar, prices = ingested.get("calendar_key"), ingested.get("prices_index_key")
    shared = digest_shared(
        catalogue,
        clients.store.get_frame(calendar) if calendar else None,
        run.as_of,
        date.fromisoformat(ingested["last_date"]),
    )
    priced = read_price_index(clients.store, prices) if prices else None
    return fingerprint_skus(selection.series, priced, selection.groups, shared)


def _find_changes(
    clients: Clients,
    catalogue: Catalogue,
    run: Run,
    ingested: Mapping[str, Any],
    selection: Selection,
    states: Mapping[str, ModelState],
    fingerprints: Mapping[str, str],
    standing: pd.DataFrame,
) -> Changes:
    """What is to be done with each planned SKU."""
    skus = [item.sku for item in selection.planned]
    if run.force:
        return Changes(train=skus)
    published = read_published(clients.store, run.forecast_pointer) or {}
    last_sales = selection.series.groupby("sku", observed=True)["last_sale"].max()
    served = read_release_at(clients.store, published["release"]) if "release" in published else []
    before = Before(
        standing=standing,
        production={sku: version for sku, state in states.items() if (version := production_then(state, run))},
        served={item.sku: item.version for item in served},
        published_as_of=str(published.get("as_of", "")),
        published_horizon=int(published.get("horizon", 0)),
        last_sales={str(sku): last for sku, last in last_sales.items()},
        newest=date.fromisoformat(ingested["last_date"]),
    )
    return find_changes(skus, fingerprints, before, catalogue, run.as_of)


def production_then(state: ModelState | None, run: Run) -> RegisteredVersion | None:
    """The version in production, unless it was trained on days that the run must not know.

    Such a version's recipe was chosen by them, too: a run of the past neither tries it nor is measured against it.
    """
    version = state.production if state else None
    return version if version and version.as_of <= run.as_of.isoformat() else None


def _measured(standing: pd.DataFrame) -> dict[str, float]:
    """SKU -> seconds that its last training took."""
    took = standing[standing["outcome"] == "trained"]
    return dict(zip(map(str, took["sku"]), took["seconds"], strict=True))


def _limits(clients: Clients, catalogue: Catalogue) -> Limits:
    fleet = catalogue.fleet
    return Limits(
        slots=clients.settings.slots, chunks=fleet.chunks, rows=fleet.rows_per_chunk, skus=fleet.skus_per_chunk
    )


@dataclass(frozen=True)
class _Known:
    """What the plan knows of each SKU, for the chunks that get them."""

    run: Run
    selection: Selection
    states: Mapping[str, ModelState]
    fingerprints: Mapping[str, str]
    changes: Changes

    def describe(self, sku: str) -> dict[str, Any]:
        """Groups, fingerprint, what MLflow has of the SKU, and its outcome where nothing is new.

        ``production`` is the version in production that the run may know, ``serving`` the one that is, whatever its
        date. ``registered`` holds the tags of the registered model: none where there is no such model.
        """
        state, unchanged = self.states.get(sku), self.changes.forecast.get(sku)
        champion = production_then(state, self.run)
        return self.selection.describe(sku) | {
            "fingerprint": self.fingerprints[sku],
            "name": registered_name(self.run.catalogue, sku),
            "registered": {} if state is None else dict(state.tags),
            "production": asdict(champion) if champion else None,
            "serving": asdict(state.production) if state and state.production else None,
            "unchanged": None if unchanged is None else to_json(unchanged),
        }


def _describe(
    catalogue: Catalogue,
    run: Run,
    ingested: Mapping[str, Any],
    chunks: Sequence[Chunk],
    left_out: Sequence[SkuOutcome],
    changes: Changes,
) -> dict[str, Any]:
    """The plan as JSON: everything that later tasks and the report need to reconcile the run."""
    planned = sum(len(chunk.skus) for chunk in chunks)
    described = [_describe_chunk(chunk) for chunk in chunks]
    return {
        "run_id": run.run_id,
        "as_of": run.as_of.isoformat(),
        "params": {"skus": list(run.skus), "force": run.force, "dry_run": run.dry_run},
        "ingested": dict(ingested),
        "horizon": catalogue.horizon,
        "counts": {
            "skus": planned + len(left_out),
            "planned": planned,
            "to_train": len(changes.train),
            "unchanged": len(changes.forecast) + len(changes.carried),
            "not_planned": len(left_out),
            "chunks": len(chunks),
        },
        "balance": balance(chunks),
        "edition": _name_edition([chunk["skus"] for chunk in described], ingested),
        "chunks": described,
    }


def _name_edition(skus: Sequence[Sequence[str]], ingested: Mapping[str, Any]) -> str:
    """Tells one plan of a run from another: by who gets which SKUs, and of which data."""
    named = json.dumps([skus, dict(ingested)], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:12]


def _describe_chunk(chunk: Chunk) -> dict[str, Any]:
    known = {"chunk": chunk.name, "label": chunk.label, "seconds": round(chunk.seconds, 1), "rows": chunk.rows}
    return known | {"skus": list(chunk.skus)}
