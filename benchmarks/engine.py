"""The engine as the benchmarks call it: one candidate, or the full backtest and choice, from a panel to a fitted model.

What does not belong here: data, timing, scoring.
"""

from __future__ import annotations

from collections.abc import Sequence

from include.skufleet.config import Catalogue
from include.skufleet.forecasting.candidates import Fitted, fallback, fit_candidate
from include.skufleet.forecasting.evaluation import evaluate, refit
from include.skufleet.forecasting.panel import Panel


def fit_single(panel: Panel, name: str, catalogue: Catalogue) -> Fitted:  # noqa: ARG001
    """One candidate on all data, no backtest.

    Raises:
        ConfigError: there is no such candidate.
        DataError: the candidate cannot fit this panel.
    """
    return fit_candidate(name, panel)


def fit_chosen(panel: Panel, names: Sequence[str], catalogue: Catalogue) -> Fitted:
    """Backtest the named candidates, choose one, and refit it on all data; the fallback where no window fits.

    Raises:
        ConfigError: a name is not a candidate.
        ValueError: every candidate failed, with the reasons.
    """
    evaluation = evaluate(
        panel,
        names,
        windows=catalogue.backtest.windows,
        step=catalogue.step,
        horizon=catalogue.horizon,
        metric=catalogue.backtest.metric,
        simpler_within=catalogue.backtest.simpler_within,
    )
    if evaluation.chosen is not None:
        return refit(panel, evaluation.chosen)
    if evaluation.errors:
        raise ValueError(evaluation.reason)
    return fallback(panel)


def serve_fallback(panel: Panel) -> Fitted:
    """What serves a SKU whose candidates failed."""
    return fallback(panel)
