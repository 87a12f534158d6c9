"""The MLflow runs of a hyperparameter search: one per trial, below one of the whole search.

They are in an experiment of their own, ``skufleet/<catalogue>/search``, so that MLflow's table compares trials and
nothing else. Nothing is registered. What does not belong here: what a trial is judged by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Literal

from include.skufleet.registry.records import tag_text
from include.skufleet.registry.runs import SEARCH, find_or_create_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from include.skufleet.registry.connection import Connection

PER_REQUEST = 100  # MLflow's limit for params and for tags
MAX_PARAM = 500  # characters; MLflow holds more, its table becomes unreadable


@dataclass(frozen=True, slots=True)
class TrialRun:
    """The MLflow run of one trial, or of the whole search. JSON's types only: ``TrialRun(**asdict(it))`` is it."""

    experiment_id: str
    run_id: str
    as_of: str


def open_trial(
    connection: Connection,
    catalogue: str,
    dag_run_id: str,
    name: str,
    as_of: date,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    parent: TrialRun | None = None,
) -> TrialRun:
    """The MLflow run of a trial of this Dag run, with its params: found where an earlier try made it."""
    own = {**tags, **({"mlflow.parentRunId": parent.run_id} if parent else {})}
    run = find_or_create_run(connection, catalogue, dag_run_id, name, as_of, own, part=SEARCH)
    opened = TrialRun(run.experiment_id, run.run_id, as_of.isoformat())
    _log(connection, opened, name, params=params)
    return opened


def log_trial(
    connection: Connection, run: TrialRun, metrics: Mapping[str, float], tags: Mapping[str, str], step: int
) -> None:
    """Write figures of one rung (``step``) and tags. NaN and infinite figures are left out. Safe to repeat."""
    _log(connection, run, run.run_id, metrics=metrics, tags=tags, step=step)


def close_trial(connection: Connection, run: TrialRun, status: Literal["FINISHED", "FAILED"]) -> None:
    """Close the run. Safe to repeat."""
    connection.call(f"close run {run.run_id}", lambda client: client.set_terminated(run.run_id, status))


def _log(
    connection: Connection,
    run: TrialRun,
    name: str,
    *,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    # The date of the run, not the clock: a second try writes the same rows, and MLflow keeps one of each.
    stamp = int(datetime.combine(date.fromisoformat(run.as_of), time(), UTC).timestamp() * 1000)
    figures = [Metric(key, float(value), stamp, step) for key, value in (metrics or {}).items() if math.isfinite(value)]
    texts = [Param(key, _cut(value)) for key, value in (params or {}).items()]
    labels = [RunTag(key, tag_text(value)) for key, value in (tags or {}).items()]
    batches = max(1, -(-max(len(texts), len(labels)) // PER_REQUEST))
    for batch in range(batches):
        part = slice(batch * PER_REQUEST, (batch + 1) * PER_REQUEST)

        def write(client: MlflowClient, part: slice = part, first: bool = batch == 0) -> None:
            client.log_batch(run.run_id, metrics=figures if first else [], params=texts[part], tags=labels[part])

        connection.call(f"write figures of trial {name}", write)


def _cut(value: Any) -> str:
    shown = tag_text(value)
    return shown if len(shown) <= MAX_PARAM else shown[: MAX_PARAM - 1] + "…"
