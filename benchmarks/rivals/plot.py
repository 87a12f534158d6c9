"""Accuracy against CPU, a panel per catalogue, as SVG drawn by hand: small, the same for the same rows, light or dark.

All panels have the same axes: CPU milliseconds per series on a log scale, and WAPE as a multiple of the engine's chosen
model on the same SKUs. So a point below the dashed line is better than the engine, one to its left is cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.rivals.table import Row

WIDTH, LEFT, RIGHT, TOP = 900, 66, 40, 92
HEIGHT, GAP, BOTTOM = 178, 44, 74
LETTER, BOLD, LINE = 6.9, 7.4, 14.0
HIGHEST, STEP = 1.4, 0.1
RADIUS = 5.5
TITLES = {"m5": "M5 (Walmart)", "demo": "Demo (simulated chain)", "online_retail": "Online Retail (UCI)"}

STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#24292f}
.name{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.title{font-size:17px;font-weight:600}.panel{font-size:13px;font-weight:600}.quiet{fill:#636c76}
.grid{stroke:#e4e8ec;stroke-width:1}.line{stroke:#0969a8;stroke-width:1.4;stroke-dasharray:5 4;opacity:.75}
.lead{stroke:#8c959f;stroke-width:.8}.mark{stroke-width:1.8}
.ours{fill:#0969a8;stroke:#0969a8}.stats{fill:#9a6700;stroke:#9a6700}.ml{fill:#8250df;stroke:#8250df}
.tree{fill:#1a7f37;stroke:#1a7f37}.part,.ground{fill:#fff}.own{fill:#0969a8;font-weight:600}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}.grid{stroke:#262c34}.lead{stroke:#6e7681}
.line{stroke:#58a6ff}.ours{fill:#58a6ff;stroke:#58a6ff}.stats{fill:#d29922;stroke:#d29922}
.ml{fill:#bc8cff;stroke:#bc8cff}.tree{fill:#3fb950;stroke:#3fb950}.part,.ground{fill:#0d1117}
.own{fill:#58a6ff}.name{stroke:#0d1117}}
"""
KINDS = {"Skufleet": "ours", "StatsForecast": "stats", "MLForecast": "ml", "scikit-learn": "tree"}
MEANINGS = {
    "ours": "Skufleet",
    "stats": "StatsForecast, a model per series",
    "ml": "MLForecast, one LightGBM for all",
    "tree": "scikit-learn, a forest per SKU",
}
# Where a name may stand, best first: across (-1 to 1) and down (-1, 0, 1) from its point.
PLACES = ((1.0, 0), (-1.0, 0), (0.0, -1), (0.0, 1), (0.7, -1), (-0.7, -1), (0.7, 1), (-0.7, 1))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the plot's coordinates."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)

    def outside(self, other: Box) -> float:
        """The area of this one that the other does not cover."""
        return (self.right - self.left) * (self.bottom - self.top) - self.overlap(other)


@dataclass(frozen=True, slots=True)
class Point:
    """One entry in its panel.

    Attributes:
        row: the figures.
        x: place across.
        y: place down; at the panel's edge where the value lies beyond it.
        beyond: whether it does.
        part: whether the entry was tried on part of the SKUs only.
    """

    row: Row
    x: float
    y: float
    beyond: bool
    part: bool

    @property
    def name(self) -> str:
        """What stands beside it; a value beyond the axis is written out."""
        name = self.row.entry
        if self.row.ours:
            name = "Skufleet, chosen per SKU" if name == "chosen" else f"Skufleet, {name} alone"
        return f"{name} {self.row.relative:.2f}×" if self.beyond else name

    @property
    def box(self) -> Box:
        """What the marker covers."""
        reach = RADIUS + 2
        return Box(self.x - reach, self.y - reach, self.x + reach, self.y + reach)


@dataclass(frozen=True, slots=True)
class Axes:
    """One panel's place, the powers of ten across, and the least relative error."""

    top: float
    low: int
    high: int
    least: float

    def x(self, milliseconds: float) -> float:
        """Where so much CPU time stands."""
        share = (math.log10(max(milliseconds, 10.0**self.low)) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, relative: float) -> float:
        """Where a relative error stands, at most at the edge."""
        return self.top + HEIGHT - (min(relative, HIGHEST) - self.least) / (HIGHEST - self.least) * HEIGHT


def draw_plot(rows: Sequence[Row]) -> str:
    """The whole figure; panels in the order in which the catalogues come."""
    catalogues = list(dict.fromkeys(row.catalogue for row in rows))
    low, high = _decades(row.milliseconds for row in rows)
    least = min(0.9, math.floor(min(row.relative for row in rows) / STEP) * STEP)
    height = TOP + len(catalogues) * (HEIGHT + GAP) - GAP + BOTTOM
    scope = (
        "WAPE as a multiple of Skufleet’s chosen model on the same SKUs. Lower and further left is better. "
        "Hollow: tried on part of the SKUs."
    )
    parts = [
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        '<text class="title" x="20" y="32">Forecast error against CPU time</text>',
        f'<text class="quiet" x="20" y="53">{scope}</text>',
    ]
    for number, catalogue in enumerate(catalogues):
        axes = Axes(TOP + number * (HEIGHT + GAP), low, high, least)
        own = [row for row in rows if row.catalogue == catalogue]
        parts += _draw_panel(axes, TITLES.get(catalogue, catalogue), own)
    parts += _draw_scale(axes)
    parts += _draw_legend(height - 14)
    label = "Relative WAPE against CPU milliseconds per series, a scatter plot for each catalogue"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _decades(values: Iterable[float]) -> tuple[int, int]:
    """Powers of ten that hold all values."""
    logs = [math.log10(max(value, 1e-3)) for value in values]
    return math.floor(min(logs)), max(math.ceil(max(logs)), math.floor(min(logs)) + 1)


