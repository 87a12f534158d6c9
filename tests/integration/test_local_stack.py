"""The whole embedded stack: it comes up, survives the loss of each process, goes down without a trace."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import mlflow
import psutil
import pytest

from include.skufleet.local import processes
from include.skufleet.local import stack as embedded
from include.skufleet.local.credentials import load_credentials
from include.skufleet.local.services import NAMES
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration


@pytest.fixture
def as_client(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    """The stack, with its variables in this process's environment."""
    for name, value in stack.environment.items():
        if name.startswith(("AWS_", "MLFLOW_")):
            monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(stack.mlflow_url)
    return stack


@pytest.fixture
def airflow(stack: RunningStack) -> Iterator[httpx.Client]:
    user, password = stack.login
    with httpx.Client(base_url=stack.airflow_url, timeout=30) as client:
        answer = client.post("/auth/token", json={"username": user, "password": password})
        assert answer.status_code == 201
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(240):
        if holds():
            return
        time.sleep(0.25)
    pytest.fail("it did not come about within a minute")


def states(stack: RunningStack) -> dict[str, str]:
    return {found.name: found.state for found in embedded.status(stack.settings)}


def kill(stack: RunningStack, service: str) -> None:
    process = processes.find_process(processes.read_started(stack.settings.paths, service))
    assert process is not None
    process.kill()
    wait_until(lambda: states(stack)[service] == "dead")


def test_everything_is_healthy_and_a_second_up_starts_nothing(stack: RunningStack) -> None:
    before = {found.name: found.pid for found in embedded.status(stack.settings)}
    assert states(stack) == dict.fromkeys(NAMES, "healthy")
    announced: list[embedded.Progress] = []
    embedded.up(stack.settings, announced.append)
    assert {found.name: found.pid for found in embedded.status(stack.settings)} == before
    assert {progress.what for progress in announced} == {"already up"}


def test_airflow_takes_the_login_and_refuses_another(stack: RunningStack, airflow: httpx.Client) -> None:
    wrong = httpx.post(f"{stack.airflow_url}/auth/token", json={"username": "admin", "password": "admin"})
    assert wrong.status_code == 401
    assert httpx.get(f"{stack.airflow_url}/api/v2/dags").status_code == 401
    assert airflow.get("/api/v2/dags").status_code == 200


def test_airflow_runs_on_postgresql_with_the_local_executor_and_no_examples(
    stack: RunningStack, airflow: httpx.Client
) -> None:
    wait_until(lambda: bool(airflow.get("/api/v2/dags").json()["total_entries"]))
    dags = [dag["dag_id"] for dag in airflow.get("/api/v2/dags").json()["dags"]]
    assert not any(dag.startswith("example") for dag in dags)
    paused = {dag["dag_id"] for dag in airflow.get("/api/v2/dags").json()["dags"] if dag["is_paused"]}
    assert paused == set(dags), "a schedule must not start before a person switches it on"
    assert stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")
    assert stack.environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_a_model_run_lands_in_the_registry_and_its_artifact_on_s3(as_client: RunningStack) -> None:
    mlflow.set_experiment("smoke")
    with mlflow.start_run() as run:
        mlflow.log_metric("wape", 0.25)
        mlflow.log_text("hello", "note.txt")
    assert run.info.artifact_uri.startswith(f"s3://{as_client.bucket}/mlflow/")
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") == "hello"


@pytest.mark.parametrize("service", NAMES)
def test_a_killed_process_is_named_and_only_what_is_dead_is_started_again(stack: RunningStack, service: str) -> None:
    before = {found.name: found.pid for found in embedded.status(stack.settings)}
    kill(stack, service)
    embedded.up(stack.settings)
    after = {found.name: found.pid for found in embedded.status(stack.settings)}
    assert states(stack) == dict.fromkeys(NAMES, "healthy")
    changed = {name for name in NAMES if before[name] != after[name]}
    # Without their database three of Airflow's parts end sooner or later, so they are started with it.
    fallen = {"airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"} if service == "postgres" else set()
    assert changed == {service} | fallen


def test_no_secret_is_in_a_command_line_or_a_log(stack: RunningStack) -> None:
    secrets = list(asdict(load_credentials(stack.settings.paths)).values())
    commands = [" ".join(found.info["cmdline"] or []) for found in psutil.process_iter(["cmdline"])]
    assert not any(secret in command for command in commands for secret in secrets)
    logs = [path for path in stack.settings.paths.logs.rglob("*") if path.is_file()]
    assert len(logs) >= len(NAMES)
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not any(secret in text for secret in secrets), log


def test_everything_listens_on_loopback_only(stack: RunningStack) -> None:
    ours = members(stack)
    ports = {
        (found.laddr.ip, found.laddr.port)
        for process in ours
        for found in connections(process)
        if found.status == psutil.CONN_LISTEN
    }
    assert ports == {("127.0.0.1", port) for port in asdict(stack.settings.ports).values()}


def test_down_leaves_no_process_and_up_finds_everything_again(
    as_client: RunningStack, airflow: httpx.Client, tmp_path: Path
) -> None:
    stack = as_client
    mlflow.set_experiment("kept")
    with mlflow.start_run() as run:
        mlflow.log_text("still here", "note.txt")
    airflow.post("/api/v2/variables", json={"key": "kept", "value": "yes"}).raise_for_status()
    ours = members(stack)
    assert len(ours) > len(NAMES)

    embedded.down(stack.settings)
    assert [process for process in ours if is_alive(process)] == []
    assert states(stack) == dict.fromkeys(NAMES, "stopped")
    embedded.down(stack.settings)

    embedded.up(stack.settings)
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") == "still here"
    assert mlflow.get_run(run.info.run_id).info.status == "FINISHED"
    answer: dict[str, Any] = airflow.get("/api/v2/variables/kept").json()
    assert answer["value"] == "yes"
    record = json.loads(stack.settings.paths.migrations.read_text())
    assert set(record) == {"airflow", "mlflow"}


def connections(process: psutil.Process) -> Sequence[Any]:
    try:
        return process.net_connections("inet")
    except psutil.NoSuchProcess:
        return ()


def members(stack: RunningStack) -> list[psutil.Process]:
    """Every process of the stack, PostgreSQL's workers included, which sit in sessions of their own."""
    found: dict[int, psutil.Process] = {}
    for name in NAMES:
        started = processes.read_started(stack.settings.paths, name)
        for process in processes.find_members(stack.settings.paths, name, started):
            found[process.pid] = process
            with contextlib.suppress(psutil.NoSuchProcess):  # workers come and go
                found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
