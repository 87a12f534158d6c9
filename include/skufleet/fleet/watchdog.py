"""End a process whose work hangs, wherever it hangs.

Airflow's own limit is a signal, which Python answers between two steps of its own: work that hangs in native code never
takes such a step, while the task's supervisor goes on saying that it is alive. This one is kept by a thread of
``faulthandler``, which needs no Python to run, says on standard error where each thread was, and ends the process.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STDERR = 2
_deadlines: list[float] = []
"""Of the blocks that are entered, the outermost first, by ``time.monotonic``: a process has one watchdog."""


@contextmanager
def end_process_after(seconds: float) -> Iterator[Callable[[], None]]:
    """End this process with exit code 1, and without another word of Python, where the block takes longer.

    Blocks may lie in one another, and the earliest end counts. For the main thread.

    Args:
        seconds: that the block may take.

    Yields:
        Gives the block all its seconds again, from now.
    """
    position = len(_deadlines)

    def begin_again() -> None:
        _deadlines[position:] = [time.monotonic() + seconds]
        _watch()

    begin_again()
    try:
        yield begin_again
    finally:
        del _deadlines[position:]
        _watch()


def _watch() -> None:
    if not _deadlines:
        faulthandler.cancel_dump_traceback_later()
        return
    left = max(min(_deadlines) - time.monotonic(), 0.001)
    faulthandler.dump_traceback_later(left, file=_STDERR, exit=True)
