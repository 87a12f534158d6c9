"""What the fleet calls per SKU: ``evaluate`` the candidates, ``refit`` the chosen one on all data, ``fall_back``.

What does not belong here: gates, registering, deciding whether a SKU can be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from include.skufleet.config import BASELINE, Catalogue
from include.skufleet.forecasting import metrics
from include.skufleet.forecasting.backtest import Backtest, Scores, choose_cutoffs, run_backtest
from include.skufleet.forecasting.candidates import (
    CANDIDATES,
    Fitted,
    combine,
    fallback,
    find_candidate,
    fit_newcomer,
)
from include.skufleet.forecasting.demand import DemandClass, classify_demand
from include.skufleet.forecasting.halving import Agenda, Halving, plan_trials
from include.skufleet.forecasting.intervals import bound_windows, fit_intervals
from include.skufleet.forecasting.panel import PERIOD_DAYS, Floats, Frequency, Panel, zero_unknown
from include.skufleet.forecasting.selection import (
    ENSEMBLE,
    choose_candidate,
    expect_losses,
    find_handicaps,
    find_worse,
    measure_losses,
    squares_errors,
)
from include.skufleet.forecasting.stockouts import mask_stockouts

Settle = Callable[[Backtest, str, Mapping[str, float], Collection[str]], str]

SIDES = ("lower", "upper")
YEARS_TO_SEE_A_SEASON = 2
JUDGED_LEVELS = (0.8, 0.95)  # whose coverage is always recorded, so that catalogues can be compared


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What the backtest of one SKU found.

    Attributes:
        chosen: the candidate to refit; ``None`` when no window fits or every candidate failed (``reason`` says which).
        pair: the members of the ensemble, were it chosen.
        reason: a sentence.
        demand_class: kind of demand over the whole panel.
        backtest: windows, forecasts and scores, the candidate in production included.
        baseline: the seasonal naive's scores, ``None`` if it has none.
        champion: scores of the candidate in production on the same windows, ``None`` if not asked for or failed.
        not_tried: candidate -> why it was not tried, or not on every window.
        seconds_saved: nominal CPU seconds of the fits that were not made.
        bounds: ``lower_80, upper_80, ...`` -> (W, S, h) around the chosen one's forecasts, each window's fitted to the
            other windows; NaN with a single window.
        coverage: level -> share of the known actuals within those bounds, NaN with a single window.
    """

    chosen: str | None
    pair: tuple[str, ...]
    reason: str
    demand_class: DemandClass
    backtest: Backtest
    baseline: Scores | None
    champion: Scores | None
    not_tried: Mapping[str, str]
    seconds_saved: float
    bounds: Mapping[str, Floats]
    coverage: Mapping[float, float]

    @property
    def members(self) -> tuple[str, ...]:
        """What the chosen one is made of: itself, or the pair of the ensemble."""
        return self.pair if self.chosen == ENSEMBLE else (self.chosen,) if self.chosen else ()

    @property
    def scores(self) -> Scores | None:
        """The chosen candidate's accuracy."""
        return None if self.chosen is None else self.backtest.scores[self.chosen]

    @property
    def errors(self) -> Mapping[str, str]:
        """Candidate -> why it was excluded."""
        return self.backtest.errors


