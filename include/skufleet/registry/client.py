"""``Registry``: all that the rest of Skufleet asks of MLflow, behind one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, Literal, Protocol

from include.skufleet.registry.connection import Connection
from include.skufleet.registry.package import DATA_FILE, read_parameters
from include.skufleet.registry.records import ChunkRun, ModelRecord, RegisteredVersion
from include.skufleet.registry.register import ChunkRegistration, PutArtifact, find_versions_of_run, repair_staging
from include.skufleet.registry.runs import find_or_create_run, finish_run
from include.skufleet.registry.states import ModelState, find_states, hold_in_staging, move_to_production
from include.skufleet.registry.trials import TrialRun, close_trial, log_trial, open_trial

_READ_THREADS = 8


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

    One thread registers the models of a chunk; everything else is safe to share between threads.

    Every method raises ``ServiceUnavailableError`` when MLflow does not answer after bounded retries, ``ConfigError``
    when it refuses us, ``PermanentError`` when it refuses the request.

    Args:
        tracking_uri: ``http://...`` of an MLflow server, or the URI of its database.
        put_artifact: writes bytes to an artifact's address, ``s3://...`` as a rule. Its errors pass through.
    """

    def __init__(self, tracking_uri: str, put_artifact: PutArtifact) -> None:
        self._connection = Connection(tracking_uri)
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
            tags: set on the run and on every version it registers, ``table_version`` and ``code_version`` for example.
        """
        return find_or_create_run(self._connection, catalogue, dag_run_id, chunk, as_of, tags or {})

    def registered_in(self, run: ChunkRun) -> dict[str, RegisteredVersion]:
        """SKU -> what an earlier try of this chunk registered, with its alias; empty for a new run.

        Costs nothing for a new run, else one request, one per 100 SKUs, and one for each alias that was still missing.
        Figures may not have been written yet: ``register`` a SKU again to write them; it keeps its version.
        """
        if not run.resumed:
            return {}
        versions = find_versions_of_run(self._connection, run)
        repair_staging(self._connection, versions.values())
        return {item.sku: item for item in versions.values()}

    def prepare(self, run: ChunkRun, skus: Iterable[str]) -> None:
        """Look up the registered models of these SKUs, about 100 in a request; saves a request in each ``register``."""
        self._registration(run).prepare(skus)

    def register(self, run: ChunkRun, record: ModelRecord) -> RegisteredVersion:
        """Register one model: artifact, version, tags, alias ``staging``; its figures wait for ``flush``.

        A SKU that this run has already registered keeps its version. Broken off anywhere, a second call finishes the
        work and makes no second version. Where staging or production has a version of a later ``as_of``, the new one
        gets no alias and the stage ``archived``.

        Raises:
            ArtifactError: the parameters cannot be written as JSON; no version was made.
        """
        return self._registration(run).register(record)

    def flush(self, run: ChunkRun) -> None:
        """Write the figures of the models registered so far: about one request per 100 models."""
        self._registration(run).flush()

    def finish(
        self,
        run: ChunkRun,
        status: Literal["FINISHED", "FAILED"] = "FINISHED",
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Write what is left and the chunk's own figures (NaN ones are left out), and close the run. Repeatable."""
        self.flush(run)
        finish_run(self._connection, run, status, metrics or {})
        self._registrations.pop(run.run_id, None)

    def states(self, catalogue: str) -> dict[str, ModelState]:
        """SKU -> its aliases and its version in production, in a handful of requests for any catalogue."""
        return find_states(self._connection, catalogue)

    def production(self, catalogue: str) -> dict[str, RegisteredVersion]:
        """SKU -> the version in production; a SKU without one is absent. Costs what ``states`` costs."""
        return {sku: state.production for sku, state in self.states(catalogue).items() if state.production}

    def set_production(self, state: ModelState, version: int, reason: str) -> None:
        """Point ``production`` at the version and ``previous`` at the one before; tags ``stage, reason, promoted_at``.

        Broken off anywhere, the version before still serves, and a second call finishes.
        """
        move_to_production(self._connection, state, version, reason)

    def keep_in_staging(self, name: str, version: int, reason: str) -> None:
        """Leave the version in staging, with the reason as a tag."""
        hold_in_staging(self._connection, name, version, reason)

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

    def _registration(self, run: ChunkRun) -> ChunkRegistration:
        if run.run_id not in self._registrations:
            self._registrations[run.run_id] = ChunkRegistration(self._connection, self._put_artifact, run)
        return self._registrations[run.run_id]


def model_uri(name: str, alias: str = "production") -> str:
    """The address that ``mlflow.pyfunc.load_model`` takes."""
    return f"models:/{name}@{alias}"
