from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.lake.store import ObjectStore
from tests.unit.cli.airflow_stand_in import PASSWORD, USER, StandIn, stand_in
from tests.unit.s3_server import open_bucket, server_environment


@pytest.fixture
def airflow() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def api(airflow: StandIn) -> AirflowApi:
    return AirflowApi(airflow.url, USER, PASSWORD)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A bucket, and the environment that leads to it."""
    opened = open_bucket(f"cli-{uuid.uuid4().hex[:12]}")
    settings = {"SKUFLEET_BUCKET": opened.bucket, "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    for name, value in (server_environment() | settings).items():
        monkeypatch.setenv(name, value)
    return opened
