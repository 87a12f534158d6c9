"""Register the models of one chunk so that a try broken off anywhere leaves nothing that the next one cannot finish.

Per SKU: a logged model, its files, a version, and last the alias. A version comes after everything that it needs, so
whoever finds one finds a complete model. Figures are gathered and written for many models in one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.skufleet.errors import PermanentError
from include.skufleet.registry.connection import Connection, error_code
from include.skufleet.registry.metrics import write_model_metrics
from include.skufleet.registry.names import registered_name
from include.skufleet.registry.records import (
    PRODUCTION,
    STAGING,
    ChunkRun,
    ModelRecord,
    RegisteredVersion,
    describe_model,
    describe_version,
    tag_text,
)
from include.skufleet.registry.states import find_models, find_version

PutArtifact = Callable[[str, bytes], None]
MODEL_TYPE = "demand"
METRICS_OF = 200  # models whose figures are gathered before they are written


@dataclass
class ChunkRegistration:
    """Registers the models of one chunk, one thread.

    Attributes:
        connection: to MLflow.
        put_artifact: writes bytes to an artifact's address.
        run: the chunk's MLflow run.
    """

    connection: Connection
    put_artifact: PutArtifact
    run: ChunkRun
    _models: dict[str, Any] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)
    _figures: dict[str, Mapping[str, float]] = field(default_factory=dict)

    def prepare(self, skus: Iterable[str]) -> None:
        """Look up the registered models of these SKUs, about 100 in a request, to save a request for each later on."""
        names = [registered_name(self.run.catalogue, sku) for sku in skus]
        self._models |= dict.fromkeys(names) | find_models(self.connection, names)

    def register(self, record: ModelRecord) -> RegisteredVersion:
        """Register one model; the version that this run already has of the SKU, where it has one."""
        name = registered_name(self.run.catalogue, record.sku)
        if name not in self._models:
            self._models[name] = find_models(self.connection, [name]).get(name)
        model, tried = self._models[name], self.run.resumed or name in self._tried
        self._tried.add(name)
        version = self._find_version(name) if tried else None
        if version is None:
            self._describe_model(name, record, model)
            logged = self._log_model(name, record, tried)
            stage = "archived" if self._has_newer(model) else STAGING
            version = self._create_version(name, record, logged, stage)
        self._figures[version.model_id] = record.metrics
        point_staging(self.connection, version, model)
        if len(self._figures) >= METRICS_OF:
            self.flush()
        return version

    def flush(self) -> None:
        """Write the figures gathered so far."""
        write_model_metrics(self.connection, self.run, self._figures.items())
        self._figures.clear()

    def _find_version(self, name: str) -> RegisteredVersion | None:
        found = find_versions_of_run(self.connection, self.run, f" AND name = '{name}'")
        return found.get(name)

    def _describe_model(self, name: str, record: ModelRecord, model: Any | None) -> None:
        """Create the registered model where there is none; correct its department where that changed."""
        tags, text = _browsing_tags(self.run, record), describe_model(self.run.catalogue, record.sku, record.department)
        if model is None:
            try:
                self.connection.call(
                    f"create registered model {name}", lambda client: client.create_registered_model(name, tags, text)
                )
            except PermanentError as error:
                if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                    raise
        elif model.tags.get("department") != tags["department"]:
            self.connection.call(
                f"correct the department of {name}",
                lambda client: client.set_registered_model_tag(name, "department", tags["department"]),
            )
            self.connection.call(f"describe {name}", lambda client: client.update_registered_model(name, text))

    def _log_model(self, name: str, record: ModelRecord, tried: bool) -> _LoggedModel:
        """Make the logged model, write its files, declare it ready. One that an earlier try began is written again."""
        run = self.run
        model = (self._find_logged_model(name) if tried else None) or self.connection.call(
            f"create the logged model of {name}",
            lambda client: client.create_logged_model(
                run.experiment_id,
                name=name,
                source_run_id=run.run_id,
                tags=_browsing_tags(run, record),
                params={key: tag_text(value) for key, value in record.params.items()},
                model_type=MODEL_TYPE,
            ),
            found=lambda: self._find_logged_model(name),
        )
        files = record.package.files(record.parameters, model_id=model.model_id, run_id=run.run_id)
        for path, content in files.items():
            self.put_artifact(f"{model.artifact_location}/{path}", content)
        self.connection.call(
            f"finalize the logged model of {name}", lambda client: client.finalize_logged_model(model.model_id, "READY")
        )
        return _LoggedModel(model.model_id, model.artifact_location, sum(map(len, files.values())))

    def _find_logged_model(self, name: str) -> Any | None:
        condition = f"source_run_id = '{self.run.run_id}' AND name = '{name}'"
        found = self.connection.call(
            f"look for the logged model of {name}",
            lambda client: client.search_logged_models([self.run.experiment_id], condition, max_results=1),
        )
        return found[0] if found else None

    def _create_version(self, name: str, record: ModelRecord, logged: _LoggedModel, stage: str) -> RegisteredVersion:
        """Make the version of a ready logged model; a lost answer makes no second one."""
        run = self.run
        own = _browsing_tags(run, record) | {
            "as_of": run.as_of.isoformat(),
            "dag_run_id": run.dag_run_id,
            "chunk": run.chunk,
            "stage": stage,
            "model_id": logged.model_id,
            "artifact_uri": logged.artifact_uri,
            "artifact_bytes": str(logged.artifact_bytes),
        }
        tags = {key: tag_text(value) for key, value in {**run.tags, **record.tags, **own}.items()}

        def create(client: Any) -> RegisteredVersion:
            made = client.create_model_version(
                name,
                source=f"models:/{logged.model_id}",
                run_id=run.run_id,
                tags=tags,
                description=describe_version(record, run.as_of),
                await_creation_for=0,
                model_id=logged.model_id,
            )
            return RegisteredVersion.from_tags(name, int(made.version), run.run_id, tags)

        return self.connection.call(f"create a version of {name}", create, found=lambda: self._find_version(name))

    def _has_newer(self, model: Any | None) -> bool:
        """Whether staging or production has a later ``as_of``: a run of the past must not replace that."""
        if model is None:
            return False
        aliased = {model.aliases[alias] for alias in (STAGING, PRODUCTION) if alias in model.aliases}
        as_of = self.run.as_of.isoformat()
        return any(find_version(self.connection, model, int(number)).as_of > as_of for number in aliased)


@dataclass(frozen=True)
class _LoggedModel:
    """A model's files as MLflow knows them, before they have a version."""

    model_id: str
    artifact_uri: str
    artifact_bytes: int


