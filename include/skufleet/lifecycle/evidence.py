"""Is a challenger's gain over the champion more than luck? A paired test on the same windows. Pure.

The test is Fisher's randomisation test for paired differences (R. A. Fisher 1935, "The Design of Experiments", ch. 21;
E. J. G. Pitman 1937, "Significance tests which may be applied to samples from any populations", JRSS Suppl. 4). If both
are equally good, each block's difference of losses might as well have the other sign. The share of all ways to choose
the signs whose sum is no smaller than the one observed is the p-value, exact for any distribution that is symmetric.
Days next to each other resemble each other, and stores share their days: a block is a stretch of days over all stores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_BLOCKS = 12
"""4,096 ways to choose the signs: a p-value of 0.0002 at the least, in some microseconds."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the same windows say of two recipes.

    Attributes:
        gain: 1 - challenger's metric / champion's; NaN where the champion made no error at all.
        p_value: how often luck alone would show such a gain or a larger one; 1 without a block.
        blocks: stretches of days that were compared.
    """

    gain: float
    p_value: float
    blocks: int


def weigh(challenger: Floats, champion: Floats, *, squared: bool = False) -> Evidence:
    """Hold two recipes' losses on the same blocks against each other.

    Args:
        challenger: (B,) sums of losses by block, B at most ``MAX_BLOCKS``; finite.
        champion: the same of the champion.
        squared: the losses are squared errors: the gain is that of their root.

    Raises:
        ValueError: they do not pair, or are too many.

    >>> weigh(np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0]))
    Evidence(gain=0.5, p_value=0.125, blocks=3)
    """
    if challenger.shape != champion.shape or challenger.ndim != 1 or challenger.size > MAX_BLOCKS:
        raise ValueError(
            f"losses of {challenger.shape} and {champion.shape} blocks, expected as many of both, {MAX_BLOCKS} at most"
        )
    before, after = float(champion.sum()), float(challenger.sum())
    ratio = after / before if before > 0 else math.nan
    gain = 1.0 - (math.sqrt(ratio) if squared else ratio)
    difference = champion - challenger
    if difference.size == 0:
        return Evidence(gain, 1.0, 0)
    observed = float(difference.sum())
    sums = _signs(difference.size) @ difference
    slack = 1e-9 * float(np.abs(difference).sum())  # sums of the same figures in another order
    return Evidence(gain, float((sums >= observed - slack).mean()), difference.size)


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


@lru_cache(maxsize=MAX_BLOCKS)
def _signs(blocks: int) -> Floats:
    """(2^B, B): every way to choose the signs of so many blocks."""
    ways = np.arange(2**blocks)[:, None] >> np.arange(blocks)[None, :] & 1
    return 1.0 - 2.0 * ways.astype(np.float64)
