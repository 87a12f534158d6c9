"""The scorecard section: what past forecasts turned out to be worth, date by date, as a table and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from include.skufleet.fleet.report.plots import HEIGHT, LEFT, RIGHT, TOP, WIDTH, Canvas, draw_frame, pick_ticks
from include.skufleet.fleet.report.words import percent
from include.skufleet.fleet.scores import Score, Scorecard

MOST_DATES = 100
MOST_DEPARTMENTS = 40
_STYLE = """
svg { background: #fcfcfb; } text { font: 12px system-ui, sans-serif; fill: #545c66; }
.grid { stroke: #dfe2e6; fill: none; } .tick { stroke: #7a828c; } .line { fill: none; stroke-linejoin: round; }
.fore { stroke: #0067a8; stroke-width: 2.2; } .fore-dot, .fore-name { fill: #0067a8; }
.base { stroke: #7a828c; stroke-width: 1.1; stroke-dasharray: 3 2; } .base-dot { fill: #7a828c; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171a; } text { fill: #a3abb5; } .grid { stroke: #333a41; }
  .fore { stroke: #5cb3f0; } .fore-dot, .fore-name { fill: #5cb3f0; }
  .base { stroke: #8d96a0; } .base-dot { fill: #8d96a0; }
}
"""


def describe_scorecards(cards: Sequence[Scorecard], own: Scorecard | None) -> dict[str, Any]:
    """What the page shows: a row per date, the newest first, the plot, and the departments of this run's own scorecard.

    A date whose horizon is not over yet is judged by the periods that are known.
    """
    levels = sorted({level for card in cards for level in card.fleet.coverage})
    newest_first = list(reversed(cards))
    groups = sorted(own.departments, key=lambda score: -score.units) if own else []
    return {
        "levels": levels,
        "rows": [_describe(card.fleet, levels) | {"card": card} for card in newest_first[:MOST_DATES]],
        "shown": min(len(cards), MOST_DATES),
        "total": len(cards),
        "own": own,
        "departments": [_describe(score, levels) for score in groups[:MOST_DEPARTMENTS]],
        "drawing": draw_scorecards(cards),
    }


def draw_scorecards(cards: Sequence[Scorecard]) -> str:
    """WAPE of the models and of the seasonal naive by date, in per cent; empty without a date.

    A WAPE that is not defined, where nothing was sold, leaves a gap.
    """
    if not cards:
        return ""
    dates = pd.DatetimeIndex([pd.Timestamp(card.as_of) for card in cards])
    models = pd.Series([100 * card.fleet.wape for card in cards], index=dates)
    naive = pd.Series([100 * card.fleet.baseline_wape for card in cards], index=dates)
    top = pd.concat([models, naive]).max()
    ticks = pick_ticks(float(top) if top > 0 else 1.0)
    # Dates next to each other are joined, however far apart the backfill has them.
    days = max(((after - before).days for before, after in pairwise(dates)), default=1)
    canvas = Canvas(dates[0], max(dates[-1], dates[0] + pd.Timedelta(days=1)), ticks[-1], days)
    names = (
        f'<text x="{LEFT}" y="{TOP - 4}">WAPE, %</text>'
        f'<text x="{WIDTH - RIGHT}" y="{TOP - 4}" text-anchor="end">'
        '<tspan class="fore-name">solid: models</tspan>, dashed: seasonal naive</text>'
    )
    axes = canvas.draw_levels(ticks) + canvas.draw_dates(list(dates))
    parts = [axes, names, canvas.draw_line(naive, "base"), canvas.draw_line(models, "fore")]
    return draw_frame("series", WIDTH, HEIGHT, _say(cards), parts)


def draw_file(cards: Sequence[Scorecard]) -> str:
    """The plot as a file of its own, which follows light and dark like the page."""
    drawing = draw_scorecards(cards)
    start = drawing.index(">") + 1 if drawing else 0
    opening = drawing[:start].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{opening}<style>{_STYLE}</style>{drawing[start:]}\n" if drawing else ""


def _say(cards: Sequence[Scorecard]) -> str:
    first, last = cards[0], cards[-1]
    return (
        f"WAPE by date from {first.as_of} to {last.as_of}: models from {percent(first.fleet.wape)} to "
        f"{percent(last.fleet.wape)}, seasonal naive from {percent(first.fleet.baseline_wape)} to "
        f"{percent(last.fleet.baseline_wape)}"
    )


def _describe(score: Score, levels: Sequence[int]) -> dict[str, Any]:
    gain = 1 - score.wape / score.baseline_wape if score.baseline_wape else float("nan")
    return {"score": score, "gain": gain, "covered": [score.coverage.get(level, float("nan")) for level in levels]}
