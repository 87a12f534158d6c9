"""Bring the embedded stack up, take it down, say how it is.

`up` starts only what is dead or was started with other settings; independent services start at the same time.
What does not belong here: how one process is started or probed (`processes.py`, `health.py`).
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from include.skufleet.errors import LocalStackError
from include.skufleet.local import health, migrations, postgres, preflight, processes
from include.skufleet.local.credentials import Credentials, load_credentials
from include.skufleet.local.environment import Endpoints, child_environment, task_environment
from include.skufleet.local.processes import Started
from include.skufleet.local.services import (
    NAMES,
    SERVICES,
    Service,
    binaries,
    command_of,
    environment_of,
    fingerprint_of,
)
from include.skufleet.local.settings import StackSettings

HEALTHY_WITHIN_SECONDS = 300.0
PROBE_EVERY_SECONDS = 0.25
State = Literal["healthy", "unresponsive", "dead", "stopped"]


@dataclass(frozen=True)
class ServiceStatus:
    """How one process is.

    Attributes:
        name: its name.
        state: `healthy`; `unresponsive` (runs but does not answer, or not yet); `dead` (was started and is gone);
            `stopped` (not started, or stopped on purpose).
        pid: its process id, when it runs.
        url: its address, when it has one.
        log: its log file.
    """

    name: str
    state: State
    pid: int | None
    url: str | None
    log: Path


@dataclass(frozen=True)
class Access:
    """Where the stack is reached; the login file holds Airflow's user name and password."""

    airflow_url: str
    mlflow_url: str
    s3_url: str
    bucket: str
    login: Path
    environment: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Progress:
    """One service became healthy, was found so, or was stopped; `seconds` is how long that took."""

    name: str
    what: str
    seconds: float


Announce = Callable[[Progress], None]


def access(settings: StackSettings) -> Access:
    """Return the addresses of the stack and the environment that its clients and tasks have."""
    endpoints = Endpoints.on_loopback(settings)
    return Access(
        airflow_url=endpoints.airflow,
        mlflow_url=endpoints.mlflow,
        s3_url=endpoints.s3,
        bucket=settings.bucket,
        login=settings.paths.login,
        environment=task_environment(settings, endpoints, load_credentials(settings.paths)),
    )


def up(settings: StackSettings, announce: Announce = lambda _: None) -> Access:
    """Start what does not run, wait until everything is healthy, and return where it is.

    Args:
        settings: ports, folders, bucket, parallelism.
        announce: called, from any thread, each time a service is healthy.

    Raises:
        LocalStackError: something cannot start; what did start stays up, and `up` may simply be called again.
    """
    preflight.check_python()
    preflight.check_disk(settings.paths)
    with _alone(settings):
        credentials = load_credentials(settings.paths)
        for folder in (settings.paths.logs, settings.paths.pids, settings.paths.airflow_home):
            folder.mkdir(parents=True, exist_ok=True)
        launch = _Launch(settings, credentials, announce)
        launch.clear_the_way()
        launch.run()
    return access(settings)


def down(settings: StackSettings, announce: Announce = lambda _: None) -> None:
    """Stop every process of the stack, the clients before the servers they use.

    Raises:
        LocalStackError: a process does not end.
    """
    if not settings.paths.state.exists():
        return
    with _alone(settings):
        servers = [service for service in SERVICES if not service.needs]
        clients = [service for service in SERVICES if service.needs]
        for group in (clients, servers):
            with ThreadPoolExecutor(len(group)) as pool:
                list(pool.map(lambda service: _stop(settings, service, announce), group))


def status(settings: StackSettings) -> list[ServiceStatus]:
    """Return how each process is, in the order in which they start."""
    if not settings.paths.credentials.exists():
        return [_status_of(settings, None, service) for service in SERVICES]
    credentials = load_credentials(settings.paths)
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        return list(pool.map(lambda service: _status_of(settings, credentials, service), SERVICES))


def _status_of(settings: StackSettings, credentials: Credentials | None, service: Service) -> ServiceStatus:
    started = processes.read_started(settings.paths, service.name)
    process = processes.find_process(started)
    state: State = "stopped"
    if started is not None and credentials is not None:
        state = "dead"
        if process is not None:
            healthy = health.is_healthy(service.name, started, settings, credentials)
            state = "healthy" if healthy else "unresponsive"
    url = getattr(Endpoints.on_loopback(settings), service.port) if service.port else None
    return ServiceStatus(service.name, state, process.pid if process else None, url, settings.paths.log(service.name))


def _stop(settings: StackSettings, service: Service, announce: Announce) -> None:
    begun = time.monotonic()
    if processes.stop_service(settings.paths, service.name, service.stop_signal, service.patience):
        announce(Progress(service.name, "stopped", time.monotonic() - begun))


