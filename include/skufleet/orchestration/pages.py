"""The pages that the plugin adds to the Airflow UI. Runs in the API server only, behind Airflow's permissions.

Airflow mounts a plugin's app without any authentication of its own, so every route here depends on the permission to
read runs of the Dag it is about. The permission check is an internal interface of Airflow: if it cannot be imported,
the app cannot be built, and no page is served rather than an open one.
"""

from __future__ import annotations

from html import escape

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse

from include.skufleet.config import read_settings
from include.skufleet.orchestration.clients import open_lake
from include.skufleet.orchestration.page_paths import KEYS_OF

# The report needs no script, no network and no frame of its own; SKU names come from outside.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
READ_RUNS = Depends(requires_access_dag("GET", DagAccessEntity.RUN))


def build_app() -> FastAPI:
    """The app that Airflow mounts under ``page_paths.REPORT_PREFIX``."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/report/{dag_id}/{run_id:path}", dependencies=[READ_RUNS], response_class=HTMLResponse)
    def show_report(dag_id: str, run_id: str) -> HTMLResponse:
        """The report of a run as it stands on S3."""
        kind, _, catalogue = dag_id.partition("_")
        if kind not in KEYS_OF:
            return _message(f"{dag_id} neither retrains a catalogue nor searches for its settings: no report.", 404)
        html = open_lake(read_settings()).find(KEYS_OF[kind](catalogue, run_id).report_key)
        if html is None:
            return _message("This run has not written its report yet. It is the last task of the run.", 404)
        return HTMLResponse(html, headers=HEADERS)

    return app


def _message(text: str, status: int) -> HTMLResponse:
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='color-scheme' content='light dark'>"
        f"<title>Report</title><body style='font:16px system-ui;margin:3rem'>{escape(text)}</body></html>"
    )
    return HTMLResponse(page, status_code=status, headers=HEADERS)
