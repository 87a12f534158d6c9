"""The services that a run talks to, handed to every function of the fleet; nothing here is global."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from include.skufleet.config import Settings
from include.skufleet.errors import ConfigError
from include.skufleet.lake.bulk import SmallObjects
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.client import Registry


@dataclass(frozen=True)
class Clients:
    """The lake's object store and the model registry of one process; ``artifacts`` is the same bucket, for models."""

    store: ObjectStore
    artifacts: SmallObjects
    registry: Registry
    settings: Settings

    @classmethod
    def open(cls, store: ObjectStore, settings: Settings) -> Self:
        """Clients whose registry keeps its artifacts in the same bucket as the lake."""
        artifacts = SmallObjects(store)
        registry = Registry(
            settings.mlflow_tracking_uri,
            lambda uri, data: artifacts.put(artifact_key(store, uri), data),
            store.uri("mlflow"),
        )
        return cls(store=store, artifacts=artifacts, registry=registry, settings=settings)

    def get_artifact(self, uri: str) -> bytes:
        """Read one file of a model's artifact by its address."""
        return self.artifacts.get(artifact_key(self.store, uri))


def artifact_key(store: ObjectStore, uri: str) -> str:
    """The key of an artifact's address in the store's bucket.

    Raises:
        ConfigError: MLflow keeps its artifacts elsewhere.
    """
    root = store.uri("")
    if not uri.startswith(root):
        raise ConfigError(
            f"MLflow keeps an artifact at {uri}, expected it below {root}; start the MLflow server with an artifact "
            "root in that bucket"
        )
    return uri.removeprefix(root)
