"""The simulated catalogue: its runs, its rivals, and what is found afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.fleet.floor import measure_floor
from benchmarks.fleet.own_stack import own_stack
from benchmarks.fleet.registry_pages import time_pages, top_up
from benchmarks.fleet.rivals import Kind, Loop, prepare_experiment, time_loop, time_pair
from benchmarks.fleet.sample import Sample, draw_sample, spread
from benchmarks.fleet.steps import Step
from benchmarks.fleet.storage import measure_storage
from benchmarks.fleet.table import count_along
from benchmarks.fleet.watching import Watcher
from benchmarks.timed_run import time_run
from include.skufleet.cli.main import open_airflow
from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.fleet.clients import Clients
from include.skufleet.lake.connecting import open_store
from include.skufleet.local.settings import StackSettings
from include.skufleet.local.stack import Access
from include.skufleet.registry.names import registered_name
from include.skufleet.sources.demo.land import land_demo

CATALOGUE = "demo"
STORES = 1
ROUND = {"naive_seconds_per_sku": 3, "tuned_seconds_per_sku": 4, "tuned_2_processes_seconds_per_sku": 4}


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        skus: SKUs of the simulated chain, in one store.
        days: days of history before the first run.
        steps: the runs, at least one.
        naive: SKUs of the naive loop; 0 for none.
        tuned: SKUs of the tuned loop; 0 for none.
        panels: SKUs on which the engine alone is timed.
        versions: every model is topped up to so many versions before MLflow's pages are timed; 0 for not.
        state: folder of the stack.
        keep: go on with what an earlier benchmark left there.
    """

    skus: int
    days: int
    steps: Sequence[Step]
    naive: int
    tuned: int
    panels: int
    versions: int
    state: Path
    keep: bool


