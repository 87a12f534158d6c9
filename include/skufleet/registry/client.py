"""``Registry``: all that the rest of Skufleet asks of MLflow, behind one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, Literal, Protocol

from include.skufleet.registry.connection import Connection
from include.skufleet.registry.metrics import TABLE_FILE, Cell, table_content
from include.skufleet.registry.names import registered_name
from include.skufleet.registry.package import DATA_FILE, read_parameters
from include.skufleet.registry.pruning import delete_versions, list_versions
from include.skufleet.registry.records import ChunkRun, ModelRecord, RegisteredVersion
from include.skufleet.registry.register import ChunkRegistration, PutArtifact, Registered
from include.skufleet.registry.runs import find_or_create_run, finish_run
from include.skufleet.registry.states import (
    ModelState,
    find_state,
    find_states,
    point_production,
    point_staging,
    tag_version,
    tag_versions,
)
from include.skufleet.registry.trials import TrialRun, close_trial, log_trial, open_trial

_READ_THREADS = 8
_WRITE_THREADS = 4
"""Enough to keep a server with a few workers busy: each registration is a handful of requests, one after the other."""


class Stored(Protocol):
    """A model whose files are somewhere: a ``RegisteredVersion``, for example."""

    @property
    def sku(self) -> str:
        """The SKU's code."""
        ...

    @property
    def artifact_uri(self) -> str:
        """The folder of its files."""
        ...


