"""An embedded stack of the benchmark's own: empty, on free ports, gone when the benchmark ends."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.skufleet.local import stack
from include.skufleet.local.settings import PROJECT_ROOT, StackSettings, load_settings

PORTS = ("POSTGRES", "S3", "MLFLOW", "AIRFLOW")


@contextmanager
def own_stack(name: str, *, keep: bool = False) -> Iterator[tuple[StackSettings, stack.Access]]:
    """Start a stack in ``.local-bench/<name>``, empty unless ``keep``; within, ``os.environ`` is that of a task."""
    state, before = PROJECT_ROOT / ".local-bench" / name, dict(os.environ)
    if not keep:
        wipe(state)
    settings = load_settings(
        PROJECT_ROOT, {"SKUFLEET_LOCAL_DIR": str(state), "SKUFLEET_BUCKET": "skufleet", **_free_ports()}
    )
    try:
        found = stack.up(settings)
        os.environ.update(found.environment)
        yield settings, found
    finally:
        stack.down(settings)
        os.environ.clear()
        os.environ.update(before)


def wipe(state: Path) -> None:
    """Remove what an earlier benchmark left."""
    shutil.rmtree(state, ignore_errors=True)


def _free_ports() -> dict[str, str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    try:
        return {
            f"SKUFLEET_{name}_PORT": str(server.getsockname()[1]) for name, server in zip(PORTS, sockets, strict=True)
        }
    finally:
        for server in sockets:
            server.close()
