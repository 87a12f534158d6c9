"""What nobody can go below: fitting the models on all cores, and the barest calls that register them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.engine import fit_chosen
from benchmarks.fleet.side_by_side import time_side_by_side
from include.skufleet.config import Catalogue, read_settings
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.bulk import SmallObjects
from include.skufleet.lake.connecting import open_store

MODELS = 60
WARM_UP = 2
TAGS = {f"tag_{number}": "value" for number in range(16)}
FILE = b"x" * 3_000


@dataclass(frozen=True)
class Floor:
    """Seconds per SKU.

    Attributes:
        fit: CPU seconds of backtest, choice and refit, divided by the cores.
        calls: wall seconds of two objects, a registered model, a version with tags and an alias, with a client per
            core at it side by side.
    """

    fit: float
    calls: float

    @property
    def seconds(self) -> float:
        """Both."""
        return self.fit + self.calls


def measure_floor(panels: Sequence[Panel], catalogue: Catalogue, models: int = MODELS) -> Floor:
    """Time the engine alone on some panels, at least three, and the calls alone for so many models per core.

    The first two panels only warm up: what was asked of a panel is kept with it, so a second fit of it is cheaper.
    """
    for panel in panels[:WARM_UP]:
        fit_chosen(panel, catalogue.candidates, catalogue)
    started, timed = time.process_time(), panels[WARM_UP:]
    for panel in timed:
        fit_chosen(panel, catalogue.candidates, catalogue).to_artifact()
    cores = os.cpu_count() or 1
    fit = (time.process_time() - started) / len(timed) / cores
    return Floor(fit, time_side_by_side(call_barely, [(part, models) for part in range(cores)]))


def call_barely(part: tuple[int, int], begin: Callable[[], None]) -> int:
    """Register so many models with nothing but the calls."""
    import mlflow

    (number, models), settings = part, read_settings()
    # The way the tasks go: through the server, or straight to its database.
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    client, store, unique = mlflow.MlflowClient(), open_store(settings.bucket), time.time_ns()
    objects = SmallObjects(store)
    for model in range(models + WARM_UP):
        if model == WARM_UP:
            begin()
        name = f"floor-{number}-{model}-{unique}"
        folder = f"floor/{name}"
        objects.put(f"{folder}/MLmodel", FILE)
        objects.put(f"{folder}/model.json", FILE)
        client.create_registered_model(name, {"sku": name})
        made = client.create_model_version(name, store.uri(folder), tags=TAGS, await_creation_for=0)
        client.set_registered_model_alias(name, "production", made.version)
    return models
