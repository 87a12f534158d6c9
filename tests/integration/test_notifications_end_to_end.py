"""A run that is late and then fails tells of both: on the real stack, to a real web server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.config import CATALOGUES_FOLDER
from tests.integration.conftest import RunningStack
from tests.integration.waiting import wait_for, wait_for_new_dag
from tests.unit.orchestration.message_servers import SECRET, mail_server, web_server

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
notify: {deadline_minutes: 0.02, webhook: notified_hook, email: [ops@example.com], smtp: notified_mail}
"""


@pytest.fixture(scope="module")
def posted() -> Iterator[tuple[str, list[Any]]]:
    """A web server's address, and what was posted to it."""
    with web_server(204) as server:
        yield server


@pytest.fixture(scope="module")
def mailed() -> Iterator[tuple[int, list[str]]]:
    """A mail server's port, and the mails that it took."""
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def api(stack: RunningStack, posted: tuple[str, list[Any]], mailed: tuple[int, list[str]]) -> Iterator[AirflowApi]:
    """Airflow, with connections to both servers and a catalogue whose file names them."""
    api = AirflowApi(stack.airflow_url, *stack.login)
    hook = {"connection_id": "notified_hook", "conn_type": "http", "host": posted[0]}
    extra = json.dumps({"from_email": "fleet@example.com", "disable_ssl": True, "disable_tls": True})
    mail = {
        "connection_id": "notified_mail",
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": mailed[0],
        "extra": extra,
    }
    for connection in (hook, mail):
        api._call("POST", "/connections", json=connection)
    file = CATALOGUES_FOLDER / "notified.yaml"
    try:
        file.write_text(CATALOGUE, encoding="utf-8")
        wait_for_new_dag(api, DAG, "retrain_demo")
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


def test_a_run_that_is_late_and_fails_tells_of_both_in_the_log_to_the_webhook_and_by_mail(
    stack: RunningStack, api: AirflowApi, posted: tuple[str, list[Any]], mailed: tuple[int, list[str]]
) -> None:
    received, mails = posted[1], mailed[1]
    api.unpause(DAG)
    run_id = api.trigger(DAG, {"as_of": "2026-01-31"})
    wait_for(lambda: api.run_state(DAG, run_id) == "failed", "the run fails", 120)
    wait_for(lambda: len(received) >= 2 and len(mails) >= 2, "both messages, both ways", 60)
    told = {message["event"]: message for _, message in received}
    assert set(told) == {"late", "failed"}
    assert len(received) == len(mails) == 2
    for path, message in received:
        assert path == f"/{SECRET}"
        assert (message["catalogue"], message["run_id"], message["as_of"]) == ("notified", run_id, "2026-01-31")
        assert message["page"].startswith(stack.airflow_url)
    assert told["failed"]["failed_tasks"] == ["ingest", "report"]
    assert told["failed"]["sentence"].startswith("ingest: LandingError: ")
    assert "is not over after 0.02 minutes" in told["late"]["sentence"]
    assert "Subject: Skufleet: retraining of notified is late" in mails[0]
    assert "Subject: Skufleet: retraining of notified failed" in mails[1]

    logs = stack.settings.paths.logs
    own = logs / "airflow" / f"dag_id={DAG}"
    said = [line for line in logged(own, "of notified failed for good") if '"level":"error"' in line]
    assert len(said) == 2, "one line in the log of each task that failed"
    assert "LandingError" in said[0]
    assert "/skufleet/report/" in said[1]
    assert logged(logs / "airflow" / "dag_processor", "Retraining of notified failed")
    assert logged(logs, "Retraining of notified is late")
    assert not logged(logs, SECRET)
    assert not logged(logs, "could not be sent")
