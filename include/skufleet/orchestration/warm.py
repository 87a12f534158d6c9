"""Import the heavy libraries once, in the scheduler, instead of once in every task.

With Airflow's LocalExecutor a task's process is forked from a worker, which is forked from the scheduler, and nothing
is executed anew: what the scheduler has imported before, every task has. Only libraries are imported ahead, never this
repository's own code, so that a change of the code shows in the next task as ever.

A process may be forked safely only while it has no threads of its own: imports alone must start none. (The memory
allocators of Arrow and delta-rs keep one background thread each, which they stop and start again around a fork.) So no
client, no session and no pool is made here. Where tasks are not forked from the scheduler (Celery, Kubernetes), nothing
is done. ``docs/adr/0017-warm-scheduler.md`` has the figures.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from airflow.configuration import conf
from airflow.listeners import hookimpl

LIBRARIES = (
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.standard.decorators.python",
    "pandas",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "deltalake",
    "obstore.store",
    "boto3.s3.inject",
    "scipy.signal",
    "scipy.special",
    "threadpoolctl",
    "mlflow",
    "mlflow.models",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "psycopg2",
    "mlflow.tracking.request_header.registry",
    "great_expectations",
    "great_expectations.expectations",
    "jinja2.ext",
)

log = logging.getLogger(__name__)


class WarmStart:
    """Airflow's listener for the start of a component; of tasks, whose start it is told of too, it takes no notice."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """Import the libraries where this process is a scheduler that forks its tasks."""
        # Airflow has not yet said what kind of job it is; the command line has.
        if type(component).__name__ != "Job" or sys.argv[1:2] != ["scheduler"]:
            return
        forks = forks_tasks(conf.get("core", "executor"), multiprocessing.get_start_method())
        if forks and os.environ.get("SKUFLEET_PRELOAD", "1") != "0":
            import_libraries()


def forks_tasks(executor: str, start_method: str) -> bool:
    """Whether a scheduler forks the processes of its tasks from itself.

    Args:
        executor: Airflow's setting of that name; it may list several, with aliases.
        start_method: how Python's ``multiprocessing`` starts processes here.
    """
    return "LocalExecutor" in executor and start_method == "fork"


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
