"""MLflow runs and experiments of chunks: found again by a retry, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from include.skufleet.errors import PermanentError
from include.skufleet.registry.connection import Connection, error_code
from include.skufleet.registry.metrics import TABLE_TAG, TABLE_TAG_VALUE, write_run_metrics
from include.skufleet.registry.records import ChunkRun, tag_text

KEY_TAG = "skufleet.chunk_key"


SEARCH = "search"


def experiment_name(catalogue: str, part: str = "") -> str:
    """The experiment of a catalogue's runs; of a part of them, ``SEARCH`` for example, where that is named."""
    return f"skufleet/{catalogue}/{part}" if part else f"skufleet/{catalogue}"


def find_or_create_experiment(connection: Connection, catalogue: str, part: str = "") -> str:
    """The id of the catalogue's experiment.

    Raises:
        PermanentError: someone deleted the experiment; MLflow keeps its name until it is restored or purged.
    """
    name = experiment_name(catalogue, part)
    experiment = connection.call(f"read experiment {name}", lambda client: client.get_experiment_by_name(name))
    if experiment is None:
        try:
            return str(
                connection.call(
                    f"create experiment {name}",
                    lambda client: client.create_experiment(name, _root_of(connection, name), {"catalogue": catalogue}),
                )
            )
        except PermanentError as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another chunk was a moment faster, or a try of ours whose answer got lost.
            return find_or_create_experiment(connection, catalogue, part)
    if experiment.lifecycle_stage != "active":
        raise PermanentError(
            f"MLflow: experiment {name} (id {experiment.experiment_id}) was deleted; restore it in MLflow, "
            "or purge it with `mlflow gc`"
        )
    return str(experiment.experiment_id)


def _root_of(connection: Connection, experiment: str) -> str | None:
    return f"{connection.artifact_root}/{experiment}" if connection.artifact_root else None


def find_or_create_run(
    connection: Connection,
    catalogue: str,
    dag_run_id: str,
    chunk: str,
    as_of: date,
    tags: Mapping[str, str],
    part: str = "",
) -> ChunkRun:
    """The run of this chunk of this Dag run, open for writing; ``part`` names an experiment beside the catalogue's."""
    experiment_id = find_or_create_experiment(connection, catalogue, part)
    # An Airflow run id may hold quotes, which a filter string cannot; a hash of it can be searched for.
    key = hashlib.sha256(f"{dag_run_id}\0{chunk}".encode()).hexdigest()[:32]
    own = {"catalogue": catalogue, "dag_run_id": dag_run_id, "chunk": chunk, "as_of": as_of.isoformat()}
    every = {name: tag_text(value) for name, value in (dict(tags) | own).items()}

    def find() -> tuple[str, str] | None:
        runs = connection.call(
            f"look for the run of chunk {chunk}",
            lambda client: client.search_runs(
                [experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1, order_by=["attributes.start_time ASC"]
            ),
        )
        return _place_of(runs[0]) if runs else None

    earlier = find()
    if earlier is not None:
        run_id, artifact_uri = earlier
        connection.call(f"reopen run {run_id}", lambda client: client.update_run(run_id, status="RUNNING"))
    else:
        run_id, artifact_uri = connection.call(
            f"create the run of chunk {chunk}",
            lambda client: _place_of(
                client.create_run(experiment_id, tags=every | {KEY_TAG: key}, run_name=f"{as_of.isoformat()} {chunk}")
            ),
            found=find,
        )
    resumed = earlier is not None
    return ChunkRun(catalogue, dag_run_id, chunk, as_of, experiment_id, run_id, artifact_uri, resumed, every)


def _place_of(run: Any) -> tuple[str, str]:
    """The id and the artifact folder of an MLflow run."""
    return str(run.info.run_id), str(run.info.artifact_uri)


def finish_run(
    connection: Connection,
    run: ChunkRun,
    status: Literal["FINISHED", "FAILED"],
    metrics: Mapping[str, float],
    *,
    has_table: bool = False,
) -> None:
    """Write the chunk's own figures, make its table of SKUs known, and close its run."""
    write_run_metrics(connection, run, metrics)
    if has_table:
        connection.call(f"tag run {run.run_id}", lambda client: client.set_tag(run.run_id, TABLE_TAG, TABLE_TAG_VALUE))
    connection.call(f"close run {run.run_id}", lambda client: client.set_terminated(run.run_id, status))