@contextmanager
def _alone(settings: StackSettings) -> Iterator[None]:
    """Hold the stack's lock, so that of two `up`s the second waits and then finds everything running."""
    settings.paths.state.mkdir(parents=True, exist_ok=True)
    with settings.paths.lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Launch:
    """One call of `up`: the steps, and what each waits for."""

    def __init__(self, settings: StackSettings, credentials: Credentials, announce: Announce) -> None:
        self._settings, self._credentials, self._announce = settings, credentials, announce
        self._begun = time.monotonic()
        self._given_up = threading.Event()
        self._results: dict[str, Future[None]] = {}

    def clear_the_way(self) -> None:
        """End leftovers of dead services and what runs with other settings; check the ports of what will start."""
        dead = {service.name for service in SERVICES if not self._is_running(service.name)}
        starting = [service for service in SERVICES if service.name in dead or service.falls_with in dead]
        if any(service.name == "s3" for service in starting):
            preflight.find_s3_python(self._settings.paths)
        for service in reversed(starting):
            processes.stop_service(self._settings.paths, service.name, service.stop_signal, service.patience)
        preflight.check_ports(self._settings, [service.port for service in starting if service.port])

    def run(self) -> None:
        """Run every step as soon as what it waits for is done.

        Raises:
            LocalStackError: the first step that failed.
        """
        steps: list[tuple[str, tuple[str, ...], Callable[[], None]]] = [
            ("databases", ("postgres",), self._make_databases),
            ("airflow-schema", ("databases",), lambda: self._migrate("airflow")),
            ("mlflow-schema", ("databases",), lambda: self._migrate("mlflow")),
        ]
        schema = {"mlflow": ("mlflow-schema",), "postgres": (), "s3": ()}
        for name in NAMES:
            steps.append((name, schema.get(name, ("airflow-schema",)), lambda name=name: self._bring_up(name)))  # type: ignore[misc]
        with ThreadPoolExecutor(len(steps)) as pool:
            self._results = {name: Future() for name, _, _ in steps}
            for name, needs, work in steps:
                pool.submit(self._run_step, name, needs, work)
            try:
                for result in self._results.values():
                    result.result()
            finally:
                self._given_up.set()

    def _run_step(self, name: str, needs: tuple[str, ...], work: Callable[[], None]) -> None:
        result = self._results[name]
        try:
            for need in needs:
                self._results[need].result()
            if not self._given_up.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for this step
            result.set_exception(error)
        else:
            result.set_result(None)

    def _environment(self, service: str) -> dict[str, str]:
        told = environment_of(service, self._settings, self._credentials)
        return child_environment(os.environ, told, str(binaries()))

    def _fingerprint(self, service: str) -> str:
        return fingerprint_of(service, self._settings, self._credentials)

    def _is_running(self, service: str) -> bool:
        started = processes.read_started(self._settings.paths, service)
        if processes.find_process(started) is None or started is None:
            return False
        return started.fingerprint == self._fingerprint(service)

    def _make_databases(self) -> None:
        if not all(migrations.is_current(self._settings, name) for name in postgres.DATABASES):
            postgres.ensure_databases(self._settings, self._credentials)

    def _migrate(self, database: str) -> None:
        if not migrations.is_current(self._settings, database):
            service = "mlflow" if database == "mlflow" else "airflow-api"
            migrations.migrate(self._settings, database, self._environment(service))

    def _bring_up(self, service: str) -> None:
        what = "already up"
        started = processes.read_started(self._settings.paths, service)
        if started is None or processes.find_process(started) is None:
            what = "healthy"
            environment = self._environment(service)
            if service == "postgres":
                postgres.prepare(self._settings, self._credentials, environment)
            command = command_of(service, self._settings)
            started = processes.start_process(
                self._settings.paths, service, command, environment, self._fingerprint(service)
            )
        self._wait_until_healthy(service, started)
        self._announce(Progress(service, what, time.monotonic() - self._begun))

    def _wait_until_healthy(self, service: str, started: Started) -> None:
        log = self._settings.paths.log(service)
        deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while not health.is_healthy(service, started, self._settings, self._credentials):
            shown = self._settings.paths.shown(log)
            if processes.find_process(started) is None:
                raise LocalStackError(f"{service} ended while starting: {processes.last_log_line(log)} (log: {shown})")
            if time.monotonic() > deadline:
                raise LocalStackError(
                    f"{service} runs but did not answer within {HEALTHY_WITHIN_SECONDS:.0f} s (log: {shown}). "
                    "Try `make down`, then `make up`."
                )
            if self._given_up.wait(PROBE_EVERY_SECONDS):
                raise LocalStackError(f"{service}: not waited for, because another service failed.")


def environment_for_clients(settings: StackSettings) -> Mapping[str, str]:
    """Return the environment that the stack gives its tasks, for a program run beside them."""
    return child_environment(os.environ, access(settings).environment, str(binaries()))
