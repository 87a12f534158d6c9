"""Drops: what lies in a landing folder, in which order it was delivered, and the ledger of what became of each.

What does not belong here: reading a drop (``tables.py``, ``sales.py``) and adding its rows (``ingest.py``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from include.skufleet.lake.keys import ledger_folder, ledger_key
from include.skufleet.lake.store import ObjectStore, StoredObject

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Drop:
    """One delivery.

    Attributes:
        id: hash of key and ETag: a key delivered again with other content is another drop.
        stored: the object.
        seq: when it was delivered, in microseconds since 1970; drops of one moment follow in the order of their keys.
    """

    id: str
    stored: StoredObject
    seq: int


@dataclass(frozen=True)
class Record:
    """The ledger's record of one drop.

    For an ingested drop it counts only together with the drop's transaction in the table, which decides.

    Attributes:
        drop: the drop's id.
        kind: ``history``, ``prices``, ``attributes`` or ``calendar``.
        key: the object's key.
        etag: the object's ETag.
        size: its bytes.
        delivered: when it was delivered, ISO 8601.
        status: what became of it.
        rows: rows that went into the table.
        set_aside: rows that did not, by reason; they are in the quarantine folder.
        reason: why it was rejected.
        settings: digest of the catalogue file's part that says how to read it.
    """

    drop: str
    kind: str
    key: str
    etag: str
    size: int
    delivered: str
    status: Literal["ingested", "rejected"]
    rows: int
    set_aside: Mapping[str, int]
    reason: str
    settings: str

    def to_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return asdict(self)


def list_drops(store: ObjectStore, folder: str) -> list[Drop]:
    """The drops of a landing folder in the order of their delivery; nothing that starts with ``.`` or ``_``."""
    drops: list[Drop] = []
    for stored in sorted(store.list(folder), key=lambda item: (item.last_modified, item.key)):
        name = stored.key.rsplit("/", 1)[-1]
        if name and not name.startswith((".", "_")):
            drops.append(make_drop(stored, drops[-1].seq if drops else 0))
    return drops


def make_drop(stored: StoredObject, previous: int = 0) -> Drop:
    """The drop of an object; ``previous`` is the ``seq`` of the one delivered before it."""
    digest = hashlib.blake2b(f"{stored.key}\0{stored.etag}".encode(), digest_size=16).hexdigest()
    delivered = (stored.last_modified - _EPOCH) // timedelta(microseconds=1)
    return Drop(digest, stored, max(delivered, previous + 1))


def record_ingested(kind: str, drop: Drop, settings: str, rows: int, set_aside: Mapping[str, int]) -> Record:
    """The record of a drop whose rows go into the table."""
    stored = drop.stored
    moment = stored.last_modified.astimezone(UTC).isoformat()
    return Record(
        drop.id, kind, stored.key, stored.etag, stored.size, moment, "ingested", rows, dict(set_aside), "", settings
    )


def record_rejected(kind: str, drop: Drop, settings: str, reason: str) -> Record:
    """The record of a drop that cannot be read."""
    stored = drop.stored
    moment = stored.last_modified.astimezone(UTC).isoformat()
    return Record(drop.id, kind, stored.key, stored.etag, stored.size, moment, "rejected", 0, {}, reason, settings)


@dataclass
class KnownDrops:
    """Which drops of a landing folder need not be read again; a short cut, so that a day without news costs nothing.

    Attributes:
        table: the id of the table that has them.
        added: ids of drops whose rows are in it.
        rejected: id of a drop that cannot be read -> digest of the settings that say so.
    """

    table: str
    added: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)

    def to_json(self, listed: Iterable[str]) -> dict[str, Any]:
        """As JSON; of the drops that still lie in the landing alone, so that it does not grow with the years."""
        ids = set(listed)
        rejected = {drop: settings for drop, settings in self.rejected.items() if drop in ids}
        return {"table": self.table, "added": sorted(self.added & ids), "rejected": rejected}


def parse_known(stored: Mapping[str, Any] | None, table: str) -> KnownDrops | None:
    """What was stored of the table of that id; ``None`` where nothing was, or it is another table's."""
    if stored is None or stored["table"] != table:
        return None
    return KnownDrops(table, set(stored["added"]), dict(stored["rejected"]))


def read_rejections(store: ObjectStore, catalogue: str, drops: Iterable[Drop]) -> dict[str, str]:
    """The rejected ones of some drops by the ledger: id -> digest of the settings under which they cannot be read."""
    recorded = {item.key for item in store.list(ledger_folder(catalogue))}
    keys = [key for key in (ledger_key(catalogue, drop.id) for drop in drops) if key in recorded]
    records = [json.loads(data) for data in store.get_many(keys)]
    return {item["drop"]: item["settings"] for item in records if item["status"] == "rejected"}


def settings_digest(settings: BaseModel) -> str:
    """A short digest of what a part of a catalogue file says about reading a drop."""
    return hashlib.blake2b(settings.model_dump_json(exclude={"known_from"}).encode(), digest_size=8).hexdigest()
