"""Levels and season factors of series with missing values: exponentially weighted averages, ratios to a moving average.

What does not belong here: choosing settings, predicting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from include.skufleet.forecasting.calendar import Ints, to_days
from include.skufleet.forecasting.panel import PERIOD_DAYS, Dates, Floats, Frequency, Panel
from include.skufleet.forecasting.scoring import EPOCH
from include.skufleet.forecasting.sharing import once_per_panel

POOLED_PSEUDO_UNITS = 10.0
STORE_PSEUDO_UNITS = 50.0
LEAST_FACTOR = 1e-3
SHARPNESS = 30.0  # of weights by loss
LONGEST_STORE_SEASON = 31  # beyond it a store's own factors would rest on a few values each: pooled ones serve


def season_positions(dates: Dates, frequency: Frequency, season_length: int) -> Ints:
    """Position of each period in its season, 0 for the season that began on Monday 1970-01-05."""
    return (to_days(dates) - int(EPOCH.astype(np.int64))) // PERIOD_DAYS[frequency] % season_length


def decay(values: Floats, half_life: float) -> Floats:
    """Exponentially weighted sums along the last axis, the newest value with weight 1."""
    weight = 0.5 ** (1.0 / half_life)
    summed: Floats = lfilter([1.0], [1.0, -weight], values, axis=-1)
    return summed


def around(values: Floats, half_life: float) -> Floats:
    """Two-sided exponentially weighted sums along the last axis of (S, T), weight 1 at the centre."""
    both = decay(np.concatenate([values, values[:, ::-1]]), half_life)  # one call: on short series calls cost most
    sums: Floats = both[: len(values)] + both[len(values) :, ::-1] - values
    return sums


def smooth_levels(units: Floats, factors: Floats, half_lives: Sequence[float], at: slice | Ints) -> Floats:
    """Deseasonalised levels after some periods: weighted units over weighted season factors of the known periods.

    Args:
        units: (S, T), NaN where not known.
        factors: (S or 1, T) season factors, > 0.
        half_lives: G times the periods after which a value counts half.
        at: n of the periods.

    Returns:
        (G, S, n), NaN before a series' first known value.
    """
    known = ~np.isnan(units)
    both = np.concatenate([np.where(known, units, 0.0), np.where(known, factors, 0.0)])
    sums = np.stack([decay(both, half_life)[:, at] for half_life in half_lives])
    above, below = sums[:, : len(units)], sums[:, len(units) :]
    # After a silence of centuries both sums vanish; below this the ratio would be noise.
    valid = below > 1e-250
    return np.where(valid, above / np.where(valid, below, 1.0), np.nan)


def weigh_by_loss(loss: Floats) -> Floats:
    """Weights that sum to 1, in proportion to loss^-30: 5 % more loss is a quarter of the weight, near ties share.

    >>> weigh_by_loss(np.array([1.0, 1.0, 2.0])).round(3).tolist(), weigh_by_loss(np.zeros(2)).tolist()
    ([0.5, 0.5, 0.0], [0.5, 0.5])
    """
    least = loss.min()
    relative = np.where(loss > 0, least / np.where(loss > 0, loss, 1.0), 1.0)
    weights = relative**SHARPNESS
    shares: Floats = weights / weights.sum()
    return shares


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """The season of one panel.

    Attributes:
        positions: (T,) position of each period in its season.
        factors: (S or 1, m), see ``season_factors``.
    """

    positions: Ints
    factors: Floats

    def factors_at(self, periods: slice) -> Floats:
        """The factor of each of these periods, (S or 1, n)."""
        return self.factors[:, self.positions[periods]]


def find_season(panel: Panel, longest: int | None = None) -> Season:
    """The panel's season factors, from its last ``longest`` periods; most of the candidates ask for them."""
    periods = panel.dates.size if longest is None else min(longest, panel.dates.size)
    return _find_season(panel, count_seasons(periods, panel.season_length) * panel.season_length)


@once_per_panel
def _find_season(panel: Panel, periods: int) -> Season:
    """From the last ``periods`` periods, whole seasons."""
    positions, length = season_positions(panel.dates, panel.frequency, panel.season_length), panel.season_length
    if periods < 2 * length:
        return Season(positions, np.ones((1, length)))
    return Season(positions, season_factors(panel.units[:, -periods:], positions[-periods:], length))


