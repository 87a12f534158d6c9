"""Faults of services: their processes die, and are started again by the command that a person would give."""

from __future__ import annotations

import time

from tests.chaos.drill import Drill, Fault
from tests.integration.registry_gate import RegistryGate


def scheduler_killed(drill: Drill) -> None:
    """The scheduler dies while chunks are trained; for a moment its orphans and the new tasks work side by side."""
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 3)
    drill.arena.kill("airflow-scheduler")
    drill.note("killed the scheduler")
    drill.arena.up()


def scheduler_killed_alone(drill: Drill) -> None:
    """The scheduler dies, and the processes of its tasks live on."""
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 2)
    leader = drill.arena.find("airflow-scheduler")
    leader.kill()
    leader.wait(30)
    drill.note("killed the scheduler, not its tasks")
    drill.arena.up()


def api_server_away_for_60_s(drill: Drill) -> None:
    """Airflow's API, which tasks report to, is away for a minute."""
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 2)
    drill.arena.kill("airflow-api")
    drill.note("killed the api-server")
    time.sleep(60)
    drill.arena.up()
    drill.note("started it again")


def mlflow_killed_while_it_registers(drill: Drill) -> None:
    """MLflow's server dies with registrations in hand, and is back 30 s later."""
    with RegistryGate(drill.arena.settings, drill.chance.randint(0, 60)) as gate:
        drill.start()
        gate.wait()
        drill.arena.kill("mlflow")
        drill.note("killed MLflow")
    time.sleep(30)
    drill.arena.up()
    drill.note("started it again")


def mlflow_killed_while_it_promotes(drill: Drill) -> None:
    """MLflow's server dies while aliases are moved, and is back 30 s later."""
    drill.start()
    drill.wait_for_process("promote")
    drill.sleep(0.2, 1.5)
    drill.arena.kill("mlflow")
    drill.note("killed MLflow")
    time.sleep(30)
    drill.arena.up()
    drill.note("started it again")


def postgres_restarted(drill: Drill) -> None:
    """The database behind Airflow and MLflow dies in the midst of it and comes back."""
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 3)
    drill.arena.kill("postgres")
    drill.note("killed PostgreSQL")
    drill.arena.up()
    drill.note("started it again")


def s3_server_killed(drill: Drill) -> None:
    """The S3 server dies and is back 10 s later."""
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 3)
    drill.arena.kill("s3")
    drill.note("killed the S3 server")
    time.sleep(10)
    drill.arena.up()
    drill.note("started it again")


def everything_killed(drill: Drill) -> None:
    """Every process dies at once, as when the machine is reset; then `make up`."""
    from include.skufleet.local.services import NAMES

    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 3)
    drill.arena.kill(*NAMES)
    drill.note("killed everything")
    drill.arena.up()
    drill.note("started it again")


FAULTS: list[Fault] = [
    scheduler_killed,
    scheduler_killed_alone,
    api_server_away_for_60_s,
    mlflow_killed_while_it_registers,
    mlflow_killed_while_it_promotes,
    postgres_restarted,
    s3_server_killed,
    everything_killed,
]
