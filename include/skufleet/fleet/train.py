"""Train one SKU as far as its verdict allows: backtest, choose, refit, or fall back. No I/O.

Whatever happens to one SKU ends here as a ``Draft`` with an outcome and a reason.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.config import BASELINE, Catalogue
from include.skufleet.errors import DataError
from include.skufleet.fleet.outcomes import SkuOutcome
from include.skufleet.forecasting.backtest import Scores
from include.skufleet.forecasting.candidates import CANDIDATES
from include.skufleet.forecasting.evaluation import Evaluation, evaluate, fall_back, refit
from include.skufleet.forecasting.panel import Panel
from include.skufleet.quality.records import SkuVerdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draft:
    """What became of one SKU before anything was registered.

    Attributes:
        row: its outcome.
        artifact: the model's parameters, JSON-able; ``None`` where no new version is to be made.
        backtest: ``sku, store, date, cutoff, y, y_hat, baseline``; ``None`` for a fallback.
    """

    row: SkuOutcome
    artifact: Mapping[str, Any] | None = None
    backtest: pd.DataFrame | None = None


def draft_sku(
    sku: str,
    panel: Panel | None,
    verdict: SkuVerdict,
    catalogue: Catalogue,
    *,
    department: str,
    champion: Mapping[str, Any] | None,
    fingerprint: str = "",
    force: bool = False,
) -> Draft:
    """Train one SKU, or say why not; never raises for what is wrong with the SKU.

    Args:
        sku: its code.
        panel: its data cut at the run's date; ``None`` where it has no usable row.
        verdict: what the validation said of it.
        catalogue: candidates, windows, metric.
        department: for the record.
        champion: the version in production (``version, candidate, outcome``), if any.
        fingerprint: for the record.
        force: train it although it is retired.
    """
    row = SkuOutcome(
        sku=sku,
        department=department,
        outcome="trained",
        reason=verdict.reason,
        fingerprint=fingerprint,
        champion_candidate=champion["candidate"] if champion else "",
        champion_version=int(champion["version"]) if champion else 0,
    )
    if verdict.status == "inactive" and not force:
        return Draft(replace(row, outcome="skipped"))
    if panel is None:
        return Draft(replace(row, outcome="quarantined", reason=verdict.reason or "no usable row up to as_of"))
    try:
        row = replace(row, **describe_panel(panel))
        if verdict.status == "quarantined":
            return _fall_back(replace(row, outcome="quarantined"), panel, catalogue, champion)
        if not verdict.train and verdict.status != "inactive":
            return _fall_back(replace(row, outcome="fallback"), panel, catalogue, champion)
        return _train(row, panel, catalogue, champion)
    except MemoryError:
        raise  # no fault of this SKU alone: the task is tried again, and carefully
    except Exception as error:
        log.warning("SKU %r could not be trained", sku, exc_info=True)
        return _record_failure(row, panel, catalogue, champion, error)


def _train(row: SkuOutcome, panel: Panel, catalogue: Catalogue, champion: Mapping[str, Any] | None) -> Draft:
    """Backtest all candidates on the same windows, the champion's recipe too, and refit the chosen one on all data."""
    recipe = champion["candidate"] if champion and champion["candidate"] in CANDIDATES else None
    evaluation = evaluate(panel, catalogue, also=recipe)
    if evaluation.chosen is None:
        if evaluation.errors:
            raise DataError(evaluation.reason)
        return _fall_back(replace(row, outcome="fallback", reason=evaluation.reason), panel, catalogue, champion)
    reason = "; ".join(part for part in (row.reason, evaluation.reason) if part)
    row = replace(row, reason=reason, candidate=evaluation.chosen, **_figures(evaluation, catalogue.backtest.metric))
    artifact = refit(panel, evaluation, catalogue).to_artifact()
    row = replace(row, pooled_with=find_pool(artifact))
    baseline = BASELINE if BASELINE in evaluation.backtest.forecasts else evaluation.chosen
    return Draft(row, artifact, evaluation.backtest.to_frame(evaluation.chosen, baseline, evaluation.bounds))


