"""What a fleet's models take on S3, and how many there are."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.names import catalogue_filter

PER_REQUEST = 1000


def measure_storage(store: ObjectStore, uri: str, catalogue: str) -> dict[str, Any]:
    """Bytes in the bucket by the first part of their keys, bytes of a version's own files, and how many there are.

    Args:
        store: the bucket.
        uri: MLflow's.
        catalogue: the catalogue's name.

    Returns:
        ``s3_bytes_per_model_median`` and ``s3_bytes_per_model_largest`` are ``None`` where nothing is registered.
    """
    versions, root = list(list_versions(uri, catalogue)), store.uri("")
    sizes = {item.key: item.size for item in store.list("")}
    each = sum_below(sizes, [version.source.removeprefix(root) for version in versions])
    by_part: Counter[str] = Counter()
    for key, size in sizes.items():
        by_part[key.split("/")[0]] += size
    return {
        "models_registered": len({version.name for version in versions}),
        "versions_registered": len(versions),
        "s3_bytes_per_model_median": round(statistics.median(each.values())) if each else None,
        "s3_bytes_per_model_largest": max(each.values(), default=None),
        "s3_bytes": sum(sizes.values()),
        "s3_bytes_by_folder": dict(sorted(by_part.items())),
    }


def sum_below(sizes: Mapping[str, int], folders: Iterable[str]) -> dict[str, int]:
    """Bytes of the objects in each folder, those in folders within it included; a folder without any has 0.

    >>> sum_below({"a/1/x": 3, "a/1/code/y": 4, "a/12/x": 5}, ["a/1", "b"])
    {'a/1': 7, 'b': 0}
    """
    found = {folder.rstrip("/"): 0 for folder in folders}
    for key, size in sizes.items():
        parts = key.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder in found:
                found[folder] += size
    return found


def list_versions(uri: str, catalogue: str) -> Iterator[Any]:
    """Every version of the catalogue's models, as MLflow's client describes it."""
    from mlflow import MlflowClient

    client, token = MlflowClient(uri), None
    while True:
        page = client.search_model_versions(catalogue_filter(catalogue), max_results=PER_REQUEST, page_token=token)
        yield from page
        if not (token := page.token):
            return