class Registry:
    """The model registry at one tracking URI. Connects at the first use.

    One thread registers the models of a chunk, with threads of its own; everything else is safe to share.

    Every method raises ``ServiceUnavailableError`` when MLflow does not answer after bounded retries, ``ConfigError``
    when it refuses us, ``PermanentError`` when it refuses the request.

    Args:
        tracking_uri: ``http://...`` of an MLflow server, or the URI of its database.
        put_artifact: writes bytes to an artifact's address, ``s3://...`` as a rule. Its errors pass through.
        artifact_root: where the experiments of new catalogues keep their artifacts; empty: where the server says.
    """

    def __init__(self, tracking_uri: str, put_artifact: PutArtifact, artifact_root: str = "") -> None:
        self._connection = Connection(tracking_uri, artifact_root)
        self._put_artifact = put_artifact
        self._registrations: dict[str, ChunkRegistration] = {}

    def chunk_run(
        self, catalogue: str, dag_run_id: str, chunk: str, as_of: date, tags: Mapping[str, str] | None = None
    ) -> ChunkRun:
        """The MLflow run of this chunk of this Dag run: found, and reopened, where an earlier try made it.

        Args:
            catalogue: the catalogue's name; its runs are in the experiment ``skufleet/<catalogue>``.
            dag_run_id: the Airflow run.
            chunk: the chunk's name within that run.
            as_of: the date that the run pretends it is.
            tags: set on the run and on every version it registers, ``table_version`` for example.
        """
        return find_or_create_run(self._connection, catalogue, dag_run_id, chunk, as_of, tags or {})

    def register(
        self,
        run: ChunkRun,
        records: Iterable[ModelRecord],
        groups: Mapping[str, Mapping[str, str]] | None = None,
        threads: int = _WRITE_THREADS,
    ) -> dict[str, Registered]:
        """Register models, a few at a time: files, registered model, version with its tags. No alias is set.

        A SKU that this run has already registered keeps its version. Broken off anywhere, a second call finishes the
        work and makes no second version.

        Args:
            run: the chunk's run.
            records: at most one per SKU.
            groups: registered model's name -> its tags as someone has just read them, empty for one that MLflow does
                not have: saves the request that would read them.
            threads: models at the same time.

        Returns:
            SKU -> its version, or the error with which MLflow refused this one.
        """
        registration = self._registrations.setdefault(
            run.run_id, ChunkRegistration(self._connection, self._put_artifact, run)
        )
        if not run.resumed:
            registration.groups |= groups or {}
        return registration.register_all(records, threads)

    def finish(
        self,
        run: ChunkRun,
        status: Literal["FINISHED", "FAILED"] = "FINISHED",
        metrics: Mapping[str, float] | None = None,
        table: tuple[Sequence[str], Sequence[Sequence[Cell]]] | None = None,
    ) -> None:
        """Write the chunk's own figures (NaN ones are left out) and the table of its SKUs, and close the run.

        Repeatable. ``table`` is column names and rows; MLflow shows it among the run's artifacts.
        """
        if table is not None:
            self._put_artifact(f"{run.artifact_uri}/{TABLE_FILE}", table_content(*table))
        finish_run(self._connection, run, status, metrics or {}, has_table=table is not None)
        self._registrations.pop(run.run_id, None)

    def states(self, catalogue: str, known: Iterable[RegisteredVersion] = ()) -> dict[str, ModelState]:
        """SKU -> its aliases and its version in production, in a handful of requests for any catalogue.

        Args:
            catalogue: the catalogue's name.
            known: versions that the caller remembers; one in production that is neither among them nor the latest of
                its SKU costs a request of its own.
        """
        return find_states(self._connection, catalogue, {(item.name, item.version): item for item in known})

    def find_state(self, catalogue: str, sku: str) -> ModelState | None:
        """The state of one SKU, in a request or two; ``None`` where it has no registered model."""
        return find_state(self._connection, registered_name(catalogue, sku))

    def production(self, catalogue: str, known: Iterable[RegisteredVersion] = ()) -> dict[str, RegisteredVersion]:
        """SKU -> the version in production; a SKU without one is absent. Costs what ``states`` costs."""
        states = self.states(catalogue, known)
        return {sku: state.production for sku, state in states.items() if state.production}

    def set_production(self, state: ModelState, version: int) -> None:
        """Point ``production`` at the version and ``previous`` at the one before.

        Broken off anywhere, the version before still serves, and a second call finishes.
        """
        point_production(self._connection, state, version)

    def set_staging(self, name: str, version: int) -> None:
        """Point ``staging`` at the version; 0: at none."""
        point_staging(self._connection, name, version)

    def list_versions(self, catalogue: str) -> list[RegisteredVersion]:
        """Every version of the catalogue's models: a request per 10,000, which take MLflow several seconds each."""
        return list_versions(self._connection, catalogue)

    def delete_versions(self, versions: Iterable[tuple[str, int]], threads: int = _WRITE_THREADS) -> None:
        """Delete versions, ``(name, number)`` each, a few at a time; one that is gone already is no error.

        Files are not MLflow's business. An outage stops the rest; what was deleted stays so.
        """
        delete_versions(self._connection, versions, threads)

    def tag_version(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version, a request each."""
        tag_version(self._connection, name, version, tags)

    def tag_versions(self, tags: Iterable[tuple[str, int, Mapping[str, str]]], threads: int = _WRITE_THREADS) -> None:
        """Set tags of many versions, ``(name, number, tags)`` each; one that was deleted is left out.

        An outage stops the rest; what was set stays so.
        """
        tag_versions(self._connection, tags, threads)

    def load_parameters(
        self, versions: Iterable[Stored], get_artifact: Callable[[str], bytes], threads: int = _READ_THREADS
    ) -> dict[str, dict[str, Any]]:
        """SKU -> the parameters of its model, straight from the artifact store: no request to MLflow, no code run.

        Args:
            versions: at most one per SKU.
            get_artifact: reads bytes from an artifact's address. Its errors pass through.
            threads: reads at the same time.

        Raises:
            ArtifactError: a file is not the JSON of a model; the message names it.
        """
        wanted = {item.sku: f"{item.artifact_uri}/{DATA_FILE}" for item in versions}
        with ThreadPoolExecutor(threads) as pool:
            contents = pool.map(get_artifact, wanted.values())
            found = zip(wanted.items(), contents, strict=True)
            return {sku: read_parameters(content, uri) for (sku, uri), content in found}

    def open_trial(
        self,
        catalogue: str,
        dag_run_id: str,
        name: str,
        as_of: date,
        params: Mapping[str, Any],
        tags: Mapping[str, str] | None = None,
        parent: TrialRun | None = None,
    ) -> TrialRun:
        """The MLflow run of one trial of a search, or of the whole search: found where an earlier try made it.

        Args:
            catalogue: the catalogue's name; its trials are in the experiment ``skufleet/<catalogue>/search``.
            dag_run_id: the Airflow run.
            name: the trial's name within that run.
            as_of: the date that the run pretends it is.
            params: what is tried; the same at every try, for MLflow's params cannot be changed.
            tags: set on the run.
            parent: the run of the whole search, for a trial.
        """
        return open_trial(self._connection, catalogue, dag_run_id, name, as_of, params, tags or {}, parent)

    def log_trial(
        self, run: TrialRun, metrics: Mapping[str, float], tags: Mapping[str, str] | None = None, step: int = 0
    ) -> None:
        """Write figures of one rung (``step``) of a trial (NaN ones are left out), and tags. Repeatable."""
        log_trial(self._connection, run, metrics, tags or {}, step)

    def close_trial(self, run: TrialRun, status: Literal["FINISHED", "FAILED"] = "FINISHED") -> None:
        """Close the run of a trial. Repeatable."""
        close_trial(self._connection, run, status)


def model_uri(name: str, alias: str = "production") -> str:
    """The address that ``mlflow.pyfunc.load_model`` takes."""
    return f"models:/{name}@{alias}"
