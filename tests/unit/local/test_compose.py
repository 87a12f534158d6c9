"""docker-compose.yaml, checked without a container engine.

Its form against the schema of the Compose Specification, as the package check-jsonschema carries it; the other tests
check what no schema can say.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.skufleet.local.credentials import generate_credentials
from include.skufleet.local.environment import (
    Endpoints,
    airflow_environment,
    aws_connection,
    client_environment,
    mlflow_environment,
)
from include.skufleet.local.postgres import SERVER_SETTINGS
from include.skufleet.local.settings import load_settings, read_dotenv

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker-compose.yaml"
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)(?:(:\?|:-)([^}]*))?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def check_against_schema(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_fits_the_compose_specification() -> None:
    checked = check_against_schema(FILE)
    assert checked.returncode == 0, checked.stdout


def test_a_misspelt_key_does_not_fit_it(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(FILE.read_text(encoding="utf-8").replace("healthcheck:", "healthchek:"))
    checked = check_against_schema(wrong)
    assert checked.returncode == 1
    assert "healthchek" in checked.stdout


def test_every_dependency_exists_and_can_meet_its_condition(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, f"{name} needs {needed}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for the health of {needed}, which tells none"
            missing = set(services[needed].get("profiles", [])) - set(service.get("profiles", []))
            assert not missing, f"{name} needs {needed}, which only starts with {missing}"


def test_the_order_of_starting_has_no_circle(services: dict[str, dict[str, Any]]) -> None:
    waiting = {name: set(service.get("depends_on", {})) for name, service in services.items()}
    while ready := [name for name, needs in waiting.items() if not needs]:
        waiting = {name: needs - set(ready) for name, needs in waiting.items() if name not in ready}
    assert waiting == {}


def test_every_service_but_the_one_that_ends_tells_its_health_and_comes_back(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in services.items():
        if name != "airflow-init":
            assert "healthcheck" in service, name
            assert service["restart"] == "unless-stopped", name


def test_every_port_is_published_on_loopback_and_can_be_changed(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{SKUFLEET_[A-Z0-9]+_PORT:-\d+\}:\d+", port), port


def test_default_ports_and_bucket_are_those_of_the_embedded_stack() -> None:
    defaults = {name: value for name, how, value in VARIABLE.findall(FILE.read_text()) if how == ":-"}
    settings = load_settings(ROOT / "nowhere", {})
    assert defaults["SKUFLEET_POSTGRES_PORT"] == str(settings.ports.postgres)
    assert defaults["SKUFLEET_S3_PORT"] == str(settings.ports.s3)
    assert defaults["SKUFLEET_MLFLOW_PORT"] == str(settings.ports.mlflow)
    assert defaults["SKUFLEET_AIRFLOW_PORT"] == str(settings.ports.airflow)
    assert defaults["SKUFLEET_BUCKET"] == settings.bucket


def test_every_image_is_pinned_to_a_release(services: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for service in services.values() if "build" not in service}
    assert images
    for image in images:
        assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+[a-z0-9.-]*", image), image


def test_every_named_volume_and_config_is_declared_and_used(compose: dict[str, Any]) -> None:
    services = compose["services"].values()
    volumes = {volume.split(":")[0] for service in services for volume in service.get("volumes", [])}
    configs = {config["source"] for service in services for config in service.get("configs", [])}
    assert volumes == set(compose["volumes"])
    assert configs == set(compose["configs"])


def test_every_variable_is_explained_in_the_example_file() -> None:
    used = {name for name, _, _ in VARIABLE.findall(FILE.read_text())}
    assert used
    assert used <= set(read_dotenv(ROOT / ".env.example"))


def test_no_secret_has_a_default_and_each_says_what_to_do_when_it_is_missing() -> None:
    found = VARIABLE.findall(FILE.read_text())
    secrets = {name for name, _, _ in found if re.search("PASSWORD|SECRET|KEY", name)}
    assert len(secrets) == 9
    for name in secrets:
        ways = {(how, text) for found_name, how, text in found if found_name == name}
        assert not any(how == ":-" for how, _ in ways), name
        assert any(how == ":?" and f"set {name} in .env" in text for how, text in ways), name
    example = read_dotenv(ROOT / ".env.example")
    assert all(example[name] == "" for name in secrets)


def test_airflow_and_its_tasks_get_the_very_settings_of_the_embedded_stack(
    services: dict[str, dict[str, Any]],
) -> None:
    settings = load_settings(ROOT, {})
    arguments = (settings, Endpoints.on_loopback(settings), generate_credentials())
    embedded = {**client_environment(*arguments), **airflow_environment(*arguments)}
    given = services["airflow-scheduler"]["environment"]
    in_containers = {name: _take_defaults(value) for name, value in given.items()}
    beyond = {
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK",
        "AIRFLOW__CELERY__BROKER_URL",
        "AIRFLOW__CELERY__RESULT_BACKEND",
    }
    # Outside the embedded stack there is no local folder to copy reports to.
    assert set(in_containers) == (set(embedded) - {"SKUFLEET_LOCAL_DIR"}) | beyond
    differing = {name for name in set(in_containers) & set(embedded) if in_containers[name] != embedded[name]}
    for name in differing:
        place = re.search(r"KEY|SECRET|CONN|URL|URI|HOST$|PORT$|FOLDER|DIRECTORY|FILE|HOME|PYTHONPATH|BUCKET", name)
        size = name.endswith(("PARALLELISM", "WORKERS", "SLOTS", "MAX_ACTIVE_TASKS_PER_DAG", "__EXECUTOR"))
        assert place or size, f"{name} differs: {in_containers[name]!r} and {embedded[name]!r}"


def _take_defaults(value: str) -> str:
    """What a value is where nothing is set; variables without a default stay as they are written."""
    return VARIABLE.sub(lambda found: found[3] if found[2] == ":-" else found[0], value)


def test_mlflow_gets_the_very_settings_of_the_embedded_stack(services: dict[str, dict[str, Any]]) -> None:
    settings = load_settings(ROOT, {})
    arguments = (settings, Endpoints.on_loopback(settings), generate_credentials())
    embedded = {**client_environment(*arguments), **mlflow_environment(*arguments)}
    assert set(services["mlflow"]["environment"]) == set(embedded) - {"SKUFLEET_LOCAL_DIR"}


def test_all_of_airflows_parts_share_one_environment(services: dict[str, dict[str, Any]]) -> None:
    parts = [service for name, service in services.items() if name.startswith("airflow-") and name != "airflow-init"]
    assert len(parts) == 5
    assert all(part["environment"] == parts[0]["environment"] for part in parts)


def test_the_aws_connection_is_the_one_of_the_embedded_stack(services: dict[str, dict[str, Any]]) -> None:
    credentials = generate_credentials()
    filled = services["airflow-scheduler"]["environment"]["AIRFLOW_CONN_AWS_DEFAULT"]
    filled = filled.replace("${SKUFLEET_S3_ACCESS_KEY}", credentials.s3_access_key)
    filled = filled.replace("${SKUFLEET_S3_SECRET_KEY}", credentials.s3_secret_key)
    endpoints = Endpoints(s3="http://s3:8333", mlflow="", airflow="", postgres="")
    assert yaml.safe_load(filled) == yaml.safe_load(aws_connection(endpoints, credentials))


def test_postgresql_has_the_size_of_the_embedded_one(services: dict[str, dict[str, Any]]) -> None:
    options = dict(word.split("=") for word in services["postgres"]["command"] if "=" in word)
    assert options.items() <= SERVER_SETTINGS.items()
