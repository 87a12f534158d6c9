"""Stop registration at an exact place: after so many versions, every further one waits, in the midst of its request.

A trigger on MLflow's table counts the versions that are inserted and, beyond a number, waits for a lock that the test
holds. What waits there has been asked for by a chunk, is not yet written, and nobody has an answer: the moment at
which a process is best killed. Without it, a test would have to be quick enough.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import psycopg2

from include.skufleet.local.credentials import load_credentials
from include.skufleet.local.environment import Endpoints, database_url
from include.skufleet.local.settings import StackSettings
from tests.integration.waiting import wait_for

LOCK = 7_580_041  # any number that is nobody else's
_CLOSE = f"""
CREATE SEQUENCE versions_let_through;
CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('versions_let_through') > %s THEN PERFORM pg_advisory_xact_lock_shared({LOCK}); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER registry_gate BEFORE INSERT ON model_versions FOR EACH ROW EXECUTE FUNCTION wait_at_the_gate();
"""
_REMOVE = """
DROP TRIGGER IF EXISTS registry_gate ON model_versions;
DROP FUNCTION IF EXISTS wait_at_the_gate;
DROP SEQUENCE IF EXISTS versions_let_through;
"""
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"


class RegistryGate:
    """A context manager: inside it the gate is closed, until it is opened or left."""

    def __init__(self, settings: StackSettings, let_through: int) -> None:
        url = database_url(Endpoints.on_loopback(settings), load_credentials(settings.paths), "mlflow")
        self._address = url.replace("+psycopg2", "")
        self._let_through = let_through
        self._holder: Any = None

    def __enter__(self) -> Self:
        self._run(_REMOVE)
        self._holder = self._connect()
        self._holder.cursor().execute("SELECT pg_advisory_lock(%s)", [LOCK])
        self._run(_CLOSE, [self._let_through])
        return self

    def wait(self) -> None:
        """Until somebody stands at the gate."""
        wait_for(self._count_waiting, "a version that waits at the gate", pause=0.05)

    def open(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None
            self._run(_REMOVE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()

    def _count_waiting(self) -> int:
        cursor = self._holder.cursor()
        cursor.execute(_WAITING, [LOCK])
        return int(cursor.fetchone()[0])

    def _connect(self) -> Any:
        connection = psycopg2.connect(self._address, connect_timeout=10)
        connection.autocommit = True
        return connection

    def _run(self, statements: str, values: list[int] | None = None) -> None:
        connection = self._connect()
        try:
            connection.cursor().execute(statements, values)
        finally:
            connection.close()
