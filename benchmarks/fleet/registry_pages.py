"""What a fleet's models take on S3, and how fast MLflow's own pages show them."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.client import Registry

SAMPLE = 200
PAGE = "/ajax-api/2.0/mlflow/registered-models/search"
THREADS = 4


def measure_storage(store: ObjectStore, registry: Registry, catalogue: str) -> dict[str, Any]:
    """Bytes of a model in the median, bytes in the bucket by the first part of their keys, versions in production."""
    versions = sorted(registry.production(catalogue).values(), key=lambda item: item.sku)
    step = max(1, len(versions) // SAMPLE)
    root = store.uri("")
    sizes = [
        sum(item.size for item in store.list(version.artifact_uri.removeprefix(root) + "/"))
        for version in versions[::step]
    ]
    by_part: Counter[str] = Counter()
    for item in store.list(""):
        by_part[item.key.split("/")[0]] += item.size
    return {
        "s3_bytes_per_model_median": round(statistics.median(sizes)) if sizes else None,
        "s3_bytes": sum(by_part.values()),
        "s3_bytes_by_folder": dict(by_part),
        "in_production": len(versions),
    }


def count_versions(uri: str, catalogue: str) -> int:
    """Versions of the catalogue that are registered in MLflow."""
    from mlflow import MlflowClient

    client, token, found = MlflowClient(uri), None, 0
    while True:
        page = client.search_model_versions(f"name LIKE '{catalogue}-%'", max_results=10_000, page_token=token)
        found, token = found + len(page), page.token
        if not token:
            return found


def top_up(uri: str, catalogue: str, versions: int) -> float:
    """Give every registered model of the catalogue so many versions; the seconds that it took."""
    from mlflow import MlflowClient

    client, started = MlflowClient(uri), time.perf_counter()
    names, token = [], None
    while True:
        page = client.search_registered_models(f"name LIKE '{catalogue}-%'", max_results=1000, page_token=token)
        names += [(item.name, max((int(v.version) for v in item.latest_versions), default=0)) for item in page]
        token = page.token
        if not token:
            break

    def add(item: tuple[str, int]) -> None:
        for _ in range(item[1], versions):
            client.create_model_version(item[0], "s3://none/such", await_creation_for=0)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(add, names))
    return time.perf_counter() - started


def time_pages(uri: str, sku: str) -> dict[str, float]:
    """Seconds of the request of the page of all models, and of its search for a SKU; the best of three each."""
    every = {"max_results": 25, "order_by": ["name ASC"]}
    search = every | {"filter": f"name ILIKE '%{sku}%'"}
    with httpx.Client(base_url=uri, timeout=60) as client:
        return {
            "registry_page_seconds": round(min(_time(client, every) for _ in range(3)), 3),
            "registry_search_seconds": round(min(_time(client, search) for _ in range(3)), 3),
        }


def _time(client: httpx.Client, params: dict[str, Any]) -> float:
    started = time.perf_counter()
    client.get(PAGE, params=params).raise_for_status()
    return time.perf_counter() - started
