"""What a benchmark ran on, and what it took: wall and CPU seconds and memory, of this process and its children."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil

_EVERY = 0.1


def describe_machine() -> dict[str, Any]:
    """Cores, memory, Python and commit, for the JSON line of a benchmark; ``+`` marks a checkout with changes."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "commit": find_commit(),
    }


def find_commit() -> str:
    """The checked-out commit, short, with a ``+`` if tracked files differ from it; empty outside of a checkout."""
    git = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)  # noqa: S603 -- a constant command
    return found.stdout.strip()


@dataclass(frozen=True)
class Usage:
    """What was used since a process began, its children counted in.

    Attributes:
        seconds: wall clock.
        cpu_seconds: user and system time of the process and of the children that have ended.
        peak_rss_mb: the largest sum of resident memory of the process and its children, looked at ten times a second.
            Memory that several of them share is counted for each.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


class Meter:
    """Measures this process from its start to the end of the ``with`` block; ask for ``usage`` after it."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.usage = Usage(0.0, 0.0, 0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        peak = max(self._peak / 2**20, own.ru_maxrss / 2**10)
        self.usage = Usage(time.time() - self._process.create_time(), cpu, peak)

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY):
            self._peak = max(self._peak, self._resident())

    def _resident(self) -> int:
        """Bytes in memory now; a child that ends while it is looked at counts as nothing."""
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total
