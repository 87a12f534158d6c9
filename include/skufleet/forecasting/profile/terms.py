"""The profile model's parts beside the regression: levels, store ratios, price effect, movement of the year before.

Each is a shrunk ratio of actual to expected units; all arrays are (S, T), and cells that do not count hold 0 in both.
What does not belong here: the calendar's columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.levels import decay, weigh_by_loss
from include.skufleet.forecasting.panel import Floats, Panel

YEAR = 364
TRUST = 0.5  # in which half-life was best; the rest of the weight is shared alike
SHORT_HISTORY = 28.0  # known periods below which a store's level leans on the other stores'
LEAN_PERIODS = 3.0
ELASTICITY_RANGE = (-6.0, 1.0)
PRICE_RANGE = 2.0  # of the logarithm of the price effect
YEAR_BLOCKS = 13  # a year as blocks of four weeks
YEAR_RANGE = (0.5, 2.5)
PRIOR_POWER = 0.1  # with which a movement repeats where the past says nothing
PRIOR_WEIGHT = 16.0  # the prior's precision: a standard deviation of 1/4
TREND_VARIANCE = 0.03  # of a block's log movement beyond the noise of counting
OUTAGE_PERIODS = {"D": 14, "W": 4}


def divide(above: Floats, below: Floats) -> Floats:
    """Above / below, and 0 where nothing is below."""
    valid = below > 1e-9
    return np.where(valid, above / np.where(valid, below, 1.0), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Exponentially weighted sums after each period, for G half-lives: of units and of expectations, (G, S, T) each."""

    units: Floats
    expected: Floats


def add_up(units: Floats, expected: Floats, half_lives: Sequence[float]) -> Sums:
    """The sums that levels are ratios of."""
    both = np.concatenate([units, expected])
    sums = np.stack([decay(both, value) for value in half_lives])
    return Sums(sums[:, : len(units)], sums[:, len(units) :])


def mix_levels(units: Floats, expected: Floats, sums: Sums, lag: int) -> Floats:
    """Level of each store (S,): a mean over half-lives of weighted units over weighted expectation.

    A half-life weighs by how well its levels, of all stores, forecast ``lag`` periods ahead over the last year
    (``levels.weigh_by_loss``): in near ties, which sparse sales give, all weigh the same. A store with fewer than 28
    known periods leans on the mean of the stores' levels, the more the shorter it is known: a store opened yesterday
    starts with what the others sell.
    """
    periods = expected.shape[1]
    lag = min(lag, periods)  # what is known for less than that cannot be forecast from itself: all weigh the same
    recent = slice(max(lag, periods - YEAR), None)
    later = slice(recent.start - lag, periods - lag)
    levels = divide(sums.units[:, :, later], sums.expected[:, :, later])
    loss = np.square(levels * expected[:, recent] - units[:, recent]).sum(axis=(1, 2))
    weights = TRUST * weigh_by_loss(loss) + (1.0 - TRUST) / loss.size
    above, below = sums.units[:, :, -1], sums.expected[:, :, -1]
    known = np.asarray((expected > 0).sum(axis=1), dtype=float)
    alone: Floats = weights @ divide(above, below)
    lean = LEAN_PERIODS * (1.0 - known / SHORT_HISTORY).clip(0.0, 1.0)
    if not lean.any() or not known.any():
        return alone
    usual = float((alone * known).sum() / known.sum())
    typical = divide(expected.sum(axis=1), known) * lean
    return np.where((lean > 0) & (known > 0), weights @ divide(above + typical * usual, below + typical), alone)


def store_season(units: Floats, expected: Floats, positions: Ints, length: int, pseudo_units: float) -> Floats:
    """Ratio (S, length) of a store's units to what the common profile expects, by position of the season."""
    where = np.zeros((positions.size, length))
    where[np.arange(positions.size), positions] = 1.0
    ratio: Floats = (units @ where + pseudo_units) / (expected @ where + pseudo_units)
    return ratio


def store_flag(units: Floats, expected: Floats, flag: Floats, pseudo_units: float) -> Floats:
    """Ratio (S,) of a store's units to what the common profile expects where the flag (S, T) is set."""
    ratio: Floats = ((units * flag).sum(axis=1) + pseudo_units) / ((expected * flag).sum(axis=1) + pseudo_units)
    return ratio


@dataclass(frozen=True, slots=True, eq=False)
class PriceHistory:
    """Log price relative to the usual price as it was known before: ``relative`` (S, T), ``usual`` and ``last`` (S,).

    ``relative`` is 0 where the price is not known; ``usual`` and ``last`` are NaN where none was ever known.
    """

    relative: Floats
    usual: Floats
    last: Floats


def read_prices(panel: Panel, first: int, half_life: float) -> PriceHistory | None:
    """The panel's prices from period ``first`` on; ``None`` if none is known or none ever changes."""
    if panel.price is None:
        return None
    price = panel.price[:, first : panel.dates.size]
    known = ~np.isnan(price)
    if not known.any():
        return None
    logs = np.where(known, np.log(np.where(known, price, 1.0)), 0.0)
    below = decay(known * 1.0, half_life)
    usual = divide(decay(logs, half_life), below)
    relative = np.where(known, logs - usual, 0.0)
    if np.abs(relative).max() < 1e-6:
        return None
    seen = known.any(axis=1)
    return PriceHistory(
        relative, np.where(seen, np.exp(usual[:, -1]), np.nan), np.where(seen, np.exp(logs[:, -1]), np.nan)
    )


def price_effect(relative: Floats, elasticity: float) -> Floats:
    """Factor on the units at a log relative price."""
    effect: Floats = np.exp((elasticity * relative).clip(-PRICE_RANGE, PRICE_RANGE))
    return effect


