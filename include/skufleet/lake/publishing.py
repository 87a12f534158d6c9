"""Publish what a run wrote: objects under run-scoped keys first, then one pointer that names them.

Replacing the pointer is a single put, which S3 does whole or not at all: a reader sees the old publication or the new.
Objects that several runs change are put only over the content that was read; who comes second reads again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from include.skufleet.errors import DataError, ServiceUnavailableError
from include.skufleet.lake.store import ObjectStore, frame_to_parquet, to_json

ATTEMPTS = 12
"""Of one update: two runs at once lose once or twice, ten runs a few times."""
_LONGEST_PAUSE = 1.0


def publish_latest(store: ObjectStore, pointer: str, content: Mapping[str, Any]) -> bool:
    """Let ``pointer`` say ``content`` from now on, unless it says something of a later ``as_of``; whether it was moved.

    Objects that ``content["keys"]`` lists have to be there.

    Raises:
        DataError: one of them is not; the pointer stays as it was.
        ServiceUnavailableError: S3 does not answer, or other writers win every time.
    """
    return update_published(store, pointer, str(content["as_of"]), lambda _: content)


def update_published(
    store: ObjectStore, pointer: str, as_of: str, change: Callable[[Any | None], Mapping[str, Any]]
) -> bool:
    """``publish_latest`` of what ``change`` makes of what was published before (``None``: nothing).

    ``change`` is called again where another run has published meanwhile, so it must be safe to repeat.
    """

    def move(current: Any | None) -> Mapping[str, Any] | None:
        if current is not None and str(current["as_of"]) > as_of:
            return None
        content = change(current)
        _check_present(store, pointer, content)
        return dict(content)

    return update_json(store, pointer, move)


def update_json(store: ObjectStore, key: str, change: Callable[[Any | None], Any | None]) -> bool:
    """Replace a JSON object by what ``change`` makes of it, as if nobody else wrote; whether it was replaced.

    Args:
        store: the lake.
        key: of the object.
        change: gets the content (``None``: there is none), returns the new one, or ``None`` to leave it. It is called
            again where another writer came first, or where S3's answer got lost, so it must be safe to repeat.

    Raises:
        ServiceUnavailableError: S3 does not answer, or other writers win every time.
    """

    def work(data: bytes | None) -> bytes | None:
        changed = change(None if data is None else store.parse_json(key, data))
        return None if changed is None else to_json(changed)

    return _update(store, key, work)


def update_frame(store: ObjectStore, key: str, change: Callable[[pd.DataFrame | None], pd.DataFrame]) -> pd.DataFrame:
    """Replace a frame by what ``change`` makes of it, likewise; the frame that is there now."""
    written: list[pd.DataFrame] = []

    def work(data: bytes | None) -> bytes:
        written[:] = [change(None if data is None else store.parse_frame(key, data))]
        return frame_to_parquet(written[0])

    _update(store, key, work)
    return written[0]


def _update(store: ObjectStore, key: str, work: Callable[[bytes | None], bytes | None]) -> bool:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2**attempt)))  # noqa: S311 -- no secret
        data, etag = store.find_with_etag(key)
        changed = work(data)
        if changed is None:
            return False
        if store.put_if_unchanged(key, changed, etag):
            return True
    raise ServiceUnavailableError(
        f"{store.uri(key)}: other writers won {ATTEMPTS} times; are many runs of the catalogue at work? Try again later"
    )


def _check_present(store: ObjectStore, pointer: str, content: Mapping[str, Any]) -> None:
    keys = list(content.get("keys", ()))
    folders = {key.rsplit("/", 1)[0] + "/" for key in keys}
    present = {stored.key for folder in folders for stored in store.list(folder)}
    if absent := sorted(set(keys) - present):
        raise DataError(
            f"{store.uri(pointer)}: not moved, for {len(absent)} of {len(keys)} objects that it would name do not "
            f"exist, for example {absent[0]}; write them first"
        )


def read_published(store: ObjectStore, pointer: str) -> Any | None:
    """What ``pointer`` says; ``None`` when nothing was ever published."""
    return store.find_json(pointer)
