"""One retraining run through Airflow's scheduler, timed from trigger to end, with what the run says of itself."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.cli.retrain import watch
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore

SAID = ("wape", "baseline_wape", "rmsse", "baseline_rmsse", "bias", "quarantined_rows")


def time_run(api: AirflowApi, store: ObjectStore, catalogue: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Trigger ``retrain_<catalogue>``, show a bar on stderr until it is over, and put its figures together.

    Returns:
        ``seconds`` from the trigger to the end, ``stage_seconds``, outcomes, accuracy, chunks and their memory.
    """
    dag_id = f"retrain_{catalogue}"
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    started = time.monotonic()
    keys = RunKeys(catalogue, api.trigger(dag_id, conf))
    state = watch(api, store, dag_id, keys, Console(stderr=True))
    seconds = time.monotonic() - started
    summary, chunks = store.get_json(keys.summary_key), read_chunks(store, keys)
    trained, times = summary["outcomes"].get("trained", 0), [chunk["seconds"] for chunk in chunks]
    return {
        "catalogue": catalogue,
        "as_of": summary["as_of"],
        "state": state,
        "complete": summary["complete"],
        "seconds": round(seconds, 1),
        "stage_seconds": summary["stage_seconds"],
        "skus": summary["skus"],
        "outcomes": summary["outcomes"],
        "unchanged": summary["unchanged"],
        "seconds_per_sku": round(seconds / summary["skus"], 4),
        "seconds_per_trained_sku": round(seconds / trained, 4) if trained else None,
        "promoted": summary["promoted"],
        "chunks": len(chunks),
        "slowest_chunk_over_mean": round(max(times) * len(times) / sum(times), 2) if times else None,
        "peak_chunk_rss_mb": max((chunk["peak_rss_mb"] for chunk in chunks), default=None),
        **{name: summary[name] for name in SAID},
    }


def read_chunks(store: ObjectStore, keys: RunKeys) -> list[dict[str, Any]]:
    """What each chunk says of its own time and memory."""
    found = [item.key for item in store.list(f"{keys.folder}/chunks/") if item.key.endswith("/summary.json")]
    return [store.get_json(key) for key in found]