def _fall_back(row: SkuOutcome, panel: Panel, catalogue: Catalogue, champion: Mapping[str, Any] | None) -> Draft:
    """What ``fall_back`` finds to serve the SKU; unless a trained version is in production already."""
    if champion and champion["outcome"] == "trained":
        return Draft(replace(row, reason=f"{row.reason}; version {champion['version']} goes on serving"))
    fitted = fall_back(panel, catalogue)
    artifact = fitted.to_artifact()
    if department := find_pool(artifact):
        row = replace(row, reason=f"{row.reason}; served at its own level with the calendar of {department}")
    return Draft(replace(row, candidate=fitted.name, pooled_with=department), artifact)


def _record_failure(
    row: SkuOutcome, panel: Panel, catalogue: Catalogue, champion: Mapping[str, Any] | None, error: Exception
) -> Draft:
    """The failed outcome, with a fallback where nothing else can serve the SKU."""
    failed = replace(row, outcome="failed", reason="could not be trained", step="train", error=describe_error(error))
    try:
        return _fall_back(failed, panel, catalogue, champion)
    except Exception as second:  # noqa: BLE001 -- the record must be written even where the fallback fails too
        return Draft(replace(failed, reason=f"could not be trained, and no fallback either: {describe_error(second)}"))


def find_pool(artifact: Mapping[str, Any]) -> str:
    """The department that a model, or a member of it, borrows from; empty where it stands alone."""
    own = artifact["parameters"]
    origins = (part.get("prior") for part in (own, *(member["parameters"] for member in own.get("members", ()))))
    return next((str(origin["department"]) for origin in origins if origin), "")


def describe_error(error: BaseException) -> str:
    """The kind and the message, short enough for a table."""
    text = f"{type(error).__name__}: {error}"
    return text if len(text) <= 500 else text[:499] + "…"


def describe_panel(panel: Panel) -> dict[str, Any]:
    """Size and dates of a SKU's data: fields of ``SkuOutcome``."""
    known = np.flatnonzero(~np.isnan(panel.units).all(axis=0))
    sold = np.flatnonzero((np.nan_to_num(panel.units) > 0).any(axis=0))
    return {
        "stores": len(panel.stores),
        "periods": int((~np.isnan(panel.units)).sum()),
        "first_date": str(panel.dates[known[0]]) if known.size else "",
        "last_date": str(panel.dates[known[-1]]) if known.size else "",
        "last_sale": str(panel.dates[sold[-1]]) if sold.size else "",
    }


def _figures(evaluation: Evaluation, metric: str) -> dict[str, Any]:
    """Metrics of the chosen candidate, the baseline and the champion's recipe, as fields of ``SkuOutcome``."""
    chosen, baseline = evaluation.scores, evaluation.baseline
    return {
        "demand_class": str(evaluation.demand_class),
        **{name: _value(chosen, name) for name in ("wape", "bias", "rmsse", "mase", "mae", "rmse")},
        **{f"baseline_{name}": _value(baseline, name) for name in ("wape", "rmsse", "bias", "abs_error")},
        **{name: _value(chosen, name) for name in ("abs_error", "signed_error", "units")},
        "metric": metric,
        "challenger_metric": _value(chosen, metric),
        "baseline_metric": _value(baseline, metric),
        "champion_metric": _value(evaluation.champion, metric),
        **{f"coverage_{round(100 * level)}": share for level, share in evaluation.coverage.items()},
        "actuals": chosen.periods if chosen else 0,
        "not_tried": "; ".join(f"{name}: {why}" for name, why in evaluation.not_tried.items()),
        "cpu_seconds_saved": evaluation.seconds_saved,
    }


def _value(scores: Scores | None, name: str) -> float:
    return math.nan if scores is None else float(getattr(scores, name))
