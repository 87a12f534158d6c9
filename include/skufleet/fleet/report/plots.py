"""Plots as inline SVG, drawn by hand: a few KB each, the same bytes for the same data.

Colours come from the page's style sheet through classes, so that the plots follow light and dark. No text in a plot
comes from outside: names stand in the captions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 560, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 16, 24
STRIP_WIDTH, STRIP_HEIGHT = 220, 22
MOST_PERIODS = 240
LETTER = 7  # about the width of a letter on a narrow screen, where the letters of a plot are larger


@dataclass(frozen=True)
class SeriesPlot:
    """What one SKU's plot shows, summed over its stores; every frame sorted by date.

    Attributes:
        actuals: units by date; NaN is unknown and leaves a gap.
        backtest: ``cutoff, date, y_hat, baseline, lower, upper``; bounds are NaN where there are none.
        forecast: units by date.
        days: days in a period: 1 or 7.
        bands: level in per cent -> ``lower, upper`` by date of the forecast, the narrowest first.
    """

    actuals: pd.Series
    backtest: pd.DataFrame
    forecast: pd.Series
    days: int
    bands: Mapping[int, pd.DataFrame] = field(default_factory=dict)


def draw_series(plot: SeriesPlot, description: str) -> str:
    """Actuals, the backtest of each window, the baseline and the forecast; empty where there is nothing to draw."""
    dates = [*plot.actuals.index, *plot.backtest["date"], *plot.forecast.index]
    values = [plot.actuals, *(plot.backtest[name] for name in ("y_hat", "baseline", "upper")), plot.forecast]
    values += [band["upper"] for band in plot.bands.values()]
    top = max((float(part.max()) for part in values if part.notna().any()), default=0.0)
    if not dates:
        return ""
    start, end = min(dates), max(max(dates), min(dates) + pd.Timedelta(days=plot.days))
    ticks = pick_ticks(max(top, 1.0))
    canvas = Canvas(start, end, ticks[-1], plot.days)
    parts = [canvas.draw_grid(ticks)]
    if len(plot.forecast):
        parts.append(canvas.draw_band(plot.forecast.index[0], "forecast"))
    parts += [canvas.draw_range(band, "fore") for _, band in sorted(plot.bands.items(), reverse=True)]
    for _, rows in plot.backtest.groupby("cutoff", sort=True):
        parts.append(canvas.draw_range(rows.set_index("date")[["lower", "upper"]], "back"))
    for index, (cutoff, rows) in enumerate(plot.backtest.groupby("cutoff", sort=True)):
        parts.append(canvas.draw_cutoff(pd.Timestamp(str(cutoff)), "backtest" if index == 0 else ""))
        parts.append(canvas.draw_line(rows.set_index("date")["baseline"], "base"))
    parts.append(canvas.draw_line(plot.actuals, "actual"))
    for _, rows in plot.backtest.groupby("cutoff", sort=True):
        parts.append(canvas.draw_line(rows.set_index("date")["y_hat"], "back"))
    parts.append(canvas.draw_line(plot.forecast, "fore"))
    return draw_frame("series", WIDTH, HEIGHT, description, parts)


def draw_frame(kind: str, width: int, height: int, label: str, parts: list[str]) -> str:
    """An SVG element that says in words what it shows."""
    return f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


@dataclass(frozen=True)
class Canvas:
    """Turns dates and units into coordinates, and these into SVG."""

    start: pd.Timestamp
    end: pd.Timestamp
    top: float
    days: int

    def x(self, when: pd.Timestamp) -> float:
        """Where a date is."""
        share = (when - self.start) / (self.end - self.start)
        return LEFT + float(share) * (WIDTH - LEFT - RIGHT)

    def y(self, units: float) -> float:
        """Where a number of units is."""
        return HEIGHT - BOTTOM - units / self.top * (HEIGHT - TOP - BOTTOM)

    def place(self, when: pd.Timestamp, units: float) -> str:
        """Both, for a path."""
        return f"{self.x(when):.1f} {self.y(units):.1f}"

    def draw_grid(self, ticks: list[float]) -> str:
        """Lines at the ticks, and months below."""
        return self.draw_levels(ticks) + self._draw_months()

    def draw_levels(self, ticks: list[float]) -> str:
        """Lines at the ticks."""
        return "".join(
            f'<path class="grid" d="M{LEFT} {self.y(tick):.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 6}" y="{self.y(tick) + 4:.1f}" text-anchor="end">{write_tick(tick)}</text>'
            for tick in ticks
        )

    def draw_dates(self, dates: Sequence[pd.Timestamp], most: int = 7) -> str:
        """Ticks at dates, some of them named: evenly spread from the first one on."""
        parts = [f'<path class="tick" d="M{self.x(when):.1f} {HEIGHT - BOTTOM}v5"/>' for when in dates]
        for when in dates[:: max(1, math.ceil(len(dates) / most))]:
            place, name = self.x(when), f"{when.day} {when:%b ’%y}"
            anchor = "start" if place < LEFT + 30 else "end" if place > WIDTH - RIGHT - 30 else "middle"
            parts.append(f'<text x="{place:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{name}</text>')
        return "".join(parts)

    def _draw_months(self) -> str:
        lines = []
        months = list(pd.date_range(self.start, self.end, freq="MS", normalize=True))
        step = max(1, math.ceil(len(months) / 7))
        free = 0.0
        for month in months[::step]:
            place = self.x(month)
            name = f"{month:%b ’%y}" if month.month == 1 or month == months[0] else f"{month:%b}"
            if LEFT <= place < WIDTH - RIGHT - 30:
                lines.append(f'<path class="tick" d="M{place:.1f} {HEIGHT - BOTTOM}v5"/>')
                if place >= free:
                    lines.append(f'<text x="{place:.1f}" y="{HEIGHT - 6}">{name}</text>')
                    free = place + LETTER * (len(name) + 1)
        return "".join(lines)

    def draw_band(self, start: pd.Timestamp, name: str) -> str:
        """The time of the forecast, shaded."""
        # Half a period before the first forecast, so that the line's first point stands inside.
        left = self.x(start - pd.Timedelta(days=self.days / 2))
        height = HEIGHT - TOP - BOTTOM
        return (
            f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{WIDTH - RIGHT - left:.1f}" height="{height}"/>'
            f'<text class="where fore-name" x="{left + 4:.1f}" y="{TOP - 4}">{name}</text>'
        )

    def draw_range(self, bounds: pd.DataFrame, kind: str) -> str:
        """The area between the bounds; empty where none is known."""
        known = bounds.astype(float).dropna()
        if known.empty:
            return ""
        dates = pd.DatetimeIndex(known.index)
        above, below = (
            [self.place(when, units) for when, units in zip(dates, known[side], strict=True)]
            for side in ("upper", "lower")
        )
        return f'<path class="range {kind}-range" d="M{"L".join(above + below[::-1])}Z"/>'

    def draw_cutoff(self, cutoff: pd.Timestamp, name: str) -> str:
        """The line from which on a backtest window was unknown."""
        place = self.x(cutoff + pd.Timedelta(days=self.days / 2))
        label = f'<text class="where back-name" x="{place + 4:.1f}" y="{TOP - 4}">{name}</text>' if name else ""
        return f'<path class="cutoff" d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}"/>{label}'

    def draw_line(self, values: pd.Series, kind: str) -> str:
        """A line that breaks at gaps; a point without neighbours becomes a dot."""
        known = values.dropna()
        if known.empty:
            return ""
        steps = known.index.to_series().diff() > pd.Timedelta(days=self.days)
        runs = [run for _, run in known.groupby(steps.cumsum().to_numpy())]
        paths = "".join(
            "M" + "L".join(self.place(when, units) for when, units in zip(run.index, run, strict=True))
            for run in runs
            if len(run) > 1
        )
        dots = "".join(
            f'<circle class="{kind}-dot" cx="{self.x(run.index[0]):.1f}" cy="{self.y(run.iloc[0]):.1f}" r="1.5"/>'
            for run in runs
            if len(run) == 1
        )
        return (f'<path class="line {kind}" d="{paths}"/>' if paths else "") + dots


def pick_ticks(top: float, most: int = 5) -> list[float]:
    """Round values from 0 up to ``top`` or just above.

    >>> pick_ticks(87.0), pick_ticks(1.0)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    """
    raw = top / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw)
    return [round(step * index, 10) for index in range(math.ceil(round(top / step, 9)) + 1)]


def write_tick(value: float) -> str:
    """A tick's value in few characters."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 10_000 else f"{value:,g}"


