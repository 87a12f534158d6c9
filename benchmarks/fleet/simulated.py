"""The simulated catalogue: its runs, its rivals, and what is found afterwards."""

from __future__ import annotations

import argparse
import time
from datetime import date, timedelta
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.fleet.floor import measure_floor
from benchmarks.fleet.own_stack import own_stack
from benchmarks.fleet.registry_pages import count_versions, measure_storage, time_pages, top_up
from benchmarks.fleet.rivals import time_pair, time_rival
from benchmarks.fleet.table import print_table
from benchmarks.fleet.watching import Watcher
from benchmarks.timed_run import time_run
from include.skufleet.cli.main import open_airflow
from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.fleet.chunk_data import load_skus
from include.skufleet.fleet.clients import Clients
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.ingest import ingest
from include.skufleet.lake.store import open_store
from include.skufleet.local.settings import StackSettings
from include.skufleet.local.stack import Access
from include.skufleet.sources.demo.land import land_demo

CATALOGUE = "demo"
PANELS = 60


def bench_simulated(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """All that is measured of the simulated catalogue, for the JSON line."""
    with own_stack(f"fleet-{options.skus}", keep=options.keep) as (settings, access):
        console.print(f"  Airflow {access.airflow_url}   MLflow {access.mlflow_url}")
        bench = _Bench(options, console, settings, access)
        bench.land(options.end)
        runs = {name: bench.run(name) for name in options.runs}
        versions = count_versions(access.mlflow_url, CATALOGUE)
        figures = bench.summarise(runs) | {"versions_registered": versions} | bench.look_around()
    print_table(console, figures)
    return figures


class _Bench:
    """One stack with one catalogue."""

    def __init__(self, options: argparse.Namespace, console: Console, settings: StackSettings, access: Access) -> None:
        self.options, self.console, self.settings, self.access = options, console, settings, access
        self.api, self.catalogue = open_airflow(access), find_catalogue(CATALOGUE)
        self.clients = Clients.open(open_store(read_settings().bucket), read_settings())
        self.landing_seconds = 0.0
        self.days = {"first": 0, "next_day": 1, "unchanged": 1, "unchanged_later": 2}

    def land(self, end: date) -> None:
        """Deliver what the chain has sold up to a day."""
        started = time.perf_counter()
        land_demo(
            self.clients.store, self.catalogue.landing, end, skus=self.options.skus, stores=1, days=self.options.days
        )
        self.landing_seconds += time.perf_counter() - started

    def run(self, name: str) -> dict[str, Any]:
        """One run of the catalogue, watched."""
        as_of = self.options.end + timedelta(days=self._day(name))
        if name == "next_day":
            self.land(as_of)
        self.console.print(f"[bold]{name}[/] as of {as_of}")
        with Watcher(self.api, self.settings, f"retrain_{CATALOGUE}") as watcher:
            figures = time_run(self.api, self.clients.store, CATALOGUE, {"as_of": as_of.isoformat()})
        return figures | watcher.figures()

    def _day(self, name: str) -> int:
        later = self.days[name]
        return later if "next_day" in self.options.runs else max(0, later - 1)

    def summarise(self, runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The first run beside the rivals and the floor."""
        series, panels = self._sample()
        floor, first = measure_floor(list(panels.values()), self.catalogue), runs["first"]
        naive = self._time_rival("naive", series, self.options.naive)
        tuned = self._time_rival("tuned", series, self.options.tuned)
        pair = time_pair(dict(list(series.items())[: self.options.tuned]), "pair") if self.options.tuned > 3 else None
        each = first["seconds_per_sku"]
        return {
            "benchmark": "fleet",
            "skus": first["skus"],
            "seconds": first["seconds"],
            "seconds_by_stage": first["stage_seconds"],
            "seconds_per_sku": each,
            "naive_seconds_per_sku": naive and round(naive, 3),
            "tuned_seconds_per_sku": tuned and round(tuned, 3),
            "tuned_2_processes_seconds_per_sku": pair and round(pair, 3),
            "speedup_naive": naive and round(naive / each, 1),
            "speedup_tuned": tuned and round(tuned / each, 1),
            "floor_seconds_per_sku": round(floor.seconds, 4),
            "floor_fit_seconds_per_sku": round(floor.fit, 4),
            "floor_calls_seconds_per_sku": round(floor.calls, 4),
            "over_floor": round(each / floor.seconds, 2),
            "peak_task_rss_mb": max(run["peak_task_rss_mb"] for run in runs.values()),
            "landing_seconds": round(self.landing_seconds, 1),
            "runs": runs,
        }

    def _time_rival(self, kind: Any, series: dict[str, pd.Series], skus: int) -> float | None:
        if not skus:
            return None
        self.console.print(f"[bold]{kind}[/] loop over {skus} SKUs")
        return time_rival(kind, dict(list(series.items())[: skus + 1]), kind)

    def _sample(self) -> tuple[dict[str, pd.Series], dict[str, Panel]]:
        """Some trained SKUs, evenly spread: their units by day for the rivals, their panels for the floor."""
        production = sorted(self.clients.registry.production(CATALOGUE).values(), key=lambda item: item.sku)
        trained = [item.sku for item in production if item.outcome == "trained"]
        wanted = trained[:: max(1, len(trained) // PANELS)][:PANELS]
        known: dict[str, dict[str, Any]] = {sku: {"department": "", "hierarchy": {}} for sku in wanted}
        buckets = sorted({bucket_of(sku, self.catalogue.fleet.buckets) for sku in wanted})
        ingested = ingest(self.clients.store, self.catalogue, self.options.end + timedelta(days=2)).to_json()
        data = load_skus(self.clients, self.catalogue, self.options.end, ingested, known, buckets)
        series = {
            sku: pd.Series(panel.units[0], index=panel.dates.astype("datetime64[ns]"))
            for sku, panel in data.panels.items()
        }
        return series, dict(data.panels)

    def look_around(self) -> dict[str, Any]:
        """Storage, and MLflow's pages."""
        found = measure_storage(self.clients.store, self.clients.registry, CATALOGUE)
        if self.options.versions:
            found["top_up_seconds"] = round(top_up(self.access.mlflow_url, CATALOGUE, self.options.versions), 1)
        some_sku = next(iter(self.clients.registry.states(CATALOGUE)))
        return found | time_pages(self.access.mlflow_url, some_sku)
