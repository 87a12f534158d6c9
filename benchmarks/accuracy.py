"""Forecast all of M5 from one origin: 28 days for each of 30,490 series, from nothing later than the origin.

    make bench-accuracy M5=m5-forecasting-accuracy.zip ORIGIN=2016-04-24 OUT=forecasts.parquet
    make bench-accuracy M5=... ORIGIN=... OUT=... CANDIDATES=profile,theta SELECT=1

Writes ``item_id, store_id, date, y_hat`` and prints one JSON line last. Two processes take blocks of items in turn;
this one reads the files, hands the blocks out and gathers the forecasts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.defaults import SINGLE
from benchmarks.m5_blocks import BlockForecast, Job, fit_department, forecast_block, set_up
from benchmarks.m5_files import HORIZON, M5, Floats, read_m5
from benchmarks.m5_panels import Block, Frame, cut_blocks, department_panels, frame_of
from benchmarks.machine import Meter, Usage, describe_machine
from include.skufleet.config import CandidateName, find_catalogue
from include.skufleet.errors import ConfigError, SkufleetError
from include.skufleet.forecasting.panel import Panel, Prior
from include.skufleet.sources.archive import open_archive

BLOCK = 32


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        m5: the zip or folder as Kaggle ships it.
        origin: last day that may be used.
        out: the Parquet file to write.
        candidates: names; empty takes the default.
        select: backtest the candidates and choose per item.
        items: forecast only so many items, evenly spread; 0 means all.
        processes: workers; with one, this process does the work itself.
    """

    m5: Path
    origin: date
    out: Path
    candidates: tuple[str, ...] = ()
    select: bool = False
    items: int = 0
    processes: int = 2


@dataclass(frozen=True)
class Outcome:
    """All forecasts, (I, S, 28), and per fitted item what was chosen and how large it is."""

    y_hat: Floats
    chosen: Counter[str]
    parameter_bytes: tuple[int, ...]
    errors: tuple[str, ...]


def plan_job(options: Options) -> Job:
    """Which candidates to fit, and whether to choose among them.

    Raises:
        ConfigError: a name is not a candidate, or there are several without a choice between them.
    """
    catalogue = find_catalogue("m5")
    names = options.candidates or (catalogue.candidates if options.select else (SINGLE,))
    if len(names) > 1 and not options.select:
        raise ConfigError(f"CANDIDATES={','.join(names)}: several candidates; say SELECT=1, or name one")
    if unknown := sorted(set(names) - set(get_args(CandidateName))):
        raise ConfigError(
            f"CANDIDATES: no candidate {', '.join(unknown)}; there are {', '.join(get_args(CandidateName))}"
        )
    return Job(tuple(names), options.select)


def forecast_m5(m5: M5, job: Job, processes: int) -> Outcome:
    """Fit and forecast every item; a series never listed up to the origin gets zeros."""
    y_hat = np.zeros((len(m5.items), len(m5.stores), HORIZON))
    chosen: Counter[str] = Counter()
    sizes: list[int] = []
    errors: list[str] = []
    frame = frame_of(m5, find_catalogue("m5"))
    departments = department_panels(m5, frame)
    for done in _work(frame, job, departments, lambda priors: cut_blocks(m5, BLOCK, priors), processes):
        y_hat[done.start : done.start + len(done.y_hat)] = done.y_hat
        chosen.update(done.chosen)
        sizes += done.parameter_bytes
        errors += done.errors
    return Outcome(y_hat, chosen, tuple(sizes), tuple(errors))


def _work(
    frame: Frame,
    job: Job,
    departments: Sequence[Panel],
    cut: Callable[[Mapping[str, tuple[Prior, ...]]], Iterator[Block]],
    processes: int,
) -> Iterator[BlockForecast]:
    """The departments' profiles, then the blocks' forecasts, in any order."""
    if processes == 1:
        set_up(frame, job)
        yield from map(forecast_block, cut(dict(map(fit_department, departments))))
        return
    # Spawned, not forked: a fork would count this process's arrays once more for every worker.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=set_up, initargs=(frame, job)) as pool:
        yield from _in_turn(pool, cut(dict(pool.map(fit_department, departments))), processes + 1)


