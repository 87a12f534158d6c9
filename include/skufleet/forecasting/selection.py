"""Which candidate to take: the preferred one, unless the backtest says more than noise for another.

What does not belong here: running backtests, promotion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from include.skufleet.config import Metric
from include.skufleet.forecasting.backtest import Backtest, Scores, sum_losses
from include.skufleet.forecasting.demand import ADI_LIMIT, CV2_LIMIT, DemandClass, classify_demand
from include.skufleet.forecasting.panel import Floats

__all__ = [
    "ADI_LIMIT",
    "CV2_LIMIT",
    "ENSEMBLE",
    "DemandClass",
    "choose_candidate",
    "classify_demand",
    "expect_losses",
    "expect_ratio",
    "find_handicaps",
    "find_worse",
    "measure_losses",
    "squares_errors",
]

FALLBACK_METRIC: Metric = "mae"
ENSEMBLE = "ensemble"

# Expected log ratios of a candidate's rmsse to the best one's, measured with rolling origins on three catalogues (a
# grocer with ten stores, a simulated one, a web shop), as they are, without what is known ahead, cut to a year, a store
# at a time and added up over stores and weeks. The profile has most to gain from prices, events and flags; without any
# of them an average of smoothed levels is hard to beat, unless two years are known: the year's course, which only the
# profile follows, may be all the difference (on simulated seasonal demand two thirds of the error of a quarter's
# forecasts) and costs next to nothing where there is none. What sells rarely tells candidates apart the least.
INFORMED_OFTEN: Mapping[str, float] = {
    "profile": 0.0,
    "poisson_regression": 0.015,
    "hist_gradient_boosting": 0.02,
    "random_forest": 0.03,
    "exponential_smoothing": 0.03,
    "theta": 0.035,
    "tsb": 0.045,
    "weekday_mean": 0.08,
    "seasonal_naive": 0.3,
}
INFORMED_RARELY: Mapping[str, float] = {
    "profile": 0.0,
    "poisson_regression": 0.003,
    "exponential_smoothing": 0.005,
    "hist_gradient_boosting": 0.006,
    "theta": 0.006,
    "tsb": 0.006,
    "random_forest": 0.008,
    "weekday_mean": 0.05,
    "seasonal_naive": 0.3,
}
ALONE_OFTEN: Mapping[str, float] = {
    "exponential_smoothing": 0.0,
    "theta": 0.002,
    "tsb": 0.005,
    "poisson_regression": 0.006,
    "hist_gradient_boosting": 0.006,
    "random_forest": 0.008,
    "profile": 0.012,
    "weekday_mean": 0.04,
    "seasonal_naive": 0.3,
}
ALONE_RARELY: Mapping[str, float] = {**ALONE_OFTEN, "tsb": -0.003}
UNKNOWN = 0.05
DECISIVE = 0.05
SPREAD = 0.03  # standard deviation of SKUs' true log ratios around these
INFLATION = 3.0  # of the variance between store windows: stores share their days


def find_handicaps(names: Iterable[str], demand_class: DemandClass, *, informed: bool) -> dict[str, float]:
    """By how much (log ratio of the metric) each candidate is expected to lose to the best, the preferred one first.

    Args:
        names: candidates.
        demand_class: the SKU's.
        informed: there is something to learn a profile from; see ``evaluation.is_informed``.
    """
    often = demand_class in {"smooth", "erratic"}
    known, alone = (INFORMED_OFTEN, ALONE_OFTEN) if often else (INFORMED_RARELY, ALONE_RARELY)
    table = known if informed else alone
    return dict(sorted(((name, table.get(name, UNKNOWN)) for name in names), key=lambda item: (item[1], item[0])))


def squares_errors(metric: Metric) -> bool:
    """Whether the metric is a root of squared errors rather than a sum of absolute ones."""
    return metric in {"rmsse", "rmse"}


def measure_losses(backtest: Backtest, metric: Metric, names: Iterable[str] | None = None) -> dict[str, Floats]:
    """Candidate -> (W x S,) sums of squared or absolute errors, of the store windows with a known actual.

    Args:
        backtest: the forecasts.
        metric: says whether errors are squared.
        names: these candidates only; else all.
    """
    known = (~np.isnan(backtest.y)).any(axis=2)
    squared = squares_errors(metric)
    wanted = backtest.forecasts if names is None else names
    return {name: sum_losses(backtest.y, backtest.forecasts[name], squared=squared)[known] for name in wanted}


def expect_losses(losses: Mapping[str, Floats], handicaps: Mapping[str, float], *, squared: bool) -> dict[str, float]:
    """Expected log ratio of each candidate's metric to the preferred one's on windows to come.

    Empirical Bayes (Efron and Morris 1975, JASA 70): true log ratios are taken to lie around the handicaps with
    standard deviation ``SPREAD``; the backtest's ratio of summed losses, whose error is measured by leaving out one
    store window at a time (jackknife: Efron and Stein 1981, Annals of Statistics 9), moves the expectation by as much
    as it can be trusted.

    Args:
        losses: candidate -> (B,) loss by store window, the same for all.
        handicaps: candidate -> expected log ratio to the best, the preferred one first.
        squared: the losses are squares: half of their log ratio is that of the metric.
    """
    names = [name for name in handicaps if name in losses]
    if not names:
        return {}
    table = np.stack([losses[name] for name in names])
    start = np.array([handicaps[name] - handicaps[names[0]] for name in names])
    expected, _ = expect_ratio(table, table[0], start, squared=squared)
    return dict(zip(names, expected.tolist(), strict=True))


def expect_ratio(own: Floats, rival: Floats, prior: Floats, *, squared: bool) -> tuple[Floats, Floats]:
    """What to expect of the log ratio of metrics on windows to come, and how sure that is.

    Args:
        own: (N, B) losses of N candidates by block.
        rival: (B,) losses of the one that they are held against.
        prior: (N,) expected log ratios before any loss is known.
        squared: the losses are squares: half of their log ratio is that of the metric.

    Returns:
        Mean and standard deviation of the posterior, (N,) each; with fewer than two blocks the prior's.
    """
    if rival.size < 2:
        return prior, np.full(prior.shape, SPREAD)
    ratio, variance = _measure_ratio(own, rival, squared=squared)
    trust = SPREAD**2 / (SPREAD**2 + variance)
    return prior + trust * (ratio - prior), np.sqrt(trust * variance)


def _measure_ratio(own: Floats, rival: Floats, *, squared: bool) -> tuple[Floats, Floats]:
    """The log ratio of the metrics that (N, B) and (B,) losses by block show, and its variance by the jackknife."""
    half, blocks = (0.5 if squared else 1.0), rival.size
    total, whole = own.sum(axis=1), float(rival.sum())
    tiny = 1e-12 * max(float(total.max(initial=whole)), 1e-300)
    ratio = half * np.log((total + tiny) / (whole + tiny))
    without = np.maximum(total[:, None] - own, 0.0) + tiny
    left = np.maximum(whole - rival, 0.0) + tiny
    spread = half * np.log(without / left)
    jackknife = np.square(spread - spread.mean(axis=1, keepdims=True)).sum(axis=1) * (blocks - 1) / blocks
    return ratio, INFLATION * jackknife


def find_worse(
    scores: Mapping[str, Scores],
    losses: Mapping[str, Floats],
    *,
    metric: Metric,
    baseline: str,
    tolerance: float,
) -> frozenset[str]:
    """The candidates that were worse than the baseline by more than the tolerance, and by more than noise.

    Noise is one standard error (Breiman et al. 1984, "Classification and regression trees") of the log ratio of both
    metrics, by the jackknife over store windows; with a single one there is no telling, and the tolerance alone counts.
    Where the metric has no scale (NaN for any candidate) ``mae`` is compared.

    Args:
        scores: candidate -> accuracy on the same windows.
        losses: candidate -> what ``measure_losses`` says of it.
        metric: what to compare, lower is better.
        baseline: the candidate that the others are held against; without its scores none is worse.
        tolerance: 0.02 lets a candidate be worse by 2 %.
    """
    values = _list_values(scores, metric)
    if baseline not in values:
        return frozenset()
    limit, squared = values[baseline] * (1.0 + tolerance), squares_errors(metric)

    def is_worse(name: str) -> bool:
        if not values[name] > limit:
            return False
        if losses[baseline].size < 2:
            return True
        _, variance = _measure_ratio(losses[name][None, :], losses[baseline], squared=squared)
        return bool(values[name] > limit * np.exp(np.sqrt(variance[0])))

    return frozenset(name for name in values if name != baseline and is_worse(name))


def _list_values(scores: Mapping[str, Scores], metric: Metric) -> dict[str, float]:
    values = {name: float(getattr(score, metric)) for name, score in scores.items()}
    if all(np.isfinite(value) for value in values.values()):
        return values
    return {name: float(getattr(score, FALLBACK_METRIC)) for name, score in scores.items()}


def choose_candidate(
    names: Collection[str],
    expected: Mapping[str, float],
    *,
    margin: float,
    refused: Collection[str] = (),
    baseline: str | None = None,
) -> str | None:
    """The preferred candidate, or what is expected to be better by more than the margin; ``None`` without names.

    Where another is expected to be better, the ensemble (the mean of both) is taken if there is one: it keeps most of
    the gain and halves the regret; unless so much better, by 5 %, that the preferred one would only spoil it.

    Args:
        names: candidates that served every window.
        expected: candidate -> what ``expect_losses`` says, the preferred one first; the ensemble is not in it.
        margin: 0.01 means that an expected gain of 1 % does not replace the preferred candidate.
        refused: those that are not to be chosen, being worse than the baseline.
        baseline: what is left where all are refused.
    """
    if not names:
        return None
    ranks = {name: rank for rank, name in enumerate(expected)}
    preferred = next(iter(expected))
    others = sorted((name for name in expected if name != preferred), key=lambda name: (expected[name], ranks[name]))
    wishes = [preferred, ENSEMBLE, *others]
    if others and expected[others[0]] < -margin:
        decided = expected[others[0]] < -DECISIVE
        wishes = [*others[:1], ENSEMBLE] if decided else [ENSEMBLE, *others[:1]]
        wishes += [preferred, *others[1:]]
    return next(name for name in [*wishes, baseline] if name in names and name not in refused)