def scale_strips(spread: pd.DataFrame, limit: float = 2.0) -> float:
    """The common right end of the strips: every value fits, up to ``limit``; its half is a whole percentage.

    >>> scale_strips(pd.DataFrame({"p90": [0.41, 1.07], "baseline_p50": [0.5, math.nan]}))
    1.2
    """
    values = spread[["p90", "baseline_p50"]].to_numpy(dtype=float)
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
    if top <= 0:
        return 1.0
    step = 0.1 if top <= 1 else 0.2
    return min(limit, round(math.ceil(round(top / step, 9)) * step, 9))


def draw_strip(quantiles: Sequence[float], baseline: float, end: float) -> str:
    """One group's spread of WAPE: 10 to 90 % as a thin line, the middle half as a bar, the median as a dot.

    The baseline's median is a hollow diamond. Values beyond ``end`` are drawn at the end. Empty without values.
    """
    p10, p25, p50, p75, p90 = quantiles
    if not math.isfinite(p50):
        return ""

    def x(value: float) -> float:
        return 6 + min(value, end) / end * (STRIP_WIDTH - 12)

    middle, half = STRIP_HEIGHT / 2, max(x(p75) - x(p25), 1)
    parts = [
        f'<path class="grid" d="M6 {middle}H{STRIP_WIDTH - 6}"/>',
        f'<path class="reach" d="M{x(p10):.1f} {middle}H{x(p90):.1f}"/>',
        f'<rect class="half" x="{x(p25):.1f}" y="{middle - 5}" width="{half:.1f}" height="10" rx="2"/>',
    ]
    if math.isfinite(baseline):
        parts.append(f'<path class="naive" d="M{x(baseline):.1f} {middle - 6}l5 6l-5 6l-5 -6z"/>')
    parts.append(f'<circle class="median" cx="{x(p50):.1f}" cy="{middle}" r="4"/>')
    label = f"median {p50:.0%}, middle half {p25:.0%} to {p75:.0%}, 10 to 90 percent {p10:.0%} to {p90:.0%}"
    if math.isfinite(baseline):
        label += f", baseline median {baseline:.0%}"
    return draw_frame("strip", STRIP_WIDTH, STRIP_HEIGHT, label, parts)


