"""What the tasks of the search Dags call: open the clients, call one function of ``fleet.search``, return small JSON.

Nothing heavy is imported before a task runs: every task's process and the Dag processor import this module.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.skufleet.config import Catalogue, find_catalogue, read_settings
from include.skufleet.config.search import Search
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.orchestration.page_paths import report_url

if TYPE_CHECKING:
    from include.skufleet.fleet.clients import Clients
    from include.skufleet.registry.trials import TrialRun

log = logging.getLogger(__name__)


def ingest(run: SearchRun) -> dict[str, Any]:
    """Bring new drops into the history, as a retraining does; returns table versions, keys and counts."""
    from include.skufleet.lake.ingest import ingest as ingest_landing

    clients, catalogue = _open(run)
    with _timed(clients, run, "ingest"):
        summary = ingest_landing(clients.store, catalogue, today=datetime.now(UTC).date()).to_json()
    log.info("Ingested: %s", summary)
    return summary


def plan(run: SearchRun, search: Search, ingested: Mapping[str, Any]) -> list[dict[str, str]]:
    """Draw the configurations and the sample; returns one row per trial for the mapping."""
    from include.skufleet.fleet.search.plan import plan_search

    clients, catalogue = _open(run)
    with _timed(clients, run, "plan"):
        return plan_search(clients, catalogue, run, ingested, search)


def try_out(run: SearchRun, trial: str, label: str, rung: int) -> dict[str, Any]:
    """Score one trial on the SKUs that are new in the rung; returns its counts and the link to its MLflow run."""
    from include.skufleet.fleet.search.planned import SearchPlan
    from include.skufleet.fleet.search.timings import stage_name
    from include.skufleet.fleet.search.trial import run_trial

    clients, _ = _open(run)
    log.info("Trial %s, rung %d", label, rung)
    with _timed(clients, run, stage_name(rung), trial):
        summary = run_trial(clients, run, trial, rung)
    log.info("Trial %s: %s", trial, summary)
    opened = SearchPlan.read(clients.store, run).runs[trial]
    return summary | {"links": _mlflow_link(clients, opened)}


def judge(run: SearchRun, rung: int) -> list[dict[str, str]]:
    """Say who goes on to the next rung, whoever failed in this one; skipped where the search has no plan."""
    from airflow.sdk.exceptions import AirflowSkipException

    from include.skufleet.fleet.search.rungs import close_rung

    clients, _ = _open(run)
    if not clients.store.exists(run.plan_key):
        raise AirflowSkipException("the search has no plan: ingest or plan failed, see their logs")
    going = close_rung(clients, run, rung)
    log.info("Going on: %s", ", ".join(item["label"] for item in going) or "none")
    return going


def report(run: SearchRun, dag_id: str) -> dict[str, Any]:
    """Write proposal and report, whatever happened before; then fail if the last rung could not compare."""
    from include.skufleet.fleet.search.planned import SearchPlan
    from include.skufleet.fleet.search.publish import publish_search, raise_if_undecided

    clients, _ = _open(run)
    airflow = clients.settings.airflow_ui_url
    page = report_url(airflow, dag_id, run.run_id) if airflow else ""
    links = {"report": page}
    if clients.store.exists(run.plan_key):
        links |= _mlflow_link(clients, SearchPlan.read(clients.store, run).parent)
    titles = {"report": "This report in Airflow", "mlflow_run": "The trials in MLflow"}
    summary = publish_search(clients, run, {titles[kind]: url for kind, url in links.items() if url})
    log.info("%s", summary["markdown"])
    raise_if_undecided(summary)
    return {"markdown": summary["markdown"], "links": links}


def _mlflow_link(clients: Clients, opened: TrialRun) -> dict[str, str]:
    from include.skufleet.registry.links import run_url

    ui = clients.settings.mlflow_ui_url
    return {"mlflow_run": run_url(ui, opened.experiment_id, opened.run_id)} if ui else {}


def _timed(clients: Clients, run: SearchRun, stage: str, part: str = "") -> AbstractContextManager[None]:
    from include.skufleet.fleet.stages import timed_stage

    return timed_stage(clients.store, run, stage, part)


def _open(run: SearchRun) -> tuple[Clients, Catalogue]:
    from include.skufleet.orchestration.clients import open_clients

    return open_clients(read_settings()), find_catalogue(run.catalogue)
