"""The same work in several processes that begin at the same moment, as a machine with as many cores would do it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from include.skufleet.errors import PermanentError

Work = Callable[[Any, Callable[[], None]], int]
"""Takes its part and a function to call when it has warmed up; returns how many models it made after that."""

PATIENCE = 300.0
_begin: Any = None


def time_side_by_side(work: Work, parts: Sequence[Any]) -> float:
    """Wall seconds per model of as many processes as there are parts, imports and warming up left out.

    Processes are started anew rather than forked: MLflow's clients keep threads, which do not survive a fork.

    Raises:
        PermanentError: one of them did not come to its beginning, or made no model.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(parts))
    with ProcessPoolExecutor(len(parts), context, initializer=_remember, initargs=(barrier,)) as pool:
        done = [future.result() for future in [pool.submit(_timed, work, part) for part in parts]]
    models = sum(made for _, _, made in done)
    if not models:
        raise PermanentError(f"{getattr(work, '__name__', work)}: {len(parts)} processes made no model at all")
    # One clock for all processes of a machine.
    return (max(ended for _, ended, _ in done) - min(began for began, _, _ in done)) / models


def _remember(barrier: Any) -> None:
    global _begin
    _begin = barrier


def _timed(work: Work, part: Any) -> tuple[float, float, int]:
    began: list[float] = []

    def begin() -> None:
        _begin.wait(PATIENCE)
        began.append(time.monotonic())

    try:
        made = work(part, begin)
    except BaseException:
        # The others must not wait for one that will not come.
        _begin.abort()
        raise
    return began[0], time.monotonic(), made