def draw_strip_axis(end: float, start: float = 0.0) -> str:
    """The scale above the strips."""
    marks = []
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        place = 6 + share * (STRIP_WIDTH - 12)
        edge = {"start": place - 4, "middle": place, "end": place + 4}[anchor]
        value = start + share * (end - start)
        marks.append(f'<text x="{edge:g}" y="12" text-anchor="{anchor}">{value:.0%}</text>')
    return f'<svg class="strip" viewBox="0 0 {STRIP_WIDTH} 16" aria-hidden="true">{"".join(marks)}</svg>'


def draw_coverage(shares: Mapping[int, float], start: float) -> str:
    """What intervals cover beside what they should: a hollow diamond per level, a dot for what was found.

    Args:
        shares: level in per cent -> share of the actuals within the interval.
        start: the scale's left end, a share; its right end is 1.
    """

    def x(share: float) -> float:
        return 6 + (max(share, start) - start) / (1 - start) * (STRIP_WIDTH - 12)

    middle = STRIP_HEIGHT / 2
    parts = [f'<path class="grid" d="M6 {middle}H{STRIP_WIDTH - 6}"/>']
    for level, share in shares.items():
        parts.append(f'<path class="reach" d="M{x(level / 100):.1f} {middle}H{x(share):.1f}"/>')
        parts.append(f'<path class="naive" d="M{x(level / 100):.1f} {middle - 6}l5 6l-5 6l-5 -6z"/>')
        parts.append(f'<circle class="median" cx="{x(share):.1f}" cy="{middle}" r="4"/>')
    label = ", ".join(f"{level} percent interval covers {share:.1%}" for level, share in shares.items())
    return draw_frame("strip", STRIP_WIDTH, STRIP_HEIGHT, label, parts)
