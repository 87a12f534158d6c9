"""Bring the outcomes of all chunks together and account for every SKU of the plan."""

from __future__ import annotations

from typing import Any

import pandas as pd

from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.outcomes import SkuOutcome, to_frame
from include.skufleet.fleet.progress import read_outcomes
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore


def collect_results(clients: Clients, run: RunKeys, plan: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
    """One row per SKU of the plan, and the chunks that were lost.

    A chunk without results was lost for good, or silently removed by the orchestrator; so was one whose results are
    of an earlier plan of the same run and lack SKUs of this one. SKUs of it that are known to be finished count as what
    they are; the others get the outcome ``failed``.

    Returns:
        The rows, sorted by SKU, each SKU once, and the names of lost chunks.
    """
    frames, lost = [], []
    for chunk in plan["chunks"]:
        folder = run.chunk_folder(chunk["chunk"])
        if clients.store.exists(f"{folder}/results.parquet"):
            found = clients.store.get_frame(f"{folder}/results.parquet")
        else:
            skus = clients.store.get_json(f"{folder}/manifest.json")["skus"]
            found = read_outcomes(clients.store, folder, {sku: known["fingerprint"] for sku, known in skus.items()})
        found = found[found["sku"].isin(chunk["skus"])]
        frames.append(found)
        if len(found) < len(chunk["skus"]):
            lost.append(chunk["chunk"])
            frames.append(_count_as_failed(clients.store, folder, chunk, set(found["sku"])))
    frames.append(clients.store.get_frame(run.not_planned_key))
    results = pd.concat(frames, ignore_index=True).sort_values("sku", ignore_index=True)
    return results, lost


def _count_as_failed(store: ObjectStore, folder: str, chunk: dict[str, Any], finished: set[str]) -> pd.DataFrame:
    """A failed outcome for each SKU of a lost chunk that was not finished."""
    departments = {sku: item["department"] for sku, item in store.get_json(f"{folder}/manifest.json")["skus"].items()}
    return to_frame(
        SkuOutcome(
            sku=sku,
            department=departments[sku],
            outcome="failed",
            reason=f"chunk {chunk['chunk']} ended without results; the version in production goes on serving",
            step="chunk",
            error="its task failed on every try: see its log in Airflow",
            chunk=chunk["chunk"],
        )
        for sku in sorted(set(chunk["skus"]) - finished)
    )
