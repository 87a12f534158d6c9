"""Drawings of how a forecast comes about: the base and what is made of it, and one strip of bars per effect.

All strips of a SKU have one scale, the logarithm of the ratio, so that equally high bars change the forecast equally;
and the horizontal scale of the drawing above them. No text in a drawing comes from outside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.skufleet.fleet.report.plots import LEFT, RIGHT, WIDTH, draw_frame, pick_ticks, write_tick
from include.skufleet.fleet.report.words import times

HEIGHT, TOP, BOTTOM = 150, 8, 22
TALLEST = 84
"""Height of the strip of the effect that moves most."""
STEEPEST = 190
"""Pixels per unit of log ratio at most: where all effects are slight, they shall look slight."""
CLOSED = 18
PAD = 7
LETTER_HEIGHT = 14


@dataclass(frozen=True)
class Dates:
    """The horizontal scale: one place of equal width per period."""

    dates: pd.DatetimeIndex
    days: int

    @property
    def step(self) -> float:
        """Width of a period."""
        return (WIDTH - LEFT - RIGHT) / max(len(self.dates), 1)

    def x(self, index: int) -> float:
        """The middle of a period."""
        return LEFT + (index + 0.5) * self.step

    def draw_weeks(self, top: float, bottom: float) -> str:
        """Thin lines where a week begins, to find a date again in every strip."""
        places = [LEFT + index * self.step for index, _ in self._starts()]
        return f'<path class="grid" d="{"".join(f"M{x:.1f} {top:g}V{bottom:g}" for x in places)}"/>' if places else ""

    def draw_labels(self, y: float) -> str:
        """Dates below the drawing, as many as there is room for."""
        starts = self._starts() or [(0, self.dates[0])]
        every = math.ceil(len(starts) * 62 / (WIDTH - LEFT - RIGHT))
        marks = []
        for index, date in starts[::every]:
            place = LEFT + index * self.step
            if place < WIDTH - RIGHT - 40:
                marks.append(f'<text x="{place + 2:.1f}" y="{y:g}">{date.day} {date:%b}</text>')
        return "".join(marks)

    def _starts(self) -> list[tuple[int, pd.Timestamp]]:
        """Mondays of days; of weeks, each."""
        return [(index, date) for index, date in enumerate(self.dates) if self.days == 7 or date.day_of_week == 0]


def draw_base(base: pd.Series, forecast: pd.Series, band: pd.DataFrame, days: int, label: str) -> str:
    """The base as a dashed line, the forecast as a line with the interval's band.

    Args:
        base: units by date.
        forecast: units by date, the same dates.
        band: ``lower, upper`` by date; may be empty.
        days: days in a period.
        label: what somebody who cannot see it should know.
    """
    scale = Dates(pd.DatetimeIndex(base.index), days)
    ticks = pick_ticks(max(float(base.max()), float(forecast.max()), *band["upper"].dropna(), 1e-9), 4)
    floor = HEIGHT - BOTTOM

    def y(units: float) -> float:
        return floor - units / ticks[-1] * (floor - TOP)

    def path(values: pd.Series, backwards: bool = False) -> str:
        points = [f"{scale.x(index):.1f} {y(value):.1f}" for index, value in enumerate(values) if not math.isnan(value)]
        return "L".join(points[::-1] if backwards else points)

    parts = [scale.draw_weeks(TOP, floor)]
    parts += [
        f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{write_tick(tick)}</text>'
        for tick in ticks
    ]
    if band["lower"].notna().any():
        known = band.reindex(base.index)
        parts.append(
            f'<path class="range fore-range" d="M{path(known["upper"])}L{path(known["lower"], backwards=True)}Z"/>'
        )
    parts += [f'<path class="line level" d="M{path(base)}"/>', f'<path class="line fore" d="M{path(forecast)}"/>']
    parts.append(scale.draw_labels(HEIGHT - 6))
    return draw_frame("series", WIDTH, HEIGHT, label, parts)


def scale_effects(effects: Sequence[pd.Series]) -> float:
    """Pixels per unit of log ratio, such that the strip of the strongest effect is ``TALLEST`` high.

    >>> round(scale_effects([pd.Series([0.5, 2.0]), pd.Series([1.0, 1.1])]), 2) == round(84 / math.log(4), 2)
    True
    """
    reach = max((sum(_reach(ratios)) for ratios in effects), default=0.0)
    return min(STEEPEST, TALLEST / reach) if reach > 0 else STEEPEST


def draw_effect(ratios: pd.Series, days: int, scale: float, label: str) -> str:
    """One bar per period: up from the line where the effect raises the forecast, down where it lowers it.

    A ratio of zero, which no scale can hold, is drawn ``CLOSED`` deep, or as deep as the strip is.
    """
    dates = Dates(pd.DatetimeIndex(ratios.index), days)
    up, down = (reach * scale for reach in _reach(ratios))
    if (ratios <= 0).any():
        down = max(down, CLOSED)
    line, height = PAD + up, max(2 * PAD + up + down, PAD + LETTER_HEIGHT)
    width = max(min(0.72 * dates.step, 22.0), 0.8)
    bars: dict[str, list[str]] = {"up": [], "down": []}
    for index, value in enumerate(ratios):
        move = -down if value <= 0 else math.log(value) * scale
        if abs(move) >= 0.3:
            left = dates.x(index) - width / 2
            bars["up" if move > 0 else "down"].append(f"M{left:.1f} {line:.1f}h{width:.1f}v{-move:.1f}h{-width:.1f}z")
    parts = [dates.draw_weeks(0, height)]
    parts += [f'<path class="{kind}" d="{"".join(paths)}"/>' for kind, paths in bars.items() if paths]
    parts.append(f'<path class="one" d="M{LEFT} {line:.1f}H{WIDTH - RIGHT}"/>')
    parts += [
        f'<text x="{LEFT - 6}" y="{place:.1f}" text-anchor="end">{times(value)}</text>'
        for value, place in _label_ends(ratios, line, up, down)
    ]
    return draw_frame("effect", WIDTH, math.ceil(height), label, parts)


def _reach(ratios: pd.Series) -> tuple[float, float]:
    """How far the bars go up and down, in logarithms, ratios of zero aside."""
    logs = np.log(ratios.where(ratios > 0, 1.0).to_numpy(dtype=float))
    return max(float(logs.max()), 0.0), max(float(-logs.min()), 0.0)


def _label_ends(ratios: pd.Series, line: float, up: float, down: float) -> list[tuple[float, float]]:
    """The highest and the lowest ratio, each at the end of its bar; without room for both, the stronger one."""
    high, low = (float(ratios.max()), line - up + 4), (float(ratios.min()), line + down + 4)
    ends = [end for end, reach in ((high, up), (low, down)) if reach > 0]
    if len(ends) == 2 and low[1] - high[1] < LETTER_HEIGHT:
        ends = [high if up >= down else low]
    return ends
