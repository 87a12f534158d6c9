"""Adds to the Airflow UI: the report beside each run, and the way to the model registry.

Thin on purpose: every task's process imports every plugin. The page itself is ``orchestration/pages.py``.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.skufleet.orchestration.page_paths import REPORT_PREFIX


def _views() -> list[dict[str, Any]]:
    views: list[dict[str, Any]] = [
        {
            "name": "Report",
            "href": f"{REPORT_PREFIX.strip('/')}/report/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "fleet-report",
        }
    ]
    if registry := os.environ.get("SKUFLEET_MLFLOW_UI_URL"):
        # Without url_route it is a plain link: in a frame, MLflow's own links would not open.
        views.append({"name": "Models", "href": f"{registry}/#/models", "destination": "nav"})
    return views


class SkufleetPages(AirflowPlugin):
    """The report of a run behind Airflow's own permissions, and a link to MLflow."""

    name = "skufleet_pages"
    external_views = _views()

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow reads either
        """Built in the API server only; a task's process never gets here."""
        from include.skufleet.orchestration.pages import build_app

        return [{"app": build_app(), "url_prefix": REPORT_PREFIX, "name": "Skufleet"}]
