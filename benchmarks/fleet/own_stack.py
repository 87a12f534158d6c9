"""An embedded stack of the benchmark's own: empty, on free ports, gone when the benchmark ends."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.skufleet.errors import LocalStackError
from include.skufleet.local import stack
from include.skufleet.local.beside import settings_beside
from include.skufleet.local.settings import PROJECT_ROOT, StackSettings

STATES = PROJECT_ROOT / ".local-bench"


@contextmanager
def own_stack(name: str, *, keep: bool = False) -> Iterator[tuple[StackSettings, stack.Access]]:
    """Start a stack in ``.local-bench/<name>``, empty unless ``keep``; within, ``os.environ`` is that of a task.

    Its data stay in the folder when it has been taken down, for a look or for ``keep``.

    Raises:
        LocalStackError: another benchmark uses the folder, or something cannot start.
    """
    state, before = STATES / name, dict(os.environ)
    settings = settings_beside(state)
    with hold_alone(state.with_suffix(".lock")):
        try:
            stack.down(settings)  # of a benchmark that was killed
            if not keep:
                shutil.rmtree(state, ignore_errors=True)
            found = stack.up(settings)
            os.environ.update(found.environment)
            yield settings, found
        finally:
            os.environ.clear()
            os.environ.update(before)
            stack.down(settings)


@contextmanager
def hold_alone(lock: Path) -> Iterator[None]:
    """Hold a lock file for the ``with`` block.

    Raises:
        LocalStackError: somebody else holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalStackError(
                f"{lock}: another benchmark works in this folder; wait for its end, or end it"
            ) from error
        yield
