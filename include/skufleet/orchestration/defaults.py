"""What holds for every task of every Dag: how often it is tried, how long it may take, what it says when it fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from include.skufleet.config import Catalogue
from include.skufleet.orchestration.notifications import note_failure
from include.skufleet.orchestration.retries import LONGEST_DELAY, SpreadBackoff

LIMIT = timedelta(hours=2)


def task_defaults(catalogue: Catalogue, *, tries: int) -> dict[str, Any]:
    """The ``default_args`` of a Dag whose tasks are tried so many times."""
    first_delay = timedelta(seconds=catalogue.fleet.retry_seconds)
    return {
        "owner": "skufleet",
        "retries": tries - 1,
        "retry_policy": SpreadBackoff(first_delay),
        # A task that was killed cannot ask its policy: what holds then, in place of Airflow's five minutes.
        "retry_delay": first_delay,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": LONGEST_DELAY,
        "execution_timeout": LIMIT,
        "on_failure_callback": note_failure,
    }
