"""The page of the output tables says what is written, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.skufleet.fleet.components import EMPTY
from include.skufleet.fleet.outcomes import TYPES
from include.skufleet.fleet.progress import join_backtests
from include.skufleet.fleet.search.judge import Standing, empty_scores
from include.skufleet.fleet.serving import forecast_columns
from include.skufleet.fleet.stockouts import NO_STOCKOUTS
from include.skufleet.lifecycle.release import TYPES as RELEASE
from include.skufleet.lifecycle.transitions import TYPES as TRANSITIONS
from tests.unit.fleet.small_fleet import make_catalogue

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"


def columns(section: str) -> list[str]:
    """The names in the first column of a section's table."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize(
    ("section", "written"),
    [
        ("Forecasts", forecast_columns(make_catalogue("shop"))),
        ("Results", list(TYPES)),
        ("Backtest", [name for name in join_backtests([]).columns if name != "baseline"] + ["lower_80", "baseline"]),
        ("Components", list(EMPTY.columns)),
        ("Release", list(RELEASE)),
        ("Transitions", list(TRANSITIONS)),
        ("Stock-outs", list(NO_STOCKOUTS.columns)),
        ("Scores of trials", list(empty_scores().columns)),
        ("Ranking of trials", [*Standing.__annotations__, "rung", "changes"]),
    ],
)
def test_every_column_is_explained(section: str, written: list[str]) -> None:
    assert sorted(columns(section)) == sorted(written)
