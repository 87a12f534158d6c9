"""Is a challenger's gain over the champion more than luck? What to expect of both on windows to come. Pure.

A recipe's backtest says little by itself: three windows of one SKU, whose days resemble each other. What it says is
therefore weighed against what is known of the recipes from other SKUs (empirical Bayes: Efron and Morris 1975, "Data
analysis using Stein's estimator and its generalizations", JASA 70). The log ratio of their summed losses counts by its
jackknife variance over stretches of days (Efron and Stein 1981, Annals of Statistics 9); what remains is an expected
gain and the probability that there is one. A test that asks whether the windows alone could be luck would hold back
a return from a recipe that had come by luck as stubbornly as it holds back luck (ADR 26).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.skufleet.forecasting.selection import expect_ratio

Floats = NDArray[np.float64]

MAX_BLOCKS = 12


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is to be expected of a challenger beside the champion.

    Attributes:
        seen: 1 - challenger's metric / champion's on the windows; NaN where the champion made no error at all.
        gain: the same, as it is to be expected on windows to come.
        probability: that there is a gain at all.
        blocks: stretches of days that were compared.
    """

    seen: float
    gain: float
    probability: float
    blocks: int


def weigh(challenger: Floats, champion: Floats, prior: float = 0.0, *, squared: bool = False) -> Evidence:
    """Hold two recipes' losses on the same blocks against each other.

    Args:
        challenger: (B,) sums of losses by block; finite.
        champion: the same of the champion.
        prior: the log ratio of their metrics that is expected before any loss is known; below 0 speaks for the
            challenger.
        squared: the losses are squared errors: the gain is that of their root.

    Raises:
        ValueError: they do not pair.

    >>> found = weigh(np.array([8.0, 9.0, 8.5]), np.array([10.0, 10.0, 10.0]))
    >>> f"{found.seen:.3f} {found.gain:.3f} {found.probability:.3f}"
    '0.150 0.033 0.895'
    """
    if challenger.shape != champion.shape or challenger.ndim != 1:
        raise ValueError(f"losses of {challenger.shape} and {champion.shape} blocks, expected as many of both")
    before, after = float(champion.sum()), float(challenger.sum())
    ratio = after / before if before > 0 else math.nan
    seen = 1.0 - (math.sqrt(ratio) if squared else ratio)
    means, spreads = expect_ratio(challenger[None, :], champion, np.array([prior]), squared=squared)
    mean, spread = float(means[0]), float(spreads[0])
    sure = 1.0 if mean < 0 else 0.0
    probability = 0.5 * (1.0 + math.erf(-mean / spread / math.sqrt(2))) if spread > 0 else sure
    return Evidence(seen, 1.0 - math.exp(mean), probability, challenger.size)


def sum_blocks(losses: Floats) -> Floats:
    """Sums by block of the losses of windows: whole windows where there are many, else parts of each.

    Args:
        losses: (W, h) losses by window and period, summed over stores; 0 where nothing is known.

    Returns:
        (B,), B at most ``MAX_BLOCKS``: every period is in one block, no block reaches over two windows unless the
        windows are more than the blocks may be.
    """
    windows, horizon = losses.shape
    if windows == 0 or horizon == 0:
        return np.zeros(0)
    if windows > MAX_BLOCKS:
        return np.array([part.sum() for part in np.array_split(losses, MAX_BLOCKS, axis=0)])
    parts = np.array_split(losses, min(horizon, MAX_BLOCKS // windows), axis=1)
    return np.stack([part.sum(axis=1) for part in parts], axis=1).reshape(-1)
