"""How fast MLflow's own pages show the models of a fleet that has been retrained for a while."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks.fleet.storage import list_versions
from include.skufleet.errors import PermanentError

PAGE = "/ajax-api/2.0/mlflow/registered-models/search"
EVERY: dict[str, Any] = {"max_results": 25, "order_by": "name ASC"}
"""What the page of all models asks for when it is opened (MLflow 3.17)."""

THREADS, TRIES = 4, 5


def top_up(uri: str, catalogue: str, versions: int) -> float:
    """Give every registered model of the catalogue so many versions, like its latest; the seconds that it took.

    They stand for a catalogue that has been retrained for long. Nothing else may come after this: two versions of one
    folder are what the platform never makes.
    """
    from mlflow import MlflowClient

    client, started = MlflowClient(uri), time.perf_counter()

    def add(latest: Any) -> None:
        for _ in range(int(latest.version), versions):
            client.create_model_version(
                latest.name,
                latest.source,
                latest.run_id,
                latest.tags,
                description=latest.description,
                await_creation_for=0,
            )

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(add, find_latest(list_versions(uri, catalogue))))
    return time.perf_counter() - started


def find_latest(versions: Iterable[Any]) -> list[Any]:
    """The version with the highest number of each model (``name``, ``version``)."""
    latest: dict[str, Any] = {}
    for item in versions:
        if item.name not in latest or int(item.version) > int(latest[item.name].version):
            latest[item.name] = item
    return list(latest.values())


def time_pages(uri: str, name: str) -> dict[str, float]:
    """Seconds of the request of MLflow's page of all models, and of that page's search; the slowest of five each.

    Args:
        uri: MLflow's.
        name: the registered model that is searched for.

    Raises:
        PermanentError: the search does not find the model.
    """
    search = EVERY | {"filter": f"name ilike '%{name}%'"}
    with httpx.Client(base_url=uri, timeout=60) as client:
        found = [model["name"] for model in client.get(PAGE, params=search).json().get("registered_models", [])]
        if name not in found:
            raise PermanentError(f"MLflow's page searches for {name!r} and finds {found}, expected that model")
        return {
            "registry_page_seconds": round(max(_time(client, EVERY) for _ in range(TRIES)), 3),
            "registry_search_seconds": round(max(_time(client, search) for _ in range(TRIES)), 3),
        }


def _time(client: httpx.Client, params: dict[str, Any]) -> float:
    started = time.perf_counter()
    client.get(PAGE, params=params).raise_for_status()
    return time.perf_counter() - started
