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
from include.skufleet.forecasting.candidates import Fitted
from include.skufleet.forecasting.panel import Floats, Panel

CHOSEN = "chosen"
Fit = Callable[[Panel], Fitted]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One entry's forecasts from one origin: SKU -> (S, h), and what they took."""

    forecasts: Mapping[str, Floats]
    cpu_seconds: float
    models: Mapping[str, str]


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
            answers[name] = _answer(panels, fit, building)
            print(f"{sample.name} {origin} {name}: {answers[name].cpu_seconds:.1f} CPU s", file=sys.stderr)  # noqa: T201
    return panels, answers


def _answer(panels: Mapping[str, Panel], fit: Fit, building: float) -> Answer:
    started = time.process_time()
    forecasts, models = {}, {}
    for sku, panel in panels.items():
        fitted = fit(panel)
        forecasts[sku] = fitted.predict(panel.future)
        models[sku] = fitted.name
    return Answer(forecasts, building + time.process_time() - started, models)
