"""Retrain M5 as of past dates, each on what was known then, and hold the forecasts against what was then sold.

    make bench-backfill M5=<zip or folder as Kaggle ships it> [STORES=CA_1] [DATES=8] [EVERY=7]

A stack of its own is started, M5 is landed, and Airflow runs one date after the other, the oldest first; the last one
ends a horizon before the data does, so that every forecast can be judged in full. Writes the plot, and prints one JSON
line last.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.fleet.own_stack import HOME, own_stack
from benchmarks.fleet.whole_m5 import CATALOGUE, LAST_DAY
from benchmarks.machine import describe_machine
from benchmarks.timed_run import time_run
from include.skufleet.cli.land import land_data
from include.skufleet.cli.main import open_airflow
from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.fleet.report.scorecards import draw_file
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.scores import Scorecard, list_scorecards
from include.skufleet.lake.connecting import open_store


@dataclass(frozen=True)
class Options:
    """What is run.

    Attributes:
        m5: M5 as Kaggle ships it.
        stores: only these; empty means all ten.
        dates: how many.
        every: days between two of them.
        skus: codes or patterns; empty means all.
        svg: where the plot goes.
        state: folder of the stack.
        keep: go on with what an earlier benchmark left there.
    """

    m5: Path
    stores: Sequence[str]
    dates: int
    every: int
    skus: Sequence[str]
    svg: Path
    state: Path
    keep: bool


def list_origins(dates: int, every: int, horizon: int) -> list[date]:
    """The dates, the oldest first; the last of them is a horizon before the last day.

    >>> [day.isoformat() for day in list_origins(2, 7, 28)]
    ['2016-04-17', '2016-04-24']
    """
    last = LAST_DAY - timedelta(days=horizon)
    return [last - timedelta(days=every * back) for back in reversed(range(dates))]


def bench_backfill(options: Options, console: Console) -> dict[str, Any]:
    """All runs, for the JSON line; the plot is written.

    Raises:
        LandingError: the source is not M5's. SkufleetError: a server cannot start, or a run has no summary.
    """
    with own_stack(options.state, keep=options.keep) as (_, access):
        console.print(f"  Airflow {access.airflow_url}   MLflow {access.mlflow_url}")
        land_data(CATALOGUE, options.m5, options.stores, LAST_DAY, console)
        api, store = open_airflow(access), open_store(read_settings().bucket)
        runs = []
        for day in list_origins(options.dates, options.every, find_catalogue(CATALOGUE).horizon):
            runs.append(time_run(api, store, CATALOGUE, {"as_of": day.isoformat(), "skus": list(options.skus)}))
            console.print(f"  {day}: {runs[-1]['state']} after {runs[-1]['seconds']:.0f} s")
        cards = list_scorecards(store, RunKeys(CATALOGUE, ""))
    options.svg.write_text(draw_file(cards), encoding="utf-8")
    return {
        "benchmark": "backfill",
        "stores": list(options.stores),
        "skus": runs[-1]["skus"],
        "seconds_per_date": round(statistics.fmean(run["seconds"] for run in runs), 1),
        **summarise(cards),
        "runs": runs,
        "svg": options.svg.name,
    }


def summarise(cards: Sequence[Scorecard]) -> dict[str, Any]:
    """The mean over the dates, and every date by itself: WAPE and RMSSE beside the seasonal naive's, and the rest."""
    names = ("wape", "baseline_wape", "rmsse", "baseline_rmsse", "bias")
    scores = [card.fleet for card in cards]
    means = {name: round(statistics.fmean(getattr(score, name) for score in scores), 6) for name in names}
    better = sum(score.wape < score.baseline_wape for score in scores)
    dates = [{"as_of": card.as_of.isoformat(), "known": card.known, **card.fleet.to_json()} for card in cards]
    return {**means, "dates": len(cards), "dates_better_than_naive": better, "scorecards": dates}


def _parse() -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--m5", type=Path, required=True)
    parser.add_argument("--stores", default="CA_1", help="separated by commas; empty for all")
    parser.add_argument("--dates", type=int, default=8)
    parser.add_argument("--every", type=int, default=7)
    parser.add_argument("--skus", default="", help="codes or patterns, separated by commas")
    parser.add_argument("--svg", type=Path, default=Path("benchmarks/backfill.svg"))
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    if given.dates < 1 or given.every < 1:
        parser.error("--dates and --every are 1 or more")
    state = HOME / "backfill"
    stores, skus = (tuple(part for part in text.split(",") if part) for text in (given.stores, given.skus))
    return Options(given.m5, stores, given.dates, given.every, skus, given.svg, state, given.keep)


if __name__ == "__main__":
    figures = bench_backfill(_parse(), Console(stderr=True))
    print(json.dumps({**figures, "machine": describe_machine()}))  # noqa: T201 -- the result
