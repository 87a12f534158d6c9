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
from include.skufleet.errors import PermanentError, ServiceUnavailableError
from include.skufleet.local.settings import StackSettings

EVERY, GRID_EVERY = 1.0, 15.0
WATCHED = ("scheduler", "metadatabase", "triggerer", "dag_processor")


class Watcher:
    """Looks once a second, from the start to the end of the ``with`` block.

    Attributes:
        peak_task_rss_mb: resident memory of the largest task process. A task is a child of one of the scheduler's
            workers; what it shares with them, libraries above all, is counted in.
        looks: how often it looked.
        unhealthy: how many of the looks found a part of Airflow that was not healthy, or no answer.
        slowest_health: seconds of the slowest answer to a health request.
        slowest_grid: seconds of the slowest opening of the grid: its structure, its runs and their task summaries.
    """

    def __init__(self, api: AirflowApi, settings: StackSettings, dag_id: str) -> None:
        # A session of its own: the run is polled through the other one by another thread.
        self._api, self._dag_id = AirflowApi(api.url, api.username, api.password), dag_id
        recorded = (settings.paths.pids / "airflow-scheduler.json").read_text(encoding="utf-8")
        self._scheduler = int(json.loads(recorded)["pid"])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_task_rss_mb = self.looks = self.unhealthy = 0
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
            "looks": self.looks,
            "unhealthy": self.unhealthy,
            "slowest_health_seconds": round(self.slowest_health, 2),
            "slowest_grid_seconds": round(self.slowest_grid, 2),
        }

    def _watch(self) -> None:
        grid_due = time.monotonic() + EVERY  # soon, so that a short run is looked at too
        while not self._stop.wait(EVERY):
            self.looks += 1
            self.peak_task_rss_mb = max(self.peak_task_rss_mb, find_largest_task(self._scheduler))
            started = time.monotonic()
            healthy = self._is_healthy()
            self.slowest_health = max(self.slowest_health, time.monotonic() - started)
            if time.monotonic() >= grid_due:
                started = time.monotonic()
                healthy &= self._open_grid()
                self.slowest_grid = max(self.slowest_grid, time.monotonic() - started)
                grid_due = time.monotonic() + GRID_EVERY
            self.unhealthy += not healthy

    def _is_healthy(self) -> bool:
        try:
            return find_unhealthy(json.loads(self._api.read("/api/v2/monitor/health"))) == []
        except (ServiceUnavailableError, PermanentError):
            return False

    def _open_grid(self) -> bool:
        """The requests of the page, one after the other; whether all of them were answered."""
        try:
            self._api.read(f"/ui/grid/structure/{self._dag_id}?limit=10")
            runs = json.loads(self._api.read(f"/ui/grid/runs/{self._dag_id}?limit=10&order_by=-run_after"))
            named = urlencode([("run_ids", run["run_id"]) for run in runs])
            self._api.read(f"/ui/grid/ti_summaries/{self._dag_id}?{named}")
        except (ServiceUnavailableError, PermanentError):
            return False
        return True


def find_unhealthy(health: dict[str, Any]) -> list[str]:
    """The parts of Airflow that its own health report does not call healthy."""
    return [part for part in WATCHED if health.get(part, {}).get("status") != "healthy"]


def find_largest_task(scheduler: int) -> int:
    """MB of the largest process two generations below the scheduler; one that ends meanwhile counts as nothing."""
    largest = 0
    for worker in _children(scheduler):
        for task in _children(worker.pid):
            try:
                largest = max(largest, task.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
    return largest // 2**20


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
