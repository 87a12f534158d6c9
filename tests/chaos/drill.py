"""One drill: a run, a fault in it, and the question what is left. What it finds is a record, never an exception."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import psutil

from include.skufleet.cli.airflow_api import FINISHED
from include.skufleet.errors import SkufleetError
from include.skufleet.fleet.attempts import count_tries, read_finished
from include.skufleet.fleet.audit import audit_run
from include.skufleet.fleet.progress import read_outcomes
from include.skufleet.fleet.retrain import CHECKPOINT_SKUS
from include.skufleet.fleet.run import RunKeys
from tests.chaos.arena import Arena
from tests.integration.fleet_runs import DAG, process_of
from tests.integration.waiting import wait_for

PATIENCE_SECONDS = 900.0


class NotHereError(Exception):
    """The fault cannot be made on this machine; the message says why."""


@dataclass
class Drill:
    """The run that a fault is made in.

    Attributes:
        arena: the platform.
        chance: where the fault is random, it is so by this.
        run: the run; there is one after ``start``.
        moments: what was done, and when: seconds from the start of the run.
        broke: when the fault was over, by the clock of ``time.monotonic``.
        further: other runs that are looked at in the end.
    """

    arena: Arena
    chance: random.Random
    run: RunKeys | None = None
    moments: list[str] = field(default_factory=list)
    broke: float = 0.0
    further: list[RunKeys] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def start(self, **params: Any) -> RunKeys:
        """Trigger a run that trains everything, on all that is known."""
        shop = self.arena.shop
        self.began = self.broke = time.monotonic()
        self.run = shop.trigger(**{"as_of": shop.end.isoformat(), "force": True} | params)
        return self.run

    def note(self, what: str) -> None:
        """The fault, or a part of it, has just been made."""
        self.broke = time.monotonic()
        self.moments.append(f"{self.broke - self.began:.1f} s: {what}")

    def sleep(self, least: float, most: float) -> None:
        """Until a random moment."""
        time.sleep(self.chance.uniform(least, most))

    def instances(self, task: str) -> list[dict[str, Any]]:
        assert self.run is not None
        try:
            return self.arena.shop.instances(self.run, task)
        except SkufleetError:
            return []

    def wait_for_process(self, task: str) -> tuple[dict[str, Any], psutil.Process]:
        """A running instance of a task, and the process that does its work."""

        def look() -> tuple[dict[str, Any], psutil.Process] | None:
            running = [item for item in self.instances(task) if item["state"] == "running"]
            found = [(item, process) for item in running if (process := process_of(item))]
            return self.chance.choice(found) if found else None

        return wait_for(look, f"a process of {task}", pause=0.02)

    def wait_for_chunk(self) -> tuple[dict[str, Any], psutil.Process]:
        """A chunk at whose SKUs its process has begun to work, and that process."""

        def look() -> tuple[dict[str, Any], psutil.Process] | None:
            item, process = self.wait_for_process("retrain")
            return (item, process) if self.count_tries(item["map_index"]) >= item["try_number"] else None

        return wait_for(look, "a chunk that has begun", pause=0.02)

    def wait_for_state(self, task: str, state: str) -> None:
        wait_for(lambda: any(item["state"] == state for item in self.instances(task)), f"{task} {state}", pause=0.05)

    def kill_task(self, task: str) -> None:
        """SIGKILL one process of a task at once."""
        self.kill_instance(*(self.wait_for_chunk() if task == "retrain" else self.wait_for_process(task)))

    def kill_instance(self, item: dict[str, Any], process: psutil.Process) -> None:
        """SIGKILL the process of a task instance."""
        process.kill()
        self.note(f"killed {item['task_id']} {item['map_index']}, try {item['try_number']}")

    def count_tries(self, map_index: int) -> int:
        """How many tries of a chunk have begun its work."""
        assert self.run is not None
        return count_tries(self.arena.shop.store, self.run.chunk_folder(f"c{map_index:03d}"))

    def finish(self) -> str:
        """Wait for the end of the run, however the API may be; its state."""
        assert self.run is not None
        run = self.run

        def state() -> str | None:
            try:
                found = self.arena.shop.api.run_state(DAG, run.run_id)
            except SkufleetError:
                return None
            return found if found in FINISHED else None

        return str(wait_for(state, f"the end of {run.run_id}", patience=PATIENCE_SECONDS))


@dataclass(frozen=True)
class Record:
    """What became of one drill; one JSON line.

    Attributes:
        fault: its name.
        seed: of the suite.
        recovered: whether the same run ended in success by itself.
        state: of the run; ``skipped`` where the fault cannot be made here.
        seconds: from the trigger to the end of the run.
        seconds_to_recover: from the end of the fault to the end of the run.
        tries: tries of all tasks beyond the first.
        skus: planned for training.
        skus_redone: trained again, at the most: those between the last checkpoint and the end of each broken try.
        broken: invariants that do not hold.
        moments: what was done, and when.
    """

    fault: str
    seed: int
    recovered: bool
    state: str
    seconds: float
    seconds_to_recover: float
    tries: int
    skus: int
    skus_redone: int
    broken: list[str]
    moments: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Fault = Callable[[Drill], None]


def hold_drill(arena: Arena, name: str, fault: Fault, seed: int) -> Record:
    """Make the fault, wait for the run's end, hold it and the catalogue against the invariants."""
    drill = Drill(arena, random.Random(f"{seed}/{name}"))  # noqa: S311 -- no secret
    try:
        fault(drill)
        state = drill.finish()
        ended = time.monotonic()
        broken = _audit(drill)
    except NotHereError as error:
        return Record(name, seed, False, "skipped", 0, 0, 0, 0, 0, [], [str(error)])
    except Exception as error:  # noqa: BLE001 -- whatever it is, the suite goes on and exits with 1
        arena.proxy.calm()
        arena.up()
        text = f"{type(error).__name__}: {error}"
        return Record(name, seed, False, "broken off", 0, 0, 0, 0, 0, [text[:500]], drill.moments)
    skus, redone = _count_redone(drill)
    return Record(
        fault=name,
        seed=seed,
        recovered=state == "success",
        state=state,
        seconds=round(ended - drill.began, 1),
        seconds_to_recover=round(max(0.0, ended - drill.broke), 1),
        tries=sum(max(0, item["try_number"] - 1) for item in _all_instances(drill)),
        skus=skus,
        skus_redone=redone,
        broken=broken,
        moments=drill.moments,
    )


