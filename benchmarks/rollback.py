"""Take a release of many SKUs back: timed, then killed half-way and finished by the same command.

    make bench-rollback [SKUS=10000] [KEEP=1]

A stack of its own is started; two versions of each SKU's model are registered and promoted, one release after the
other. The models are as small as a model can be: what is measured is the registry and the record. Prints one JSON line
last.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd

from benchmarks.fleet.own_stack import HOME, own_stack
from benchmarks.machine import describe_machine
from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.moving import Plan, Work, begin, change_stages
from include.skufleet.fleet.releases import Release, find_release, list_releases
from include.skufleet.fleet.rollback import Scope, roll_back
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.transitions import read_transitions
from include.skufleet.lake.connecting import open_store
from include.skufleet.lifecycle.moves import KEEP, Move, to_frame
from include.skufleet.registry.package import ModelPackage, demand_signature, pinned
from include.skufleet.registry.records import ModelRecord, RegisteredVersion

CATALOGUE = "demo"
CHUNK = 500
AS_OF = date(2026, 1, 5)
SCORER = '"""Nothing is predicted here."""\n\n\ndef _load_pyfunc(path):\n    return None\n'


def open_clients() -> Clients:
    """Clients of the stack that the environment names."""
    settings = read_settings()
    return Clients.open(open_store(settings.bucket), settings)


def register(clients: Clients, skus: Sequence[str], night: int) -> dict[str, RegisteredVersion]:
    """One version of each SKU, as the chunks of a run would."""
    package = ModelPackage(SCORER, demand_signature([]), pinned())
    as_of = AS_OF + timedelta(days=night)
    made: dict[str, RegisteredVersion] = {}
    for start in range(0, len(skus), CHUNK):
        run = clients.registry.chunk_run(CATALOGUE, f"night__{night}", f"{start:05d}", as_of)
        tags = {"candidate": "tsb", "outcome": "trained", "gate": "passed", "stage": "candidate"}
        records = [
            ModelRecord(
                sku=sku, department=f"D{start % 7}", package=package, parameters={"sku": sku},
                tags=tags | {"fingerprint": f"{sku}-{night}"},
            )
            for sku in skus[start : start + CHUNK]
        ]  # fmt: skip
        for sku, found in clients.registry.register(run, records).items():
            if not isinstance(found, RegisteredVersion):
                raise found
            made[sku] = found
        clients.registry.finish(run)
    return made


def release(clients: Clients, versions: Mapping[str, RegisteredVersion], night: int) -> float:
    """Promote the versions, as a run does; seconds."""
    began = time.perf_counter()

    def plan(states: Mapping[str, Any]) -> Plan:
        now = {sku: state.production.version if state.production else 0 for sku, state in states.items()}
        moves = [
            Move(sku, item.name, now.get(sku, 0), item.version, KEEP, 0, "refresh", "for the benchmark")
            for sku, item in versions.items()
        ]
        return Plan(to_frame(moves), {sku: {"department": "D"} for sku in versions}, versions)

    def describe(work: Work, frame: pd.DataFrame, moved: int) -> Release:
        keys = RunKeys(CATALOGUE, work.run_id)
        as_of = (AS_OF + timedelta(days=night)).isoformat()
        return Release(
            keys.key, keys.release_key, work.run_id, as_of, work.moment, "run", work.actor, "", len(frame), moved
        )

    work = begin("run", f"night__{night}", f"promotion of night {night}", "bench")
    change_stages(clients, CATALOGUE, work, plan, describe)
    return time.perf_counter() - began


def take_back(release_name: str, run_id: str) -> int:
    """What the command does; SKUs moved."""
    clients = open_clients()
    wanted = find_release(clients.store, RunKeys(CATALOGUE, ""), release_name)
    return roll_back(clients, find_catalogue(CATALOGUE), wanted, Scope(), actor="bench", run_id=run_id, reason="").moved


def count_at(clients: Clients, number: int) -> int:
    """SKUs whose production is this version, by MLflow's aliases."""
    states = clients.registry.states(CATALOGUE)
    return sum(state.aliases.get("production") == number for state in states.values())


def is_at(clients: Clients, sku: str, number: int) -> bool:
    """Whether this version of a SKU is in production."""
    state = clients.registry.find_state(CATALOGUE, sku)
    return state is not None and state.aliases.get("production") == number


def kill_half_way(clients: Clients, release_name: str, skus: int, number: int) -> dict[str, Any]:
    """Begin a rollback in a process of its own, kill it when half of the aliases are there, and give it again."""
    child = multiprocessing.get_context("spawn").Process(target=take_back, args=(release_name, "rollback__killed"))
    child.start()
    middle = f"SKU-{skus // 2:05d}"  # they are moved in the order of their names; asking for all of them takes too long
    while child.is_alive() and not is_at(clients, middle, number):
        time.sleep(0.05)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    found = count_at(clients, number)
    served = sum("production" in state.aliases for state in clients.registry.states(CATALOGUE).values())
    began = time.perf_counter()
    moved = take_back(release_name, "rollback__again")
    return {
        "moved_when_killed": found,
        "served_when_killed": served,
        "seconds_to_finish": round(time.perf_counter() - began, 1),
        "moved_in_all": moved,
        "at_the_release": count_at(clients, number),
    }


def bench(skus: int, *, keep: bool) -> dict[str, Any]:
    """All of it, for the JSON line.

    Raises:
        PermanentError: a SKU is not where it must be.
    """
    with own_stack(HOME / "rollback", keep=keep):
        clients, names = open_clients(), [f"SKU-{number:05d}" for number in range(skus)]
        promoted = []
        for night in (1, 2):
            promoted.append(round(release(clients, register(clients, names, night), night), 1))
        first, second = (item.name for item in list_releases(clients.store, RunKeys(CATALOGUE, "")))
        began = time.perf_counter()
        moved = take_back(first, "rollback__1")
        seconds = time.perf_counter() - began
        again = time.perf_counter()
        nothing = take_back(first, "rollback__2")
        idle = time.perf_counter() - again
        take_back(second, "rollback__forward")
        killed = kill_half_way(clients, first, skus, 1)
        history = read_transitions(clients.store, RunKeys(CATALOGUE, ""))
        rows = history[(history["run_id"] == "rollback__killed") & (history["to_stage"] == "production")]
    half_way = 0 < killed["moved_when_killed"] < skus
    if (moved, nothing, half_way, killed["at_the_release"], len(rows)) != (skus, 0, True, skus, skus):
        raise PermanentError(f"moved {moved}, then {nothing}; after the kill {killed}, {len(rows)} written down")
    return {
        "benchmark": "rollback",
        "skus": skus,
        "promotion_seconds": promoted,
        "rollback_seconds": round(seconds, 1),
        "nothing_to_do_seconds": round(idle, 1),
        "killed": killed,
        "machine": describe_machine(),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    sys.stdout.write(json.dumps(bench(given.skus, keep=given.keep)) + "\n")


if __name__ == "__main__":
    main()
