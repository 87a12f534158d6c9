"""What nobody can go below: fitting the models on all cores, and the barest calls that register them."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.engine import fit_chosen
from include.skufleet.config import Catalogue, read_settings
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.store import open_store

TAGS = {f"tag_{number}": "value" for number in range(16)}
FILE = b"x" * 3_000


@dataclass(frozen=True)
class Floor:
    """Seconds per SKU.

    Attributes:
        fit: CPU seconds of backtest, choice and refit, divided by the cores.
        calls: of a registered model, a version with tags, an alias and two objects, with a client per core.
    """

    fit: float
    calls: float

    @property
    def seconds(self) -> float:
        """Both."""
        return self.fit + self.calls


def measure_floor(panels: list[Panel], catalogue: Catalogue, models: int = 60) -> Floor:
    """Time the engine alone on some panels, and the calls alone for some models."""
    for panel in panels[:2]:
        fit_chosen(panel, catalogue.candidates, catalogue)
    started = time.process_time()
    for panel in panels:
        fit_chosen(panel, catalogue.candidates, catalogue).to_artifact()
    cores = os.cpu_count() or 1
    fit = (time.process_time() - started) / len(panels) / cores
    with ProcessPoolExecutor(cores) as pool:
        each = list(pool.map(call_barely, range(cores), [models] * cores))
    return Floor(fit, sum(each) / cores / cores)


def call_barely(part: int, models: int) -> float:
    """Register some models with nothing but the calls; seconds per model."""
    from mlflow import MlflowClient

    client, settings = MlflowClient(), read_settings()
    store = open_store(settings.bucket)
    client.search_registered_models(max_results=1)
    started = time.perf_counter()
    for number in range(models):
        name = f"floor-{part}-{number}-{time.monotonic_ns()}"
        folder = f"floor/{name}"
        store.put(f"{folder}/MLmodel", FILE)
        store.put(f"{folder}/model.json", FILE)
        client.create_registered_model(name, {"sku": name})
        made = client.create_model_version(name, store.uri(folder), tags=TAGS, await_creation_for=0)
        client.set_registered_model_alias(name, "production", made.version)
    return (time.perf_counter() - started) / models
