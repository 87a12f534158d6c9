"""Putting objects into the landing, each only when what is there differs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from include.skufleet.lake.store import ObjectStore

Progress = Callable[[int, int, str], None]
"""Called with (done, total, name of the object just done)."""

_THREADS = 8
_BATCH = 32


@dataclass(frozen=True)
class Drop:
    """One object to land: its key under the landing prefix, its bytes, and its data rows where they are known."""

    name: str
    data: bytes
    rows: int | None = None


@dataclass(frozen=True)
class LandSummary:
    """What one import wrote: objects that were new or differed, their bytes and rows (``None``: not counted)."""

    objects: int
    bytes: int
    rows: int | None

    def __add__(self, other: LandSummary) -> LandSummary:
        rows = None if self.rows is None or other.rows is None else self.rows + other.rows
        return LandSummary(self.objects + other.objects, self.bytes + other.bytes, rows)


NOTHING_LANDED = LandSummary(0, 0, 0)


def upload(
    store: ObjectStore, prefix: str, drops: Iterable[Drop], total: int, progress: Progress | None = None
) -> LandSummary:
    """Write drops under ``prefix``, in their order batch by batch, leaving alone what is already there unchanged.

    An object is unchanged when its size and its ETag (the MD5 of an object put in one piece) are those of the drop.
    At most 32 drops are held in memory. ``total`` is the number of drops, for ``progress``.

    Raises:
        ServiceUnavailableError: S3 does not answer; what was written stays, and a second call goes on from there.
    """
    present = {item.key: (item.size, item.etag) for item in store.list(f"{prefix}/")}
    summary, done = NOTHING_LANDED, 0

    def put(drop: Drop) -> LandSummary:
        key = f"{prefix}/{drop.name}"
        digest = hashlib.md5(drop.data, usedforsecurity=False).hexdigest()
        if present.get(key) == (len(drop.data), digest):
            return NOTHING_LANDED
        store.put(key, drop.data)
        return LandSummary(1, len(drop.data), drop.rows)

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for batch in _batches(drops):
            for drop, landed in zip(batch, pool.map(put, batch), strict=True):
                summary, done = summary + landed, done + 1
                if progress is not None:
                    progress(done, max(total, done), drop.name)
    return summary


def _batches(drops: Iterable[Drop]) -> Iterable[list[Drop]]:
    batch: list[Drop] = []
    for drop in drops:
        batch.append(drop)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
