"""When each stage of a run began and ended, written beside the run's other objects for the report."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore

STAGES = ("ingest", "plan", "departments", "retrain", "promote", "forecast", "report")


@contextmanager
def timed_stage(store: ObjectStore, run: RunKeys, stage: str, part: str = "") -> Iterator[None]:
    """Write when the block began and ended, if it succeeds; ``part`` names one chunk of a mapped stage.

    What an earlier time left, before the stage was cleared, is taken away first: a stage that fails then has no times.
    """
    key = f"{run.folder}/stages/{stage}{'-' + part if part else ''}.json"
    store.delete(key)
    started = datetime.now(UTC)
    yield
    times = {"started": started.isoformat(), "finished": datetime.now(UTC).isoformat()}
    store.put_json(key, times)


def read_stage_seconds(store: ObjectStore, run: RunKeys) -> tuple[dict[str, float], datetime | None]:
    """Seconds from the beginning of each finished stage to its end, in the order of the flow, and the run's beginning.

    A mapped stage lasts from its first part's beginning to its last part's end.
    """
    times: dict[str, list[dict[str, Any]]] = {}
    for item in store.list(f"{run.folder}/stages/"):
        stage = item.key.rsplit("/", 1)[1].removesuffix(".json").split("-")[0]
        times.setdefault(stage, []).append(store.get_json(item.key))
    seconds, began = {}, None
    for stage in (name for name in STAGES if name in times):
        started = min(datetime.fromisoformat(item["started"]) for item in times[stage])
        finished = max(datetime.fromisoformat(item["finished"]) for item in times[stage])
        seconds[stage] = (finished - started).total_seconds()
        began = min(began, started) if began else started
    return seconds, began


def read_peak_memory() -> int:
    """The peak memory of this process so far, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
