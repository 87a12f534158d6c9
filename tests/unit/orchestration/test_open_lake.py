"""A task's way to S3: Airflow's own connection, on a real S3 server."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from include.skufleet.config import Settings
from include.skufleet.errors import ConfigError
from include.skufleet.orchestration.clients import open_clients, open_lake
from tests.unit.s3_server import open_bucket, server_environment

BUCKET = f"lake-{uuid.uuid4().hex[:12]}"
SETTINGS = Settings(bucket=BUCKET, mlflow_tracking_uri="http://127.0.0.1:1")


def connection(**changes: Any) -> str:
    """Airflow's AWS connection as JSON, as both stacks write it."""
    server = server_environment()
    extra = {"endpoint_url": server["AWS_ENDPOINT_URL_S3"], "region_name": server["AWS_DEFAULT_REGION"]}
    known = {
        "conn_type": "aws",
        "login": server["AWS_ACCESS_KEY_ID"],
        "password": server["AWS_SECRET_ACCESS_KEY"],
        "extra": extra | {"config_kwargs": {"s3": {"addressing_style": "path"}}},
    }
    return json.dumps(known | changes)


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of AWS's own: what is found comes from the connection."""
    open_bucket(BUCKET)
    for name in server_environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SKUFLEET_AWS_CONN_ID", raising=False)


def test_objects_and_tables_go_where_the_connection_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection())
    lake = open_lake(SETTINGS)
    lake.put("a/b", b"seen")
    assert open_bucket(BUCKET).get("a/b") == b"seen"
    assert lake.storage_options.items() >= {"AWS_ENDPOINT_URL": server_environment()["AWS_ENDPOINT_URL_S3"]}.items()


def test_another_connection_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(login="nobody"))
    monkeypatch.setenv("AIRFLOW_CONN_SALES", connection())
    monkeypatch.setenv("SKUFLEET_AWS_CONN_ID", "sales")
    clients = open_clients(SETTINGS)
    clients.store.put("c", b"d")
    assert clients.store.get("c") == b"d"


def test_a_connection_with_a_wrong_secret_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(password="wr0ng-secret"))  # noqa: S106
    with pytest.raises(ConfigError) as caught:
        open_lake(SETTINGS).get("c")
    assert "wr0ng-secret" not in str(caught.value)
