"""Tell people of a run that failed or is late; ``docs/adr/0023-notifications.md`` says which process does what.

Nothing here may change what becomes of a run: what cannot be found out is left out of the message, and what cannot be
sent is logged. Every task's process and the Dag processor import this module: nothing heavy here.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, TypeVar

from airflow.sdk import (  # type: ignore[attr-defined]  # exported at run time, forgotten in its stub
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
)

from include.skufleet.config import Catalogue, find_catalogue, read_settings
from include.skufleet.config.notify import Notify
from include.skufleet.errors import ConfigError, ServiceUnavailableError
from include.skufleet.orchestration.messages import ADVICE, FAILED, LATE, Message
from include.skufleet.orchestration.page_paths import keys_of, report_url, run_url
from include.skufleet.orchestration.params import resolve_as_of

log = logging.getLogger(__name__)
T = TypeVar("T")

SECONDS_PER_MESSAGE = 15.0
"""For one mail or post, from the connection's secrets to the answer; Airflow ends a Dag-level callback after 120 s."""
_NOTE = "failure"
_SENTENCE = 500
_ADDRESS = re.compile(r"""(https?://)(?:[^/\s@'"]*@)?([^/\s'"]+)[^\s'"]*""")


def failure_callback(catalogue: Catalogue) -> Callable[[Any], None] | None:
    """What Airflow calls once when a run of the Dag has failed; ``None`` where nobody wants to be told."""
    return tell_failed if catalogue.notify.anybody else None


def deadline_alert(catalogue: Catalogue) -> DeadlineAlert | None:
    """When a run of the Dag is late, and what Airflow calls then; ``None`` where it never is."""
    minutes = catalogue.notify.deadline_minutes
    if minutes is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=minutes),
        callback=AsyncCallback(tell_late),
        name=f"retrain_{catalogue.name} within {minutes:g} minutes",
    )


def note_failure(context: Mapping[str, Any]) -> None:
    """Say at the end of a failed task's log what failed and what to do, and keep the sentence for ``tell_failed``.

    Airflow calls it in the task's own process, after the last try.
    """
    ti, error = context["ti"], context.get("exception")
    sentence = _one_line(error) if error is not None else "it was ended from outside"
    run, catalogue = ti.run_id, ti.dag_id.partition("_")[2]
    as_of = _attempt("tell the run's date", lambda: _as_of(context.get("dag_run")), "")
    airflow = _attempt("read the settings", lambda: read_settings().airflow_ui_url, "")
    # The report is written before its task turns red; where it could not be, its page says so.
    report = f" Report: {report_url(airflow, ti.dag_id, run)}." if airflow and ti.task_id == "report" else ""
    log.error(
        "%s of %s failed for good (run %s, as of %s): %s.%s %s",
        _label(ti),
        catalogue,
        run,
        as_of or "?",
        sentence.rstrip("."),
        report,
        ADVICE,
    )
    _attempt("keep why the task failed", lambda: ti.xcom_push(key=_NOTE, value=sentence), None)


def tell_failed(context: Mapping[str, Any]) -> None:
    """Log and send that a run failed. Airflow calls it in the Dag processor, once for each time a run fails."""
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    ti = context.get("ti")
    nothing: tuple[str, ...] = ()
    tasks = _attempt("ask which tasks failed", lambda: _failed_tasks(context["dag"], ti, run_id), nothing)
    sentence = _attempt("ask why it failed", lambda: _first_sentence(ti, tasks), "")
    message = _message(FAILED, dag_id, run_id, context.get("dag_run"), tasks, sentence or str(context.get("reason")))
    message = _attempt("read the summary", lambda: _with_summary(message), message)
    log.error("%s", message.text)
    asyncio.run(send(message, find_catalogue(message.catalogue).notify))


async def tell_late(context: Mapping[str, Any]) -> None:
    """Log and send that a run is late. Airflow calls it in the triggerer, which needs no free slot for it."""
    run = context["dag_run"]
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    notify = (await asyncio.to_thread(find_catalogue, dag_id.partition("_")[2])).notify
    sentence = f"It was queued at {run['queued_at']} and is not over after {notify.deadline_minutes:g} minutes"
    message = _message(LATE, dag_id, run_id, run, (), sentence)
    log.error("%s", message.text)
    await send(message, notify)


async def send(message: Message, notify: Notify) -> list[str]:
    """Send the message to whom the catalogue file names, each way within ``SECONDS_PER_MESSAGE``.

    Returns:
        The ways by which it could not be sent; each has been logged.
    """
    ways: dict[str, Coroutine[Any, Any, None]] = {}
    if notify.webhook:
        ways[f"webhook {notify.webhook}"] = _post(message, notify.webhook)
    if notify.email:
        ways[f"mail by {notify.smtp}"] = _mail(message, notify)
    failed = []
    # Seconds on a busy machine: not within the time of a message, nor on the triggerer's loop.
    await asyncio.to_thread(_import_providers, notify)
    for way, sending in ways.items():
        try:
            await asyncio.wait_for(sending, SECONDS_PER_MESSAGE)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run goes on; a traceback could show an address
            log.warning("%s: %r could not be sent: %s", way, message.subject, _without_addresses(_one_line(error)))
            failed.append(way)
    return failed


def _import_providers(notify: Notify) -> None:
    names = {"airflow.providers.http.hooks.http": notify.webhook, "airflow.providers.smtp.hooks.smtp": notify.email}
    for name in (name for name, wanted in names.items() if wanted):
        importlib.import_module(name)