def evaluate(
    panel: Panel,
    catalogue: Catalogue,
    *,
    names: Sequence[str] | None = None,
    also: Sequence[str] = (),
    settle: Settle | None = None,
) -> Evaluation:
    """Backtest the catalogue's candidates on the same windows and choose one.

    Args:
        panel: the SKU's data.
        catalogue: candidates and their settings, windows, metric, budget, levels of the intervals.
        names: candidates to choose from, instead of the catalogue's.
        also: candidates that are backtested too where they are known, whatever they cost, and chosen only if named:
            the recipe in production first.
        settle: has the last word: gets the backtest, the choice, what each candidate is expected to lose to the best
            before any window is seen, and those that are worse than the baseline; returns a candidate that served
            every window.

    Raises:
        ConfigError: a name is not a candidate.
        ValueError: the horizon is longer than the panel's.
    """
    named = list(catalogue.candidates if names is None else names)
    asked = list(dict.fromkeys([*named, *(name for name in also if name in CANDIDATES or name == ENSEMBLE)]))
    demand_class, settings = classify_demand(panel.units), catalogue.backtest
    informed = is_informed(panel)
    handicaps = find_handicaps([name for name in asked if name != ENSEMBLE], demand_class, informed=informed)
    agenda = _plan(panel, catalogue, handicaps, also, demand_class)
    squared = squares_errors(settings.metric)
    backtest = run_backtest(
        panel,
        agenda.tried,
        windows=settings.windows,
        step=catalogue.step,
        horizon=catalogue.horizon,
        halving=Halving(agenda.costly, squared, catalogue.budget.within, catalogue.budget.keep),
    )
    losses = measure_losses(backtest, settings.metric)
    expected = expect_losses(
        {name: values for name, values in losses.items() if name in named}, handicaps, squared=squared
    )
    members = _pair(expected)
    if ENSEMBLE in asked and len(members) > 1:
        backtest = backtest.mix(ENSEMBLE, members)
        losses |= measure_losses(backtest, settings.metric, (ENSEMBLE,))
    refused = find_worse(
        backtest.scores,
        losses,
        metric=settings.metric,
        baseline=BASELINE,
        tolerance=catalogue.gate.max_loss_to_baseline,
    )
    own = {name: scores for name, scores in backtest.scores.items() if name in named}
    chosen = choose_candidate(own, expected, margin=settings.simpler_within, refused=refused, baseline=BASELINE)
    if settle is not None and chosen is not None:
        known = {**handicaps, **({ENSEMBLE: fmean(handicaps[name] for name in members)} if members else {})}
        chosen = settle(backtest, chosen, known, refused)
    evaluation = Evaluation(
        chosen=chosen,
        pair=members,
        reason="",
        demand_class=demand_class,
        backtest=backtest,
        baseline=backtest.scores.get(BASELINE),
        champion=backtest.scores.get(also[0]) if also else None,
        not_tried=_describe_left_out(agenda, backtest),
        seconds_saved=_count_seconds_saved(agenda, backtest),
        bounds={},
        coverage=dict.fromkeys(JUDGED_LEVELS, float("nan")),
    )
    reason = _explain(panel, evaluation, own, catalogue)
    return replace(
        evaluation, reason=reason, **_judge_intervals(evaluation, catalogue.intervals.levels, panel.frequency)
    )


def is_informed(panel: Panel) -> bool:
    """Whether prices, events or flags are known of the panel's days, or two years, which show the year's course."""
    years = panel.dates.size * PERIOD_DAYS[panel.frequency] / 364
    return bool(panel.events or panel.flags) or panel.price is not None or years >= YEARS_TO_SEE_A_SEASON


def _plan(
    panel: Panel, catalogue: Catalogue, handicaps: Mapping[str, float], also: Sequence[str], demand_class: DemandClass
) -> Agenda:
    """What to try; the baseline, the preferred candidate and what is asked for besides whatever they cost."""
    candidates = [find_candidate(name, catalogue.settings) for name in handicaps]
    preferred = next((item.name for item in candidates if demand_class in item.classes), BASELINE)
    return plan_trials(
        candidates,
        always={BASELINE, preferred, *also},
        demand_class=demand_class,
        rows=int((~np.isnan(panel.units)).sum()),
        windows=catalogue.backtest.windows,
        budget=catalogue.budget,
    )


def _pair(expected: Mapping[str, float]) -> tuple[str, ...]:
    """The preferred candidate and the one that is expected to come next to it, or before it."""
    preferred = next(iter(expected), None)
    others = sorted((value, name) for name, value in expected.items() if name != preferred)
    return () if preferred is None else (preferred, *(name for _, name in others[:1]))


def _describe_left_out(agenda: Agenda, backtest: Backtest) -> dict[str, str]:
    windows = len(backtest.cutoffs)
    raced = {
        name: f"given up after {seen} of {windows} windows, for it could no longer win"
        for name, seen in backtest.given_up.items()
    }
    return {**agenda.left_out, **raced}


def _count_seconds_saved(agenda: Agenda, backtest: Backtest) -> float:
    windows = len(backtest.cutoffs)
    fits = dict.fromkeys(agenda.left_out, windows)
    fits |= {name: windows - seen for name, seen in backtest.given_up.items()}
    return sum(agenda.seconds[name] * count for name, count in fits.items())


