"""Events of a regression as the few periods that they fall on, in place of columns that are nearly all 0.

What does not belong here: columns of other kinds, fitting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.panel import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Occurrences:
    """Which of e events falls on which of T periods; each does at least once.

    Attributes:
        count: e.
        periods: T.
        rows: (n,) the period of each occurrence, event by event.
        events: (n,) its event, ascending.
        starts: (e,) where each event's occurrences begin.
        pair_rows: (m,) the period of each pair of events that fall on one period; each event is a pair with itself.
        pairs: (m,) the pair's cell in an (e, e) matrix laid out row by row, above its diagonal or on it.
    """

    count: int
    periods: int
    rows: Ints
    events: Ints
    starts: Ints
    pair_rows: Ints
    pairs: Ints

    def spread(self, effects: Floats) -> Floats:
        """The sum (T,) of the effects (e,) of each period's events."""
        return np.bincount(self.rows, effects[self.events], self.periods).astype(float, copy=False)

    def add_up(self, values: Floats) -> Floats:
        """The sums (e, ...) of ``values`` (T, ...) over each event's periods."""
        sums: Floats = np.add.reduceat(values[self.rows], self.starts, axis=0)
        return sums

    def meet(self, weights: Floats) -> Floats:
        """The sums (e, e) of ``weights`` (T,) over the periods of both events; 0 below the diagonal."""
        cells = np.bincount(self.pairs, weights[self.pair_rows], self.count**2).astype(float, copy=False)
        return cells.reshape(self.count, self.count)


def find_occurrences(indicators: Floats) -> tuple[Ints, Occurrences]:
    """The numbers of the events that occur, of ``indicators`` (E, T) that are 0 or 1, and where they do."""
    numbers, rows = np.divmod(np.flatnonzero(indicators > 0), max(indicators.shape[1], 1))  # np.nonzero is tenfold
    happened, starts = np.unique(numbers, return_index=True)
    events = np.searchsorted(happened, numbers)
    pair_rows, first, second = _pair(rows, events)
    return happened, Occurrences(
        count=happened.size,
        periods=indicators.shape[1],
        rows=rows,
        events=events,
        starts=starts,
        pair_rows=pair_rows,
        pairs=first * happened.size + second,
    )


def _pair(rows: Ints, events: Ints) -> tuple[Ints, Ints, Ints]:
    """Periods, first and second events of all pairs that share a period, the first event not after the second."""
    order = np.argsort(rows, kind="stable")
    rows, events = rows[order], events[order]
    found, apart = [(rows, events, events)], 1
    while (same := rows[apart:] == rows[:-apart]).any():
        found.append((rows[apart:][same], events[:-apart][same], events[apart:][same]))
        apart += 1
    periods, first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return periods, first, second
