"""Register the models of one chunk so that a try broken off anywhere leaves nothing that the next one cannot finish.

A SKU whose run and fingerprint have a version is done. Per other SKU: its files, then a version that names them; a new
SKU's registered model before that. A version comes after everything that it needs, so whoever finds one finds a
complete model. Aliases are moved by promotion alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any

from include.skufleet.errors import ConfigError, PermanentError
from include.skufleet.registry.connection import Connection, error_code
from include.skufleet.registry.names import folder_name, registered_name
from include.skufleet.registry.records import (
    ChunkRun,
    ModelRecord,
    RegisteredVersion,
    describe_model,
    describe_version,
    tag_text,
)
from include.skufleet.registry.states import find_models

PutArtifact = Callable[[str, bytes], None]
Registered = RegisteredVersion | PermanentError


@dataclass
class ChunkRegistration:
    """Registers the models of one chunk.

    Attributes:
        connection: to MLflow.
        put_artifact: writes bytes to an artifact's address; called from several threads.
        run: the chunk's MLflow run.
        groups: registered model's name -> its tags, as far as they are known; a name without tags is a model that
            MLflow is known not to have.
    """

    connection: Connection
    put_artifact: PutArtifact
    run: ChunkRun
    groups: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _made: dict[tuple[str, str], RegisteredVersion] | None = None
    _taken: frozenset[str] = frozenset()

    def register_all(self, records: Iterable[ModelRecord], threads: int) -> dict[str, Registered]:
        """Register models with several threads; see ``Registry.register``."""
        waiting = {record.sku: record for record in records}
        self._look_up(registered_name(self.run.catalogue, sku) for sku in waiting)
        for package in {record.package for record in waiting.values()}:
            package.shared_files(self.run.run_id)
        with ThreadPoolExecutor(threads) as pool:
            futures = {sku: pool.submit(self._register, record) for sku, record in waiting.items()}
            try:
                return {sku: _result_of(future) for sku, future in futures.items()}
            except BaseException:
                # The first outage stops those that have not begun, rather than let each wait for a dead server.
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _look_up(self, names: Iterable[str]) -> None:
        """What an earlier try made, once; and the registered models that nobody told us of, a request per 100 or so."""
        if self._made is None:
            self._made = find_versions_of_run(self.connection, self.run) if self.run.resumed else {}
            self._taken = frozenset(name for name, _ in self._made)
        unknown = [name for name in names if name not in self.groups]
        found = find_models(self.connection, unknown)
        self.groups |= {name: found[name].tags if name in found else {} for name in unknown}

    def _register(self, record: ModelRecord) -> RegisteredVersion:
        name = registered_name(self.run.catalogue, record.sku)
        made = self._made or {}
        key = name, record.tags.get("fingerprint", "")
        if key not in made:
            self._describe_model(name, record)
            uri = self._choose_folder(name, key[1], record.role)
            files = record.package.files(record.parameters, run_id=self.run.run_id)
            for path, content in files.items():
                self.put_artifact(f"{uri}/{path}", content)
            made[key] = self._create_version(name, record, uri, sum(map(len, files.values())))
            self._made = made
        return made[key]

    def _choose_folder(self, name: str, fingerprint: str, role: str) -> str:
        """Where the files go: not where those are that the same run made of the SKU's data as they were before."""
        folder = f"{self.run.artifact_uri}/{folder_name(name)}{'.' if role else ''}{role}"
        return f"{folder}-{fingerprint[:8]}" if name in self._taken else folder

    def _describe_model(self, name: str, record: ModelRecord) -> None:
        """Create the registered model where there is none; correct its groups where they changed."""
        tags, known = self._tags_of_model(record), self.groups[name]
        text = describe_model(self.run.catalogue, record.sku, record.department)
        if not known:
            try:
                self.connection.call(
                    f"create registered model {name}", lambda client: client.create_registered_model(name, tags, text)
                )
            except PermanentError as error:
                if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                    raise
        for key in [key for key, value in tags.items() if known and known.get(key) != value]:
            request = methodcaller("set_registered_model_tag", name, key, tags[key])
            self.connection.call(f"correct the {key} of {name}", request)
        if known and known.get("department") != tags["department"]:
            self.connection.call(f"describe {name}", lambda client: client.update_registered_model(name, text))
        self.groups[name] = tags

    def _tags_of_model(self, record: ModelRecord) -> dict[str, str]:
        """The tags by which people find a model."""
        own = {"catalogue": self.run.catalogue, "sku": record.sku, "department": record.department}
        return {key: tag_text(value) for key, value in {**record.groups, **own}.items()}

    def _create_version(self, name: str, record: ModelRecord, uri: str, size: int) -> RegisteredVersion:
        """Make the version of files that are in place; a lost answer makes no second one."""
        run = self.run
        own = {"sku": record.sku, "artifact_bytes": str(size)}
        tags = {key: tag_text(value) for key, value in {**run.tags, **record.tags, **own}.items()}

        def create(client: Any) -> RegisteredVersion:
            made = client.create_model_version(
                name,
                source=uri,
                run_id=run.run_id,
                tags=tags,
                description=describe_version(record, run.as_of),
                await_creation_for=0,
            )
            return RegisteredVersion.from_tags(name, int(made.version), run.run_id, uri, tags)

        def find() -> RegisteredVersion | None:
            found = find_versions_of_run(self.connection, run, f" AND name = '{name}'")
            return found.get((name, tags.get("fingerprint", "")))

        return self.connection.call(f"create a version of {name}", create, found=find)


def find_versions_of_run(
    connection: Connection, run: ChunkRun, further: str = ""
) -> dict[tuple[str, str], RegisteredVersion]:
    """Registered model's name and fingerprint -> the version that this run registered. A request per 10,000.

    Should there be two (a request that MLflow carried out after it was given up), the first counts.
    """
    found = connection.pages(
        f"look for the versions of chunk {run.chunk}",
        lambda client, token: client.search_model_versions(f"run_id = '{run.run_id}'{further}", page_token=token),
    )
    versions: dict[tuple[str, str], RegisteredVersion] = {}
    for item in sorted(found, key=lambda item: int(item.version)):
        version = RegisteredVersion.from_mlflow(item)
        versions.setdefault((item.name, version.fingerprint), version)
    return versions


def _result_of(future: Future[RegisteredVersion]) -> Registered:
    """The version, or why MLflow refuses this very model; an outage and a refusal of us as a whole are raised."""
    try:
        return future.result()
    except ConfigError:
        raise
    except PermanentError as error:
        return error
