"""Which processes the stack has: their commands, their order and how each is stopped."""

import hashlib
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.skufleet.local.credentials import Credentials
from include.skufleet.local.environment import (
    HOST,
    Endpoints,
    client_environment,
    mlflow_environment,
    s3_environment,
    task_environment,
)
from include.skufleet.local.postgres import server_command
from include.skufleet.local.preflight import find_s3_python
from include.skufleet.local.settings import StackSettings

MLFLOW_WORKERS = 2


@dataclass(frozen=True)
class Service:
    """One process of the stack.

    Attributes:
        name: as `status` shows it; also the name of its log and pid file.
        port: which of the stack's ports it listens on, or None.
        stop_signal: what it takes as a request to end orderly.
        patience: seconds that it gets to end.
        needs: servers that it uses; it is stopped before them.
        falls_with: a server whose death it does not outlive: they are started anew together.
    """

    name: str
    port: str | None
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    needs: tuple[str, ...] = ()
    falls_with: str | None = None


# PostgreSQL takes SIGINT as "end now, orderly": SIGTERM would wait for its clients.
SERVICES: tuple[Service, ...] = (
    Service("postgres", "postgres", stop_signal=signal.SIGINT, patience=30),
    Service("s3", "s3"),
    Service("mlflow", "mlflow", needs=("postgres", "s3")),
    Service("airflow-api", "airflow", needs=("postgres",)),
    Service("airflow-scheduler", None, patience=20, needs=("postgres",), falls_with="postgres"),
    Service("airflow-dag-processor", None, needs=("postgres",), falls_with="postgres"),
    # Asked once, it waits 10 s for triggers of which there are none; asked again, it ends.
    Service("airflow-triggerer", None, patience=1, needs=("postgres",), falls_with="postgres"),
)
NAMES = tuple(service.name for service in SERVICES)


def binaries() -> Path:
    """Return the `bin` folder of the environment that is running."""
    return Path(sys.prefix) / "bin"


def command_of(service: str, settings: StackSettings) -> list[str]:
    """Return the command line of a service; it holds no secret."""
    if service == "postgres":
        return server_command(settings)
    if service == "s3":
        # -P keeps this folder off the import path.
        return [str(find_s3_python(settings.paths)), "-P", str(Path(__file__).with_name("s3_server.py"))]
    if service == "mlflow":
        serve = ["-m", "mlflow", "server", "--no-serve-artifacts", "--workers", str(MLFLOW_WORKERS)]
        return [sys.executable, *serve, "--host", HOST, "--port", str(settings.ports.mlflow)]
    airflow = [sys.executable, "-m", "airflow"]
    parts = {
        "airflow-api": ["api-server"],
        # Logs are read from the disk that all parts share, so nobody serves them over a port.
        "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
        "airflow-dag-processor": ["dag-processor"],
        "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
    }
    return [*airflow, *parts[service]]


def environment_of(service: str, settings: StackSettings, credentials: Credentials) -> Mapping[str, str]:
    """Return what the stack tells a service; PostgreSQL needs nothing."""
    endpoints = Endpoints.on_loopback(settings)
    if service == "postgres":
        return {}
    if service == "s3":
        return s3_environment(settings, credentials)
    if service == "mlflow":
        shared = client_environment(settings, endpoints, credentials)
        return {**shared, **mlflow_environment(settings, endpoints, credentials)}
    return task_environment(settings, endpoints, credentials)


def fingerprint_of(service: str, settings: StackSettings, credentials: Credentials) -> str:
    """Return a hash of what a service is started with: its command, what it is told, and the packages it runs on.

    A process goes on importing from its packages for as long as it runs, and the scheduler hands what it has imported
    to the tasks: when they were changed, it has to be started anew.
    """
    files = (settings.paths.root / name for name in ("requirements.txt", "requirements-s3.txt"))
    packages = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists()]
    told = dict(environment_of(service, settings, credentials))
    text = json.dumps([command_of(service, settings), told, packages], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
