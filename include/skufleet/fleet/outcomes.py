"""The outcome of each SKU of a run: one row each, whatever happened."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

Outcome = Literal["trained", "fallback", "quarantined", "failed", "skipped"]
OUTCOMES: tuple[Outcome, ...] = ("trained", "fallback", "quarantined", "failed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkuOutcome:
    """What became of one SKU; the columns of ``results.parquet``.

    Metrics are pooled over the SKU's stores and backtest windows; NaN where nothing was backtested. ``abs_error``,
    ``baseline_abs_error``, ``signed_error`` and ``units`` are the sums (in units) from which fleet figures are pooled.
    ``challenger_metric``, ``baseline_metric`` and ``champion_metric`` are the configured ``metric`` of the version that
    was registered, of the seasonal naive, and of the recipe in production, all on the same windows. ``coverage_80`` and
    ``coverage_95`` are the shares of the ``actuals`` within the intervals of these levels, fitted without their window;
    NaN with a single window. ``pooled_with`` names the department whose profile the model borrows from; empty where it
    stands alone. ``not_tried`` says which candidates were left out, or given up, and why; ``cpu_seconds_saved`` is the
    nominal CPU time of their fits.

    ``gate`` says how the gate judged the new version beside what was in production when the run was planned: ``passed``
    or ``held``; empty without a new version. ``rule`` is the rule of ``lifecycle.gate`` that decided, ``verdict`` its
    sentence; ``competed`` the metric of every candidate that served all windows, as a JSON object;
    ``challenger`` the recipe that the run would have chosen, ``gain`` and ``probability`` what speaks for
    it beside production's; ``recipe_since`` the ISO date on which the version's recipe replaced another. ``trial`` is
    what became of a shadow or canary of ``trial_recipe`` in this run: ``begun``, ``open``, ``ended``; its errors,
    and those of production's recipe, are absolute sums in units over ``trial_periods``. ``staged_version`` is a
    shadow's version.

    ``unchanged_since`` is the ISO date of the run that last looked at a SKU that has nothing new since; empty for all
    others.
    """

    sku: str
    department: str
    outcome: Outcome
    reason: str
    step: str = ""
    error: str = ""
    candidate: str = ""
    pooled_with: str = ""
    demand_class: str = ""
    stores: int = 0
    periods: int = 0
    first_date: str = ""
    last_date: str = ""
    last_sale: str = ""
    wape: float = math.nan
    bias: float = math.nan
    rmsse: float = math.nan
    mase: float = math.nan
    mae: float = math.nan
    rmse: float = math.nan
    baseline_wape: float = math.nan
    baseline_rmsse: float = math.nan
    baseline_bias: float = math.nan
    abs_error: float = math.nan
    baseline_abs_error: float = math.nan
    signed_error: float = math.nan
    units: float = math.nan
    metric: str = ""
    challenger_metric: float = math.nan
    baseline_metric: float = math.nan
    champion_metric: float = math.nan
    coverage_80: float = math.nan
    coverage_95: float = math.nan
    actuals: int = 0
    not_tried: str = ""
    cpu_seconds_saved: float = 0.0
    gate: str = ""
    rule: str = ""
    verdict: str = ""
    competed: str = ""
    challenger: str = ""
    gain: float = math.nan
    probability: float = math.nan
    recipe_since: str = ""
    trial: str = ""
    trial_kind: str = ""
    trial_recipe: str = ""
    trial_error: float = math.nan
    trial_rival_error: float = math.nan
    trial_periods: int = 0
    staged_version: int = 0
    staged_uri: str = ""
    unchanged_since: str = ""
    champion_candidate: str = ""
    champion_version: int = 0
    registered_name: str = ""
    version: int = 0
    mlflow_run_id: str = ""
    fingerprint: str = ""
    seconds: float = 0.0
    artifact_uri: str = ""
    artifact_bytes: int = 0
    chunk: str = ""


TYPES: dict[str, str] = {
    name: {"str": "str", "int": "int64", "float": "float64"}.get(str(annotation), "str")
    for name, annotation in SkuOutcome.__annotations__.items()
}


def to_frame(outcomes: Iterable[SkuOutcome]) -> pd.DataFrame:
    """One row per outcome, every column typed even when there is no row."""
    rows = [to_dict(item) for item in outcomes]
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in TYPES.items()})


def count(results: pd.DataFrame) -> dict[str, int]:
    """How many SKUs ended in each outcome; every outcome is named."""
    found = results["outcome"].value_counts().to_dict()
    return {outcome: int(found.get(outcome, 0)) for outcome in OUTCOMES}


def to_dict(outcome: SkuOutcome) -> dict[str, Any]:
    """Column -> value. ``dataclasses.asdict`` would look into every value, at twenty times the cost."""
    return {name: getattr(outcome, name) for name in TYPES}


def to_json(outcome: SkuOutcome) -> dict[str, Any]:
    """The outcome in types that JSON has; a figure that is not known is left out. ``SkuOutcome(**it)`` is it again."""
    return {
        name: value for name, value in to_dict(outcome).items() if not (isinstance(value, float) and math.isnan(value))
    }
