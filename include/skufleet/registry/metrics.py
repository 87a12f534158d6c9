"""Figures of a chunk: pooled ones as metrics of its MLflow run, those of each SKU as a table that its page shows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any

from include.skufleet.registry.connection import Connection
from include.skufleet.registry.records import ChunkRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

PER_REQUEST = 1000  # MLflow's limit
TABLE_FILE = "skus.json"
TABLE_TAG = "mlflow.loggedArtifacts"
TABLE_TAG_VALUE = json.dumps([{"path": TABLE_FILE, "type": "table"}])
"""The tag by which MLflow's pages, and ``mlflow.load_table``, know a table among the files of a run."""

Cell = str | int | float


def write_run_metrics(connection: Connection, run: ChunkRun, values: Mapping[str, float]) -> None:
    """Log figures of the chunk as a whole on its run; NaN and infinite ones are left out. Safe to repeat."""
    from mlflow.entities import Metric

    # The date of the run, not the clock: a second try writes the same rows, and MLflow keeps one of each.
    stamp = int(datetime.combine(run.as_of, time(), UTC).timestamp() * 1000)
    metrics = [Metric(name, float(value), stamp, 0) for name, value in values.items() if math.isfinite(value)]
    for start in range(0, len(metrics), PER_REQUEST):
        part = metrics[start : start + PER_REQUEST]
        request = partial(_log_batch, run_id=run.run_id, metrics=part)
        connection.call(f"write {len(part)} metrics of chunk {run.chunk}", request)


def table_content(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """The file of a table in the form of ``mlflow.log_table``: NaN and infinite figures become null."""
    data = [[None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row] for row in rows]
    return json.dumps({"columns": list(columns), "data": data}, ensure_ascii=False).encode("utf-8", "replace")


def _log_batch(client: MlflowClient, run_id: str, metrics: list[Any]) -> None:
    client.log_batch(run_id, metrics=metrics)
