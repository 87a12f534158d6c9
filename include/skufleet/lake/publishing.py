"""Publish what a run wrote: objects under run-scoped keys first, then one pointer that names them.

Replacing the pointer is a single put, which S3 does whole or not at all: a reader sees the old publication or the new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.skufleet.errors import DataError
from include.skufleet.lake.store import ObjectStore


def publish(store: ObjectStore, pointer: str, content: Mapping[str, Any]) -> None:
    """Let ``pointer`` say ``content`` from now on. Objects that ``content["keys"]`` lists have to be there.

    Raises:
        DataError: one of them is not; the pointer stays as it was.
    """
    keys = list(content.get("keys", ()))
    folders = {key.rsplit("/", 1)[0] + "/" for key in keys}
    present = {stored.key for folder in folders for stored in store.list(folder)}
    if absent := sorted(set(keys) - present):
        raise DataError(
            f"{store.uri(pointer)}: not moved, for {len(absent)} of {len(keys)} objects that it would name do not "
            f"exist, for example {absent[0]}; write them first"
        )
    store.put_json(pointer, dict(content))


def read_published(store: ObjectStore, pointer: str) -> Any | None:
    """What ``pointer`` says; ``None`` when nothing was ever published."""
    return store.find_json(pointer)
