"""One embedded stack for the whole session: real servers, on free ports, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from include.skufleet.local import stack as embedded
from include.skufleet.local.beside import settings_beside
from include.skufleet.local.settings import StackSettings


@dataclass(frozen=True)
class RunningStack:
    """Where the session's stack is.

    Attributes:
        settings: ports and folders; what `include.skufleet.local.stack` takes.
        environment: what tasks are given; set it on `os.environ` (monkeypatch) to work as one.
        airflow_url: Airflow's base address.
        mlflow_url: MLflow's base address.
        bucket: name of the S3 bucket.
        login: Airflow's user name and password.
    """

    settings: StackSettings
    environment: dict[str, str] = field(repr=False)
    airflow_url: str
    mlflow_url: str
    bucket: str
    login: tuple[str, str] = field(repr=False)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The running stack; it is taken down, with everything in it, when the session ends."""
    settings = settings_beside(tmp_path_factory.mktemp("stack") / "local", SKUFLEET_MLFLOW_DIRECT="0")
    try:
        access = embedded.up(settings)
        user, password = next(iter(json.loads(access.login.read_text(encoding="utf-8")).items()))
        yield RunningStack(
            settings=settings,
            environment=access.environment,
            airflow_url=access.airflow_url,
            mlflow_url=access.mlflow_url,
            bucket=access.bucket,
            login=(user, password),
        )
    finally:
        embedded.down(settings)
