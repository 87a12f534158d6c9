"""One holder at a time for what S3 cannot change in one step: a lease that runs out by itself, should its holder die.

The lease is an object that is put only over what was read. It says who holds it and until when; its holder renews it
while the work goes on. Clocks of different machines may differ by a part of ``SECONDS``, not by more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from include.skufleet.errors import SkufleetError, TransientError
from include.skufleet.lake.publishing import update_json
from include.skufleet.lake.store import ObjectStore

SECONDS = 60.0

log = logging.getLogger(__name__)


class LeaseHeldError(TransientError):
    """Somebody else is at work; the message says who, and until when at the most."""


@contextmanager
def hold_lease(store: ObjectStore, key: str, holder: str, what: str, seconds: float = SECONDS) -> Iterator[None]:
    """Hold the lease for the time of the block. Its holder may take it again: a retry need not wait for itself.

    Args:
        store: the lake.
        key: of the lease's object.
        holder: who takes it, unique to the work: a run's id for example.
        what: the work, for the message that somebody else gets.
        seconds: how long it holds without being renewed.

    Raises:
        LeaseHeldError: somebody else holds it.
        ServiceUnavailableError: S3 does not answer.
    """

    def take(current: Any | None) -> dict[str, str]:
        now = datetime.now(UTC)
        if current and current["holder"] != holder and datetime.fromisoformat(current["until"]) > now:
            raise LeaseHeldError(
                f"{current['what']} is at work ({store.uri(key)}, held until {current['until'][:19]} at the most); "
                "wait for it, then give the same command again"
            )
        return {"holder": holder, "what": what, "until": (now + timedelta(seconds=seconds)).isoformat()}

    update_json(store, key, take)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(store, key, take, done, seconds / 3), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        _give_back(store, key, holder)


def _renew(store: ObjectStore, key: str, take: Any, done: threading.Event, every: float) -> None:
    while not done.wait(every):
        try:
            update_json(store, key, take)
        except SkufleetError:
            log.warning("The lease %s could not be renewed", key, exc_info=True)


def _give_back(store: ObjectStore, key: str, holder: str) -> None:
    """Let it run out now; where S3 does not answer it does so by itself."""

    def end(current: Any | None) -> dict[str, str] | None:
        return {**current, "until": datetime.now(UTC).isoformat()} if current and current["holder"] == holder else None

    try:
        update_json(store, key, end)
    except SkufleetError:
        log.warning("The lease %s could not be given back; it runs out by itself", key, exc_info=True)
