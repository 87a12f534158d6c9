"""Which candidate to take, and what kind of demand a SKU has.

What does not belong here: running backtests, promotion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from include.skufleet.config import Metric
from include.skufleet.forecasting.backtest import Scores
from include.skufleet.forecasting.panel import Floats

DemandClass = Literal["smooth", "erratic", "intermittent", "lumpy", "no_demand"]

ADI_LIMIT = 1.32
CV2_LIMIT = 0.49
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


def classify_demand(units: Floats) -> DemandClass:
    """Smooth, erratic, intermittent or lumpy (Syntetos, Boylan, Croston 2005, JORS 56).

    ADI is the average interval between periods with sales, limit 1.32; CV2 the squared coefficient of variation of the
    sales sizes, limit 0.49. Both are pooled over the stores: known periods over periods with sales, and the stores'
    CV2 weighted by their sales periods. Periods before a store's first sale do not count.

    Args:
        units: (S, T), NaN where not known.

    >>> classify_demand(np.array([[5.0, 4.0, 6.0, 5.0]]))
    'smooth'
    >>> classify_demand(np.array([[3.0, 0.0, 0.0, 3.0, 0.0, 0.0]]))
    'intermittent'
    """
    sold = np.nan_to_num(units) > 0
    counts = sold.sum(axis=1)
    if not counts.any():
        return "no_demand"
    known = (~np.isnan(units) & np.maximum.accumulate(sold, axis=1)).sum()
    sizes = np.where(sold, units, 0.0)
    mean = sizes.sum(axis=1) / np.maximum(counts, 1)
    # Relative to the store's mean, so that huge units do not overflow when squared.
    deviation = np.where(sold, sizes / np.where(mean > 0, mean, 1.0)[:, None] - 1.0, 0.0)
    cv2 = np.square(deviation).sum() / counts.sum()
    often, steady = known / counts.sum() < ADI_LIMIT, cv2 < CV2_LIMIT
    if often:
        return "smooth" if steady else "erratic"
    return "intermittent" if steady else "lumpy"