def _draw_panel(axes: Axes, title: str, rows: Sequence[Row]) -> list[str]:
    parts = [f'<text class="panel" x="{LEFT}" y="{axes.top - 10}">{title}</text>']
    for step in range(round((HIGHEST - axes.least) / STEP) + 1):
        value = axes.least + step * STEP
        kind, place = "line" if math.isclose(value, 1.0) else "grid", axes.y(value)
        parts.append(f'<path class="{kind}" d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="quiet" x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{value:.1f}×</text>')
    for power in range(axes.low, axes.high + 1):
        parts.append(f'<path class="grid" d="M{axes.x(10.0**power):.1f} {axes.top}v{HEIGHT}"/>')
    most = max(row.skus for row in rows)
    points = [
        Point(row, axes.x(row.milliseconds), axes.y(row.relative), row.relative > HIGHEST, row.skus < most)
        for row in rows
    ]
    area = Box(LEFT + 1, axes.top - 4, WIDTH - 4, axes.top + HEIGHT - 1)
    return [*parts, *_draw_names(points, area), *(_draw_mark(point) for point in points)]


def _draw_scale(axes: Axes) -> list[str]:
    """The numbers across, once below the last panel."""
    foot = axes.top + HEIGHT
    parts = [
        f'<text class="quiet" x="{axes.x(10.0**power):.1f}" y="{foot + 17}" text-anchor="middle">{10.0**power:g}</text>'
        for power in range(axes.low, axes.high + 1)
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    name = "CPU milliseconds per series, fit and forecast"
    return [*parts, f'<text class="quiet" x="{middle}" y="{foot + 35}" text-anchor="middle">{name}</text>']


def _draw_mark(point: Point) -> str:
    """A diamond for ours, a dot for a model per series, a square for a global one, a triangle for a forest."""
    kind = KINDS[point.row.tool]
    style = f'class="mark {kind}{" part" if point.part else ""}"'
    x, y, r = point.x, point.y, RADIUS
    if kind == "ours":
        d = r + 1.5
        return f'<path {style} d="M{x:.1f} {y - d:.1f}l{d} {d}l-{d} {d}l-{d} -{d}z"/>'
    if kind == "ml":
        return f'<rect {style} x="{x - r + 1:.1f}" y="{y - r + 1:.1f}" width="{2 * r - 2}" height="{2 * r - 2}"/>'
    if kind == "tree":
        return f'<path {style} d="M{x:.1f} {y - r:.1f}l{r} {2 * r - 1}h-{2 * r}z"/>'
    return f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="{r - 1}"/>'


def _draw_names(points: Sequence[Point], area: Box) -> list[str]:
    """Each name at the nearest place where it covers nothing; a line leads to a name that stands apart."""
    taken = [point.box for point in points]
    parts = []
    for point in sorted(points, key=lambda each: (not each.row.ours, -each.x)):
        box, apart = _place_name(point, taken, area)
        taken.append(box)
        if apart:
            across = min(max(point.x, box.left + 3), box.right - 3)
            end = box.top + 1 if box.top > point.y else box.bottom - 1
            parts.append(f'<path class="lead" d="M{point.x:.1f} {point.y:.1f}L{across:.1f} {end:.1f}"/>')
        kind = "name own" if point.row.ours else "name"
        parts.append(f'<text class="{kind}" x="{box.left:.1f}" y="{box.bottom - 3.5:.1f}">{point.name}</text>')
    return parts


def _place_name(point: Point, taken: Sequence[Box], area: Box) -> tuple[Box, bool]:
    """Where a name goes, and whether that is apart from its point."""
    wide = (BOLD if point.row.ours else LETTER) * len(point.name)
    found: list[tuple[float, int, Box, bool]] = []
    for distance in (0, 14, 28, 42):
        reach = RADIUS + 4 + distance
        for across, down in PLACES:
            if distance and not down:
                continue
            middle = point.x + across * (reach + wide / 2 if not down else wide / 2)
            centre = point.y + down * (reach + LINE / 2 - 2)
            box = Box(middle - wide / 2, centre - LINE / 2, middle + wide / 2, centre + LINE / 2)
            cost = sum(box.overlap(other) for other in taken) + 3 * box.outside(area) + 2 * distance
            found.append((round(cost, 6), len(found), box, distance > 0))
    _, _, box, apart = min(found, key=lambda each: each[:2])
    return box, apart


def _draw_legend(y: float) -> list[str]:
    """What the marks mean."""
    parts = []
    for number, (tool, kind) in enumerate(KINDS.items()):
        x = LEFT + (0, 98, 334, 566)[number]
        row = Row("", tool, "", kind == "ours", 0, 1, 0.0, 0.0, 0.0, 0.0, 0.0)
        parts.append(_draw_mark(Point(row, x + 6, y - 4, beyond=False, part=False)))
        parts.append(f'<text class="quiet" x="{x + 18}" y="{y}">{MEANINGS[kind]}</text>')
    return parts
