"""Who is told, how, and that nothing of it can harm a run. Real servers, as bad ones as there are."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from include.skufleet.config import Notify, find_catalogue
from include.skufleet.fleet.run import RunKeys
from include.skufleet.orchestration import notifications
from include.skufleet.orchestration.messages import FAILED, Message
from tests.unit.orchestration.message_servers import SECRET, mail_server, web_server
from tests.unit.s3_server import open_bucket, server_environment

MESSAGE = Message(event=FAILED, dag_id="retrain_demo", run_id="manual__1", sentence="{{ 1 }} it broke")


def hook(monkeypatch: pytest.MonkeyPatch, address: str) -> Notify:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": address}))
    return Notify(webhook="chat")


def post(monkeypatch: pytest.MonkeyPatch, address: str) -> list[str]:
    return asyncio.run(notifications.send(MESSAGE, hook(monkeypatch, address)))


def test_nobody_is_told_unless_the_file_says_so() -> None:
    assert not Notify().anybody
    assert asyncio.run(notifications.send(MESSAGE, Notify())) == []


def test_a_webhook_gets_one_message_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server(204) as (address, received):
        assert post(monkeypatch, address) == []
    assert received == [(f"/{SECRET}", MESSAGE.to_json())]
    assert received[0][1]["sentence"] == "{{ 1 }} it broke", "an error's text is no template"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_webhook_that_refuses_is_asked_once_and_its_address_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with web_server(status) as (address, received), caplog.at_level(logging.DEBUG):
        assert post(monkeypatch, address) == ["webhook chat"]
    assert len(received) == 1
    assert f"could not be sent: ServiceUnavailableError: it answered {status}" in caplog.text
    assert SECRET not in caplog.text


def test_a_webhook_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifications, "SECONDS_PER_MESSAGE", 0.3)
    with web_server(204, seconds=5) as (address, _):
        assert post(monkeypatch, address) == ["webhook chat"]
    assert "could not be sent: TimeoutError" in caplog.text


def test_a_webhook_that_is_not_there_is_logged_without_its_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(monkeypatch, f"http://127.0.0.1:1/{SECRET}") == ["webhook chat"]
    assert post(monkeypatch, f"http://user:{SECRET}@[broken/{SECRET}") == ["webhook chat"]
    assert SECRET not in caplog.text


def test_a_connection_that_does_not_exist_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert asyncio.run(notifications.send(MESSAGE, Notify(webhook="no_such"))) == ["webhook no_such"]
    assert "no_such" in caplog.text


def test_everybody_gets_the_mail_and_a_broken_webhook_does_not_keep_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mail_server() as (port, mails):
        extra = {"from_email": "fleet@example.com", "disable_ssl": True, "disable_tls": True}
        known = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(known))
        chat = hook(monkeypatch, "http://127.0.0.1:1")
        told = chat.model_copy(update={"email": ("a@example.com", "b@example.com")})
        assert asyncio.run(notifications.send(MESSAGE, told)) == ["webhook chat"]
    (mail,) = mails
    assert "Subject: Skufleet: retraining of demo failed" in mail
    assert "From: fleet@example.com" in mail
    assert "a@example.com" in mail
    assert "b@example.com" in mail


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("400, url='https://hooks.example.com/services/T0/xyz'", "400, url='https://hooks.example.com'"),
        ("https://me:pw@host:8443/a?b=c refused", "https://host:8443 refused"),
        ("no address", "no address"),
    ],
)
def test_addresses_are_cut_to_their_hosts(text: str, shown: str) -> None:
    assert notifications._without_addresses(text) == shown


class FailedTask:
    """What Airflow hands over of a task that failed, as far as it is looked at."""

    dag_id, run_id, task_id, map_index = "retrain_demo", "manual__1", "retrain", 3

    def __init__(self, states: dict[str, str] | None = None) -> None:
        self.states, self.kept = states or {}, {}

    def xcom_push(self, key: str, value: str) -> None:
        self.kept[key] = value

    def xcom_pull(self, *, task_ids: str, map_indexes: int, **_: Any) -> str | None:
        return "MemoryError: too big" if (task_ids, map_indexes) == ("retrain", 1) else None

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        return {self.run_id: self.states}


RUN = SimpleNamespace(
    logical_date=None, run_after=datetime(2026, 2, 3, tzinfo=UTC), partition_key=None, conf={"as_of": "2026-01-31"}
)


def test_a_failed_task_says_in_its_own_log_what_failed_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    ti = FailedTask()
    notifications.note_failure({"ti": ti, "exception": MemoryError("too\nbig"), "dag_run": RUN})
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line == (
        "retrain[3] of demo failed for good (run manual__1, as of 2026-01-31): MemoryError: too big. "
        "What was finished is kept: see the log of what failed, then clear it together with what follows"
    )
    assert ti.kept == {"failure": "MemoryError: too big"}


def task(task_id: str, is_mapped: bool = False) -> SimpleNamespace:
    return SimpleNamespace(task_id=task_id, is_mapped=is_mapped)


DAG = SimpleNamespace(
    dag_id="retrain_demo", topological_sort=lambda: [task("plan"), task("retrain", is_mapped=True), task("report")]
)


def test_the_failed_tasks_are_in_the_order_of_the_dag_with_their_chunks() -> None:
    states = {
        "report": "failed",
        "retrain_10": "failed",
        "retrain_2": "failed",
        "retrain_1": "success",
        "plan": "success",
    }
    found = notifications._failed_tasks(DAG, FailedTask(states), "manual__1")
    assert found == ("retrain[2]", "retrain[10]", "report")


def test_a_failed_run_is_told_of_although_neither_airflow_nor_s3_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Message] = []

    async def send(message: Message, notify: Notify) -> list[str]:
        sent.append(message)
        return []

    monkeypatch.setattr(notifications, "send", send)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SKUFLEET_MLFLOW_URI", raising=False)
    notifications.tell_failed({"dag": DAG, "run_id": "manual__1", "reason": "task_failure"})
    (message,) = sent
    assert (message.run_id, message.sentence, message.failed_tasks) == ("manual__1", "task_failure", ())
    assert "Retraining of demo failed: run manual__1" in caplog.text


def test_a_failed_run_that_has_counted_its_skus_says_how_many_and_where_the_report_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket, server = f"told-{uuid.uuid4().hex[:12]}", server_environment()
    keys = RunKeys("demo", "manual__1")
    open_bucket(bucket).put_json(keys.summary_key, {"outcomes": {"trained": 5}, "report": "s3://told/report.html"})
    extra = {"endpoint_url": server["AWS_ENDPOINT_URL_S3"], "region_name": "us-east-1"}
    login = {"login": server["AWS_ACCESS_KEY_ID"], "password": server["AWS_SECRET_ACCESS_KEY"]}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra, **login}))
    monkeypatch.setenv("SKUFLEET_BUCKET", bucket)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("SKUFLEET_AIRFLOW_UI_URL", "")
    found = notifications._with_summary(MESSAGE)
    assert (found.outcomes, found.report) == ({"trained": 5}, "s3://told/report.html")
    monkeypatch.setenv("SKUFLEET_AIRFLOW_UI_URL", "http://airflow:8080")
    assert notifications._with_summary(MESSAGE).report == "http://airflow:8080/skufleet/report/retrain_demo/manual__1"


def test_the_sentence_is_that_of_the_first_task_that_said_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        notifications._first_sentence(FailedTask(), ("retrain[0]", "retrain[1]")) == "retrain[1]: MemoryError: too big"
    )


def test_a_late_run_is_told_of_by_what_the_triggerer_knows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = find_catalogue("demo").model_copy(update={"notify": Notify(deadline_minutes=90)})
    monkeypatch.setattr(notifications, "find_catalogue", lambda _: catalogue)
    run = {
        "dag_id": "retrain_demo",
        "dag_run_id": "scheduled__1",
        "state": "running",
        "queued_at": "2026-02-03T03:00:00Z",
        "run_after": "2026-02-03T03:00:00Z",
        "logical_date": "2026-02-03T03:00:00Z",
        "conf": None,
        "partition_key": None,
    }
    asyncio.run(notifications.tell_late({"dag_run": run}))
    assert "Retraining of demo is late: run scheduled__1 (as of 2026-02-03, running). It was queued at" in caplog.text
    assert "not over after 90 minutes" in caplog.text


def test_callbacks_are_chosen_by_the_catalogue_file() -> None:
    quiet = find_catalogue("demo")
    assert notifications.failure_callback(quiet) is None
    assert notifications.deadline_alert(quiet) is None
    told = quiet.model_copy(update={"notify": Notify(email=("a@example.com",), deadline_minutes=90)})
    assert notifications.failure_callback(told) is notifications.tell_failed
    alert = notifications.deadline_alert(told)
    assert alert is not None
    assert alert.interval == timedelta(minutes=90)
    assert alert.callback.path.endswith("notifications.tell_late")
