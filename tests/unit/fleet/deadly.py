"""Functions that another process does not outlive; it has to be able to import them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Any

from include.skufleet.fleet.train import Draft, draft_sku
from tests.unit.fleet.killed import Killed

DEADLY = "SKU-2"
TEST_PROCESS = "SKUFLEET_TEST_PROCESS"


def add(one: int, other: int) -> int:
    print("a library prints")  # noqa: T201 -- what it is about
    return one + other


def raise_error(text: str) -> None:
    raise ValueError(text)


def exhaust_memory() -> None:
    raise MemoryError


def hang() -> None:
    time.sleep(60)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def draft_or_die(sku: str, *given: Any, **named: Any) -> Draft:
    """``draft_sku``, but one of the SKUs kills the process; in the test's own, it raises what nothing catches."""
    if sku == DEADLY:
        if os.environ[TEST_PROCESS] == str(os.getpid()):
            raise Killed
        kill_itself()
    return draft_sku(sku, *given, **named)


def hang_in_native_code() -> None:
    """Wait for a lock that nobody opens, without letting Python do anything: no signal is answered, no thread runs."""
    lock = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(lock)
