"""What regressions on the past learn from: units relative to the level that was known at the cutoff (direct strategy).

The past is cut into blocks of one horizon; every period of a block is predicted from what was known at the block's
start, so that the features are what they will be in use and nothing is fed back. What does not belong here: columns
and penalties of one family.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.levels import decay, find_season, smooth_levels
from include.skufleet.forecasting.panel import Bools, Floats, Panel, zero_unknown
from include.skufleet.forecasting.scoring import FEATURE_DECIMALS, relative_price

HALF_LIVES: dict[str, tuple[float, ...]] = {"D": (7.0, 14.0, 56.0), "W": (1.0, 2.0, 4.0, 8.0, 16.0)}
WINDOW: dict[str, int] = {"D": 728, "W": 208}
PRICE_HALF_LIFE: dict[str, float] = {"D": 56.0, "W": 8.0}
EVENT_PSEUDO_UNITS = 100.0  # times the dispersion: holds an event's effect at none
EVENT_ROUNDS = 3
LEAST_EFFECT = 0.01  # an event that moves sales by less is as good as none
LEAST_OFFSET = 1e-3  # of a store's mean: a level that has all but vanished says nothing of the ratio to it


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """One panel's periods to learn from: S stores, T periods, n of them as targets.

    Attributes:
        positions: (T,) position of each period in its season.
        season: (S or 1, m) season factors.
        levels: (1 + G, S, B + 1) at the last period known ahead of each of B blocks, and at the panel's last: the mean
            of the levels, then the levels from short to long memory.
        usual_price: (S, B + 1) smoothed price at the same periods, or ``None``.
        targets: the n periods to predict, up to the panel's last.
        block: periods in a block.
        lead: (n,) periods from origin to target, relative to the horizon.
        offset: (S, n) level at the origin x season factor of the target.
        actual: (S, n) units.
        used: (S, n) the actual is known and there is a level to compare it with.
        dispersion: variance of the units over their expectation, at least 1.
    """

    positions: Ints
    season: Floats
    levels: Floats
    usual_price: Floats | None
    targets: slice
    block: int
    lead: Floats
    offset: Floats
    actual: Floats
    used: Bools
    dispersion: float

    def teaches(self, fewest: int) -> bool:
        """At least so many values to learn from, and some sale among them."""
        return bool(self.used.sum() >= fewest and self.actual[self.used].any())

    def relative_price(self, panel: Panel) -> Floats | None:
        """Log of the target's price over the usual price at its origin, (S, n); ``None`` without prices."""
        if panel.price is None or self.usual_price is None:
            return None
        anything = (-np.inf, np.inf)
        return relative_price(panel.price[:, self.targets], self.at_targets(self.usual_price), anything)

    def at_targets(self, values: Floats) -> Floats:
        """What was known of ``values`` (..., B + 1) at the start of each target's block, (..., n)."""
        return np.repeat(values[..., :-1], self.block, axis=-1)


def look_back(panel: Panel, *, most_rows: int) -> Past:
    """Lay out what there is to learn from: the last two years (four of weeks), at most about ``most_rows`` values."""
    found = find_season(panel)
    targets, block, lead = _choose_targets(panel, most_rows)
    ends = np.arange(targets.start - 1, targets.stop, block)
    levels = smooth_levels(panel.units, found.factors_at(slice(None)), HALF_LIVES[panel.frequency], ends)
    mean = levels.sum(axis=0) / len(levels)
    offset = zero_unknown(np.repeat(mean[:, :-1], block, axis=1) * found.factors_at(targets))
    actual, usual = panel.units[:, targets], zero_unknown(panel.units).mean(axis=1, keepdims=True)
    used = ~np.isnan(actual) & (offset > LEAST_OFFSET * usual)
    expected, sold = offset[used], actual[used]
    dispersion = float(np.mean(np.square(sold - expected) / expected)) if sold.size else 1.0
    return Past(
        positions=found.positions,
        season=found.factors,
        levels=np.concatenate([mean[None], levels]),
        usual_price=_smooth_price(panel, ends),
        targets=targets,
        block=block,
        lead=lead,
        offset=offset,
        actual=actual,
        used=used,
        dispersion=max(dispersion, 1.0),
    )


