from __future__ import annotations

import socket

import pytest
from mlflow import MlflowException
from mlflow.protos import databricks_pb2 as codes

from include.skufleet.errors import ConfigError, PermanentError, ServiceUnavailableError
from include.skufleet.registry.client import Registry
from include.skufleet.registry.connection import Connection, name_filters
from tests.unit.registry.fleet_of_models import put_on_disk
from tests.unit.registry.mlflow_server import server_uri


def test_a_server_that_is_not_there_is_a_transient_error() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    registry = Registry(f"http://127.0.0.1:{port}", put_on_disk)
    registry._connection = Connection(f"http://127.0.0.1:{port}", attempts=2, pause=0.0)
    with pytest.raises(ServiceUnavailableError, match="search registered models"):
        registry.production("demo")


@pytest.mark.parametrize(
    ("code", "expected", "tries"),
    [
        (codes.TEMPORARILY_UNAVAILABLE, ServiceUnavailableError, 3),
        (codes.INTERNAL_ERROR, ServiceUnavailableError, 3),
        (codes.RESOURCE_EXHAUSTED, ServiceUnavailableError, 3),
        (codes.PERMISSION_DENIED, ConfigError, 1),
        (codes.INVALID_PARAMETER_VALUE, PermanentError, 1),
    ],
)
def test_only_what_may_pass_is_tried_again(code: int, expected: type[Exception], tries: int) -> None:
    calls: list[int] = []

    def fail(_: object) -> None:
        calls.append(1)
        raise MlflowException("said so", code)

    with pytest.raises(expected, match=r"cannot do it.*said so"):
        Connection(server_uri(), attempts=3, pause=0.0).call("do it", fail)
    assert len(calls) == tries


def test_what_the_server_refuses_is_a_permanent_error_that_names_the_request(registry: Registry) -> None:
    with pytest.raises(PermanentError, match="version 7 of demo-none"):
        registry.tag_version("demo-none", 7, {"reason": "why"})


def test_a_retry_takes_what_the_lost_try_made() -> None:
    def lose(_: object) -> str:
        raise MlflowException("lost", codes.INTERNAL_ERROR)

    assert Connection(server_uri(), pause=0.0).call("do it", lose, found=lambda: "made") == "made"


def test_many_names_are_asked_for_in_several_filters_and_none_is_left_out() -> None:
    names = [f"demo-{number:0250}" for number in range(100)]
    filters = list(name_filters(names))
    assert len(filters) > 1
    assert all(len(text) < 8000 for text in filters)
    assert [
        name for text in filters for name in text.removeprefix("name IN ('").removesuffix("')").split("','")
    ] == names
    assert list(name_filters([])) == []
