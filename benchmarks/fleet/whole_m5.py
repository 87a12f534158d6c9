"""The whole of M5 through the platform: 3,049 items in ten stores, 30,490 series, from S3 to models and forecasts."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.fleet.own_stack import own_stack
from benchmarks.fleet.storage import measure_storage
from benchmarks.fleet.watching import Watcher
from benchmarks.timed_run import time_run
from include.skufleet.cli.land import land_data
from include.skufleet.cli.main import open_airflow
from include.skufleet.config import read_settings
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.connecting import open_store

CATALOGUE, LAST_DAY = "m5", date(2016, 5, 22)


def bench_m5(source: Path, state: Path, console: Console, *, keep: bool) -> dict[str, Any]:
    """Land M5 (not timed) and retrain it once, for the JSON line.

    Raises:
        LandingError: the source is not M5's. SkufleetError: a server cannot start, or the run has no summary.
    """
    with own_stack(state, keep=keep) as (settings, access):
        console.print(f"  Airflow {access.airflow_url}   MLflow {access.mlflow_url}")
        started = time.perf_counter()
        land_data(CATALOGUE, source, (), LAST_DAY, console)
        landing_seconds = time.perf_counter() - started
        api, store = open_airflow(access), open_store(read_settings().bucket)
        with Watcher(api, settings, f"retrain_{CATALOGUE}") as watcher:
            run = time_run(api, store, CATALOGUE, {"as_of": LAST_DAY.isoformat()})
        published = store.get_json(RunKeys(CATALOGUE, "").forecast_pointer)["keys"]
        return {
            "benchmark": "fleet_m5",
            "skus": run["skus"],
            "seconds": run["seconds"],
            "seconds_by_stage": run["stage_seconds"],
            "seconds_per_sku": run["seconds_per_model"],
            **watcher.figures(),
            "forecasts": sum(len(store.get_frame(key, ["sku"])) for key in published),
            "promoted": run["promoted"],
            "wape": run["wape"],
            **measure_storage(store, access.mlflow_url, CATALOGUE),
            "landing_seconds": round(landing_seconds, 1),
            "runs": {"first": run | watcher.figures()},
        }
