"""An append-only Delta table on S3 that takes each drop exactly once, and is read bucket by bucket.

The ids of the drops travel as Delta's application transactions in the very commit that adds their rows: both are
there, or neither is. Commits use S3's conditional put; a commit that lost the race is not retried blindly, for the
other writer may have brought the same drops.
What does not belong here: what the columns mean.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from include.skufleet.errors import ConfigError, DataError, ServiceUnavailableError
from include.skufleet.lake.store import ObjectStore

# Beyond this, reading a bucket means opening many small files.
MAX_FILES_PER_BUCKET = 32
_READERS = 4
_BUCKETS = "skufleet.buckets"
_DICTIONARIES = ["sku", "store", "drop"]


def open_table(store: ObjectStore, key: str, version: int | None = None) -> Any | None:
    """The table at ``key`` at its newest or a given version (a ``DeltaTable``); ``None`` when there is no table.

    Raises:
        DataError: the table exists, but not in that version.
    """
    # delta-rs calls a table missing when S3 does not answer; taken at its word, all drops would be ingested again.
    if not store.list(f"{key}/_delta_log/"):
        return None
    with _delta_errors(store.uri(key)):
        newest = DeltaTable(store.uri(key), storage_options=dict(store.storage_options))
        if version is None or version == newest.version():
            return newest
        if version > newest.version() or version < 0:
            raise DataError(f"{store.uri(key)}: has no version {version}, the newest is {newest.version()}")
        return DeltaTable(store.uri(key), version=version, storage_options=dict(store.storage_options))


def require_table(store: ObjectStore, key: str, version: int) -> Any:
    """The table at ``key`` at a given version.

    Raises:
        DataError: there is no such table, or not that version of it.
    """
    table = open_table(store, key, version)
    if table is None:
        raise DataError(f"{store.uri(key)}: there is no table; ingest the catalogue's drops first")
    return table


def ensure_table(store: ObjectStore, key: str, schema: Any, buckets: int) -> Any:
    """The newest version of the table at ``key``, created empty where there is none.

    Raises:
        ConfigError: it was created with another number of buckets.
    """
    table = open_table(store, key)
    if table is None:
        _create_table(store, key, schema, buckets)
        table = open_table(store, key)
    if table is None:
        raise ServiceUnavailableError(f"{store.uri(key)}: the table was created and cannot be seen; try again later")
    check_buckets(store, key, table, buckets)
    return table


def _create_table(store: ObjectStore, key: str, schema: Any, buckets: int) -> None:
    """Create the table, unless somebody else does so at this moment."""
    with _delta_errors(store.uri(key)), suppress(CommitFailedError):
        DeltaTable.create(
            store.uri(key),
            schema=schema,
            mode="ignore",
            partition_by=["bucket"],
            storage_options=dict(store.storage_options),
            # A model names the table version it was trained on, so versions have to stay readable.
            configuration={
                "delta.appendOnly": "true",
                "delta.checkpointInterval": "10",
                "delta.logRetentionDuration": "interval 3650 days",
                _BUCKETS: str(buckets),
            },
            raise_if_key_not_exists=False,
        )


def check_buckets(store: ObjectStore, key: str, table: Any, buckets: int) -> None:
    """Refuse to work with another number of buckets than the table was created with.

    Raises:
        ConfigError: the numbers differ.
    """
    got = int(table.metadata().configuration[_BUCKETS])
    if got != buckets:
        raise ConfigError(
            f"{store.uri(key)}: has {got} buckets, the catalogue file says fleet.buckets: {buckets}; "
            f"set it back to {got}, or give the catalogue a new name and ingest it anew"
        )


def has_drop(table: Any, drop_id: str) -> bool:
    """Whether the rows of a drop are in this version of the table."""
    with _delta_errors(table.table_uri):
        return table.transaction_version(drop_id) is not None


def append(table: Any, rows: Any, drops: Mapping[str, int]) -> bool:
    """Add the rows of some drops (id -> seq) in one commit; ``False``, and nothing added, when another commit won.

    After ``True``, ``table`` is at the new version.
    """
    properties = CommitProperties(
        app_transactions=[Transaction(drop_id, seq) for drop_id, seq in drops.items()], max_commit_retries=0
    )
    with _delta_errors(table.table_uri):
        try:
            write_deltalake(
                table,
                rows,
                mode="append",
                writer_properties=WriterProperties(compression="ZSTD"),
                commit_properties=properties,
            )
        except CommitFailedError:
            return False
    return True


def compact_if_scattered(table: Any, buckets: int) -> bool:
    """Merge small files when buckets have too many; a new version with the same rows. Old versions stay readable."""
    with _delta_errors(table.table_uri):
        if len(table.file_uris()) <= MAX_FILES_PER_BUCKET * buckets:
            return False
        try:
            table.optimize.compact(max_concurrent_tasks=1)
        except CommitFailedError:
            return False  # somebody else wrote meanwhile; the next ingestion comes by here again
        return True


def read_buckets(
    store: ObjectStore,
    table: Any,
    buckets: Iterable[int],
    columns: Sequence[str],
    keep: Callable[[Any], Any] | None = None,
) -> Any:
    """The rows of some buckets as one Arrow table; ``keep`` filters each file's rows before they are put together."""
    wanted = [("bucket", "in", [str(bucket) for bucket in sorted(set(buckets))])]
    with _delta_errors(table.table_uri):
        schema = pa.schema(table.schema().to_arrow())
        uris = table.file_uris(file_pruning_predicate=wanted) if wanted[0][2] else []
    prefix = store.uri("")

    def read(uri: str) -> Any:
        data = store.get(unquote(uri.removeprefix(prefix)))
        part = pq.read_table(io.BytesIO(data), columns=list(columns), read_dictionary=_DICTIONARIES)
        return part if keep is None else keep(part)

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        parts = list(pool.map(read, sorted(uris)))
    empty = pa.schema([_as_read(schema.field(name)) for name in columns]).empty_table()
    return pa.concat_tables([*parts, empty]).unify_dictionaries()


def only_skus(skus: Iterable[str]) -> Callable[[Any], Any]:
    """A filter for ``read_buckets``: the rows of these SKUs."""
    wanted = pa.array(sorted(set(skus)), pa.string())
    return lambda part: part.filter(pc.is_in(part.column("sku"), value_set=wanted))


def _as_read(field: Any) -> Any:
    encoded = pa.dictionary(pa.int32(), pa.string())
    return pa.field(field.name, encoded) if field.name in _DICTIONARIES else pa.field(field.name, field.type)


@contextmanager
def _delta_errors(uri: str) -> Iterator[None]:
    """Turn what delta-rs raises about S3 into our own errors."""
    try:
        yield
    except (DeltaError, OSError) as error:
        text = " ".join(str(error).split())[:300]
        unanswered = isinstance(error, TableNotFoundError) or "Generic S3 error" in text
        if isinstance(error, DeltaError) and not unanswered:
            raise DataError(f"{uri}: the table cannot be read or written: {text}") from error
        raise ServiceUnavailableError(f"{uri}: S3 does not answer: {text}; is the server up?") from error