def _audit(drill: Drill) -> list[str]:
    shop = drill.arena.shop
    assert drill.run is not None
    found = [item for run in (drill.run, *drill.further) for item in audit_run(shop.clients, shop.catalogue, run)]
    return [f"{item.invariant}: {item.detail}" for item in found] + _find_done_twice(drill)


def _find_done_twice(drill: Drill) -> list[str]:
    """SKUs that were trained again although a checkpoint had them: more than a broken try may cost."""
    assert drill.run is not None
    store, found = drill.arena.shop.store, []
    for chunk in store.get_json(drill.run.plan_key)["chunks"]:
        folder = drill.run.chunk_folder(chunk["chunk"])
        skus = store.get_json(f"{folder}/manifest.json")["skus"]
        done = read_outcomes(store, folder, {sku: known["fingerprint"] for sku, known in skus.items()})["sku"]
        if twice := sorted(set(done[done.duplicated()])):
            found.append(
                f"redone: chunk {chunk['chunk']} did {len(twice)} SKUs again after their checkpoint: {twice[:3]}"
            )
    return found


def _all_instances(drill: Drill) -> list[dict[str, Any]]:
    assert drill.run is not None
    return list(drill.arena.shop.api.task_instances(DAG, drill.run.run_id))


def _count_redone(drill: Drill) -> tuple[int, int]:
    """SKUs that were handed out, and how many of them may have been trained more than once."""
    assert drill.run is not None
    store, redone = drill.arena.shop.store, 0
    plan = store.get_json(drill.run.plan_key)
    for chunk in plan["chunks"]:
        finished = read_finished(store, drill.run.chunk_folder(chunk["chunk"]))
        redone += sum(min(CHECKPOINT_SKUS, max(0, len(chunk["skus"]) - before)) for before in finished[1:])
    return int(plan["counts"]["to_train"]), redone


def day_after(arena: Arena) -> date:
    """Deliver one more day of the chain; its date."""
    from datetime import timedelta

    shop = arena.shop
    shop.end += timedelta(days=1)
    shop.land(shop.end)
    return shop.end
