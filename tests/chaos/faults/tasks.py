"""Faults of tasks: their processes die, have no memory, or meet a SKU that kills them."""

from __future__ import annotations

import resource

import psutil

from tests.chaos.drill import Drill, Fault
from tests.integration.registry_gate import RegistryGate
from tests.integration.waiting import wait_for


def chunk_killed(drill: Drill) -> None:
    """A chunk's process is killed somewhere in the middle."""
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 3)
    drill.kill_task("retrain")


def chunk_killed_while_it_registers(drill: Drill) -> None:
    """A chunk's process is killed while MLflow has its requests in hand, which are then carried out for nobody."""
    with RegistryGate(drill.arena.settings, drill.chance.randint(0, 60)) as gate:
        drill.start()
        gate.wait()
        drill.kill_task("retrain")


def chunks_killed_three_times(drill: Drill) -> None:
    """Three processes of chunks are killed in one run."""
    drill.start()
    for _ in range(3):
        drill.wait_for_chunk()
        drill.sleep(0, 1.5)
        drill.kill_task("retrain")


def chunk_out_of_memory(drill: Drill) -> None:
    """A chunk's process may have no more memory than it has."""
    drill.start()
    item, process = drill.wait_for_chunk()
    drill.sleep(0, 1)
    limit = process.memory_info().vms + 2**20
    process.rlimit(resource.RLIMIT_AS, (limit, limit))
    drill.note(f"no more memory for retrain {item['map_index']}")


def sku_kills_its_task(drill: Drill) -> None:
    """Whatever process trains one SKU is killed: first the task's, then each that is made for that SKU alone."""
    drill.start()
    item, process = drill.wait_for_chunk()
    drill.kill_instance(item, process)
    for number in (1, 2):
        child = wait_for(lambda: _find_isolated(drill, item["map_index"]), "a process for one SKU", pause=0.02)
        child.kill()
        drill.note(f"killed the process of one SKU, {number}")
        child.wait(10)


def _find_isolated(drill: Drill, map_index: int) -> psutil.Process | None:
    from tests.integration.fleet_runs import process_of

    for item in drill.instances("retrain"):
        if item["map_index"] == map_index and item["state"] == "running" and (parent := process_of(item)):
            children = [child for child in parent.children() if "include.skufleet.fleet.isolation" in child.cmdline()]
            return children[0] if children else None
    return None


def _killer_of(task: str, latest: float) -> Fault:
    def fault(drill: Drill) -> None:
        drill.start()
        drill.wait_for_process(task)
        drill.sleep(0, latest)
        drill.kill_task(task)

    fault.__name__ = f"{task}_killed"
    fault.__doc__ = f"The process of {task} is killed."
    return fault


FAULTS: list[Fault] = [
    chunk_killed,
    chunk_killed_while_it_registers,
    chunks_killed_three_times,
    chunk_out_of_memory,
    sku_kills_its_task,
    _killer_of("plan", 0.1),
    _killer_of("departments", 0.3),
    _killer_of("promote", 1.0),
    _killer_of("forecast", 0.2),
    _killer_of("report", 0.3),
]
