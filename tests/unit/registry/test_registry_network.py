"""An MLflow server and a database that hang, reset and cut off: each ends soon, in an error that allows a retry."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import pytest
from mlflow import MlflowException
from mlflow.protos import databricks_pb2 as codes
from sqlalchemy import exc
from sqlalchemy.engine import make_url

from include.skufleet.errors import PermanentError, ServiceUnavailableError
from include.skufleet.registry.client import Registry
from include.skufleet.registry.connection import DATABASE_WAITS, Connection, bound_waits
from tests.unit.breaking_server import breaking_server
from tests.unit.registry.fleet_of_models import put_on_disk

POSTGRES = "postgresql+psycopg2://fleet:s3cr3t@127.0.0.1:{port}/mlflow?connect_timeout=2"


def open_registry(uri: str) -> Registry:
    registry = Registry(uri, put_on_disk)
    registry._connection = Connection(uri, attempts=2, pause=0.0)
    return registry


def count_waiting(server: socket.socket) -> int:
    """Connections that nobody has taken up."""
    server.setblocking(False)
    taken = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            taken += 1
    return taken


@pytest.mark.parametrize("fault", ["hang", "lost", "503", "half", "page"])
def test_a_server_that_does_not_answer_is_asked_twice_and_then_transient(
    monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with breaking_server(fault) as (url, asked):
        with pytest.raises(ServiceUnavailableError, match="MLflow: cannot search registered models"):
            open_registry(url).production("demo")
        assert len(asked) == 2


def test_a_database_that_takes_connections_and_says_nothing_is_tried_twice() -> None:
    """MLflow alone would make ten of each try."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = POSTGRES.format(port=silent.getsockname()[1])
        with pytest.raises(ServiceUnavailableError, match="timeout expired") as caught:
            open_registry(uri).production("demo")
        assert count_waiting(silent) == 2
    assert "s3cr3t" not in str(caught.value)


def test_a_database_that_is_down_is_transient() -> None:
    with pytest.raises(ServiceUnavailableError, match="Connection refused"):
        open_registry(POSTGRES.format(port=9)).production("demo")


def test_every_wait_for_the_database_has_an_end_unless_its_address_says_otherwise() -> None:
    bounded = make_url(bound_waits("postgresql+psycopg2://fleet:s%40t@host:5432/mlflow?connect_timeout=9"))
    assert dict(bounded.query) == {**DATABASE_WAITS, "connect_timeout": "9"}
    assert (bounded.password, bounded.host, bounded.database) == ("s@t", "host", "mlflow")
    assert bound_waits("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (exc.TimeoutError("QueuePool limit reached"), ServiceUnavailableError),
        (exc.InterfaceError("select 1", {}, Exception("connection already closed")), ServiceUnavailableError),
        (exc.DBAPIError("select 1", {}, Exception("gone"), connection_invalidated=True), ServiceUnavailableError),
        (exc.IntegrityError("insert", {}, Exception("twice")), PermanentError),
    ],
)
def test_a_lost_database_is_told_from_a_bad_request_which_mlflow_calls_both(
    cause: Exception, expected: type[Exception]
) -> None:
    def fail(_: object) -> None:
        raise MlflowException("bad", error_code=codes.BAD_REQUEST) from cause

    connection = Connection("http://127.0.0.1:9", attempts=2, pause=0.0)
    with pytest.raises(expected):
        connection.call("try", fail)
