"""Whether a service answers, asked the way its users would ask it.

Every probe returns True or False and raises nothing for a server that is down.
"""

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from include.skufleet.local import postgres
from include.skufleet.local.credentials import Credentials
from include.skufleet.local.environment import HOST, Endpoints
from include.skufleet.local.processes import Started
from include.skufleet.local.settings import StackSettings

PROBE_SECONDS = 5.0
# The names of Airflow's parts in its health answer, by our names of the processes.
HEARTBEATS = {
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_healthy(service: str, started: Started, settings: StackSettings, credentials: Credentials) -> bool:
    """Return whether `service`, which runs as `started`, does its work.

    Airflow's scheduler, dag-processor and triggerer have no port: they count as healthy once the api-server reports a
    heartbeat of theirs that is younger than the process.
    """
    endpoints = Endpoints.on_loopback(settings)
    if service == "postgres":
        return postgres.is_accepting(settings, credentials)
    if service == "s3":
        return _get(f"http://{HOST}:{settings.ports.s3}/_skufleet/health") is not None
    if service == "mlflow":
        return _get(f"{endpoints.mlflow}/health") is not None
    health = _get(f"{endpoints.airflow}/api/v2/monitor/health")
    if health is None:
        return False
    if service == "airflow-api":
        return bool(_part(health, "metadatabase").get("status") == "healthy")
    return _has_beaten(_part(health, HEARTBEATS[service]), HEARTBEATS[service], started)


def _part(health: str, name: str) -> dict[str, Any]:
    try:
        part = json.loads(health).get(name)
    except (ValueError, AttributeError):
        return {}
    return part if isinstance(part, dict) else {}


def _has_beaten(part: dict[str, Any], name: str, started: Started) -> bool:
    latest = part.get(f"latest_{name}_heartbeat")
    if part.get("status") != "healthy" or not latest:
        return False
    return datetime.fromisoformat(str(latest)).timestamp() >= started.created


def _get(url: str) -> str | None:
    try:
        with _DIRECT.open(url, timeout=PROBE_SECONDS) as answer:
            body: bytes = answer.read()
            return body.decode("utf-8", errors="replace")
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return None
