"""Where the platform's own pages are in the Airflow UI. Imported by every task's process: nothing heavy here."""

from __future__ import annotations

from urllib.parse import quote

from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.search.run import SearchKeys

REPORT_PREFIX = "/skufleet"
KEYS_OF = {"retrain": RunKeys, "search": SearchKeys}
"""What a Dag's id begins with -> where its runs keep their report."""


def keys_of(dag_id: str, run_id: str) -> RunKeys:
    """Where a run keeps what it writes.

    Raises:
        KeyError: the Dag neither retrains nor searches.
    """
    kind, _, catalogue = dag_id.partition("_")
    return KEYS_OF[kind](catalogue, run_id)


def run_url(airflow_url: str, dag_id: str, run_id: str) -> str:
    """Airflow's own page of a run."""
    return f"{airflow_url.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def report_url(airflow_url: str, dag_id: str, run_id: str) -> str:
    """The page that shows the report of a run."""
    return f"{airflow_url.rstrip('/')}{REPORT_PREFIX}/report/{quote(dag_id, safe='')}/{quote(run_id, safe='')}"
