"""Wait for what a running platform will come to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from include.skufleet.cli.airflow_api import AirflowApi

PATIENCE = 400.0


def wait_for(holds: Callable[[], Any], what: str, patience: float = PATIENCE, pause: float = 0.2) -> Any:
    """The first true answer of ``holds``."""
    deadline = time.monotonic() + patience
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come about within {patience:.0f} s: {what}")
        time.sleep(pause)
    return answer


def wait_for_new_dag(api: AirflowApi, dag_id: str, beside: str) -> None:
    """Have the file of the Dag ``beside`` read now, and wait for the Dag that a new catalogue file makes of it."""
    api.wait_for_dag(beside)
    token = api._get(f"/dags/{beside}")["file_token"]
    response = api._session().put(f"/api/v2/parseDagFile/{token}")
    assert response.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}
    api.wait_for_dag(dag_id)
