"""How long a search took: its trials one after the other, and side by side as they ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.lake.store import ObjectStore


def stage_name(rung: int) -> str:
    """The name under which the times of a rung's trials are written."""
    return f"rung_{rung}"


@dataclass(frozen=True)
class Timing:
    """When the trials of a rung, or of all rungs, ran.

    Attributes:
        tasks: trials that came to their end; of one that was tried again, its last try counts.
        seconds: how long they took, added up.
        wall: seconds from the beginning of the first to the end of the last.
    """

    tasks: int
    seconds: float
    wall: float

    @property
    def speedup(self) -> float:
        """How many times longer one after the other would have taken; 1 where nothing ran."""
        return self.seconds / self.wall if self.wall else 1.0


def read_timings(store: ObjectStore, run: SearchRun, rungs: int) -> tuple[list[Timing], Timing, datetime | None]:
    """The timing of each rung and of all of them, and when the first task of the search began."""
    spans: list[list[tuple[datetime, datetime]]] = [[] for _ in range(rungs)]
    began: datetime | None = None
    for item in store.list(f"{run.folder}/stages/"):
        times = store.get_json(item.key)
        span = datetime.fromisoformat(times["started"]), datetime.fromisoformat(times["finished"])
        began = min(began, span[0]) if began else span[0]
        stage = item.key.rsplit("/", 1)[1].removesuffix(".json").partition("-")[0]
        for rung in range(rungs):
            if stage == stage_name(rung + 1):
                spans[rung].append(span)
    return [_sum_up(part) for part in spans], _sum_up([span for part in spans for span in part]), began


def _sum_up(spans: Sequence[tuple[datetime, datetime]]) -> Timing:
    seconds = sum((end - start).total_seconds() for start, end in spans)
    wall = (max(end for _, end in spans) - min(start for start, _ in spans)).total_seconds() if spans else 0.0
    return Timing(len(spans), seconds, wall)
