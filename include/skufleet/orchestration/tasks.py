"""What the tasks of the Dags call: open the clients, call one function of the fleet, return small JSON with links.

Nothing heavy is imported before a task runs: every task's process and the Dag processor import this module.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.skufleet.config import Catalogue, find_catalogue, read_settings
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.run import Run
from include.skufleet.orchestration.page_paths import report_url

if TYPE_CHECKING:
    from include.skufleet.fleet.clients import Clients

ERRORS_NAMED = 5

log = logging.getLogger(__name__)


def ingest(run: Run) -> dict[str, Any]:
    """Bring new drops into the history; returns table versions, keys and counts."""
    from include.skufleet.lake.ingest import ingest as ingest_landing

    clients, catalogue = _open(run)
    with _timed(clients, run, "ingest"):
        summary = ingest_landing(clients.store, catalogue, today=datetime.now(UTC).date()).to_json()
    log.info("Ingested: %s", summary)
    return summary


def plan(run: Run, ingested: dict[str, Any]) -> list[dict[str, str]]:
    """Write the plan; returns one row per chunk for the mapping."""
    from include.skufleet.fleet.plan import plan_run

    clients, catalogue = _open(run)
    with _timed(clients, run, "plan"):
        return plan_run(clients, catalogue, run, ingested)


def departments(run: Run) -> dict[str, Any]:
    """Fit the profiles of the departments; skipped for a dry run and where no candidate borrows from them."""
    catalogue = find_catalogue(run.catalogue)
    _skip_unpooled(run, catalogue)
    from include.skufleet.fleet.departments import write_departments

    clients, _ = _open(run)
    _skip_untrained(clients, run)
    with _timed(clients, run, "departments"):
        summary = write_departments(clients, catalogue, run, run.as_of)
    log.info("Departments: %s", summary)
    return summary


def retrain(run: Run, chunk: str, label: str) -> dict[str, Any]:
    """Retrain one chunk; returns its counts and the links to its MLflow run and models."""
    from include.skufleet.fleet.retrain import retrain_chunk

    clients, catalogue = _open(run)
    log.info("Chunk %s", label)
    with _timed(clients, run, "retrain", chunk):
        summary = retrain_chunk(clients, catalogue, run, chunk)
    log.info("Chunk %s: %s", chunk, summary["counts"])
    return summary


def decide(run: Run) -> dict[str, Any]:
    """Decide on every new version and on the release; skipped for a dry run and a run without a plan."""
    from include.skufleet.fleet.decide import decide_run

    clients, catalogue = _open(run)
    _skip_without_models(clients, run)
    with _timed(clients, run, "decide"):
        decided = decide_run(clients, catalogue, run)
    log.info("%s", decided["fleet_gate"]["reason"])
    return decided


def promote(run: Run, actor: str, answer: dict[str, Any] | None) -> dict[str, Any]:
    """Carry out what was decided, and freeze the release; skipped like ``decide``."""
    from include.skufleet.fleet.promote import promote_run
    from include.skufleet.orchestration.approval import read_answer

    clients, catalogue = _open(run)
    _skip_without_models(clients, run)
    with _timed(clients, run, "promote"):
        promoted = promote_run(clients, catalogue, run, read_answer(catalogue, answer), actor)
    if promoted["stopped"]:
        log.warning("Production stays as it is. %s", promoted["stopped"])
    return promoted


def roll_back(command: dict[str, Any], run_id: str, actor: str) -> dict[str, Any]:
    """Put what a release named back into production; fails where a SKU could not be moved, after all others were."""
    from include.skufleet.fleet.releases import find_release
    from include.skufleet.fleet.rollback import Scope, roll_back, summarise
    from include.skufleet.fleet.run import RunKeys
    from include.skufleet.orchestration.clients import open_clients

    clients, catalogue = open_clients(read_settings()), find_catalogue(command["catalogue"])
    release = find_release(clients.store, RunKeys(catalogue.name, run_id), command["release"])
    scope = Scope(tuple(command["skus"]), command["department"])
    done = roll_back(clients, catalogue, release, scope, actor=actor, run_id=run_id, reason=command["reason"])
    summary = summarise(done, release)
    log.info("%s", summary["sentence"])
    if summary["failed"]:
        named = "; ".join(f"{sku}: {error}" for sku, error in list(summary["errors"].items())[:ERRORS_NAMED])
        raise PermanentError(f"{summary['sentence']} {named}")
    return summary


def forecast(run: Run) -> dict[str, Any]:
    """Forecast every active series with what is in production, and publish."""
    from include.skufleet.fleet.forecast import forecast_run

    clients, catalogue = _open(run)
    with _timed(clients, run, "forecast"):
        return forecast_run(clients, catalogue, run)


def report(run: Run, dag_id: str) -> dict[str, Any]:
    """Write the report, whatever happened before it; then fail if the run lost a chunk or has no plan."""
    from include.skufleet.fleet.publish_report import publish_report, raise_if_incomplete

    clients, catalogue = _open(run)
    links = _links(clients, run, dag_id)
    summary = publish_report(clients, catalogue, run, {title: url for title, url in links.values() if url})
    log.info("%s", summary["markdown"])
    raise_if_incomplete(summary)
    return {"markdown": summary["markdown"], "links": {kind: url for kind, (_, url) in links.items()}}


def tidy(run: Run) -> dict[str, Any]:
    """Delete what the catalogue's file does not keep of the past."""
    from include.skufleet.fleet.tidy import tidy_run

    clients, catalogue = _open(run)
    _skip_without_models(clients, run)
    with _timed(clients, run, "tidy"):
        summary = tidy_run(clients, catalogue, run)
    log.info("Tidied: %s", summary)
    return summary


