"""When a task is tried again: permanent errors never, everything else with backoff that is spread over the chunks."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from include.skufleet.errors import PermanentError

LONGEST_DELAY = timedelta(minutes=10)


class SpreadBackoff(RetryPolicy):
    """Doubles the delay with every try and moves each mapped instance to a moment of its own.

    Airflow's own jitter knows nothing of the map index, so chunks that failed together, because a service was away,
    would come back together and knock it over again.
    """

    def __init__(self, first: timedelta) -> None:
        """``first`` is the least delay before the first retry."""
        self.first = first

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 -- the signature is Airflow's, which itself stops after the last try
        context: Any | None = None,
    ) -> RetryDecision:
        """Fail at once for a ``PermanentError``, else retry after ``delay_of`` the try and the map index."""
        if isinstance(exception, PermanentError):
            return RetryDecision.fail(reason=f"permanent: {exception}")
        key = f"{context['ti'].task_id}/{context['ti'].map_index}" if context else ""
        reason = f"{type(exception).__name__}: {exception}"
        return RetryDecision.retry(delay=delay_of(try_number, key, self.first), reason=reason)

    def serialize(self) -> dict[str, Any]:
        """For the scheduler's record; it is evaluated in the worker only."""
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return {"__type": kind, "first": self.first.total_seconds()}


def delay_of(try_number: int, key: str, first: timedelta) -> timedelta:
    """The delay after a failed try: exponential, between 1 and 2 times the step, at most ``LONGEST_DELAY``.

    Args:
        try_number: the try that failed, from 1.
        key: what the spread depends on; the same key always waits the same time.
        first: the step after the first try.
    """
    step = min(first.total_seconds() * 2 ** (try_number - 1), LONGEST_DELAY.total_seconds() / 2)
    spread = int.from_bytes(hashlib.sha256(f"{key}/{try_number}".encode()).digest()[:4], "big") / 2**32
    return timedelta(seconds=step * (1 + spread))
