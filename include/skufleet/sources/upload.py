"""Putting objects into the landing, each only when what is there differs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from include.skufleet.config import Landing
from include.skufleet.lake.store import ObjectStore

Progress = Callable[[int, int, str], None]
"""Called with (done, total, name of the object just done)."""

Folder = Literal["sales", "attributes", "calendar", "prices"]
FOLDERS: tuple[Folder, ...] = get_args(Folder)


@dataclass(frozen=True)
class Drop:
    """One object to land: the kind of folder, its name in there, and what makes its bytes when its turn comes."""

    folder: Folder
    name: str
    make: Callable[[], Content]


@dataclass(frozen=True)
class Content:
    """The bytes of an object, and its data rows where they are known."""

    data: bytes
    rows: int | None = None


@dataclass(frozen=True)
class LandSummary:
    """What one import did.

    Attributes:
        objects: objects written, for they were new or differed.
        bytes: their bytes.
        rows: their data rows; ``None`` when they were not counted.
        unchanged: objects left alone.
        skipped: files of the source that the catalogue has no use for.
    """

    objects: int = 0
    bytes: int = 0
    rows: int | None = 0
    unchanged: int = 0
    skipped: tuple[str, ...] = ()

    def __add__(self, other: LandSummary) -> LandSummary:
        rows = None if self.rows is None or other.rows is None else self.rows + other.rows
        return LandSummary(
            self.objects + other.objects,
            self.bytes + other.bytes,
            rows,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
        )


def landing_key(landing: Landing, folder: Folder, name: str) -> str | None:
    """The key of an object in the folder that the catalogue gives to this kind; ``None`` when it describes none."""
    table = getattr(landing, folder)
    return None if table is None else f"{landing.prefix}/{table.path}{name}"


def upload(
    store: ObjectStore, landing: Landing, drops: Iterable[Drop], progress: Progress | None = None
) -> LandSummary:
    """Write drops into the landing one after the other, leaving alone what is there unchanged.

    One after the other because the order of delivery decides which of two rows is the correction: uploads side by side
    may overtake each other. An object is unchanged when its size and its ETag (the MD5 of an object put in one piece)
    are those of the drop. Drops of a kind that the catalogue does not describe are skipped.

    Raises:
        ServiceUnavailableError: S3 does not answer; what was written stays, and a second call goes on from there.
    """
    wanted, summary = [], LandSummary()
    for drop in drops:
        key = landing_key(landing, drop.folder, drop.name)
        if key is None:
            summary += LandSummary(skipped=(f"{drop.folder}/{drop.name}",))
        else:
            wanted.append((key, drop))
    present = {item.key: (item.size, item.etag) for item in store.list(f"{landing.prefix}/")}
    for done, (key, drop) in enumerate(wanted, start=1):
        content = drop.make()
        digest = hashlib.md5(content.data, usedforsecurity=False).hexdigest()
        if present.get(key) == (len(content.data), digest):
            summary += LandSummary(unchanged=1)
        else:
            store.put(key, content.data)
            summary += LandSummary(1, len(content.data), content.rows)
        if progress is not None:
            progress(done, len(wanted), f"{drop.folder}/{drop.name}")
    return summary
