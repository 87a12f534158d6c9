"""Lose the answer to every request of a registration once, after MLflow carried it out, and try again."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.registry.client import Registry
from include.skufleet.registry.connection import Connection
from include.skufleet.registry.metrics import TABLE_FILE
from include.skufleet.registry.package import CODE_FILE, DATA_FILE
from include.skufleet.registry.records import RegisteredVersion
from tests.unit.registry.fleet_of_models import (
    get_from_disk,
    make_record,
    open_registry,
    open_run,
    put_on_disk,
    register_one,
)
from tests.unit.registry.mlflow_server import server_uri


class BreakingClient:
    """MLflow's client on the real server; of its calls, the answer to the one at ``position`` is lost."""

    def __init__(self, position: int) -> None:
        self._client, self._position = MlflowClient(server_uri()), position
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            breaks = len(self.calls) - 1 == self._position
            answer = method(*args, **kwargs)
            if breaks:
                raise MlflowException("planted", TEMPORARILY_UNAVAILABLE)
            return answer

        return call


def break_connection(registry: Registry, position: int, attempts: int) -> BreakingClient:
    client = BreakingClient(position)
    connection = Connection(server_uri(), attempts=attempts, pause=0.0)
    connection.__dict__["client"] = client
    registry._connection = connection
    return client


def register_all(registry: Registry, catalogue: str) -> None:
    run = open_run(registry, catalogue)
    register_one(registry, run, make_record("A"))
    registry.finish(run, metrics={"wape": 0.5}, table=(["sku"], [["A"]]))


REQUESTS = [
    "get_experiment_by_name",
    "create_experiment",
    "search_runs",
    "create_run",
    "search_registered_models",
    "create_registered_model",
    "create_model_version",
    "log_batch",
    "set_tag",
    "set_terminated",
]


def assert_complete(catalogue: str) -> None:
    client, name = MlflowClient(server_uri()), f"{catalogue}-A"
    versions = client.search_model_versions(f"name = '{name}'")
    assert [(int(item.version), item.status) for item in versions] == [(1, "READY")]
    for path in (DATA_FILE, CODE_FILE, "python_env.yaml", "MLmodel"):
        assert get_from_disk(f"{versions[0].source}/{path}")
    assert get_from_disk(f"{versions[0].source}/{DATA_FILE}") == b'{"sku":"A","level":2.5}'
    experiment = client.get_experiment_by_name(f"skufleet/{catalogue}").experiment_id
    (run,) = client.search_runs([experiment])
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"wape": 0.5})
    assert b'"A"' in get_from_disk(f"{run.info.artifact_uri}/{TABLE_FILE}")


def test_the_requests_of_one_registration_are_the_ones_that_are_broken_here() -> None:
    """A new request must get its fault test; a needless one must be seen."""
    registry = open_registry()
    client = break_connection(registry, -1, attempts=1)
    register_all(registry, "faults_none")
    assert client.calls == REQUESTS
    assert_complete("faults_none")


@pytest.mark.parametrize("position", range(len(REQUESTS)), ids=REQUESTS)
def test_a_second_try_of_the_task_finishes_what_the_first_began(position: int) -> None:
    """Broken off after each request in turn, which is also before the next one."""
    catalogue = f"again_{position}"
    broken = open_registry()
    break_connection(broken, position, attempts=1)
    with pytest.raises(ServiceUnavailableError, match="planted"):
        register_all(broken, catalogue)
    register_all(open_registry(), catalogue)
    assert_complete(catalogue)


@pytest.mark.parametrize("request_name", [name for name in REQUESTS if name.startswith("create_")])
def test_a_lost_answer_is_retried_within_the_task_and_nothing_is_made_twice(request_name: str) -> None:
    catalogue = f"within_{request_name}"
    registry = open_registry()
    break_connection(registry, REQUESTS.index(request_name), attempts=2)
    register_all(registry, catalogue)
    assert_complete(catalogue)


@pytest.mark.parametrize("position", [0, 3], ids=["first", "last"])
def test_a_failure_of_the_artifact_store_leaves_no_version_without_its_files(position: int) -> None:
    catalogue, written = f"store_{position}", []

    def put(uri: str, data: bytes) -> None:
        written.append(uri)
        if len(written) - 1 == position:
            raise ServiceUnavailableError("S3: planted")
        put_on_disk(uri, data)

    with pytest.raises(ServiceUnavailableError, match="S3: planted"):
        register_all(Registry(server_uri(), put), catalogue)
    assert MlflowClient(server_uri()).search_model_versions(f"name = '{catalogue}-A'") == []
    register_all(open_registry(), catalogue)
    assert_complete(catalogue)


def test_registering_a_sku_twice_in_one_process_makes_one_version(registry: Registry) -> None:
    run = open_run(registry, "twice")
    assert register_one(registry, run, make_record("A")) == register_one(registry, run, make_record("A"))
    registry.finish(run, metrics={"wape": 0.5}, table=(["sku"], [["A"]]))
    assert_complete("twice")


def test_an_outage_amid_many_models_stops_the_rest_and_a_second_try_makes_one_version_of_each() -> None:
    skus, broken = [f"S{number}" for number in range(12)], open_registry()
    break_connection(broken, 12, attempts=1)
    with pytest.raises(ServiceUnavailableError, match="planted"):
        broken.register(open_run(broken, "outage"), [make_record(sku) for sku in skus])
    again = open_registry()
    made = again.register(open_run(again, "outage"), [make_record(sku) for sku in skus])
    assert {sku: item.version for sku, item in made.items() if isinstance(item, RegisteredVersion)} == dict.fromkeys(
        skus, 1
    )
    found = MlflowClient(server_uri()).search_model_versions("name LIKE 'outage-%'")
    assert sorted(item.tags["sku"] for item in found) == sorted(skus)