def _judge_intervals(evaluation: Evaluation, levels: Sequence[float], frequency: Frequency) -> dict[str, Any]:
    """Fields ``bounds`` and ``coverage`` of the evaluation."""
    backtest, chosen = evaluation.backtest, evaluation.chosen
    if chosen is None or not levels:
        return {}
    wanted = sorted({*levels, *JUDGED_LEVELS})
    bounds = bound_windows(backtest.y, backtest.forecasts[chosen], wanted, evaluation.demand_class, frequency)
    percents = {level: round(100 * level) for level in wanted}
    judged = len(backtest.cutoffs) > 1
    return {
        "bounds": {
            f"{side}_{percents[level]}": bounds[f"{side}_{percents[level]}"] for level in levels for side in SIDES
        },
        "coverage": {
            level: metrics.coverage(backtest.y, *(bounds[f"{side}_{percents[level]}"] for side in SIDES))
            if judged
            else float("nan")
            for level in JUDGED_LEVELS
        },
    }


def _explain(panel: Panel, evaluation: Evaluation, own: Mapping[str, Scores], catalogue: Catalogue) -> str:
    """Why this candidate, or why none."""
    backtest, metric, chosen = evaluation.backtest, catalogue.backtest.metric, evaluation.chosen
    if chosen is not None:
        values = ", ".join(f"{name} {getattr(scores, metric):.4g}" for name, scores in own.items())
        made_of = f" of {' and '.join(evaluation.pair)}" if chosen == ENSEMBLE else ""
        return f"{chosen}{made_of} by {metric} over {len(backtest.cutoffs)} window(s): {values}"
    if len(backtest.cutoffs) == 0:
        before = min(panel.season_length, 2 * catalogue.horizon)
        return (
            f"no backtest window fits: {panel.dates.size} periods of history; "
            f"a window needs {before} known ahead of it and {catalogue.horizon} in it"
        )
    return "every candidate failed: " + "; ".join(f"{name}: {error}" for name, error in backtest.errors.items())


def refit(panel: Panel, evaluation: Evaluation, catalogue: Catalogue, recipe: str | None = None) -> Fitted:
    """Fit the chosen candidate, or each member of the ensemble, on all data; with its intervals.

    Args:
        panel: the SKU's data.
        evaluation: of the same panel.
        catalogue: settings of the candidates, levels of the intervals.
        recipe: another one of those that served every window, in place of the chosen one.

    Raises:
        ValueError: nothing was chosen.
    """
    chosen = recipe or evaluation.chosen
    if chosen is None:
        raise ValueError(f"SKU {panel.sku!r}: nothing was chosen: {evaluation.reason}")
    seen = panel if chosen == BASELINE else mask_stockouts(panel)
    members = evaluation.pair if chosen == ENSEMBLE else (chosen,)
    fitted = [find_candidate(name, catalogue.settings).fit(panel if name == BASELINE else seen) for name in members]
    model = combine(panel, fitted) if chosen == ENSEMBLE else fitted[0]
    backtest = evaluation.backtest
    y_hat = backtest.forecasts[chosen]
    return _with_intervals(model, backtest.y, y_hat, catalogue, evaluation.demand_class)


def fall_back(panel: Panel, catalogue: Catalogue) -> Fitted:
    """What serves a SKU that cannot be trained, with intervals from how far apart its own seasons are.

    A young SKU with a department to borrow from gets the department's profile at its own level; else its last season is
    repeated, and one that never sold gets zero. The errors are those of repeating the season one horizon (or, where the
    history is shorter, one season) ago: not a backtest, so no coverage is known of them. With less history the demand
    class alone decides.
    """
    season, periods = panel.season_length, panel.units.shape[1]
    apart = season * max(1, -(-catalogue.horizon // season))
    lag = next((lag for lag in (apart, season) if lag < periods), periods)
    y, y_hat = panel.units[:, lag:], panel.units[:, :-lag]
    y = np.where(np.isnan(y_hat), np.nan, y)
    model = fit_newcomer(panel, catalogue.settings) if _borrows(panel, catalogue) else fallback(panel)
    return _with_intervals(model, y, y_hat, catalogue, classify_demand(panel.units))


def _borrows(panel: Panel, catalogue: Catalogue) -> bool:
    """Whether a SKU has sold, is too young to be trained, and has a department's profile."""
    if not catalogue.pools_departments or not panel.priors or not zero_unknown(panel.units).any():
        return False
    known = int((~np.isnan(panel.units)).any(axis=0).sum())
    windows = choose_cutoffs(panel, windows=1, step=catalogue.step, horizon=catalogue.horizon)
    return known < catalogue.validation.min_history or not windows


def _with_intervals(model: Fitted, y: Floats, y_hat: Floats, catalogue: Catalogue, demand_class: DemandClass) -> Fitted:
    levels = catalogue.intervals.levels
    given = fit_intervals(y, y_hat, levels, demand_class, model.artifact["frequency"]) if levels else None
    return Fitted({**model.artifact, "intervals": given})
