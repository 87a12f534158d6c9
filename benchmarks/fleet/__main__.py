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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from benchmarks.fleet.simulated import bench_simulated
from benchmarks.fleet.whole_m5 import bench_m5
from benchmarks.machine import describe_machine

RUNS = ("first", "next_day", "unchanged", "unchanged_later")


def main() -> int:
    """Measure what was asked for; 1 where a run did not end well."""
    options = _parse()
    console = Console(stderr=True, highlight=False)
    figures = bench_m5(options.m5, console, keep=options.keep) if options.m5 else bench_simulated(options, console)
    figures["machine"] = describe_machine()
    print(json.dumps(figures))  # noqa: T201 -- the result
    return 0 if all(run["complete"] for run in figures["runs"].values()) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=1000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--runs", default=",".join(RUNS), help="which runs, separated by commas; first is always one")
    parser.add_argument("--naive", type=int, default=12, help="SKUs of the naive loop, 0 for none")
    parser.add_argument("--tuned", type=int, default=40, help="SKUs of the tuned loop, 0 for none")
    parser.add_argument("--versions", type=int, default=0, help="top every model up to so many before timing the pages")
    parser.add_argument("--keep", action="store_true", help="go on with what an earlier benchmark left")
    parser.add_argument("--end", type=date.fromisoformat, default=_three_days_ago(), help="last day of the first run")
    parser.add_argument("--m5", type=Path, help="the whole of M5 instead: its zip")
    options = parser.parse_args()
    options.runs = [name for name in RUNS if name in {*options.runs.split(","), "first"}]
    return options


def _three_days_ago() -> date:
    return datetime.now(UTC).date() - timedelta(days=3)


if __name__ == "__main__":
    sys.exit(main())
