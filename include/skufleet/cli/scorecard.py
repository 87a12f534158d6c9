"""``scorecard``: what the forecasts of past dates turned out to be worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.errors import ConfigError
from include.skufleet.fleet.report.scorecards import draw_file
from include.skufleet.fleet.report.words import number, percent, ratio, signed
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.scores import Scorecard, list_scorecards
from include.skufleet.lake.connecting import open_store

COLUMNS = ("as of", "known", "SKUs", "units", "WAPE", "naive", "bias", "RMSSE", "naive")


def read_scorecards(catalogue: str) -> list[Scorecard]:
    """The scorecards of a catalogue, one per date, in their order.

    Raises:
        CatalogueError: there is no such catalogue.
    """
    find_catalogue(catalogue)
    return list_scorecards(open_store(read_settings().bucket), RunKeys(catalogue, ""))


def show_scorecards(catalogue: str, console: Console, *, as_json: bool = False, svg: Path | None = None) -> int:
    """Print the scorecards of all dates, and write the plot to a file where one is named.

    Raises:
        CatalogueError: there is no such catalogue. ConfigError: the file cannot be written.
    """
    cards = read_scorecards(catalogue)
    if as_json:
        console.out(json.dumps([card.to_json() for card in cards]))
    else:
        print_scorecards(cards, catalogue, console)
    if svg is not None and cards:
        try:
            svg.write_text(draw_file(cards), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{svg}: the plot cannot be written: {error}; name a file in a folder that exists"
            ) from error
    return 0


def print_scorecards(cards: Sequence[Scorecard], catalogue: str, console: Console) -> None:
    """A row per date; what is not defined is a dash."""
    if not cards:
        console.print(f"{catalogue}: no run of a past date has been made yet; see `make backfill`")
        return
    levels = sorted({level for card in cards for level in card.fleet.coverage})
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (*COLUMNS, *(f"{level}%" for level in levels)):
        title = f"{cards[0].periods} known" if name == "known" else name
        table.add_column(title, justify="left" if name == "as of" else "right", no_wrap=True)
    for card in cards:
        score = card.fleet
        shares = [percent(score.coverage[level]) if level in score.coverage else "–" for level in levels]
        table.add_row(
            card.as_of.isoformat(),
            f"{card.known} of {card.horizon}",
            number(score.skus),
            number(score.units),
            percent(score.wape),
            percent(score.baseline_wape),
            signed(score.bias),
            ratio(score.rmsse),
            ratio(score.baseline_rmsse),
            *shares,
        )
    console.print(table)
