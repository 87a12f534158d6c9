"""Train one SKU as far as its verdict allows: backtest, choose, refit, or fall back. No I/O.

Whatever happens to one SKU ends here as a ``Draft`` with an outcome and a reason.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.config import BASELINE, Catalogue
from include.skufleet.errors import DataError
from include.skufleet.fleet.gating import Ring, SkuGate
from include.skufleet.fleet.inputs import active_stores
from include.skufleet.fleet.outcomes import SkuOutcome
from include.skufleet.forecasting.backtest import Scores
from include.skufleet.forecasting.candidates import forecast_panel
from include.skufleet.forecasting.evaluation import Evaluation, evaluate, fall_back, refit
from include.skufleet.forecasting.panel import Floats, Panel
from include.skufleet.lifecycle.gate import Choice, Match
from include.skufleet.lifecycle.guards import check_forecasts, check_size
from include.skufleet.lifecycle.trials import COLUMNS
from include.skufleet.quality.records import SkuVerdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answers:
    """What a model forecasts of the stores whose series is alive.

    Attributes:
        stores: positions of the panel's stores, n of them.
        y_hat: (n, h) units.
        bounds: column -> (n, h) units.
    """

    stores: tuple[int, ...]
    y_hat: Floats
    bounds: Mapping[str, Floats]


@dataclass(frozen=True)
class Draft:
    """What became of one SKU before anything was registered.

    Attributes:
        row: its outcome.
        artifact: the model's parameters, JSON-able; ``None`` where no new version is to be made.
        backtest: ``sku, store, date, cutoff, y, y_hat, baseline``; ``None`` for a fallback.
        answers: the model's forecasts; ``None`` for a fallback.
        shadow: parameters of the recipe whose shadow begins; ``None``: none does.
        trial: rows of the trial that begins, ``lifecycle.trials.COLUMNS``; ``None``: none does.
    """

    row: SkuOutcome
    artifact: Mapping[str, Any] | None = None
    backtest: pd.DataFrame | None = None
    answers: Answers | None = None
    shadow: Mapping[str, Any] | None = None
    trial: pd.DataFrame | None = None


def draft_sku(
    sku: str,
    panel: Panel | None,
    verdict: SkuVerdict,
    catalogue: Catalogue,
    *,
    department: str,
    ring: Ring,
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
        ring: the version in production, and what is on trial.
        fingerprint: for the record.
        force: train it although it is retired.
    """
    champion = ring.champion
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
        return _train(row, panel, catalogue, ring)
    except MemoryError:
        raise  # no fault of this SKU alone: the task is tried again, and carefully
    except Exception as error:
        log.warning("SKU %r could not be trained", sku, exc_info=True)
        return _record_failure(row, panel, catalogue, champion, error)


def _train(row: SkuOutcome, panel: Panel, catalogue: Catalogue, ring: Ring) -> Draft:
    """Backtest all candidates on the same windows, let the gate choose a recipe, and refit it on all data."""
    gate = SkuGate(panel, catalogue, ring)
    evaluation = evaluate(panel, catalogue, also=ring.asked, settle=gate.settle)
    if evaluation.chosen is None or gate.choice is None or gate.match is None:
        if evaluation.errors:
            raise DataError(evaluation.reason)
        return _fall_back(replace(row, outcome="fallback", reason=evaluation.reason), panel, catalogue, ring.champion)
    choice, match = gate.choice, gate.match
    reason = "; ".join(part for part in (row.reason, evaluation.reason) if part)
    row = replace(row, reason=reason, **_figures(evaluation, catalogue.backtest.metric), **_describe_match(match))
    model = _refit(panel, evaluation, catalogue)
    if model.wrong and choice.changed and ring.recipe in evaluation.backtest.forecasts:
        # The newcomer fails where production's recipe may not.
        told = f"{choice.recipe}: {model.wrong}; production's {ring.recipe} is refit."
        choice = replace(choice, recipe=ring.recipe, rule="guard", reason=told, changed=False, start="")
        evaluation = evaluate(panel, catalogue, also=ring.asked, settle=lambda *_: ring.recipe)
        row = replace(row, **_figures(evaluation, catalogue.backtest.metric))
        model = _refit(panel, evaluation, catalogue)
    if model.wrong and not ring.recipe:
        told = f"{choice.recipe}: {model.wrong}"
        return _fall_back(replace(row, outcome="fallback", reason=told, rule="guard"), panel, catalogue, ring.champion)
    if model.wrong:
        told = f"{choice.recipe}: {model.wrong}; version {row.champion_version} goes on serving."
        choice = replace(choice, rule="guard", reason=told, start="")
    row = replace(
        row,
        candidate=choice.recipe,
        pooled_with=find_pool(model.artifact),
        gate="held" if model.wrong else "passed",
        rule=choice.rule,
        verdict=choice.reason,
        recipe_since=_find_since(ring, changed=choice.changed),
        **_describe_trial(match, choice),
    )
    baseline = BASELINE if BASELINE in evaluation.backtest.forecasts else choice.recipe
    backtest = evaluation.backtest.to_frame(choice.recipe, baseline, evaluation.bounds)
    draft = Draft(row, model.artifact, backtest, model.answers)
    return _begin_trial(draft, panel, evaluation, catalogue, ring, choice, match) if choice.start else draft


@dataclass(frozen=True)
class _Model:
    """A refit model with its forecasts, and what is wrong with them."""

    artifact: Mapping[str, Any]
    answers: Answers | None
    wrong: str


