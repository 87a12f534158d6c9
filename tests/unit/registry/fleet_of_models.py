"""Small models to register, and artifacts on the local disk."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from include.skufleet.registry.client import Registry
from include.skufleet.registry.package import ModelPackage, demand_signature, pinned
from include.skufleet.registry.records import ChunkRun, ModelRecord, RegisteredVersion
from tests.unit.registry.mlflow_server import server_uri

AS_OF = date(2026, 1, 5)
SCORER = '''"""Forecasts a constant."""
import json


class Constant:
    def __init__(self, parameters):
        self.parameters = parameters

    def predict(self, frame):
        return frame[["store", "date"]].assign(sku=self.parameters["sku"], y_hat=float(self.parameters["level"]))


def _load_pyfunc(path):
    with open(path, encoding="utf-8") as file:
        return Constant(json.load(file))
'''
PACKAGE = ModelPackage(SCORER, demand_signature(["snap"]), pinned())


def put_on_disk(uri: str, data: bytes) -> None:
    path = local_path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def get_from_disk(uri: str) -> bytes:
    return local_path(uri).read_bytes()


def local_path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def open_registry() -> Registry:
    return Registry(server_uri(), put_on_disk)


def open_run(
    registry: Registry, catalogue: str, chunk: str = "001", as_of: date = AS_OF, dag_run: str = ""
) -> ChunkRun:
    return registry.chunk_run(
        catalogue, dag_run or f"scheduled__{as_of}", chunk, as_of, {"table_version": "7", "code_version": "abc"}
    )


def make_record(sku: str, level: float = 2.5, **changes: Any) -> ModelRecord:
    values: dict[str, Any] = {
        "sku": sku,
        "department": "TOYS",
        "package": PACKAGE,
        "parameters": {"sku": sku, "level": level},
        "groups": {"category": "Soft"},
        "tags": {
            "candidate": "tsb",
            "outcome": "trained",
            "fingerprint": "f1",
            "wape": "0.310",
            "baseline_wape": "0.400",
            "gate": "passed",
        },
    }
    return ModelRecord(**values | changes)


def register_one(registry: Registry, run: ChunkRun, record: ModelRecord) -> RegisteredVersion:
    """The version of one model; raises what MLflow refuses it with."""
    made = registry.register(run, [record])[record.sku]
    if isinstance(made, Exception):
        raise made
    return made
