"""Faults of people and of the orchestrator: runs and tasks started, cleared and dropped at the wrong moment."""

from __future__ import annotations

import psycopg2

from include.skufleet.local.credentials import load_credentials
from include.skufleet.local.environment import Endpoints, database_url
from tests.chaos.drill import Drill, Fault
from tests.integration.registry_gate import RegistryGate
from tests.integration.waiting import wait_for


def two_triggers_at_once(drill: Drill) -> None:
    """The same catalogue is triggered twice in one moment."""
    drill.further = [drill.start()]
    drill.start()
    drill.note("triggered a second time")
    first = drill.further.pop()
    wait_for(lambda: drill.arena.shop.finish(first), "the end of the first run")


def chunk_cleared_after_success(drill: Drill) -> None:
    """A finished run's chunk is cleared, with all that follows it."""
    run = drill.start()
    drill.finish()
    before = drill.arena.shop.versions()
    drill.arena.shop.clear(run, "retrain", 0)
    drill.note("cleared a chunk of the finished run")
    drill.finish()
    after = drill.arena.shop.versions()
    # Retention may have taken old ones; a chunk that is cleared adds none.
    added = {name for name, items in after.items() if {i.version for i in items} - {i.version for i in before[name]}}
    assert not added, f"clearing a finished chunk registered again: {sorted(added)[:5]}"


def planner_cleared_to_fewer_chunks(drill: Drill) -> None:
    """A finished run's plan is cleared: nothing is new any more, so that it hands out fewer chunks than before."""
    run = drill.start(force=False)
    drill.finish()
    plan = drill.arena.shop.store.get_json(run.plan_key)
    drill.arena.shop.clear(run, "plan", -1)
    drill.note(f"cleared the plan of {len(plan['chunks'])} chunks")


def planner_cleared_in_midst(drill: Drill) -> None:
    """The plan is cleared while its chunks are being trained."""
    run = drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 2)
    drill.arena.shop.clear(run, "plan", -1)
    drill.note("cleared the plan")


def chunk_dropped(drill: Drill) -> None:
    """The orchestrator drops a mapped task that it had not begun, and goes on as if there were none."""
    settings = drill.arena.settings
    url = database_url(Endpoints.on_loopback(settings), load_credentials(settings.paths), "airflow")
    with RegistryGate(settings, 0) as gate:
        run = drill.start()
        gate.wait()
        waiting = [item for item in drill.instances("retrain") if item["state"] != "running"]
        item = waiting[0] if waiting else drill.instances("retrain")[-1]
        connection = psycopg2.connect(url.replace("+psycopg2", ""))
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE task_instance SET state = 'removed' "
                "WHERE run_id = %s AND task_id = 'retrain' AND map_index = %s",
                [run.run_id, item["map_index"]],
            )
        connection.close()
        drill.note(f"dropped retrain {item['map_index']}, which was {item['state']}")


FAULTS: list[Fault] = [
    two_triggers_at_once,
    chunk_cleared_after_success,
    planner_cleared_to_fewer_chunks,
    planner_cleared_in_midst,
    chunk_dropped,
]
