"""Stock-outs: stretches without a sale that no demand explains, told from what the panel itself knows.

What does not belong here: listing them for people, stock-outs that still go on (the profile model weighs those).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.levels import around, find_season
from include.skufleet.forecasting.panel import Bools, Floats, Panel

HALF_LIFE = {"D": 35.0, "W": 8.0}
UNITS_MISSED = 20.0  # times the dispersion: with Poisson demand a silence of so many units has a chance of e^-20


@dataclass(frozen=True, slots=True, eq=False)
class Stockouts:
    """Which periods (S, T) are taken for stock-outs, and the units (S, T) that would have been sold."""

    masked: Bools
    expected: Floats


def find_stockouts(panel: Panel) -> Stockouts:
    """Silences in which more than 20 units, times the demand's dispersion, would have been sold, and that have ended.

    Expected is a two-sided smoothed level times the season's factors, silences included. One that goes on when the
    data end is left alone: it may be the end of the product. Unknown periods (closed days) neither begin nor end a
    silence.
    """
    units = panel.units
    known = ~np.isnan(units)
    nothing = Stockouts(np.zeros(units.shape, dtype=bool), np.zeros(units.shape))
    if units.shape[1] < 2 or not (units == 0).any():
        return nothing
    factor = np.broadcast_to(find_season(panel).factors_at(slice(None)), units.shape)
    sold, half_life = np.where(known, units, 0.0), HALF_LIFE[panel.frequency]
    below = around(np.where(known, factor, 0.0), half_life)
    expected = np.where(known, around(sold, half_life) / np.where(below > 1e-9, below, np.inf) * factor, 0.0)
    total = expected.sum()
    if total <= 0:
        return nothing
    spread = float(np.square(sold - expected).sum() / total)
    silent = ~known | (units == 0)
    stores, starts, ends = _find_stretches(silent)
    sums = np.concatenate([np.zeros((units.shape[0], 1)), np.cumsum(expected, axis=1)], axis=1)
    missed = sums[stores, ends] - sums[stores, starts]
    over = (missed > UNITS_MISSED * spread) & (ends < units.shape[1])
    masked = np.zeros(units.shape, dtype=bool)
    for store, start, end in zip(stores[over], starts[over], ends[over], strict=True):
        masked[store, start:end] = known[store, start:end]
    return Stockouts(masked, expected)


def _find_stretches(marked: Bools) -> tuple[Ints, Ints, Ints]:
    """Row, first column and the column after the last of each stretch of marked cells (S, T), row by row."""
    width = marked.shape[1] + 1
    flat = np.zeros(1 + marked.shape[0] * width, dtype=bool)  # with an unmarked cell before, between and after the rows
    flat[1:].reshape(-1, width)[:, :-1] = marked
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    rows, starts = np.divmod(edges[::2], width)
    return rows, starts, edges[1::2] % width


def mask_stockouts(panel: Panel) -> Panel:
    """The panel with NaN for units in stock-outs; the same object where there is none."""
    masked = find_stockouts(panel).masked
    return replace(panel, units=np.where(masked, np.nan, panel.units)) if masked.any() else panel
