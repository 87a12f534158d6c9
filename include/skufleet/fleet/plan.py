"""Decide what a run trains, and cut it into chunks: the plan is an object on S3, tasks get its key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import PlanError
from include.skufleet.fleet.chunks import Chunk, PlannedSku, balance, pack_chunks
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.run import Run
from include.skufleet.lake.index import read_series_index
from include.skufleet.registry.records import RegisteredVersion

UNKNOWN_DEPARTMENT = "(none)"


@dataclass(frozen=True, slots=True)
class NotPlanned:
    """A SKU that no chunk gets, and why: it is accounted for in the report all the same."""

    sku: str
    department: str
    outcome: str
    reason: str


def plan_run(clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any]) -> list[dict[str, str]]:
    """Write the plan of a run and the manifest of each chunk to S3.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        run: the run; ``skus`` limits it, ``dry_run`` keeps the chunks from being handed out.
        ingested: the JSON of the ingestion's summary: table versions and the keys of index and reference data.

    Returns:
        One ``{"chunk", "label"}`` per chunk; none for a dry run. All else is in the plan object.

    Raises:
        PlanError: ``as_of`` is before the first sale, or ``skus`` selects nothing.
    """
    index = read_series_index(clients.store, ingested["index_key"])
    departments = _read_departments(clients, ingested)
    known = _costs(index, run.as_of)
    every = sorted(set(known.index) | set(departments or ()))
    selected = select_skus(every, run.skus, catalogue.name)
    if known.empty:
        raise PlanError(_before_first_sale(catalogue, run, index))
    planned, left_out = _sort_out(selected, known, departments)
    chunks = pack_chunks(planned, skus_per_chunk=catalogue.fleet.skus_per_chunk, max_chunks=catalogue.fleet.chunks)
    production = clients.registry.production(catalogue.name) if chunks else {}
    _write_manifests(clients, run, chunks, departments or {}, production)
    plan = _describe(catalogue, run, ingested, chunks, left_out)
    clients.store.put_json(run.plan_key, plan)
    return [] if run.dry_run else [{"chunk": chunk.name, "label": chunk.label} for chunk in chunks]


def select_skus(known: Sequence[str], wanted: Iterable[str], catalogue: str) -> list[str]:
    """The SKUs that the codes and shell patterns select, in the catalogue's order; all where none is given.

    A code that exists is taken as it is, even if it reads like a pattern.

    Raises:
        PlanError: one of them matches nothing; the message names it and shows what codes look like.
    """
    wanted = [item.strip() for item in wanted if item.strip()]
    if not wanted:
        return list(known)
    codes, chosen = set(known), set()
    for item in wanted:
        found = {item} if item in codes else {sku for sku in known if fnmatchcase(sku, item)}
        if not found:
            examples = ", ".join(known[:3]) or "none at all"
            raise PlanError(
                f"skus: {item!r} matches none of the {len(known)} SKUs of catalogue {catalogue!r} (they look like: "
                f"{examples}); give codes or shell patterns, for example {known[0][:3] + '*' if known else '*'}"
            )
        chosen |= found
    return [sku for sku in known if sku in chosen]


def _read_departments(clients: Clients, ingested: Mapping[str, Any]) -> dict[str, str] | None:
    """The department of every SKU that the catalogue lists; ``None`` where the catalogue has no attributes."""
    key = ingested.get("attributes_key")
    if not key:
        return None
    attributes = clients.store.get_frame(key)
    if "department" not in attributes.columns:
        return dict.fromkeys(attributes["sku"].astype(str), UNKNOWN_DEPARTMENT)
    named = attributes["department"].astype("str").where(attributes["department"].notna(), "")
    return {sku: name or UNKNOWN_DEPARTMENT for sku, name in zip(attributes["sku"].astype(str), named, strict=True)}


def _costs(index: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Bucket and cost (periods of all its series up to ``as_of``) of every SKU that was sold by then."""
    end = pd.Timestamp(as_of)
    sold = index[pd.to_datetime(index["first_date"]) <= end]
    last = pd.to_datetime(sold["last_date"])
    cost = (last.where(last <= end, end) - pd.to_datetime(sold["first_date"])).dt.days + 1
    frame = pd.DataFrame({"sku": sold["sku"], "bucket": sold["bucket"], "cost": cost.astype(float)})
    return frame.groupby("sku", observed=True).agg(bucket=("bucket", "first"), cost=("cost", "sum"))