def _refit(panel: Panel, evaluation: Evaluation, catalogue: Catalogue, recipe: str | None = None) -> _Model:
    """Fit on all data, forecast, and look at the guard rails."""
    artifact = refit(panel, evaluation, catalogue, recipe).to_artifact()
    stores = active_stores(panel, catalogue.validation.inactive_after)
    try:
        y_hat, bounds = forecast_panel(artifact, panel, stores)
    except ValueError as error:
        return _Model(artifact, None, f"it cannot forecast: {error}")
    gate = catalogue.gate
    if gate.mode == "disabled":
        return _Model(artifact, Answers(stores, y_hat, bounds), "")
    wrong = check_forecasts(y_hat, panel.units[list(stores)], gate) or check_size(len(json.dumps(artifact)), gate)
    return _Model(artifact, Answers(stores, y_hat, bounds), wrong)


def _begin_trial(
    draft: Draft,
    panel: Panel,
    evaluation: Evaluation,
    catalogue: Catalogue,
    ring: Ring,
    choice: Choice,
    match: Match,
) -> Draft:
    """Forecasts of both recipes, side by side; a shadow's model is kept, a canary's rival is not.

    Where the other recipe cannot be refit, or fails the guard rails, no trial begins.
    """
    other = match.challenger.recipe if choice.start == "shadow" else ring.recipe
    try:
        model = _refit(panel, evaluation, catalogue, other)
    except (ValueError, ArithmeticError) as error:
        model = _Model({}, None, f"it could not be refit: {error}")
    if model.wrong or model.answers is None or draft.answers is None:
        told = f"{draft.row.verdict} {other}: {model.wrong}; its {choice.start} does not begin."
        return replace(draft, row=replace(draft.row, verdict=told, trial="", trial_kind="", trial_recipe=""))
    own, rival = (model.answers, draft.answers) if choice.start == "shadow" else (draft.answers, model.answers)
    rows = pd.DataFrame(
        {
            "sku": panel.sku,
            "kind": choice.start,
            "recipe": match.challenger.recipe,
            "rival": ring.recipe,
            "version": 0,
            "since": ring.as_of.isoformat(),
            "store": np.repeat([panel.stores[position] for position in own.stores], panel.horizon),
            "date": np.tile(panel.future.dates.astype("datetime64[s]"), len(own.stores)),
            "y_hat": own.y_hat.reshape(-1),
            "rival_y_hat": rival.y_hat.reshape(-1),
        }
    ).astype(COLUMNS)
    return replace(draft, trial=rows, shadow=model.artifact if choice.start == "shadow" else None)


def _find_since(ring: Ring, *, changed: bool) -> str:
    since = ring.as_of if changed else ring.since
    return since.isoformat() if since else ""


def _describe_match(match: Match) -> dict[str, Any]:
    """What the gate was asked, as fields of ``SkuOutcome``."""
    evidence = match.evidence
    rival = match.champion is not None and match.challenger.recipe != match.champion.recipe
    return {
        "challenger": match.challenger.recipe,
        "gain": evidence.gain if evidence and rival else math.nan,
        "probability": evidence.probability if evidence and rival else math.nan,
    }


def _describe_trial(match: Match, choice: Choice) -> dict[str, Any]:
    """What became of a trial, as fields of ``SkuOutcome``."""
    trial = match.trial
    if choice.start:
        return {"trial": "begun", "trial_kind": choice.start, "trial_recipe": match.challenger.recipe}
    if not trial.recipe:
        return {}
    return {
        "trial": "ended" if choice.ends else "open",
        "trial_kind": trial.kind,
        "trial_recipe": trial.recipe,
        "trial_error": trial.error,
        "trial_rival_error": trial.rival_error,
        "trial_periods": trial.periods,
    }


def _fall_back(row: SkuOutcome, panel: Panel, catalogue: Catalogue, champion: Mapping[str, Any] | None) -> Draft:
    """What ``fall_back`` finds to serve the SKU; unless a trained version is in production already."""
    if champion and champion["outcome"] == "trained":
        return Draft(replace(row, reason=f"{row.reason}; version {champion['version']} goes on serving"))
    fitted = fall_back(panel, catalogue)
    artifact = fitted.to_artifact()
    if department := find_pool(artifact):
        row = replace(row, reason=f"{row.reason}; served at its own level with the calendar of {department}")
    beside = "it replaces the one in production" if champion else "nothing was in production"
    verdict = f"{fitted.name}: a fallback serves; {beside}."
    row = replace(row, candidate=fitted.name, pooled_with=department, gate="passed", rule="fallback", verdict=verdict)
    return Draft(row, artifact)


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
        "competed": _compete(evaluation, metric),
        **{f"coverage_{round(100 * level)}": share for level, share in evaluation.coverage.items()},
        "actuals": chosen.periods if chosen else 0,
        "not_tried": "; ".join(f"{name}: {why}" for name, why in evaluation.not_tried.items()),
        "cpu_seconds_saved": evaluation.seconds_saved,
    }


def _compete(evaluation: Evaluation, metric: str) -> str:
    """Every candidate's metric as a JSON object; one that is not defined is left out."""
    values = {name: _value(scores, metric) for name, scores in evaluation.backtest.scores.items()}
    return json.dumps({name: round(value, 6) for name, value in values.items() if math.isfinite(value)})


def _value(scores: Scores | None, name: str) -> float:
    return math.nan if scores is None else float(getattr(scores, name))