def find_events(panel: Panel, past: Past) -> tuple[list[str], Floats]:
    """Names of the events that some target has, and their indicators (E, n)."""
    rows = np.flatnonzero(panel.indicators[:, past.targets].any(axis=1))
    return [panel.events[row] for row in rows], panel.indicators[rows, past.targets]


def fit_events(past: Past, indicators: Floats, expected: Floats, *, ridge: float = 1.0) -> Floats:
    """Effects (E,) of events on units that without them would be ``expected`` (S, n).

    An event's own day is too rare to be worth a column of a regression or a split of a tree, and there are many: each
    effect is the log ratio of sold to expected units over its days, the other events' effects counted in, with
    pseudo-units that hold it at 0.

    Args:
        past: what is learned from.
        indicators: (E, n), 1 where a target has the event.
        expected: (S, n).
        ridge: factor on the pseudo-units.
    """
    effects = np.zeros(len(indicators))
    pseudo_units = ridge * EVENT_PSEUDO_UNITS * past.dispersion
    sold = np.where(past.used, past.actual, 0.0).sum(axis=0) @ indicators.T
    without = np.where(past.used, expected, 0.0).sum(axis=0)
    for _ in range(EVENT_ROUNDS):
        others = ((without * np.exp(effects @ indicators)) @ indicators.T) * np.exp(-effects)
        effects = np.log((sold + pseudo_units) / (others + pseudo_units))
    kept: Floats = np.where(np.abs(effects) < LEAST_EFFECT, 0.0, effects)
    return kept.round(FEATURE_DECIMALS)


def name_effects(events: list[str], effects: Floats) -> dict[str, float]:
    """The effects that are not 0, as the artifact holds them."""
    return {event: effect for event, effect in zip(events, effects.tolist(), strict=True) if effect}


def find_momentum(levels: Floats) -> dict[str, Floats]:
    """Log ratios (S, B + 1) of the short and the long level to the mean, which is mixed in to keep them finite."""
    mean, short, *_, long = levels
    safe = np.where(mean > 0, mean, 1.0)
    return {
        name: np.where(mean > 0, np.log((level + 0.1 * safe) / (1.1 * safe)), 0.0)
        for name, level in (("short", zero_unknown(short)), ("long", zero_unknown(long)))
    }


def last_prices(panel: Panel, usual: Floats | None) -> dict[str, Floats]:
    """Per store the usual and the last price; 0 where unknown, which is no effect."""
    unknown = np.full(len(panel.stores), np.nan)
    last = unknown if panel.price is None else panel.price[:, panel.dates.size - 1]
    return {
        "usual_price": zero_unknown(unknown if usual is None else usual[:, -1]),
        "last_price": zero_unknown(last),
    }


def _smooth_price(panel: Panel, ends: Ints) -> Floats | None:
    """Smoothed price (S, B + 1) as known after the periods ``ends``, NaN where none was known yet."""
    if panel.price is None:
        return None
    price = panel.price[:, : panel.dates.size]
    logs, half_life = np.log(price), PRICE_HALF_LIFE[panel.frequency]
    known = ~np.isnan(logs)
    below = decay(known.astype(float), half_life)[:, ends]
    above = decay(np.where(known, logs, 0.0), half_life)[:, ends]
    return np.where(below > 0, np.exp(above / np.maximum(below, 1e-300)), np.nan)


def _choose_targets(panel: Panel, most_rows: int) -> tuple[slice, int, Floats]:
    """Targets in blocks of about one horizon that end with the panel, within window and limit; the block; leads."""
    stores, periods = panel.units.shape
    horizon = max(panel.horizon, 1)
    block = min(horizon, max(1, periods // 4))
    warm_up = min(int(HALF_LIVES[panel.frequency][1]), periods // 2)
    most = min(WINDOW[panel.frequency], max(most_rows // stores, 2 * block))
    blocks = max(min(most, periods - max(warm_up, 1)) // block, 0)
    first = periods - blocks * block
    return slice(first, periods), block, (np.arange(blocks * block) % block + 1) / horizon
