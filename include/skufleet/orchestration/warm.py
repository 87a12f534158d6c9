"""Import the heavy libraries once, in the scheduler, instead of once in every task.

With Airflow's LocalExecutor a task's process is forked from a worker, which is forked from the scheduler, and nothing
is executed anew: what the scheduler has imported before, every task has. Only libraries are imported ahead, never this
repository's own code, so that a change of the code shows in the next task as ever.

A process may be forked safely only while it has no threads of its own: imports alone must start none. (Arrow's and
delta-rs's memory allocator keeps a background thread, which it stops and starts again around a fork.) So no client, no
session and no pool is made here. Where tasks are not forked from the scheduler (Celery, Kubernetes), nothing is done.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from airflow.listeners import hookimpl

LIBRARIES = (
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "deltalake",
    "boto3",
    "threadpoolctl",
    "airflow.providers.amazon.aws.hooks.s3",
    "mlflow",
    "mlflow.models",
    "mlflow.pyfunc",
    "great_expectations",
    "great_expectations.expectations",
    "jinja2",
)

log = logging.getLogger(__name__)


class WarmStart:
    """Airflow's listener for the start of a component; told of the start of a task, too, it does nothing."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """Import the libraries where this process is a scheduler that forks its tasks."""
        if type(component).__name__ == "Job" and "scheduler" in sys.argv[1:2] and forks_tasks(os.environ):
            import_libraries()


def forks_tasks(environment: Any) -> bool:
    """Whether tasks are forked from the scheduler, as far as the environment says, and nobody switched this off."""
    executors = environment.get("AIRFLOW__CORE__EXECUTOR", "LocalExecutor").split(",")
    started_by = environment.get("AIRFLOW__CORE__MP_START_METHOD", "") or "fork"
    return "LocalExecutor" in executors and started_by == "fork" and environment.get("SKUFLEET_PRELOAD", "1") != "0"


def import_libraries(names: Iterable[str] = LIBRARIES) -> list[str]:
    """Import what can be imported; the names of what could not. Never keeps the scheduler from starting."""
    # Great Expectations says 214 times on import that it skips something.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    started, failed = time.perf_counter(), []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            log.warning("%s could not be imported ahead of the tasks; each will try itself", name, exc_info=True)
            failed.append(name)
    log.info("Imported the tasks' libraries in %.1f s", time.perf_counter() - started)
    if (others := threading.active_count() - 1) > 0:
        log.warning("%d threads run in the scheduler before its first task is forked", others)
    return failed
