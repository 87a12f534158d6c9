"""Where the platform's own pages are in the Airflow UI. Imported by every task's process: nothing heavy here."""

from __future__ import annotations

from urllib.parse import quote

REPORT_PREFIX = "/skufleet"


def report_url(airflow_url: str, dag_id: str, run_id: str) -> str:
    """The page that shows the report of a run."""
    return f"{airflow_url.rstrip('/')}{REPORT_PREFIX}/report/{quote(dag_id, safe='')}/{quote(run_id, safe='')}"
