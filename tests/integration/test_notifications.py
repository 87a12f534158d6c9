"""A run that is late and then fails tells of both: on the real stack, to a real web server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.config import CATALOGUES_FOLDER
from tests.integration.conftest import RunningStack
from tests.integration.fleet_runs import wait_for

pytestmark = pytest.mark.integration

DAG = "retrain_notified"
CATALOGUE = """
description: Nothing is ever landed here, so every run fails.
schedule: null
search: null
landing:
  prefix: landing/notified
  sales:
    columns: {sku: a, store: b, date: c, units: d}
notify: {deadline_minutes: 0.02, webhook: notified_hook}
"""


@pytest.fixture(scope="module")
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server's address, and what was posted to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append(body | {"path": self.path})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *parts: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/fleet", received
    server.shutdown()


@pytest.fixture(scope="module")
def api(stack: RunningStack, posted: tuple[str, list[dict[str, Any]]]) -> Iterator[AirflowApi]:
    """Airflow, with a connection to the web server and a catalogue whose file names it."""
    api = AirflowApi(stack.airflow_url, *stack.login)
    api._call(
        "POST", "/connections", json={"connection_id": "notified_hook", "conn_type": "http", "host": posted[0]}
    )
    file = CATALOGUES_FOLDER / "notified.yaml"
    try:
        file.write_text(CATALOGUE, encoding="utf-8")
        api.wait_for_dag("retrain_demo")
        token = api._get("/dags/retrain_demo")["file_token"]
        response = api._session().put(f"/api/v2/parseDagFile/{token}")
        assert response.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}
        api.wait_for_dag(DAG)
        yield api
    finally:
        file.unlink()


def logged(folder: Path, text: str) -> list[str]:
    """The lines of all logs below a folder that contain the text."""
    return [
        line
        for path in sorted(folder.rglob("*.log"))
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if text in line
    ]


def test_a_run_that_is_late_and_fails_tells_of_both_in_the_log_and_to_the_webhook(
    stack: RunningStack, api: AirflowApi, posted: tuple[str, list[dict[str, Any]]]
) -> None:
    received = posted[1]
    api.unpause(DAG)
    run_id = api.trigger(DAG, {"as_of": "2026-01-31"})
    wait_for(lambda: api.run_state(DAG, run_id) == "failed", "the run fails", 120)
    wait_for(lambda: len(received) >= 2, "both messages", 60)
    told = {message["event"]: message for message in received}
    assert set(told) == {"late", "failed"}
    assert len(received) == 2
    for message in received:
        assert message["path"] == "/hooks/fleet"
        assert (message["catalogue"], message["run_id"], message["as_of"]) == ("notified", run_id, "2026-01-31")
        assert message["page"].startswith(stack.airflow_url)
    assert told["failed"]["failed_tasks"][0] == "ingest"
    assert told["failed"]["sentence"].startswith("ingest: LandingError: ")
    assert "is not over after 0.02 minutes" in told["late"]["sentence"]

    logs = stack.settings.paths.logs
    own = logs / "airflow" / f"dag_id={DAG}"
    assert len([line for line in logged(own, "Retraining of notified failed") if '"error"' in line]) == 2
    assert logged(logs, "Retraining of notified is late")
