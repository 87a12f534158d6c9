"""Bring the outcomes of all chunks together and account for every SKU of the plan."""

from __future__ import annotations

from typing import Any

import pandas as pd

from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.outcomes import SkuOutcome, to_frame
from include.skufleet.fleet.progress import read_checkpoints
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore


def collect_results(clients: Clients, run: RunKeys, plan: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
    """One row per SKU of the plan, and the chunks that were lost.

    A chunk without results was lost for good, or silently removed by the orchestrator. Its SKUs that a checkpoint
    knows to be finished count as what they are; the others get the outcome ``failed``.

    Returns:
        The rows, sorted by SKU, each SKU once, and the names of lost chunks.
    """
    frames, lost = [], []
    for chunk in plan["chunks"]:
        folder = run.chunk_folder(chunk["chunk"])
        if clients.store.exists(f"{folder}/results.parquet"):
            frames.append(clients.store.get_frame(f"{folder}/results.parquet"))
        else:
            lost.append(chunk["chunk"])
            frames.append(_recover(clients.store, folder, chunk))
    frames.append(to_frame(SkuOutcome(**item) for item in plan["not_planned"]))
    results = pd.concat(frames, ignore_index=True).sort_values("sku", ignore_index=True)
    return results, lost


def _recover(store: ObjectStore, folder: str, chunk: dict[str, Any]) -> pd.DataFrame:
    """What the checkpoints of a lost chunk know, and a failed outcome for the rest of its SKUs."""
    finished, _ = read_checkpoints(store, folder)
    departments = {sku: item["department"] for sku, item in store.get_json(f"{folder}/manifest.json")["skus"].items()}
    reason = f"chunk {chunk['chunk']} ended without results; the version in production goes on serving"
    missing = sorted(set(chunk["skus"]) - set(finished["sku"]))
    failed = to_frame(
        SkuOutcome(
            sku=sku,
            department=departments[sku],
            outcome="failed",
            reason=reason,
            step="chunk",
            error="its task failed on every try: see its log in Airflow",
            chunk=chunk["chunk"],
        )
        for sku in missing
    )
    return pd.concat([finished, failed], ignore_index=True)