def count_seasons(periods: int, season_length: int) -> int:
    """Whole seasons that ``season_factors`` learns from: of the last two years, or five seasons."""
    return min(periods, max(5 * season_length, 728)) // season_length


def season_factors(units: Floats, positions: Ints, season_length: int) -> Floats:
    """Multiplicative season factors, the stores' own shrunk towards the SKU's.

    Ratio to a centred moving average (classical decomposition), from sums rather than means of ratios, so that days
    without sales count as they should. The pooled factors are shrunk towards 1 and a store's towards the pooled, as
    far as they differ from one season to the next (``credible_ratios``).

    Args:
        units: (S, T), NaN where not known.
        positions: (T,) in 0..m-1, of consecutive periods.
        season_length: m.

    Returns:
        (S, m), or (1, m) for seasons longer than 31 periods; all 1 with less than two seasons of history.
    """
    if season_length == 1 or units.shape[1] < 2 * season_length:
        return np.ones((1, season_length))
    seasons = count_seasons(units.shape[1], season_length)
    kept = seasons * season_length
    units, order = units[:, -kept:], positions[-season_length:]
    known = ~np.isnan(units)
    filled = np.where(known, units, 0.0)
    around = season_length * max(1, 28 // season_length)
    usual = _centred_sum(filled, around) / np.maximum(_centred_sum(known * 1.0, around), 1.0)
    shape = (units.shape[0], seasons, season_length)
    sold, expected = filled.reshape(shape), np.where(known, usual, 0.0).reshape(shape)
    ratios = credible_ratios(expected.sum(axis=0), sold.sum(axis=0), POOLED_PSEUDO_UNITS)[None, :]
    if season_length <= LONGEST_STORE_SEASON:
        ratios = ratios * credible_ratios(expected * ratios[:, None, :], sold, STORE_PSEUDO_UNITS)
    factors: Floats = np.empty_like(ratios)
    factors[:, order] = np.maximum(ratios, LEAST_FACTOR)
    return factors


def credible_ratios(expected: Floats, sold: Floats, pseudo_units: float) -> Floats:
    """Ratios of sold to expected by position, shrunk towards 1 by what the seasons agree on.

    Credibility (Bühlmann and Straub 1970): the ratio of the sums has weight E / (E + k + pseudo-units), E being the
    position's expected units and k the variance within positions over the variance between them, both by moments. With
    no more variance between positions than chance gives, all ratios are 1.

    Args:
        expected: (..., n seasons, m), >= 0.
        sold: like ``expected``.
        pseudo_units: added to k.

    Returns:
        (..., m).

    >>> credible_ratios(np.full((3, 2), 100.0), np.array([[50.0, 150.0]] * 3), 0.0).tolist()
    [0.5, 1.5]
    >>> credible_ratios(np.full((2, 2), 100.0), np.array([[50.0, 150.0], [150.0, 50.0]]), 0.0).tolist()
    [1.0, 1.0]
    """
    some, total = expected > 0, expected.sum(axis=-2)
    any_expected = total > 0
    mean = np.where(any_expected, sold.sum(axis=-2) / np.where(any_expected, total, 1.0), 1.0)
    each = np.where(some, sold / np.where(some, expected, 1.0), mean[..., None, :])
    positions = any_expected.sum(axis=-1, keepdims=True)
    spare = some.sum(axis=(-2, -1))[..., None] - positions
    within = (expected * np.square(each - mean[..., None, :])).sum(axis=(-2, -1))[..., None] / np.maximum(spare, 1)
    between = (total * np.square(mean - 1.0)).sum(axis=-1, keepdims=True) - positions * within
    real = (between > 0) & (spare > 0)
    noise = np.where(real, within * total.sum(axis=-1, keepdims=True) / np.where(real, between, 1.0), 0.0)
    trust = np.where(real & any_expected, total / np.where(any_expected, total + noise + pseudo_units, 1.0), 0.0)
    shrunk: Floats = 1.0 + trust * (mean - 1.0)
    return shrunk


def _centred_sum(values: Floats, width: int) -> Floats:
    """Sum over about ``width`` columns around each; fewer at the ends."""
    sums = np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)
    steps, length = np.arange(values.shape[1]), values.shape[1]
    begin = np.maximum(steps - width // 2, 0)
    end = np.minimum(steps - width // 2 + width, length)
    around: Floats = np.maximum(sums[:, end] - sums[:, begin], 0.0)
    return around
