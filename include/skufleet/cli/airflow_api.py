"""The few calls of Airflow's public REST API (v2) that the command line needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from include.skufleet.errors import ConfigError, PermanentError, ServiceUnavailableError

PAGE = 100
WAITS = httpx.Timeout(30.0, connect=5.0)
PARSE_PATIENCE = 120.0
FINISHED = frozenset({"success", "failed"})


@dataclass
class AirflowApi:
    """A session with one Airflow; logs in on first use and again when its token has run out.

    Attributes:
        url: the address of the API server.
        username: who logs in.
        password: never shown.
    """

    url: str
    username: str
    password: str = field(repr=False)
    _client: httpx.Client | None = field(default=None, init=False, repr=False)

    def wait_for_dag(self, dag_id: str, patience: float = PARSE_PATIENCE) -> None:
        """Return once the Dag processor has read the Dag.

        Raises:
            ConfigError: it did not appear in time; the message carries Airflow's import errors.
        """
        deadline = time.monotonic() + patience
        while self._get(f"/dags/{quote(dag_id)}", missing_ok=True) is None:
            if time.monotonic() > deadline:
                errors = self._get("/importErrors")["import_errors"]
                reasons = " | ".join(item["stack_trace"].strip().splitlines()[-1] for item in errors) or "none reported"
                raise ConfigError(f"Airflow has no Dag {dag_id!r} after {patience:.0f} s; import errors: {reasons}")
            time.sleep(1)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of the Dag."""
        self._call("PATCH", f"/dags/{quote(dag_id)}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run with these params; returns its id."""
        answer = self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", json={"logical_date": None, "conf": conf})
        return str(answer["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """``queued, running, success`` or ``failed``."""
        return str(self._get(f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")["state"])

    def run_ended(self, dag_id: str, run_id: str) -> datetime | None:
        """When the scheduler saw the run end; ``None`` while it goes on."""
        ended = self._get(f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")["end_date"]
        return None if ended is None else datetime.fromisoformat(ended)

    def task_instances(self, dag_id: str, run_id: str) -> Iterator[dict[str, Any]]:
        """Every task instance of the run, as Airflow describes it."""
        path, offset = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances", 0
        while True:
            page = self._get(path, params={"limit": PAGE, "offset": offset})
            yield from page["task_instances"]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def read(self, path: str) -> bytes:
        """The body of any address of the server, read as the logged-in user: what its pages load."""
        try:
            response = self._session().get(path)
        except httpx.HTTPError as error:
            raise self._unanswered(error) from error
        if response.is_error:
            raise ServiceUnavailableError(f"Airflow: GET {path}: {response.status_code} {_reason(response)}")
        return response.content

    def _get(self, path: str, *, params: dict[str, Any] | None = None, missing_ok: bool = False) -> Any:
        return self._call("GET", path, params=params, missing_ok=missing_ok)

    def _call(self, method: str, path: str, *, missing_ok: bool = False, **arguments: Any) -> Any:
        """One call, with one new login when the token has run out. Never sent again: it may have triggered a run."""
        for attempt in (1, 2):
            try:
                response = self._session().request(method, f"/api/v2{path}", **arguments)
            except httpx.HTTPError as error:
                raise self._unanswered(error) from error
            if response.status_code == httpx.codes.UNAUTHORIZED and attempt == 1:
                self._client = None
                continue
            break
        if response.status_code == httpx.codes.NOT_FOUND and missing_ok:
            return None
        if response.is_server_error:
            raise ServiceUnavailableError(f"Airflow: {method} {path}: {response.status_code} {_reason(response)}")
        if response.is_error:
            raise PermanentError(f"Airflow refused {method} {path}: {response.status_code} {_reason(response)}")
        return _parse(response, f"{method} {path}")

    def _unanswered(self, error: Exception) -> ServiceUnavailableError:
        return ServiceUnavailableError(f"Airflow at {self.url} does not answer: {error}; see `make status`")

    def _session(self) -> httpx.Client:
        """A client that carries a token."""
        if self._client is None:
            login = {"username": self.username, "password": self.password}
            try:
                answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=WAITS)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise ConfigError(f"Airflow's address: got {self.url!r}, expected http://host:port: {error}") from error
            if answer.is_server_error:
                raise ServiceUnavailableError(f"Airflow at {self.url}: login: {answer.status_code} {_reason(answer)}")
            if answer.is_error:
                raise PermanentError(
                    f"Airflow at {self.url} refused the login of {self.username!r}: {answer.status_code}"
                )
            token = _parse(answer, "login")["access_token"]
            self._client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=WAITS)
        return self._client


def _parse(response: httpx.Response, what: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        # A proxy's page, for example, while the server behind it starts.
        raise ServiceUnavailableError(
            f"Airflow: {what}: expected JSON, got {response.text[:80]!r}; is this address Airflow's own?"
        ) from error


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json().get("detail", response.text))
    except ValueError:
        return response.text[:200]