def bench_simulated(options: Options, console: Console) -> dict[str, Any]:
    """All that is measured of the simulated catalogue, for the JSON line.

    What the fleet stored is looked at before the rivals store anything, and the rivals run on a stack that is idle. The
    figures of each run are in ``runs.json`` in the stack's folder as soon as it has ended, whatever fails later.

    Raises:
        SkufleetError: a server cannot start, or a run ended without a summary.
    """
    with own_stack(options.state, keep=options.keep) as (settings, access):
        console.print(f"  Airflow {access.airflow_url}   MLflow {access.mlflow_url}")
        bench = _Bench(options, console, settings, access)
        runs: dict[str, dict[str, Any]] = {}
        for step in options.steps:
            runs[step.name] = bench.run(step)
            (options.state / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
        stored = measure_storage(bench.clients.store, access.mlflow_url, CATALOGUE)
        sample = draw_sample(bench.clients, bench.catalogue, options.steps[-1].as_of, options.panels)
        beside = bench.time_rivals(sample) | bench.find_floor(sample)
        return {
            **summarise(runs, beside),
            **stored,
            **bench.look_at_pages(next(iter(sample.panels))),
            "landing_seconds": round(bench.landing_seconds, 1),
            "runs": runs,
        }


def summarise(runs: Mapping[str, Mapping[str, Any]], beside: Mapping[str, float | None]) -> dict[str, Any]:
    """The first of the runs beside the rivals and the floor.

    Args:
        runs: name -> figures of ``time_run`` and ``Watcher``, in the order in which they were done.
        beside: ``naive_seconds_per_sku, tuned_seconds_per_sku, tuned_2_processes_seconds_per_sku`` (``None``: not
            timed), ``floor_fit_seconds_per_sku, floor_calls_seconds_per_sku``.

    Returns:
        Per SKU means per model here: only SKUs that were trained count, since a rival's loop trains all of its.
    """
    first = next(iter(runs.values()))
    each = first["seconds_per_model"]
    floor = (beside["floor_fit_seconds_per_sku"] or 0.0) + (beside["floor_calls_seconds_per_sku"] or 0.0)

    def ratio(name: str) -> float | None:
        other = beside[f"{name}_seconds_per_sku"]
        return round(other / each, 1) if other and each else None

    return {
        "benchmark": "fleet",
        "skus": first["skus"],
        "seconds": first["seconds"],
        "seconds_by_stage": first["stage_seconds"],
        "seconds_per_sku": each,
        **{name: value and round(value, ROUND.get(name, 4)) for name, value in beside.items()},
        "speedup_naive": ratio("naive"),
        "speedup_tuned": ratio("tuned"),
        "speedup_tuned_2_processes": ratio("tuned_2_processes"),
        "floor_seconds_per_sku": round(floor, 4),
        "over_floor": round(each / floor, 2) if each and floor else None,
        "peak_task_rss_mb": max(run["peak_task_rss_mb"] for run in runs.values()),
        "never_unhealthy": all(run["never_unhealthy"] for run in runs.values()),
        "slowest_health_seconds": max(run["slowest_health_seconds"] for run in runs.values()),
        "slowest_grid_seconds": max(run["slowest_grid_seconds"] for run in runs.values()),
    }


class _Bench:
    """One stack with one catalogue."""

    def __init__(self, options: Options, console: Console, settings: StackSettings, access: Access) -> None:
        self.options, self.console, self.settings, self.access = options, console, settings, access
        self.api, self.catalogue = open_airflow(access), find_catalogue(CATALOGUE)
        self.clients = Clients.open(open_store(read_settings().bucket), read_settings())
        self.landing_seconds = 0.0

    def land(self, end: date) -> None:
        """Deliver what the chain has sold up to a day."""
        started, options = time.perf_counter(), self.options
        landing = self.catalogue.landing
        land_demo(self.clients.store, landing, end, skus=options.skus, stores=STORES, days=options.days)
        self.landing_seconds += time.perf_counter() - started

    def run(self, step: Step) -> dict[str, Any]:
        """One run of the catalogue, watched."""
        if step.lands:
            self.land(step.as_of)
        self.console.print(f"[bold]{step.name}[/] as of {step.as_of}")
        with Watcher(self.api, self.settings, f"retrain_{CATALOGUE}") as watcher:
            figures = time_run(self.api, self.clients.store, CATALOGUE, {"as_of": step.as_of.isoformat()})
        return figures | watcher.figures()

    def time_rivals(self, sample: Sample) -> dict[str, float | None]:
        """Seconds per SKU of the loops."""
        prepare_experiment(self.clients.store.uri("rivals"))
        tuned = self.options.tuned
        pair = time_pair(self._loop("tuned", sample, tuned + 1, "rival-pair")) if tuned > 1 else None
        return {
            "naive_seconds_per_sku": self._time_rival("naive", sample, self.options.naive),
            "tuned_seconds_per_sku": self._time_rival("tuned", sample, tuned),
            "tuned_2_processes_seconds_per_sku": pair,
        }

    def _time_rival(self, kind: Kind, sample: Sample, skus: int) -> float | None:
        if not skus:
            return None
        with count_along(self.console, f"{kind} loop", skus + 1) as tick:
            loop = self._loop(kind, sample, skus, f"rival-{kind}")
            return time_loop(Loop(loop.kind, loop.series, loop.prefix, tick))

    def _loop(self, kind: Kind, sample: Sample, skus: int, prefix: str) -> Loop:
        return Loop(kind, dict(spread(list(sample.series.items()), skus + 1)), prefix)

    def find_floor(self, sample: Sample) -> dict[str, float | None]:
        """The two parts of what nobody can go below."""
        self.console.print("the floor: the engine alone, and the calls alone")
        floor = measure_floor(list(sample.panels.values()), self.catalogue)
        return {"floor_fit_seconds_per_sku": floor.fit, "floor_calls_seconds_per_sku": floor.calls}

    def look_at_pages(self, sku: str) -> dict[str, Any]:
        """MLflow's pages, with as many versions as were asked for."""
        found: dict[str, Any] = {}
        if self.options.versions:
            self.console.print(f"topping up every model to {self.options.versions} versions")
            found["top_up_seconds"] = round(top_up(self.access.mlflow_url, CATALOGUE, self.options.versions), 1)
        return found | time_pages(self.access.mlflow_url, registered_name(CATALOGUE, sku))