def fit_elasticity(
    units: Floats, expected: Floats, relative: Floats, *, prior: float, weight: float, start: float
) -> float:
    """Elasticity of demand by two Newton steps of a penalised Poisson regression on the log relative price."""
    value, low, high = start, *ELASTICITY_RANGE
    for _ in range(2):
        mean = expected * price_effect(relative, value)
        gradient = float(((units - mean) * relative).sum()) - weight * (value - prior)
        curvature = float((mean * np.square(relative)).sum()) + weight
        value = float(np.clip(value + gradient / curvature, low, high))
    return value


def year_ago(
    units: Floats, expected: Floats, level: Floats, sums: Sums, *, block: int, horizon: int, spread: float
) -> Floats:
    """Factor on the level in each block of the horizon, from how demand moved at this time in earlier years.

    The year has 13 blocks (of 28 days, or 4 weeks). The movement at a date is the log of the demand of a block after it
    over the level that was known at it, both deseasonalised by the profile. What is expected now is the mean movement
    of earlier years times a power that the SKU's own past shows such movements to repeat with: a regression through the
    origin, weighted by precision, that leans on a small power where the past says little.

    Args:
        units: (S, T).
        expected: (S, T) what the profile expects at a level of 1.
        level: (S,) of the stores, taken for constant.
        sums: of both.
        block: periods in a block.
        horizon: periods to forecast.
        spread: dispersion of the units.

    Returns:
        (blocks of the horizon,) factors, all 1 with less than 15 blocks of history.
    """
    ahead, count = -(-horizon // block), units.shape[1] // block
    sold, due = units.sum(axis=0), level @ expected
    if count < YEAR_BLOCKS + 2 or due.sum() <= 0:
        return np.ones(ahead)
    scale = max(float(sold.sum() / due.sum()), 1e-12)
    size = count * block
    sold, due = (values[-size:].reshape(count, block).sum(axis=1) for values in (sold, due * scale))
    noise = max(spread, 1e-9)
    blocks = np.log((sold + 20.0 * noise) / (due + 20.0 * noise))
    ends = slice(units.shape[1] - size - 1 + block, None, block)
    known = divide(sums.units[:, :, ends].sum(axis=1), scale * (level @ sums.expected[:, :, ends])).mean(axis=0)
    known = np.log(known.clip(0.05, 20.0))
    moves = np.full((count, ahead), np.nan)  # after block b, the movement of block b + 1 + j
    for lead in range(min(ahead, count - 1)):
        moves[: count - 1 - lead, lead] = blocks[1 + lead :] - known[: count - 1 - lead]
    usual = _average_years(moves)
    weights = 1.0 / (2.0 * noise / np.maximum(due, 1e-9) + TREND_VARIANCE)
    both = ~np.isnan(usual) & ~np.isnan(moves)
    w, x, y = np.where(both, weights[:, None], 0.0), np.where(both, usual, 0.0), np.where(both, moves, 0.0)
    power = ((w * x * y).sum() + PRIOR_POWER * PRIOR_WEIGHT) / ((w * x * x).sum() + PRIOR_WEIGHT)
    factor = np.exp(np.clip(power, 0.0, 1.0) * np.nan_to_num(usual[-1]))
    bounded: Floats = np.clip(factor, *YEAR_RANGE)
    return bounded


def _average_years(moves: Floats) -> Floats:
    """For each block's end the mean movement at that time in earlier years; NaN where none is known."""
    total, number = np.zeros(moves.shape), np.zeros(moves.shape)
    for back in range(YEAR_BLOCKS, moves.shape[0], YEAR_BLOCKS):
        earlier = moves[:-back]
        total[back:] += np.nan_to_num(earlier)
        number[back:] += ~np.isnan(earlier)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Outage:
    """Stores that may have run out, or given the SKU up, when the data end: each (S,).

    Attributes:
        chance: probability that they have; 0 where sales go on.
        gain: the level before the silence over the level that counts it.
        rate: of their return, per period.
    """

    chance: Floats
    gain: Floats
    rate: Floats


def find_outages(units: Floats, expected: Floats, sums: Sums, spread: float, shortest: int) -> Outage:
    """Judge the silence that each store ends with, once it is ``shortest`` periods long.

    The chance grows with the units that would have been sold in the silence at the level before it; the longer a
    silence, the less of it ends within a horizon. The constants describe M5: of stores that had sold nothing for 14 to
    28 days in which 9 units or more were due, the first week after brought 0.13 to 0.27 of the former level, the fourth
    0.4 to 0.5; of those silent for half a year in which 80 were due, 0.02 and 0.18.
    """
    stores, periods = units.shape
    chance, gain, rate = np.zeros(stores), np.ones(stores), np.zeros(stores)
    sold = units > 0
    last = np.where(sold.any(axis=1), periods - 1 - sold[:, ::-1].argmax(axis=1), -1)
    silent = np.flatnonzero((last >= 0) & (periods - 1 - last >= shortest))
    end = last[silent]
    before = divide(sums.units[:, silent, end], sums.expected[:, silent, end]).mean(axis=0)
    now = divide(sums.units[:, silent, -1], sums.expected[:, silent, -1]).mean(axis=0)
    due = np.where(np.arange(periods) > end[:, None], expected[silent], 0.0).sum(axis=1)
    missed = before * due / max(spread, 1e-9)
    chance[silent] = 1.0 / (1.0 + np.exp(-0.7 * (missed - 3.0)))
    gain[silent] = np.where(now > 0, before / np.where(now > 0, now, 1.0), 1.0)
    rate[silent] = np.minimum(0.3, 0.6 / (periods - 1 - end))
    return Outage(np.where(chance < 0.15, 0.0, chance), gain, rate)
