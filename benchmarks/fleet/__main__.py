"""Run a simulated catalogue through the whole platform, and time it beside the loops that people write.

    make bench-fleet SKUS=1000 [RUNS=first,next_day] [KEEP=1]
    make bench-m5-fleet M5=<m5-forecasting-accuracy.zip>

Starts a stack of its own (real scheduler, MLflow server, PostgreSQL, S3), lands the data (not timed: a retailer's files
are there), runs, and prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from benchmarks.fleet.own_stack import HOME
from benchmarks.fleet.simulated import Options, bench_simulated
from benchmarks.fleet.steps import RUNS, parse_runs, plan_steps
from benchmarks.fleet.table import print_table
from benchmarks.fleet.whole_m5 import bench_m5
from benchmarks.machine import describe_machine
from include.skufleet.errors import SkufleetError

END = date(2026, 6, 28)
"""The last day of the first run: the same whenever the benchmark is repeated, so that its data are, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 where it could not be, or where a run did not end well."""
    options = parse(arguments)
    # Into a file there is no terminal whose width the table has to respect.
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 180)
    try:
        if options.m5:
            figures = bench_m5(options.m5, options.state or HOME / "fleet-m5", console, keep=options.keep)
        else:
            figures = bench_simulated(to_options(options), console)
    except SkufleetError as error:
        console.print(f"[bold red]bench-fleet:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the benchmark's servers were stopped")
        return 130
    print_table(console, figures)
    print(json.dumps(figures | {"machine": describe_machine()}))  # noqa: T201 -- the result
    return 0 if all(run["complete"] for run in figures["runs"].values()) else 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=1000)
    parser.add_argument("--days", type=int, default=730, help="of history before the first run")
    parser.add_argument("--runs", default=",".join(RUNS), help=f"which runs, separated by commas: {', '.join(RUNS)}")
    parser.add_argument("--daily", type=int, default=0, help="so many further runs after next_day, a new day each")
    parser.add_argument("--naive", type=int, default=12, help="SKUs of the naive loop, 0 for none")
    parser.add_argument("--tuned", type=int, default=40, help="SKUs of the tuned loop, 0 for none")
    parser.add_argument("--panels", type=int, default=60, help="SKUs on which the engine alone is timed")
    parser.add_argument("--versions", type=int, default=0, help="top every model up to so many before timing the pages")
    parser.add_argument("--state", type=Path, help="folder of the stack; without it .local-bench/fleet-<skus>")
    parser.add_argument("--keep", action="store_true", help="go on with what an earlier benchmark left there")
    parser.add_argument("--end", type=date.fromisoformat, default=END, help="last day that the first run knows")
    parser.add_argument("--m5", type=Path, help="the whole of M5 instead: its zip")
    return parser.parse_args(arguments)


def to_options(given: argparse.Namespace) -> Options:
    """What the command line asks for.

    Raises:
        ConfigError: it names a run that there is not.
    """
    return Options(
        skus=given.skus,
        days=given.days,
        steps=plan_steps(parse_runs(given.runs), given.end, given.daily),
        naive=given.naive,
        tuned=given.tuned,
        panels=given.panels,
        versions=given.versions,
        state=given.state or HOME / f"fleet-{given.skus}",
        keep=given.keep,
    )


if __name__ == "__main__":
    sys.exit(main())