async def _post(message: Message, connection: str) -> None:
    """One POST, never repeated. The provider's notifier would repeat it, and take the text for a template."""
    from airflow.providers.http.hooks.http import HttpAsyncHook

    hook = HttpAsyncHook(method="POST", http_conn_id=connection, retry_limit=1)
    # The provider would log a refused address whole, and with chat programs that is the secret.
    async with hook.session() as session:
        answer = await session.run(json=message.to_json(), extra_options={"check_response": False})
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise ServiceUnavailableError(f"it answered {answer.status} {answer.reason}")


async def _mail(message: Message, notify: Notify) -> None:
    """One mail, never repeated. In a thread: the provider's own coroutine fails on a server that wants STARTTLS."""
    await asyncio.to_thread(_mail_now, message, notify)


def _mail_now(message: Message, notify: Notify) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    class Once(SmtpHook):  # type: ignore[misc,unused-ignore]
        """The provider's hook without its five retries, and with our patience for each answer."""

        timeout = int(SECONDS_PER_MESSAGE)
        smtp_retry_limit = 0

    with Once(smtp_conn_id=notify.smtp) as server:
        server.send_email_smtp(to=list(notify.email), subject=message.subject, html_content=message.html)


def _message(event: Any, dag_id: str, run_id: str, dag_run: Any, tasks: tuple[str, ...], sentence: str) -> Message:
    airflow = _attempt("read the settings", lambda: read_settings().airflow_ui_url, "")
    return Message(
        event=event,
        dag_id=dag_id,
        run_id=run_id,
        as_of=_as_of(dag_run),
        state=str(_field(dag_run, "state") or "") if event == LATE else "",
        failed_tasks=tasks,
        sentence=sentence,
        page=run_url(airflow, dag_id, run_id) if airflow else "",
    )


def _with_summary(message: Message) -> Message:
    """The message with the run's figures and its report, where it came to write them."""
    from dataclasses import replace

    from include.skufleet.orchestration.clients import open_lake

    settings = read_settings()
    keys = keys_of(message.dag_id, message.run_id)
    summary = open_lake(settings, patient=False).find_json(keys.summary_key)
    if summary is None:
        return message
    airflow = settings.airflow_ui_url
    report = report_url(airflow, message.dag_id, message.run_id) if airflow else summary["report"]
    return replace(message, outcomes=summary.get("outcomes", {}), report=report)


def _failed_tasks(dag: Any, ti: Any, run_id: str) -> tuple[str, ...]:
    """Tasks that failed, in the order of the Dag; chunks as ``retrain[3]``."""
    states = ti.get_task_states(dag_id=dag.dag_id, run_ids=[run_id]).get(run_id, {})
    found: list[str] = []
    for task in dag.topological_sort():
        if states.get(task.task_id) == "failed":
            found.append(task.task_id)
        if task.is_mapped:
            numbers = [_map_index(task.task_id, name) for name, state in states.items() if state == "failed"]
            found += [f"{task.task_id}[{number}]" for number in sorted(n for n in numbers if n is not None)]
    return tuple(found)


def _map_index(task_id: str, name: str) -> int | None:
    """The 3 of ``retrain_3``, which is how Airflow calls a mapped instance among the states."""
    number = name.removeprefix(f"{task_id}_")
    return int(number) if number != name and number.isdecimal() else None


def _first_sentence(ti: Any, tasks: tuple[str, ...]) -> str:
    """What the first failed task said of itself; nothing where it was killed."""
    for name in tasks:
        task_id, _, index = name.partition("[")
        said = ti.xcom_pull(
            dag_id=ti.dag_id, task_ids=task_id, key=_NOTE, map_indexes=int(index.rstrip("]")) if index else -1
        )
        if said:
            return f"{name}: {said}"
    return ""


def _label(ti: Any) -> str:
    mapped = ti.map_index is not None and ti.map_index >= 0
    return f"{ti.task_id}[{ti.map_index}]" if mapped else str(ti.task_id)


def _as_of(dag_run: Any) -> str:
    """The date that the run pretends to be, as its tasks resolve it; empty where it cannot be told."""
    if dag_run is None:
        return ""
    logical, after = _moment(_field(dag_run, "logical_date")), _moment(_field(dag_run, "run_after"))
    conf = _field(dag_run, "conf") or {}
    with suppress(ConfigError, AttributeError):
        if after is not None:
            key = _field(dag_run, "partition_key")
            return resolve_as_of(conf.get("as_of"), key, logical, after, where="run").isoformat()
    return ""


def _field(dag_run: Any, name: str) -> Any:
    """The run is an object in tasks and the Dag processor, and plain JSON in the triggerer."""
    return dag_run.get(name) if isinstance(dag_run, Mapping) else getattr(dag_run, name, None)


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _one_line(error: BaseException | str) -> str:
    if isinstance(error, str):
        return " ".join(error.split())[:_SENTENCE]
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_SENTENCE]


def _without_addresses(text: str) -> str:
    """The text with hosts only: the path of a webhook, and what stands before an @, are secrets."""
    return _ADDRESS.sub(r"\1\2", text)


def _attempt(what: str, ask: Callable[[], T], otherwise: T) -> T:
    """What ``ask`` gives, or a message that says less."""
    try:
        return ask()
    except Exception:
        log.warning("Could not %s; the message goes without", what, exc_info=True)
        return otherwise
