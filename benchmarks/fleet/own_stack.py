"""An embedded stack of the benchmark's own: empty, on free ports, gone when the benchmark ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.skufleet.errors import LocalStackError
from include.skufleet.local import stack
from include.skufleet.local.beside import settings_beside
from include.skufleet.local.settings import PROJECT_ROOT, StackSettings

HOME = PROJECT_ROOT / ".local-bench"
"""Where benchmarks keep what they stored, a folder each."""


@contextmanager
def own_stack(state: Path, *, keep: bool = False) -> Iterator[tuple[StackSettings, stack.Access]]:
    """Start a stack with its state in a folder, emptied unless ``keep``; within, ``os.environ`` is that of a task.

    It is taken down at the end, also after an error, Ctrl-C or SIGTERM; its data stay in the folder, for a look or for
    ``keep``.

    Raises:
        LocalStackError: another benchmark uses the folder, or something cannot start.
    """
    settings, before = (
        settings_beside(state, SKUFLEET_MLFLOW_DIRECT=os.environ.get("SKUFLEET_MLFLOW_DIRECT", "1")),
        dict(os.environ),
    )
    with hold_alone(state.with_suffix(".lock")):
        ended = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
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
            signal.signal(signal.SIGTERM, ended)


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
