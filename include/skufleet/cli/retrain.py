"""``trigger``: start a retraining run through Airflow's API, watch it, and say what came of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from include.skufleet.cli.airflow_api import FINISHED, AirflowApi
from include.skufleet.cli.summary import print_failure, print_summary
from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.fleet.progress import count_finished_skus
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.stages import STAGES
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.store import ObjectStore

POLL_SECONDS = 1.0
MAX_UNANSWERED = 30
"""Polls in a row that may stay without an answer: the run goes on, whether or not somebody can watch it."""
DONE = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
WAITING = "awaiting_input"  # as Airflow calls it


def retrain_and_watch(api: AirflowApi, catalogue: str, conf: dict[str, Any], console: Console) -> int:
    """Trigger ``retrain_<catalogue>`` and watch it to its end.

    Returns:
        0 only if the run succeeded and every SKU of its plan is accounted for.
    """
    find_catalogue(catalogue)
    dag_id = f"retrain_{catalogue}"
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    started = time.monotonic()
    run_id = api.trigger(dag_id, conf)
    settings = read_settings()
    store = open_store(settings.bucket)
    run = RunKeys(catalogue, run_id)
    state = watch(api, store, dag_id, run, console)
    seconds = time.monotonic() - started
    summary = store.find_json(run.summary_key)
    if summary is None:
        print_failure(console, api, dag_id, run_id)
        return 1
    complete = print_summary(console, summary, seconds, api.url, settings.mlflow_ui_url, dag_id)
    if state != "success":
        print_failure(console, api, dag_id, run_id)
    return 0 if state == "success" and complete else 1


def watch(api: AirflowApi, store: ObjectStore, dag_id: str, run: RunKeys, console: Console) -> str:
    """Show a bar of stages, chunks and SKUs until the run is over; returns its state.

    Raises:
        ServiceUnavailableError: Airflow or S3 did not answer for a while; the run may go on all the same.
    """
    columns = (TextColumn("  {task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        bars, unanswered = _Bars(progress), 0
        while True:
            try:
                state = api.run_state(dag_id, run.run_id)
                bars.update(list(api.task_instances(dag_id, run.run_id)), store, run)
                unanswered = 0
                if state in FINISHED:
                    return state
            except ServiceUnavailableError:
                unanswered += 1
                if unanswered > MAX_UNANSWERED:
                    raise
            time.sleep(POLL_SECONDS)


@dataclass
class _Bars:
    """Three bars: stages of the run, chunks of ``retrain``, SKUs."""

    progress: Progress
    stages: TaskID = field(init=False)
    chunks: TaskID = field(init=False)
    skus: TaskID = field(init=False)
    _planned: int | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.stages = self.progress.add_task("queued", total=len(STAGES))
        self.chunks = self.progress.add_task("chunks", total=None, visible=False)
        self.skus = self.progress.add_task("SKUs", total=None, visible=False)

    def update(self, instances: list[dict[str, Any]], store: ObjectStore, run: RunKeys) -> None:
        """Redraw from what Airflow says of the tasks and what the chunks have written of their SKUs."""
        states: dict[str, Counter[str]] = {stage: Counter() for stage in STAGES}
        for item in instances:
            if item["task_id"] in states:  # a person's approval is no stage
                states[item["task_id"]][item["state"] or "none"] += 1
        if any(item["state"] == WAITING for item in instances) and not self._asked:
            self._asked = True
            self.progress.console.print("  waits for approval: open Airflow, Required Actions")
        finished = [stage for stage in STAGES if states[stage] and not set(states[stage]) - DONE]
        active = next((stage for stage in STAGES if stage not in finished), "done")
        self.progress.update(self.stages, completed=len(finished), description=active)
        if "plan" in finished and active != "plan":
            self._update_skus(states["retrain"], store, run, over=active != "retrain")

    def _update_skus(self, states: Counter[str], store: ObjectStore, run: RunKeys, *, over: bool) -> None:
        if self._planned is None:
            plan = store.find_json(run.plan_key)
            self._planned = plan["counts"]["planned"] if plan else 0
        done = sum(count for state, count in states.items() if state in DONE)
        self.progress.update(self.chunks, total=states.total(), completed=done, visible=True)
        skus = self._planned if over else min(count_finished_skus(store, run), self._planned)
        self.progress.update(self.skus, total=self._planned, completed=skus, visible=True)
