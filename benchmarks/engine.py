"""The engine as the benchmarks call it: one candidate, or the full backtest and choice, from a panel to a fitted model.

What does not belong here: data, timing, scoring.
"""

from __future__ import annotations

from collections.abc import Sequence

from include.skufleet.config import BASELINE, Catalogue
from include.skufleet.forecasting.candidates import Fitted, find_candidate
from include.skufleet.forecasting.evaluation import evaluate, fall_back, refit
from include.skufleet.forecasting.panel import Panel
from include.skufleet.forecasting.stockouts import mask_stockouts


def fit_single(panel: Panel, name: str, catalogue: Catalogue) -> Fitted:
    """One candidate on all data, no backtest, so without intervals; stock-outs masked as a refit does.

    Raises:
        ConfigError: there is no such candidate.
        DataError: the candidate cannot fit this panel.
    """
    return find_candidate(name, catalogue.settings).fit(panel if name == BASELINE else mask_stockouts(panel))


def fit_chosen(panel: Panel, names: Sequence[str], catalogue: Catalogue) -> Fitted:
    """Backtest the named candidates, choose one, and refit it on all data; the fallback where no window fits.

    Raises:
        ConfigError: a name is not a candidate.
        ValueError: every candidate failed, with the reasons.
    """
    evaluation = evaluate(panel, catalogue, names=names)
    if evaluation.chosen is not None:
        return refit(panel, evaluation, catalogue)
    if evaluation.errors:
        raise ValueError(evaluation.reason)
    return fall_back(panel, catalogue)


def serve_fallback(panel: Panel, catalogue: Catalogue) -> Fitted:
    """What serves a SKU whose candidates failed."""
    return fall_back(panel, catalogue)
