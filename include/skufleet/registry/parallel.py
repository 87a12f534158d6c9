"""Several requests at the same time; the first outage stops those that have not begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def do_all(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """The answers in the order of the items. The first error ends it, rather than let each wait for a dead server."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
