"""Wait for what a running platform will come to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 400.0


def wait_for(holds: Callable[[], Any], what: str, patience: float = PATIENCE, pause: float = 0.2) -> Any:
    """The first true answer of ``holds``."""
    deadline = time.monotonic() + patience
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come about within {patience:.0f} s: {what}")
        time.sleep(pause)
    return answer