def _in_turn(pool: ProcessPoolExecutor, blocks: Iterable[Block], ahead: int) -> Iterator[BlockForecast]:
    """The blocks' forecasts as they come, with only ``ahead`` blocks cut and waiting."""
    waiting: set[Future[BlockForecast]] = set()
    for block in blocks:
        if len(waiting) >= ahead:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
        waiting.add(pool.submit(forecast_block, block))
    for future in waiting:
        yield future.result()


def write_forecasts(m5: M5, y_hat: Floats, out: Path) -> int:
    """Write ``item_id, store_id, date, y_hat`` of every series of the sales file; how many these are."""
    item, store = np.nonzero(m5.rows >= 0)
    dates = m5.dates[-1] + np.arange(1, HORIZON + 1).astype("timedelta64[D]")

    def _codes(codes: Any, names: Sequence[str]) -> Any:
        return pa.DictionaryArray.from_arrays(np.repeat(codes.astype(np.int32), HORIZON), pa.array(names))

    table = pa.table(
        {
            "item_id": _codes(item, m5.items),
            "store_id": _codes(store, m5.stores),
            "date": pa.array(np.tile(dates.astype("datetime64[ms]"), item.size)),
            "y_hat": pa.array(y_hat[item, store].reshape(-1)),
        }
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out)
    return int(item.size)


def run(options: Options) -> tuple[dict[str, Any], Outcome]:
    """Read, fit, forecast and write; what is reported but for the time and memory that it took."""
    job = plan_job(options)
    m5 = read_m5(open_archive(options.m5), options.origin)
    if options.items:
        m5 = m5.sample(options.items)
    outcome = forecast_m5(m5, job, options.processes)
    series = write_forecasts(m5, outcome.y_hat, options.out)
    return {
        "benchmark": "accuracy",
        "origin": str(options.origin),
        "series": series,
        "candidates": list(job.candidates),
        "select": job.select,
        "bytes_per_model_median": int(np.median(outcome.parameter_bytes)) if outcome.parameter_bytes else None,
        "candidates_chosen": dict(outcome.chosen.most_common()),
        "failed": len(outcome.errors),
    }, outcome


def report(facts: dict[str, Any], usage: Usage) -> dict[str, Any]:
    """The JSON line."""
    used = {
        "seconds": round(usage.seconds, 1),
        "cpu_seconds": round(usage.cpu_seconds, 1),
        "peak_rss_mb": round(usage.peak_rss_mb),
    }
    return facts | used | describe_machine()


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--m5", type=Path, required=True, help="zip or folder as Kaggle ships it")
    parser.add_argument("--origin", type=date.fromisoformat, required=True, help="last day that may be used")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--candidates", default="", help="names, separated by commas")
    parser.add_argument("--select", action="store_true", help="backtest the candidates, choose one per item")
    parser.add_argument("--items", type=int, default=0, help="only so many items, evenly spread, for a quick look")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    values = vars(parser.parse_args(arguments))
    names = tuple(name.strip() for name in values.pop("candidates").split(",") if name.strip())
    return Options(candidates=names, **values)


def main() -> int:
    """Run the benchmark, print the line."""
    try:
        with Meter() as meter:
            facts, outcome = run(parse())
    except SkufleetError as error:
        print(f"bench-accuracy: {error}", file=sys.stderr)  # noqa: T201
        return 1
    for line in outcome.errors[:5]:
        print(f"could not be fitted, the fallback forecasts it: {line}", file=sys.stderr)  # noqa: T201
    print(json.dumps(report(facts, meter.usage)))  # noqa: T201 -- the result
    return 0


if __name__ == "__main__":
    sys.exit(main())
