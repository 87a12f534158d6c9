"""What each stage of a run took: time, CPU and memory, written beside the run's other objects for the report."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore

STAGES = ("ingest", "plan", "departments", "retrain", "decide", "promote", "forecast", "report", "tidy")
STATUS, FORGET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a finished stage took, over all of its parts (the chunks of a mapped stage; else one).

    Attributes:
        seconds: from the beginning of the first part to the end of the last.
        cpu_seconds: of all parts, those of the processes that they started included.
        peak_rss_mb: of the part that needed most, memory that its process shares with the scheduler included.
        slowest: the part that took longest; empty where there is only one, without a name.
        slowest_to_mean: its seconds over the parts' mean: 1 is perfectly even.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_mb: int
    slowest: str = ""
    slowest_to_mean: float = 1.0


@contextmanager
def timed_stage(store: ObjectStore, run: RunKeys, stage: str, part: str = "") -> Iterator[None]:
    """Write what the block took, if it succeeds; ``part`` names one chunk of a mapped stage.

    What an earlier time left, before the stage was cleared, is taken away first: a stage that fails then has no times.
    """
    key = f"{run.folder}/stages/{stage}{'-' + part if part else ''}.json"
    store.delete(key)
    # A process that runs several stages, as tests do, would else show the peak of an earlier one.
    with suppress(OSError):
        FORGET_PEAK.write_text("5", encoding="ascii")
    started, cpu = datetime.now(UTC), _read_cpu_seconds()
    yield
    took = {
        "started": started.isoformat(),
        "finished": datetime.now(UTC).isoformat(),
        "cpu_seconds": round(_read_cpu_seconds() - cpu, 3),
        "peak_rss_mb": read_peak_memory(),
    }
    store.put_json(key, took)


def read_stages(store: ObjectStore, run: RunKeys) -> tuple[dict[str, StageCost], datetime | None]:
    """What each finished stage took, in the order of the flow, and when the run began (``None``: no stage finished)."""
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for item in store.list(f"{run.folder}/stages/"):
        stage, _, part = item.key.rsplit("/", 1)[1].removesuffix(".json").partition("-")
        parts.setdefault(stage, {})[part] = store.get_json(item.key)
    costs = {stage: _add_up(parts[stage]) for stage in STAGES if stage in parts}
    began = min((_span(took)[0] for stage in costs for took in parts[stage].values()), default=None)
    return costs, began


def read_peak_memory() -> int:
    """The peak memory of this process, in MB, since a stage began in it.

    A forked process begins with what it shares with its parent, which counts: it is what the machine's tools show.
    """
    with suppress(OSError, StopIteration):
        lines = STATUS.read_text(encoding="ascii").splitlines()
        return round(int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _read_cpu_seconds() -> float:
    """CPU of this process and of those that it started and saw end."""
    return sum(os.times()[:4])


def _span(took: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(took["started"]), datetime.fromisoformat(took["finished"])


def _add_up(parts: dict[str, dict[str, Any]]) -> StageCost:
    starts, ends = zip(*(_span(took) for took in parts.values()), strict=True)
    took_seconds = ((end - start).total_seconds() for start, end in zip(starts, ends, strict=True))
    seconds = dict(zip(parts, took_seconds, strict=True))
    slowest, mean = max(seconds, key=lambda part: (seconds[part], part)), fmean(seconds.values())
    return StageCost(
        seconds=(max(ends) - min(starts)).total_seconds(),
        # Runs of an earlier version wrote times only.
        cpu_seconds=sum(float(took.get("cpu_seconds", 0.0)) for took in parts.values()),
        peak_rss_mb=max(int(took.get("peak_rss_mb", 0)) for took in parts.values()),
        slowest=slowest,
        slowest_to_mean=seconds[slowest] / mean if mean else 1.0,
    )
