"""Bring the new drops of one landing folder into one Delta table: each whole or not at all, and exactly once.

Drops are read ahead by a few threads, gathered to commits of bounded size, and added with their ids in one
transaction. Before the commit, only objects under keys of their own are written (ledger, quarantine): a repetition
writes the same. What does not belong here: which folders a catalogue has (``ingest.py``).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from include.skufleet.errors import DropError, ServiceUnavailableError
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.compaction import compact_scattered
from include.skufleet.lake.delta import append, check_buckets, ensure_table, has_drop, open_table
from include.skufleet.lake.drops import (
    Drop,
    KnownDrops,
    list_drops,
    make_drop,
    parse_known,
    read_rejections,
    record_ingested,
    record_rejected,
)
from include.skufleet.lake.files import sort_rows
from include.skufleet.lake.grouping import indices_of
from include.skufleet.lake.index import Index, index_rows, merge_indexes
from include.skufleet.lake.keys import known_drops_key, ledger_key, quarantine_key, table_key
from include.skufleet.lake.set_aside import CleanDrop, count_reasons
from include.skufleet.lake.store import ObjectStore, to_json, to_parquet
from include.skufleet.lake.vacuum import keep_versions, remove_files

ROWS_PER_COMMIT = 1_000_000
DROPS_PER_COMMIT = 1_000
_READERS = 2
_AHEAD = 4
_ATTEMPTS = 6


@dataclass(frozen=True)
class Feed:
    """One landing folder and the table that it feeds.

    Attributes:
        catalogue: the catalogue's name.
        kind: the table: ``history`` or ``prices``.
        folder: the landing folder's prefix in the bucket.
        schema: the table's Arrow schema.
        buckets: how many the table has.
        keep_versions: days for which superseded versions stay readable.
        settings: digest of what decides how a drop is read.
        clean: turns key and bytes of a drop into rows; raises ``DropError``.
    """

    catalogue: str
    kind: str
    folder: str
    schema: Any
    buckets: int
    keep_versions: int
    settings: str
    clean: Callable[[str, bytes], CleanDrop]

    @property
    def key(self) -> str:
        """Where the table is."""
        return table_key(self.catalogue, self.kind)


@dataclass
class FeedResult:
    """What one ingestion of a feed did.

    Attributes:
        table: the Delta table at its newest version; ``None`` when nothing was ever ingested.
        base: its version before; -1 when it did not exist.
        version: its version now, as far as this ingestion has seen.
        checked: the version against which all drops not yet added were compared; ``None`` once somebody else's commits
            came between: from then on every batch is compared again.
        listed: drops in the folder.
        newest: ``seq`` of the newest of them; 0 where there is none.
        ingested: drops that were added.
        rejections: why drops were rejected.
        left: drops that kept changing while they were read: left for the next ingestion.
        rows: rows added.
        set_aside: rows set aside, by reason.
        added: index of the rows added; ``None`` when somebody else's commits came between.
    """

    table: Any | None
    base: int
    version: int
    checked: int | None
    listed: int
    newest: int
    ingested: int = 0
    rejections: list[str] = field(default_factory=list)
    left: int = 0
    rows: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    added: Index | None = field(default_factory=lambda: merge_indexes([]))


@dataclass(frozen=True)
class _Outcome:
    """One drop after reading: its rows, or why it was rejected, or neither when it kept changing."""

    drop: Drop
    clean: CleanDrop | None = None
    reason: str = ""


def ingest_feed(store: ObjectStore, feed: Feed) -> FeedResult:
    """Ingest every drop of the feed that its table does not have yet.

    A second ingestion at the same time does no harm: of two commits with the same drop one wins, the other looks again.

    Raises:
        ConfigError: the table has another number of buckets.
        ServiceUnavailableError: S3 does not answer, or other writers win every time; what was committed stays.
    """
    table = open_table(store, feed.key)
    if table is not None:
        check_buckets(store, feed.key, table, feed.buckets)
    drops = list_drops(store, feed.folder)
    base = -1 if table is None else table.version()
    result = FeedResult(table, base, base, max(base, 0), len(drops), drops[-1].seq if drops else 0)
    stored = store.find_json(known_drops_key(feed.catalogue, feed.kind))
    known = parse_known(stored, _table_id(table)) or _look_up(store, feed, table, drops)
    batch: list[_Outcome] = []
    rows = 0
    for outcome in _read_ahead(store, feed, _choose(feed, table, drops, known)):
        if outcome.clean is None:
            _reject(store, feed, outcome, result, known)
            continue
        batch.append(outcome)
        rows += outcome.clean.rows.num_rows
        if rows >= ROWS_PER_COMMIT or len(batch) >= DROPS_PER_COMMIT:
            known.added |= _commit(store, feed, batch, result)
            batch, rows = [], 0
    if batch:
        known.added |= _commit(store, feed, batch, result)
    if result.table is not None:
        _tidy(store, feed, result)
        known.table = _table_id(result.table)
        if (content := known.to_json(drop.id for drop in drops)) != stored:
            store.put_json(known_drops_key(feed.catalogue, feed.kind), content)
    return result


def _table_id(table: Any | None) -> str:
    return "" if table is None else str(table.metadata().id)


def _look_up(store: ObjectStore, feed: Feed, table: Any | None, drops: Sequence[Drop]) -> KnownDrops:
    """What table and ledger know of the drops, one by one."""
    added = set() if table is None else {drop.id for drop in drops if has_drop(table, drop.id)}
    others = [drop for drop in drops if drop.id not in added]
    return KnownDrops(_table_id(table), added, read_rejections(store, feed.catalogue, others))


def _choose(feed: Feed, table: Any | None, drops: Sequence[Drop], known: KnownDrops) -> list[Drop]:
    """The drops to read now. What another ingestion has added meanwhile is noted."""
    fresh = [drop for drop in drops if drop.id not in known.added and known.rejected.get(drop.id) != feed.settings]
    if table is not None:
        known.added |= {drop.id for drop in fresh if has_drop(table, drop.id)}
    return [drop for drop in fresh if drop.id not in known.added]


def _read_ahead(store: ObjectStore, feed: Feed, drops: Sequence[Drop]) -> Iterator[_Outcome]:
    """Read drops with a few threads, in order, holding only a few at a time."""
    waiting: deque[Future[_Outcome]] = deque()
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        try:
            for drop in drops:
                waiting.append(pool.submit(_read, store, feed, drop))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(store: ObjectStore, feed: Feed, drop: Drop) -> _Outcome:
    """Read and clean one drop, as it was listed; when it was replaced meanwhile, as it is now."""
    for _ in range(3):
        data = store.get_if_unchanged(drop.stored)
        if data is not None:
            try:
                return _Outcome(drop, feed.clean(store.uri(drop.stored.key), data))
            except DropError as error:
                return _Outcome(drop, reason=str(error))
        now = [item for item in store.list(drop.stored.key) if item.key == drop.stored.key]
        if not now:
            break
        drop = make_drop(now[0])
    return _Outcome(drop)


def _reject(store: ObjectStore, feed: Feed, outcome: _Outcome, result: FeedResult, known: KnownDrops) -> None:
    if not outcome.reason:
        result.left += 1
        return
    record = record_rejected(feed.kind, outcome.drop, feed.settings, outcome.reason)
    store.put_json(ledger_key(feed.catalogue, outcome.drop.id), record.to_json())
    known.rejected[outcome.drop.id] = feed.settings
    result.rejections.append(outcome.reason)


def _commit(store: ObjectStore, feed: Feed, batch: Sequence[_Outcome], result: FeedResult) -> set[str]:
    """Add the rows of a batch in one commit; the ids of the drops that are in the table then.

    ``append`` reports a lost race also when the commit was written and only S3's answer got lost; either way the
    table, read again, tells which drops are still to be added.
    """
    set_aside = _write_records(store, feed, batch)
    table = result.table if result.table is not None else _ensure_table(store, feed, result)
    fresh, own = list(batch), True
    for _ in range(_ATTEMPTS):
        before = table.version()
        if before != result.checked:
            own, fresh = False, [outcome for outcome in fresh if not has_drop(table, outcome.drop.id)]
        rows = _assemble(fresh, feed)
        if not fresh or append(store, feed.key, table, rows, {outcome.drop.id: outcome.drop.seq for outcome in fresh}):
            # After a commit delta-rs may go on to a later version, with drops of others that nobody looked at yet.
            result.table, result.version = table, table.version()
            result.checked = result.version if own and result.version == before + 1 else None
            result.ingested += len(fresh)
            result.rows += rows.num_rows
            for outcome in fresh:
                result.set_aside.update(set_aside[outcome.drop.id])
            if result.added is not None:
                parts = [result.added, index_rows(rows)]
                result.added = None if result.checked is None else merge_indexes(parts)
            return {outcome.drop.id for outcome in batch}
        table = _ensure_table(store, feed, result)
    raise ServiceUnavailableError(
        f"{store.uri(feed.key)}: other writers won {_ATTEMPTS} times; is another ingestion running? Try again later"
    )


def _ensure_table(store: ObjectStore, feed: Feed, result: FeedResult) -> Any:
    """The table at its newest version; where this ingestion is the first, all that it has listed is the backlog."""
    return ensure_table(store, feed.key, feed.schema, feed.buckets, result.newest)


def _write_records(store: ObjectStore, feed: Feed, batch: Sequence[_Outcome]) -> dict[str, dict[str, int]]:
    """Write ledger and quarantine of a batch; the rows set aside of each drop, by reason."""
    items, counts = [], {}
    for drop, clean in ((outcome.drop, outcome.clean) for outcome in batch if outcome.clean is not None):
        counts[drop.id] = count_reasons(clean.set_aside)
        record = record_ingested(feed.kind, drop, feed.settings, clean.rows.num_rows, counts[drop.id])
        items.append((ledger_key(feed.catalogue, drop.id), to_json(record.to_json())))
        if clean.set_aside.num_rows:
            items.append((quarantine_key(feed.catalogue, drop.id), to_parquet(clean.set_aside)))
    store.put_many(items)
    return counts


def _assemble(batch: Sequence[_Outcome], feed: Feed) -> Any:
    """The rows of some drops as rows of the table, in its order."""
    parts = [_label(outcome.drop, outcome.clean.rows, feed) for outcome in batch if outcome.clean is not None]
    return sort_rows(pa.concat_tables(parts)) if parts else feed.schema.empty_table()


def _label(drop: Drop, rows: Any, feed: Feed) -> Any:
    """Rows with their bucket, and the drop and moment that they come from."""
    encoded = rows.column("sku").combine_chunks()
    by_sku = np.array([bucket_of(sku, feed.buckets) for sku in encoded.dictionary.to_pylist()], dtype=np.int32)
    bucket = by_sku[indices_of(encoded)] if len(by_sku) else np.zeros(0, dtype=np.int32)
    zeros = pa.array(np.zeros(rows.num_rows, dtype=np.int32))
    columns = {name: rows.column(name) for name in rows.column_names} | {
        "bucket": pa.array(bucket, pa.int32()),
        "drop": pa.DictionaryArray.from_arrays(zeros, pa.array([drop.id])),
        "seq": pa.array(np.full(rows.num_rows, drop.seq, dtype=np.int64)),
    }
    return pa.table({name: columns[name] for name in feed.schema.names})


def _tidy(store: ObjectStore, feed: Feed, result: FeedResult) -> None:
    """Versions with the same rows, in fewer files; and without those that nobody needs any more."""
    table, expected = result.table, result.version
    if table is None or not result.ingested:
        return
    expected += keep_versions(table, feed.keep_versions)
    expected += compact_scattered(store, feed.key, table, result.rows)
    remove_files(store, feed.key, table, feed.keep_versions)
    result.version = table.version()
    if result.version != expected:
        result.added = None