def _links(clients: Clients, run: Run, dag_id: str) -> dict[str, tuple[str, str]]:
    """Kind of link -> its title in the report, and its address (empty where a browser cannot reach the service)."""
    from include.skufleet.registry.links import registry_search_url

    mlflow, airflow = clients.settings.mlflow_ui_url, clients.settings.airflow_ui_url
    return {
        "registry": ("Models in the registry", registry_search_url(mlflow, run.catalogue) if mlflow else ""),
        "report": ("This report in Airflow", report_url(airflow, dag_id, run.run_id) if airflow else ""),
    }


def _timed(clients: Clients, run: Run, stage: str, part: str = "") -> AbstractContextManager[None]:
    from include.skufleet.fleet.stages import timed_stage

    return timed_stage(clients.store, run, stage, part)


def _open(run: Run) -> tuple[Clients, Catalogue]:
    from include.skufleet.orchestration.clients import open_clients

    settings = read_settings()
    return open_clients(settings), find_catalogue(run.catalogue)


def _skip_unpooled(run: Run, catalogue: Catalogue) -> None:
    """Known from the catalogue file alone, before a client is opened."""
    from airflow.sdk.exceptions import AirflowSkipException

    if run.dry_run:
        raise AirflowSkipException("dry run: nothing is trained")
    if not catalogue.pools_departments:
        raise AirflowSkipException("no candidate of the catalogue borrows from departments")


def _skip_untrained(clients: Clients, run: Run) -> None:
    """Nobody borrows where no SKU has anything new."""
    from airflow.sdk.exceptions import AirflowSkipException

    if clients.store.get_json(run.plan_key)["counts"]["to_train"] == 0:
        raise AirflowSkipException("no SKU has anything new to be trained on")


def _skip_without_models(clients: Clients, run: Run) -> None:
    """Nothing can be promoted in a dry run, nor when ingestion or planning failed."""
    from airflow.sdk.exceptions import AirflowSkipException

    if run.dry_run:
        raise AirflowSkipException("dry run: no model was trained")
    if not clients.store.exists(run.plan_key):
        raise AirflowSkipException("the run has no plan: ingest or plan failed, see their logs")
