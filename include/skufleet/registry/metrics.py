"""Figures of many models in few requests: each metric carries its model's id and the run of the chunk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any

from include.skufleet.registry.connection import Connection
from include.skufleet.registry.records import ChunkRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

PER_REQUEST = 1000  # MLflow's limit
_MODEL_STEP = 0
_RUN_STEP = 1  # of one name and date, MLflow shows the metric with the highest step: the chunk's, not some model's


def write_model_metrics(
    connection: Connection, run: ChunkRun, figures: Iterable[tuple[str, Mapping[str, float]]]
) -> None:
    """Log each model's figures, ``(model_id, name -> value)``; NaN and infinite ones are left out. Safe to repeat."""
    metrics = [item for model_id, values in figures for item in _metrics(run, values, _MODEL_STEP, model_id)]
    _write(connection, run, metrics)


def write_run_metrics(connection: Connection, run: ChunkRun, values: Mapping[str, float]) -> None:
    """Log figures of the chunk as a whole on its run."""
    _write(connection, run, _metrics(run, values, _RUN_STEP, None))


def _metrics(run: ChunkRun, values: Mapping[str, float], step: int, model_id: str | None) -> list[Any]:
    from mlflow.entities import Metric

    # The date of the run, not the clock: a second try writes the same rows, and MLflow keeps one of each.
    stamp = int(datetime.combine(run.as_of, time(), UTC).timestamp() * 1000)
    known = {name: float(value) for name, value in values.items() if math.isfinite(value)}
    if model_id is None:
        return [Metric(name, value, stamp, step) for name, value in known.items()]
    return [Metric(name, value, stamp, step, model_id=model_id, run_id=run.run_id) for name, value in known.items()]


def _write(connection: Connection, run: ChunkRun, metrics: list[Any]) -> None:
    for start in range(0, len(metrics), PER_REQUEST):
        part = metrics[start : start + PER_REQUEST]
        connection.call(
            f"write {len(part)} metrics of chunk {run.chunk}", partial(_log_batch, run_id=run.run_id, metrics=part)
        )


def _log_batch(client: MlflowClient, run_id: str, metrics: list[Any]) -> None:
    client.log_batch(run_id, metrics=metrics)
