"""Lose the answer to every request of a registration once, after MLflow carried it out, and try again."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.registry.client import Registry
from include.skufleet.registry.connection import Connection
from include.skufleet.registry.package import DATA_FILE
from tests.unit.registry.fleet_of_models import get_from_disk, make_record, open_registry, open_run, put_on_disk
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
    registry.register(run, make_record("A"))
    registry.finish(run)


REQUESTS = [
    "get_experiment_by_name",
    "create_experiment",
    "search_runs",
    "create_run",
    "search_registered_models",
    "create_registered_model",
    "create_logged_model",
    "finalize_logged_model",
    "create_model_version",
    "set_registered_model_alias",
    "log_batch",
    "set_terminated",
]


def assert_complete(catalogue: str) -> None:
    client, name = MlflowClient(server_uri()), f"{catalogue}-A"
    versions = client.search_model_versions(f"name = '{name}'")
    assert [(int(item.version), item.status) for item in versions] == [(1, "READY")]
    assert client.get_registered_model(name).aliases == {"staging": "1"}
    experiment = client.get_experiment_by_name(f"skufleet/{catalogue}").experiment_id
    models = client.search_logged_models([experiment])
    assert [model.status for model in models] == ["READY"]
    assert models[0].model_id == versions[0].tags["model_id"]
    assert {item.key: item.value for item in models[0].metrics} == {"wape": 0.31, "baseline_wape": 0.4}
    assert get_from_disk(f"{models[0].artifact_location}/{DATA_FILE}") == b'{"sku":"A","level":2.5}'
    assert get_from_disk(f"{models[0].artifact_location}/MLmodel")
    assert [run.info.status for run in client.search_runs([experiment])] == ["FINISHED"]


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


@pytest.mark.parametrize("position", [0, 4], ids=["first", "last"])
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
    assert registry.register(run, make_record("A")) == registry.register(run, make_record("A"))
    registry.finish(run)
    assert_complete("twice")


def test_what_an_earlier_try_registered_gets_its_missing_alias(registry: Registry) -> None:
    run = open_run(registry, "alias_lost")
    made = registry.register(run, make_record("A"))
    MlflowClient(server_uri()).delete_registered_model_alias(made.name, "staging")
    assert registry.registered_in(open_run(registry, "alias_lost")) == {"A": made}
    assert MlflowClient(server_uri()).get_registered_model(made.name).aliases == {"staging": "1"}