def find_versions_of_run(connection: Connection, run: ChunkRun, further: str = "") -> dict[str, RegisteredVersion]:
    """Registered model's name -> the version that this run registered. One request.

    Should a model have two (a request that MLflow carried out after it was given up), the first counts.
    """
    found = connection.pages(
        f"look for the versions of chunk {run.chunk}",
        lambda client, token: client.search_model_versions(f"run_id = '{run.run_id}'{further}", page_token=token),
    )
    versions: dict[str, RegisteredVersion] = {}
    for item in sorted(found, key=lambda item: int(item.version)):
        versions.setdefault(item.name, RegisteredVersion.from_tags(item.name, int(item.version), run.run_id, item.tags))
    return versions


def repair_staging(connection: Connection, versions: Iterable[RegisteredVersion]) -> None:
    """Point ``staging`` at versions whose registration was broken off before that."""
    versions = list(versions)
    models = find_models(connection, (item.name for item in versions))
    for version in versions:
        point_staging(connection, version, models.get(version.name))


def point_staging(connection: Connection, version: RegisteredVersion, model: Any | None) -> None:
    """Give the version the alias ``staging``, unless its tag says another stage or a later version has it.

    Args:
        connection: to MLflow.
        version: the version.
        model: the registered model as it was before the version came, ``None`` when it is new.
    """
    staged = int(model.aliases.get(STAGING, 0)) if model else 0
    if version.stage != STAGING or staged >= version.version:
        return
    if staged:
        connection.call(
            f"archive version {staged} of {version.name}",
            lambda client: client.set_model_version_tag(version.name, str(staged), "stage", "archived"),
        )
    connection.call(
        f"point {STAGING} of {version.name} at version {version.version}",
        lambda client: client.set_registered_model_alias(version.name, STAGING, str(version.version)),
    )


def _browsing_tags(run: ChunkRun, record: ModelRecord) -> dict[str, str]:
    """The tags by which people find a model, on all three of MLflow's records of it."""
    return {"catalogue": run.catalogue, "sku": tag_text(record.sku), "department": tag_text(record.department)}
