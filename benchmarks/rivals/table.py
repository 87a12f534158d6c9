"""The comparison as rows, as a Markdown table, and the place in a page where the table belongs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from include.skufleet.errors import ConfigError

START, END = "<!-- rivals: written by make bench-rivals -->", "<!-- rivals: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One entry on one catalogue, over all origins.

    Attributes:
        catalogue: its name.
        tool: ``Skufleet``, ``StatsForecast``, ...
        entry: the model.
        ours: whether it is the engine.
        skus: SKUs that it forecast.
        series: series that it forecast, summed over the origins.
        cpu_seconds: CPU time of them all.
        wape: sum of absolute errors / sum of units.
        rmsse: per SKU, weighted by units.
        bias: sum of forecast minus actual / sum of units.
        relative: WAPE over that of the engine's chosen model on the same SKUs; below 1 is better than it.
    """

    catalogue: str
    tool: str
    entry: str
    ours: bool
    skus: int
    series: int
    cpu_seconds: float
    wape: float
    rmsse: float
    bias: float
    relative: float

    @property
    def milliseconds(self) -> float:
        """CPU milliseconds per series and origin."""
        return 1000.0 * self.cpu_seconds / self.series if self.series else math.nan

    def to_json(self) -> dict[str, Any]:
        """All fields, rounded to what means something."""
        values = {name: _shorten(value) for name, value in asdict(self).items()}
        return values | {"cpu_ms_per_series": _shorten(self.milliseconds)}


def _shorten(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def write_table(rows: Sequence[Row]) -> str:
    """One Markdown table; a catalogue's name stands in its first row only."""
    lines = [
        "| catalogue | tool | model | WAPE | to ours | RMSSE | bias | CPU ms / series | SKUs |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    shown = ""
    for row in rows:
        name = f"**{row.catalogue}**" if row.catalogue != shown else ""
        shown = row.catalogue
        model = f"**{row.entry}**" if row.ours else row.entry
        values = (f"{row.wape:.3f}", f"{row.relative:.3f}", f"{row.rmsse:.3f}", f"{row.bias:+.3f}")
        cells = [name, row.tool, model, *values, write_time(row.milliseconds), str(row.skus)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_time(milliseconds: float) -> str:
    """Milliseconds to two significant digits or so.

    >>> write_time(0.0345), write_time(4.26), write_time(186.4)
    ('0.03', '4.3', '186')
    """
    if milliseconds < 1:
        return f"{milliseconds:.2f}"
    return f"{milliseconds:.1f}" if milliseconds < 20 else f"{milliseconds:.0f}"


def put_between_marks(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page.

    Raises:
        ConfigError: the page has not both marks, once each and in this order.
    """
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not start or not end or START in after or END in after:
        raise ConfigError(f"{page}: expected the marks {START!r} and {END!r} once each; put them back")
    page.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", encoding="utf-8")
