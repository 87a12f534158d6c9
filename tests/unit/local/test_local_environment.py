from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from include.skufleet.local.credentials import Credentials, generate_credentials
from include.skufleet.local.environment import Endpoints, child_environment, mlflow_environment, task_environment
from include.skufleet.local.services import NAMES, command_of, environment_of, fingerprint_of
from include.skufleet.local.settings import PROJECT_ROOT, StackSettings, load_settings


@pytest.fixture
def credentials() -> Credentials:
    return generate_credentials()


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return load_settings(tmp_path, {"SKUFLEET_S3_PORT": "19999", "SKUFLEET_PARALLELISM": "3"})


def told(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    return task_environment(settings, Endpoints.on_loopback(settings), credentials)


def test_the_same_arguments_give_the_same_environment(settings: StackSettings, credentials: Credentials) -> None:
    assert told(settings, credentials) == told(settings, credentials)


def test_every_address_is_on_loopback(settings: StackSettings, credentials: Credentials) -> None:
    everything = {
        **told(settings, credentials),
        **mlflow_environment(settings, Endpoints.on_loopback(settings), credentials),
    }
    addresses = [value for name, value in everything.items() if name.endswith(("_URL", "_URI", "_URL_S3", "CONN"))]
    assert len(addresses) >= 7
    assert all("127.0.0.1" in address for address in addresses)
    assert everything["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_settings_reach_the_tasks(settings: StackSettings, credentials: Credentials) -> None:
    environment = told(settings, credentials)
    assert environment["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:19999"
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert environment["PYTHONPATH"] == str(settings.paths.root)
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "True"


def test_the_aws_connection_addresses_by_path_and_retries_adaptively(
    settings: StackSettings, credentials: Credentials
) -> None:
    connection = json.loads(told(settings, credentials)["AIRFLOW_CONN_AWS_DEFAULT"])
    assert (connection["login"], connection["password"]) == (credentials.s3_access_key, credentials.s3_secret_key)
    assert connection["extra"]["config_kwargs"]["s3"] == {"addressing_style": "path"}
    assert connection["extra"]["config_kwargs"]["retries"]["mode"] == "adaptive"


@pytest.mark.parametrize("service", NAMES)
def test_no_command_line_holds_a_secret(service: str, settings: StackSettings, credentials: Credentials) -> None:
    command = " ".join(command_of(service, replace(settings, paths=replace(settings.paths, root=PROJECT_ROOT))))
    assert not any(secret in command for secret in asdict(credentials).values())


def test_tasks_are_not_told_the_secrets_that_only_mlflow_and_the_admin_need(
    settings: StackSettings, credentials: Credentials
) -> None:
    values = " ".join(told(settings, credentials).values())
    assert credentials.mlflow_secret not in values
    assert credentials.admin_password not in values


def test_the_s3_server_is_told_no_other_secret_than_its_own(settings: StackSettings, credentials: Credentials) -> None:
    values = set(environment_of("s3", settings, credentials).values())
    assert values & set(asdict(credentials).values()) == {credentials.s3_access_key, credentials.s3_secret_key}


def test_settings_of_other_projects_do_not_reach_a_child() -> None:
    inherited = {
        "AWS_PROFILE": "work",
        "AIRFLOW__CORE__EXECUTOR": "x",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "PYTHONHOME": "/x",
        "HOME": "/home/me",
        "PATH": "/usr/bin",
        "HTTP_PROXY": "http://proxy:3128",
        "NO_PROXY": "intranet",
    }
    child = child_environment(inherited, {"AWS_DEFAULT_REGION": "us-east-1"}, "/venv/bin")
    assert child["PATH"] == "/venv/bin:/usr/bin"
    assert child["NO_PROXY"] == child["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert child["HOME"] == "/home/me"
    assert {name for name in child if name.startswith(("AWS_", "AIRFLOW", "MLFLOW"))} == {"AWS_DEFAULT_REGION"}
    assert "PYTHONHOME" not in child


def test_a_service_is_started_anew_when_its_settings_or_its_packages_changed(
    settings: StackSettings, credentials: Credentials
) -> None:
    def look(changed: StackSettings = settings) -> str:
        return fingerprint_of("airflow-scheduler", changed, credentials)

    requirements = settings.paths.root / "requirements.txt"
    requirements.write_text("mlflow==3.17.0\n")
    before = look()
    assert look() == before
    assert look(replace(settings, preload=False)) != before
    requirements.write_text("mlflow==3.18.0\n")
    assert look() != before
