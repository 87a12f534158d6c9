"""Time one retraining run of a catalogue through Airflow's scheduler, on the running embedded stack.

    .venv/bin/python -m include.skufleet.local env .venv/bin/python -m benchmarks.run_catalogue m5 2016-05-22

The catalogue's data must have been landed (``make import``). Prints one JSON line last: what ``README.md`` here quotes.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from rich.console import Console

from benchmarks.machine import describe_machine
from include.skufleet.cli.main import open_airflow
from include.skufleet.cli.retrain import watch
from include.skufleet.config import read_settings
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore, open_store
from include.skufleet.local.settings import load_settings
from include.skufleet.local.stack import access


def measure(catalogue: str, as_of: str) -> dict[str, Any]:
    """Run once and put together what the run wrote about itself."""
    api, dag_id = open_airflow(access(load_settings())), f"retrain_{catalogue}"
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    store, started = open_store(read_settings().bucket), time.monotonic()
    keys = RunKeys(catalogue, api.trigger(dag_id, {"as_of": as_of}))
    state = watch(api, store, dag_id, keys, Console(stderr=True))
    seconds = time.monotonic() - started
    summary, chunks = store.get_json(keys.summary_key), read_chunks(store, keys)
    trained, times = summary["outcomes"]["trained"], [chunk["seconds"] for chunk in chunks]
    return {
        "benchmark": "run_catalogue",
        "catalogue": catalogue,
        "as_of": as_of,
        "state": state,
        "complete": summary["complete"],
        "seconds": round(seconds, 1),
        "stage_seconds": summary["stage_seconds"],
        "skus": summary["skus"],
        "outcomes": summary["outcomes"],
        "seconds_per_trained_sku": round(seconds / trained, 4) if trained else None,
        "promoted": summary["promoted"],
        "chunks": len(chunks),
        "slowest_chunk_over_mean": round(max(times) * len(times) / sum(times), 2),
        "peak_task_rss_mb": max(c["peak_rss_mb"] for c in chunks),
        "wape": summary["wape"],
        "baseline_wape": summary["baseline_wape"],
        "rmsse": summary["rmsse"],
        "baseline_rmsse": summary["baseline_rmsse"],
        "bias": summary["bias"],
        "quarantined_rows": summary["quarantined_rows"],
        "machine": describe_machine(),
    }


def read_chunks(store: ObjectStore, keys: RunKeys) -> list[dict[str, Any]]:
    """What each chunk says of its own time and memory."""
    found = [item.key for item in store.list(f"{keys.folder}/chunks/") if item.key.endswith("/summary.json")]
    return [store.get_json(key) for key in found]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue")
    parser.add_argument("as_of", help="YYYY-MM-DD")
    options = parser.parse_args()
    print(json.dumps(measure(options.catalogue, options.as_of)))  # noqa: T201 -- the result
