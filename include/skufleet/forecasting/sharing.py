"""Answers that are asked for again: of one panel by several candidates, of one span of dates by the SKUs of a chunk.

What a panel was asked is kept with the panel and goes with it; of dates, only a few spans are kept. What does not
belong here: the questions themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar, TypeVarTuple

import numpy as np

from include.skufleet.forecasting.panel import PERIOD_DAYS, Dates, Floats, Frequency, Panel

Asked = TypeVarTuple("Asked")
Answer = TypeVar("Answer")

SPANS = 16
LEAST_SPAN = 512  # periods: the cuts of a backtest and the whole panel are prefixes of one span


def once_per_panel(find: Callable[[Panel, *Asked], Answer]) -> Callable[[Panel, *Asked], Answer]:
    """Keep with each panel what ``find`` finds of it; the further arguments must be hashable.

    For small answers only: a chunk's panels are in memory together.
    """

    @wraps(find)
    def ask(panel: Panel, *asked: *Asked) -> Answer:
        key = (find, asked)
        if key not in panel.answers:
            panel.answers[key] = find(panel, *asked)
        answer: Answer = panel.answers[key]
        return answer

    return ask


def once_per_span(make: Callable[[Dates, Frequency, *Asked], Floats]) -> Callable[[Dates, Frequency, *Asked], Floats]:
    """Keep what ``make`` makes of consecutive periods, one row per period, for the few spans that were asked for last.

    The further arguments must be hashable. The result is read-only.
    """

    @lru_cache(maxsize=SPANS)
    def keep(first: int, periods: int, frequency: Frequency, asked: tuple[*Asked]) -> Floats:
        steps = first + PERIOD_DAYS[frequency] * np.arange(periods)
        columns = make(steps.astype("datetime64[D]"), frequency, *asked)
        columns.flags.writeable = False
        return columns

    @wraps(make)
    def ask(dates: Dates, frequency: Frequency, *asked: *Asked) -> Floats:
        if not dates.size:
            return make(dates, frequency, *asked)
        first, spans = int(dates[0].astype("datetime64[D]").astype(np.int64)), -(-dates.size // LEAST_SPAN)
        return keep(first, spans * LEAST_SPAN, frequency, asked)[: dates.size]

    return ask
