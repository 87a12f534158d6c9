"""The engine on the same panels: the chosen model with backtest and selection, and candidates on their own.

CPU seconds are those of this process from the long frame to the forecasts: laying out the panels and fitting the
departments' profiles is counted for each entry anew. What does not belong here: scoring.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from threadpoolctl import threadpool_limits

from benchmarks import engine
from benchmarks.pooling import pool_panels
from benchmarks.rivals.samples import Sample
from include.skufleet.config import Catalogue
from include.skufleet.forecasting.candidates import Fitted
from include.skufleet.forecasting.panel import Floats, Panel
from include.skufleet.forecasting.scoring import count_bounds

CHOSEN = "chosen"
Fit = Callable[[Panel], Fitted]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One entry's forecasts from one origin.

    Attributes:
        forecasts: SKU -> (S, h).
        bounds: level -> SKU -> lower and upper bounds (S, h); empty where models have no intervals.
        cpu_seconds: what all of it took.
        models: SKU -> what forecasts it.
        failures: SKU -> why the fallback forecasts it.
    """

    forecasts: Mapping[str, Floats]
    bounds: Mapping[float, Mapping[str, tuple[Floats, Floats]]]
    cpu_seconds: float
    models: Mapping[str, str]
    failures: Mapping[str, str]


def forecast_origin(sample: Sample, origin: date, names: Sequence[str]) -> tuple[dict[str, Panel], dict[str, Answer]]:
    """Panels as known at the origin, and the answers of the chosen model and of each named candidate."""
    with threadpool_limits(limits=1):
        started = time.process_time()
        panels = pool_panels(sample.build(origin), sample.departments, sample.catalogue)
        building = time.process_time() - started
        catalogue = sample.catalogue
        entries: dict[str, Fit] = {CHOSEN: lambda panel: engine.fit_chosen(panel, catalogue.candidates, catalogue)}
        for name in names:
            entries[name] = lambda panel, name=name: engine.fit_single(panel, name, catalogue)  # type: ignore[misc]
        answers = {}
        for name, fit in entries.items():
            answers[name] = _answer(panels, fit, catalogue, building)
            print(f"{sample.name} {origin} {name}: {answers[name].cpu_seconds:.1f} CPU s", file=sys.stderr)  # noqa: T201
    return panels, answers


def _answer(panels: Mapping[str, Panel], fit: Fit, catalogue: Catalogue, building: float) -> Answer:
    started = time.process_time()
    forecasts: dict[str, Floats] = {}
    bounds: dict[float, dict[str, tuple[Floats, Floats]]] = {}
    models, failures = {}, {}
    for sku, panel in panels.items():
        try:
            fitted = fit(panel)
        except Exception as error:  # noqa: BLE001 -- one SKU must not cost the others: recorded, and reported
            failures[sku] = f"{type(error).__name__}: {error}"
            fitted = engine.serve_fallback(panel, catalogue)
        forecasts[sku] = fitted.predict(panel.future)
        models[sku] = fitted.name
        if given := fitted.artifact.get("intervals"):
            for level, pair in zip(given["levels"], count_bounds(given, forecasts[sku]), strict=True):
                bounds.setdefault(level, {})[sku] = pair
    return Answer(forecasts, bounds, building + time.process_time() - started, models, failures)
