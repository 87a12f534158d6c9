"""Which candidate to take.

What does not belong here: running backtests, promotion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from include.skufleet.config import Metric
from include.skufleet.forecasting.backtest import Scores
from include.skufleet.forecasting.demand import ADI_LIMIT, CV2_LIMIT, DemandClass, classify_demand

__all__ = ["ADI_LIMIT", "CV2_LIMIT", "DemandClass", "choose_candidate", "classify_demand"]

FALLBACK_METRIC: Metric = "mae"


def choose_candidate(
    scores: Mapping[str, Scores],
    complexity: Mapping[str, int],
    *,
    metric: Metric,
    simpler_within: float,
    baseline: str | None = None,
) -> str | None:
    """The simplest candidate whose metric is within ``simpler_within`` (relative) of the best one's.

    None is chosen that is worse than the baseline: no gate would let it serve. Where the metric has no scale (NaN for
    any candidate) all are compared by ``mae``. ``None`` without scores.

    Args:
        scores: candidate -> accuracy on the same windows.
        complexity: candidate -> rank; lower is simpler.
        metric: what to compare, lower is better.
        simpler_within: 0.01 means that 1 % is not worth a more complex model.
        baseline: the candidate that the chosen one must not be worse than, where it has scores.
    """
    if not scores:
        return None
    values = {name: float(getattr(score, metric)) for name, score in scores.items()}
    if not all(np.isfinite(value) for value in values.values()):
        values = {name: float(getattr(score, FALLBACK_METRIC)) for name, score in scores.items()}
    best = min(values.values())
    limit = min(best * (1.0 + simpler_within), values.get(baseline or "", float("inf")))
    near = [name for name, value in values.items() if value <= limit]
    return min(near, key=lambda name: (complexity[name], values[name], name))
