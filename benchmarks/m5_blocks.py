"""What a worker process of ``accuracy`` does: fit and forecast a block of items, one thread, nothing shared.

What does not belong here: reading files, processes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.m5_files import HORIZON, Floats
from benchmarks.m5_panels import Block, Frame, panel_of
from include.skufleet.forecasting.panel import Panel, Prior

if TYPE_CHECKING:
    from include.skufleet.forecasting.candidates import Fitted


@dataclass(frozen=True)
class Job:
    """The candidates to fit; with ``select`` they are backtested and one is chosen per item."""

    candidates: tuple[str, ...]
    select: bool


@dataclass(frozen=True)
class BlockForecast:
    """What became of a block.

    Attributes:
        start: number of its first item among all.
        y_hat: (I, S, 28); zeros for a series never listed up to the origin.
        chosen: name of the model of each item that has any data.
        parameter_bytes: size of its parameters and intervals as compact JSON.
        errors: items that could not be fitted, with the reason; the fallback forecasts them.
    """

    start: int
    y_hat: Floats
    chosen: list[str]
    parameter_bytes: list[int]
    errors: list[str]


class _Worker:
    """What a process was given once for all of its blocks."""

    frame: Frame
    job: Job


def set_up(frame: Frame, job: Job) -> None:
    """Keep what all blocks share; one thread per process, as the fleet's tasks do."""
    _Worker.frame, _Worker.job = frame, job
    threadpool_limits(limits=1)


def fit_department(panel: Panel) -> tuple[str, tuple[Prior, ...]]:
    """A department's name and its profiles, as known at the origin and, where a choice is made, at each cutoff."""
    from benchmarks.pooling import department_priors

    catalogue = _Worker.frame.catalogue
    return panel.sku, department_priors(panel, catalogue, catalogue.backtest.windows if _Worker.job.select else 0)


def forecast_block(block: Block) -> BlockForecast:
    """Fit and forecast each item of the block."""
    frame = _Worker.frame
    position = {store: number for number, store in enumerate(frame.stores)}
    y_hat = np.zeros((len(block.items), len(frame.stores), HORIZON))
    result = BlockForecast(block.start, y_hat, [], [], [])
    for number in range(len(block.items)):
        panel = panel_of(frame, block, number)
        if panel is None:
            continue
        fitted = _fit(panel, result.errors)
        y_hat[number, [position[store] for store in panel.stores]] = fitted.predict(panel.future)
        result.chosen.append(fitted.name)
        result.parameter_bytes.append(_count_bytes(fitted))
    return result


def _count_bytes(fitted: Fitted) -> int:
    """Parameters and intervals as compact JSON: all of an artifact that was learned."""
    learned = {name: fitted.artifact.get(name) for name in ("parameters", "intervals")}
    return len(json.dumps(learned, separators=(",", ":")))


def _fit(panel: Panel, errors: list[str]) -> Fitted:
    # Imported by the workers alone: the process that hands out the blocks fits nothing, and is 65 MB lighter for it.
    from benchmarks import engine

    job, catalogue = _Worker.job, _Worker.frame.catalogue
    try:
        if job.select:
            return engine.fit_chosen(panel, job.candidates, catalogue)
        return engine.fit_single(panel, job.candidates[0], catalogue)
    except Exception as error:  # noqa: BLE001 -- one item must not cost the others: recorded, and counted in the result
        errors.append(f"{panel.sku}: {type(error).__name__}: {error}")
        return engine.serve_fallback(panel, catalogue)
