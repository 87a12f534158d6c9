"""While a run goes on: the memory of the largest task, and how Airflow answers those who look."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import psutil

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.local.processes import find_process, read_started
from include.skufleet.local.settings import StackSettings

MEMORY_EVERY, HEALTH_EVERY, GRID_EVERY = 1.0, 2.0, 15.0
HEALTHY = ("scheduler", "metadatabase", "dag_processor")


class Watcher:
    """Looks again and again, from the start to the end of the ``with`` block, with a thread for each thing looked at.

    Attributes:
        peak_task_rss_mb: resident memory of the largest task process; see ``largest_task``.
        unhealthy: how often a part of Airflow was not reported healthy, or nobody answered.
        slowest: seconds of the slowest answer to what was asked: ``health``; ``api``, the newest run as the public API
            describes it; ``grid``, all that the UI asks for to open the grid of the Dag.
    """

    def __init__(self, api: AirflowApi, settings: StackSettings, dag_id: str) -> None:
        self._api, self._dag_id, self._settings = api, dag_id, settings
        self._stop = threading.Event()
        looks = (
            (self._look_at_memory, MEMORY_EVERY),
            (self._look_at_health, HEALTH_EVERY),
            (self._look_at_grid, GRID_EVERY),
        )
        self._threads = [threading.Thread(target=self._repeat, args=look, daemon=True) for look in looks]
        self.peak_task_rss_mb = self.unhealthy = 0
        self.slowest = {"health": 0.0, "api": 0.0, "grid": 0.0}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def figures(self) -> dict[str, Any]:
        """What was seen, for the JSON line."""
        seconds = {f"slowest_{name}_seconds": round(value, 2) for name, value in self.slowest.items()}
        return {
            "peak_task_rss_mb": self.peak_task_rss_mb,
            "never_unhealthy": self.unhealthy == 0,
            "unhealthy": self.unhealthy,
            **seconds,
        }

    def _repeat(self, look: Callable[[], None], every: float) -> None:
        while True:
            try:
                look()
            except ServiceUnavailableError:
                self.unhealthy += 1
            if self._stop.wait(every):
                return

    def _look_at_memory(self) -> None:
        scheduler = find_process(read_started(self._settings.paths, "airflow-scheduler"))
        if scheduler is not None:
            self.peak_task_rss_mb = max(self.peak_task_rss_mb, largest_task(scheduler))

    def _look_at_health(self) -> None:
        with self._timed("health"):
            health = json.loads(self._api.read("/api/v2/monitor/health"))
        self.unhealthy += not all(health[part]["status"] == "healthy" for part in HEALTHY)
        with self._timed("api"):
            self._api.read(f"/api/v2/dags/{self._dag_id}/dagRuns?limit=1&order_by=-run_after")

    def _look_at_grid(self) -> None:
        """Ask as the UI does: the structure, the latest runs, and these runs' task summaries."""
        page = "limit=10&order_by=-run_after"
        with self._timed("grid"):
            self._api.read(f"/ui/grid/structure/{self._dag_id}?{page}")
            runs = json.loads(self._api.read(f"/ui/grid/runs/{self._dag_id}?{page}"))
            named = urlencode([("run_ids", run["run_id"]) for run in runs])
            self._api.read(f"/ui/grid/ti_summaries/{self._dag_id}?{named}")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Keep the time of the block if it is the slowest; what never answers took as long as it was waited for."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.slowest[name] = max(self.slowest[name], time.monotonic() - started)


def largest_task(scheduler: psutil.Process) -> int:
    """Resident MB of the largest task process of a scheduler with a LocalExecutor; 0 where no task runs.

    The scheduler's children are the executor's workers, which only wait and watch; a task runs in a child that its
    worker forks. What the task shares with worker and scheduler, libraries above all, is counted in. A process that
    ends while it is looked at counts as nothing.
    """
    largest = 0
    for worker in _children(scheduler, recursive=False):
        for task in _children(worker, recursive=True):
            try:
                largest = max(largest, task.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
    return largest // 2**20


def _children(process: psutil.Process, *, recursive: bool) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=recursive))
    except psutil.NoSuchProcess:
        return []
