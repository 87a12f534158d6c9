"""Bring the schemas of Airflow's and MLflow's databases to the installed versions, or skip it when they are."""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from threading import Lock

from include.skufleet.errors import LocalStackError
from include.skufleet.local.processes import last_log_line
from include.skufleet.local.settings import StackSettings, write_private

PACKAGES = {"airflow": "apache-airflow", "mlflow": "mlflow"}
# MLflow's own command takes the address as an argument, where `ps` would show the password.
_MLFLOW_UPGRADE = """
import os
from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry
from mlflow.store.tracking.dbmodels.models import Base
from sqlalchemy import inspect
engine = create_sqlalchemy_engine_with_retry(os.environ["MLFLOW_BACKEND_STORE_URI"])
if inspect(engine).has_table("alembic_version"):
    _upgrade_db(engine)
"""
COMMANDS = {
    "airflow": [sys.executable, "-m", "airflow", "db", "migrate"],
    # An empty database is filled by the server itself when it starts.
    "mlflow": [sys.executable, "-c", _MLFLOW_UPGRADE],
}
_record = Lock()


def is_current(settings: StackSettings, database: str) -> bool:
    """Return whether the installed version has already migrated `database`."""
    return _read_record(settings).get(database) == version(PACKAGES[database])


def migrate(settings: StackSettings, database: str, environment: Mapping[str, str]) -> None:
    """Migrate `database` with the installed version's own tool and record that it was done.

    Raises:
        LocalStackError: the tool failed; its output is in `logs/migrate-<database>.log`.
    """
    log = settings.paths.log(f"migrate-{database}")
    with log.open("ab") as output:
        done = subprocess.run(  # noqa: S603 - our own command
            COMMANDS[database],
            env=dict(environment),
            cwd=settings.paths.state,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        raise LocalStackError(
            f"{database}: its database could not be migrated: {last_log_line(log)} (log: {settings.paths.shown(log)})"
        )
    record_current(settings, database)


def record_current(settings: StackSettings, database: str) -> None:
    """Record that `database` has the installed version's schema."""
    with _record:
        record = {**_read_record(settings), database: version(PACKAGES[database])}
        write_private(settings.paths.migrations, json.dumps(record) + "\n")


def _read_record(settings: StackSettings) -> dict[str, str]:
    try:
        record = json.loads(settings.paths.migrations.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