def _sort_out(
    selected: Sequence[str], known: pd.DataFrame, departments: Mapping[str, str] | None
) -> tuple[list[PlannedSku], list[NotPlanned]]:
    """Who is trained; who is in the sales but not in the catalogue, and the reverse."""
    costs = dict(zip(known.index, zip(known["bucket"], known["cost"], strict=True), strict=True))
    planned, left_out = [], []
    for sku in selected:
        if sku not in costs:
            reason = "in the catalogue, but never sold up to as_of"
            left_out.append(NotPlanned(sku, (departments or {})[sku], "skipped", reason))
        elif departments is not None and sku not in departments:
            reason = "sold, but not in the catalogue's attributes; its sales are kept and count once it is listed there"
            left_out.append(NotPlanned(sku, UNKNOWN_DEPARTMENT, "quarantined", reason))
        else:
            bucket, cost = costs[sku]
            planned.append(PlannedSku(sku, int(bucket), float(cost)))
    return planned, left_out


def _write_manifests(
    clients: Clients,
    run: Run,
    chunks: Sequence[Chunk],
    departments: Mapping[str, str],
    production: Mapping[str, RegisteredVersion],
) -> None:
    """One object per chunk: its SKUs with department and version in production, and the buckets it reads."""
    for chunk in chunks:
        manifest = {
            "chunk": chunk.name,
            "label": chunk.label,
            "buckets": list(chunk.buckets),
            "cost": chunk.cost,
            "skus": {
                sku: {
                    "department": departments.get(sku, UNKNOWN_DEPARTMENT),
                    "production": _champion(production[sku]) if sku in production else None,
                }
                for sku in chunk.skus
            },
        }
        clients.store.put_json(f"{run.chunk_folder(chunk.name)}/manifest.json", manifest)


def _champion(version: RegisteredVersion) -> dict[str, Any]:
    """What the training needs to know of the version in production."""
    return {"version": version.version, "candidate": version.candidate, "outcome": version.outcome}


def _describe(
    catalogue: Catalogue, run: Run, ingested: Mapping[str, Any], chunks: Sequence[Chunk], left_out: Sequence[NotPlanned]
) -> dict[str, Any]:
    """The plan as JSON: everything that later tasks and the report need to reconcile the run."""
    return {
        "run_id": run.run_id,
        "as_of": run.as_of.isoformat(),
        "params": {"skus": list(run.skus), "force": run.force, "dry_run": run.dry_run},
        "ingested": dict(ingested),
        "horizon": catalogue.horizon,
        "counts": {
            "skus": sum(len(chunk.skus) for chunk in chunks) + len(left_out),
            "planned": sum(len(chunk.skus) for chunk in chunks),
            "not_planned": len(left_out),
            "chunks": len(chunks),
        },
        "balance": balance(chunks),
        "chunks": [{"chunk": c.name, "label": c.label, "skus": list(c.skus), "cost": c.cost} for c in chunks],
        "not_planned": [asdict(item) for item in left_out],
    }


def _before_first_sale(catalogue: Catalogue, run: Run, index: pd.DataFrame) -> str:
    first = pd.to_datetime(index["first_date"]).min().date()
    return (
        f"as_of {run.as_of} is before the first sale of catalogue {catalogue.name!r} ({first}): nothing was known "
        f"then; choose a date from {first} on"
    )
