"""Register many models of one chunk so that a try broken off anywhere leaves nothing that the next one cannot finish.

For a batch: look up what is there (three requests, whatever the number of SKUs); then per SKU a logged model and its
files; the figures of all in one request; then per SKU a version and its alias. A version is created last but for its
alias, so whoever finds one finds a complete model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _LoggedModel:
    """A model's files as MLflow knows them, before they have a version."""

    model_id: str
    artifact_uri: str
    artifact_bytes: int


def register_models(
    connection: Connection, put_artifact: PutArtifact, run: ChunkRun, records: Sequence[ModelRecord]
) -> dict[str, RegisteredVersion]:
    """Register each record once per run; returns the version of each SKU, in the order of ``records``."""
    names = {record.sku: registered_name(run.catalogue, record.sku) for record in records}
    if len(names) != len(records):
        raise PermanentError(f"chunk {run.chunk}: got {len(records)} models of {len(names)} SKUs, expected one per SKU")
    if not records:
        return {}
    versions = find_versions_of_run(connection, run)
    missing = [record for record in records if names[record.sku] not in versions]
    models = find_models(connection, names.values())
    for record in missing:
        _describe_model(connection, run, record, models.get(names[record.sku]))
    started = _find_logged_models(connection, run) if run.resumed else {}
    logged = {
        record.sku: _log_model(connection, put_artifact, run, record, names[record.sku], started) for record in missing
    }
    write_model_metrics(connection, run, ((logged[record.sku].model_id, record.metrics) for record in missing))
    for record in missing:
        stage = "archived" if _has_newer(connection, models.get(names[record.sku]), run) else STAGING
        name = names[record.sku]
        versions[name] = _create_version(connection, run, record, name, logged[record.sku], stage)
    for name in names.values():
        point_staging(connection, versions[name], models.get(name))
    return {sku: versions[name] for sku, name in names.items()}


def find_versions_of_run(connection: Connection, run: ChunkRun) -> dict[str, RegisteredVersion]:
    """Registered model's name -> the version that this run registered. One request.

    Should a model have two (a request that MLflow carried out after it was given up), the first counts.
    """
    found = connection.pages(
        f"look for the versions of chunk {run.chunk}",
        lambda client, token: client.search_model_versions(f"run_id = '{run.run_id}'", page_token=token),
    )
    versions: dict[str, RegisteredVersion] = {}
    for item in sorted(found, key=lambda item: int(item.version)):
        version = RegisteredVersion.from_tags(item.name, int(item.version), run.run_id, item.tags)
        versions.setdefault(item.name, version)
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


def _describe_model(connection: Connection, run: ChunkRun, record: ModelRecord, model: Any | None) -> None:
    """Create the registered model where there is none; correct its department where that changed."""
    name = registered_name(run.catalogue, record.sku)
    text = describe_model(run.catalogue, record.sku, record.department)
    tags = {"catalogue": run.catalogue, "sku": tag_text(record.sku), "department": tag_text(record.department)}
    if model is None:
        try:
            connection.call(
                f"create registered model {name}", lambda client: client.create_registered_model(name, tags, text)
            )
        except PermanentError as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
    elif model.tags.get("department") != tags["department"]:
        connection.call(
            f"correct the department of {name}",
            lambda client: client.set_registered_model_tag(name, "department", tags["department"]),
        )
        connection.call(f"describe {name}", lambda client: client.update_registered_model(name, text))


def _find_logged_models(connection: Connection, run: ChunkRun) -> dict[str, Any]:
    """Name -> logged model that an earlier try of this run began, whether or not it came to a version."""
    found: Iterator[Any] = connection.pages(
        f"look for the logged models of chunk {run.chunk}",
        lambda client, token: client.search_logged_models(
            [run.experiment_id], f"source_run_id = '{run.run_id}'", page_token=token
        ),
    )
    return {model.name: model for model in found}


def _log_model(
    connection: Connection,
    put_artifact: PutArtifact,
    run: ChunkRun,
    record: ModelRecord,
    name: str,
    started: Mapping[str, Any],
) -> _LoggedModel:
    """Make the logged model, write its files, declare it ready. A model that an earlier try began is written again."""
    model = started.get(name) or connection.call(
        f"create the logged model of {name}",
        lambda client: client.create_logged_model(
            run.experiment_id,
            name=name,
            source_run_id=run.run_id,
            tags={"catalogue": run.catalogue, "sku": tag_text(record.sku), "department": tag_text(record.department)},
            params={key: tag_text(value) for key, value in record.params.items()},
            model_type=MODEL_TYPE,
        ),
    )
    files = record.package.files(record.parameters, model_id=model.model_id, run_id=run.run_id)
    for path, content in files.items():
        put_artifact(f"{model.artifact_location}/{path}", content)
    connection.call(
        f"finalize the logged model of {name}", lambda client: client.finalize_logged_model(model.model_id, "READY")
    )
    return _LoggedModel(model.model_id, model.artifact_location, sum(map(len, files.values())))


def _create_version(
    connection: Connection, run: ChunkRun, record: ModelRecord, name: str, logged: _LoggedModel, stage: str
) -> RegisteredVersion:
    """Make the version of a ready logged model; a lost answer makes no second one."""
    own = {
        "catalogue": run.catalogue,
        "sku": record.sku,
        "department": record.department,
        "as_of": run.as_of.isoformat(),
        "dag_run_id": run.dag_run_id,
        "chunk": run.chunk,
        "stage": stage,
        "model_id": logged.model_id,
        "artifact_uri": logged.artifact_uri,
        "artifact_bytes": logged.artifact_bytes,
    }
    tags = {key: tag_text(value) for key, value in {**run.tags, **record.tags, **own}.items()}
    number = connection.call(
        f"create a version of {name}",
        lambda client: int(
            client.create_model_version(
                name,
                source=f"models:/{logged.model_id}",
                run_id=run.run_id,
                tags=tags,
                description=describe_version(record, run.as_of),
                await_creation_for=0,
                model_id=logged.model_id,
            ).version
        ),
        found=lambda: _find_version_number(connection, run, name),
    )
    return RegisteredVersion.from_tags(name, number, run.run_id, tags)


def _find_version_number(connection: Connection, run: ChunkRun, name: str) -> int | None:
    found = connection.client.search_model_versions(f"name = '{name}' AND run_id = '{run.run_id}'")
    return min((int(item.version) for item in found), default=None)


def _has_newer(connection: Connection, model: Any | None, run: ChunkRun) -> bool:
    """Whether staging or production has a version of a later ``as_of``: a run of the past must not replace it."""
    if model is None:
        return False
    aliased = {model.aliases[alias] for alias in (STAGING, PRODUCTION) if alias in model.aliases}
    return any(find_version(connection, model, int(number)).as_of > run.as_of.isoformat() for number in aliased)
