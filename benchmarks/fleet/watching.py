"""While a run goes on: the memory of the largest task, and how Airflow answers those who look."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import psutil

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.local.settings import StackSettings

EVERY, GRID_EVERY = 1.0, 10.0


class Watcher:
    """Looks once a second, from the start to the end of the ``with`` block.

    Attributes:
        peak_task_rss_mb: resident memory of the largest task process. A task is a child of one of the scheduler's
            workers; what it shares with them, libraries above all, is counted in.
        unhealthy: how often scheduler or database were not reported healthy, or nobody answered.
        slowest_health: seconds of the slowest answer to a health request.
        slowest_grid: seconds of the slowest opening of the grid: its structure, its runs and their task summaries.
    """

    def __init__(self, api: AirflowApi, settings: StackSettings, dag_id: str) -> None:
        self._api, self._dag_id = api, dag_id
        self._scheduler = json.loads((settings.paths.pids / "airflow-scheduler.json").read_text(encoding="utf-8"))[
            "pid"
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_task_rss_mb = self.unhealthy = 0
        self.slowest_health = self.slowest_grid = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def figures(self) -> dict[str, Any]:
        """What was seen, for the JSON line."""
        return {
            "peak_task_rss_mb": self.peak_task_rss_mb,
            "unhealthy": self.unhealthy,
            "slowest_health_seconds": round(self.slowest_health, 2),
            "slowest_grid_seconds": round(self.slowest_grid, 2),
        }

    def _watch(self) -> None:
        looked_at_grid = time.monotonic()
        while not self._stop.wait(EVERY):
            self.peak_task_rss_mb = max(self.peak_task_rss_mb, largest_task(self._scheduler))
            self._look_at_health()
            if time.monotonic() - looked_at_grid > GRID_EVERY:
                self._open_grid()
                looked_at_grid = time.monotonic()

    def _look_at_health(self) -> None:
        started = time.monotonic()
        try:
            health = json.loads(self._api.read("/api/v2/monitor/health"))
            healthy = all(health[part]["status"] == "healthy" for part in ("scheduler", "metadatabase"))
        except ServiceUnavailableError:
            healthy = False
        self.unhealthy += not healthy
        self.slowest_health = max(self.slowest_health, time.monotonic() - started)

    def _open_grid(self) -> None:
        started = time.monotonic()
        try:
            self._api.read(f"/ui/grid/structure/{self._dag_id}?limit=10")
            runs = json.loads(self._api.read(f"/ui/grid/runs/{self._dag_id}?limit=10&order_by=-run_after"))
            named = urlencode([("run_ids", run["run_id"]) for run in runs])
            self._api.read(f"/ui/grid/ti_summaries/{self._dag_id}?{named}")
        except ServiceUnavailableError:
            self.unhealthy += 1
        self.slowest_grid = max(self.slowest_grid, time.monotonic() - started)


def largest_task(scheduler: int) -> int:
    """MB of the largest process two generations below the scheduler; one that ends meanwhile counts as nothing."""
    largest = 0
    try:
        workers = psutil.Process(scheduler).children()
        for process in (task for worker in workers for task in worker.children()):
            largest = max(largest, process.memory_info().rss)
    except psutil.NoSuchProcess:
        pass
    return largest // 2**20
