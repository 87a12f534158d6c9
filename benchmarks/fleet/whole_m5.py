"""The whole of M5 through the platform: 3,049 items in ten stores, 30,490 series, from S3 to models and forecasts."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.fleet.own_stack import own_stack
from benchmarks.fleet.registry_pages import count_versions, measure_storage
from benchmarks.fleet.table import print_table
from benchmarks.fleet.watching import Watcher
from benchmarks.timed_run import time_run
from include.skufleet.cli.land import land_data
from include.skufleet.cli.main import open_airflow
from include.skufleet.config import read_settings
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import open_store

CATALOGUE, LAST_DAY = "m5", date(2016, 5, 22)


def bench_m5(source: Path, console: Console, *, keep: bool) -> dict[str, Any]:
    """Land M5 (not timed) and retrain it once."""
    with own_stack("fleet-m5", keep=keep) as (settings, access):
        console.print(f"  Airflow {access.airflow_url}   MLflow {access.mlflow_url}")
        land_data(CATALOGUE, source, (), LAST_DAY, console)
        api, clients = open_airflow(access), Clients.open(open_store(read_settings().bucket), read_settings())
        with Watcher(api, settings, f"retrain_{CATALOGUE}") as watcher:
            run = time_run(api, clients.store, CATALOGUE, {"as_of": LAST_DAY.isoformat()})
        published = clients.store.get_json(RunKeys(CATALOGUE, "").forecast_pointer)["keys"]
        figures = {
            "benchmark": "fleet_m5",
            "skus": run["skus"],
            "seconds": run["seconds"],
            "seconds_by_stage": run["stage_seconds"],
            "seconds_per_sku": run["seconds_per_sku"],
            "peak_task_rss_mb": watcher.peak_task_rss_mb,
            "versions_registered": count_versions(access.mlflow_url, CATALOGUE),
            "forecasts": sum(len(clients.store.get_frame(key, ["sku"])) for key in published),
            **measure_storage(clients.store, clients.registry, CATALOGUE),
            "runs": {"first": run | watcher.figures()},
        }
    print_table(console, figures)
    return figures
