"""An append-only Delta table on S3 that takes each drop exactly once, and is read bucket by bucket.

The ids of the drops travel as Delta's application transactions in the very commit that adds their rows: both are
there, or neither is. Commits use S3's conditional put; a commit that lost the race is not retried blindly, for the
other writer may have brought the same drops.
What does not belong here: what the columns mean.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from include.skufleet.errors import ConfigError, DataError, ServiceUnavailableError
from include.skufleet.lake.files import EVERYTHING, DataFile, Selection, empty_rows, read_file, write_files
from include.skufleet.lake.store import ObjectStore

_READERS = 4
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BUCKETS = "skufleet.buckets"
_BACKLOG = "skufleet.backlog"
_KEPT = "its files are removed after `fleet.keep_versions` days; run again, on the newest version"


def open_table(store: ObjectStore, key: str, version: int | None = None) -> Any | None:
    """The table at ``key`` at its newest or a given version (a ``DeltaTable``); ``None`` when there is no table.

    Raises:
        DataError: the table exists, but not in that version.
    """
    # delta-rs calls a table missing when S3 does not answer; taken at its word, all drops would be ingested again.
    if not store.has_any(f"{key}/_delta_log/"):
        return None
    with delta_errors(store.uri(key)):
        newest = DeltaTable(store.uri(key), storage_options=dict(store.storage_options))
        if version is None or version == newest.version():
            return newest
        if version > newest.version() or version < 0:
            raise DataError(f"{store.uri(key)}: has no version {version}, the newest is {newest.version()}")
        if not store.exists(f"{key}/_delta_log/{version:020}.json"):
            raise DataError(f"{store.uri(key)}: version {version} cannot be read any more, {_KEPT}")
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


def ensure_table(store: ObjectStore, key: str, schema: Any, buckets: int, backlog: int) -> Any:
    """The newest version of the table at ``key``, created empty where there is none.

    Args:
        store: the lake.
        key: of the table.
        schema: its Arrow schema.
        buckets: how many it has.
        backlog: the ``seq`` of the newest drop there is at its creation; kept with the table for good.

    Raises:
        ConfigError: it was created with another number of buckets.
    """
    table = open_table(store, key)
    if table is None:
        _create_table(store, key, schema, {_BUCKETS: str(buckets), _BACKLOG: str(backlog)})
        table = open_table(store, key)
    if table is None:
        raise ServiceUnavailableError(f"{store.uri(key)}: the table was created and cannot be seen; try again later")
    check_buckets(store, key, table, buckets)
    return table


def _create_table(store: ObjectStore, key: str, schema: Any, own: Mapping[str, str]) -> None:
    """Create the table, unless somebody else does so at this moment."""
    with delta_errors(store.uri(key)), suppress(CommitFailedError):
        DeltaTable.create(
            store.uri(key),
            schema=schema,
            mode="ignore",
            partition_by=["bucket"],
            storage_options=dict(store.storage_options),
            configuration={"delta.appendOnly": "true", "delta.checkpointInterval": "10", **own},
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


def read_backlog(table: Any) -> int:
    """The ``seq`` of the newest drop that there was when the table was created.

    A table of an earlier version of the code does not say: then the moment of its creation.
    """
    metadata = table.metadata()
    said = metadata.configuration.get(_BACKLOG)
    return int(said) if said is not None else int(metadata.created_time) * 1000


def has_drop(table: Any, drop_id: str) -> bool:
    """Whether the rows of a drop are in this version of the table."""
    with delta_errors(table.table_uri):
        return table.transaction_version(drop_id) is not None


def append(store: ObjectStore, key: str, table: Any, rows: Any, drops: Mapping[str, int]) -> bool:
    """Add the rows of some drops (id -> seq) in one commit; ``False``, and nothing added, when another commit won.

    After ``True``, ``table`` is at the new version. What was written for a lost commit is swept up some day.
    """
    files = write_files(store, key, rows)
    return commit(table, added=files, removed=[], drops=drops)


def commit(
    table: Any, *, added: Sequence[DataFile], removed: Sequence[DataFile], drops: Mapping[str, int] | None = None
) -> bool:
    """Let data files be part of the table from now on, and others no more; ``False`` when another commit won.

    Files that are removed must have had the same rows as some that are added: the table is append-only. They stay where
    they are, for readers of the versions before. After ``True``, ``table`` is at the new version.
    """
    moment = int(time.time() * 1000)
    adds = [
        AddAction(item.path, item.size, item.partition, moment, not removed, f'{{"numRecords": {item.rows}}}')
        for item in added
    ]
    removes = [RemoveAction(item.path, False, moment, item.size, item.partition) for item in removed]
    transactions = [Transaction(drop_id, seq) for drop_id, seq in (drops or {}).items()]
    properties = CommitProperties(app_transactions=transactions, max_commit_retries=0)
    with delta_errors(table.table_uri):
        try:
            table.create_write_transaction(
                [*adds, *removes], "append", table.schema(), ["bucket"], commit_properties=properties
            )
        except CommitFailedError:
            return False
        table.update_incremental()
    return True


def list_files(table: Any) -> list[DataFile]:
    """The data files of a version of the table, in the order of their buckets."""
    with delta_errors(table.table_uri):
        found = pa.table(table.get_add_actions(flatten=True))
    names = ["path", "partition.bucket", "size_bytes", "num_records"]
    rows = zip(*(found.column(name).to_pylist() for name in names), strict=True)
    return sorted((DataFile(unquote(path), *rest) for path, *rest in rows), key=lambda file: (file.bucket, file.path))


def read_buckets(
    store: ObjectStore,
    table: Any,
    buckets: Iterable[int],
    columns: Sequence[str],
    selection: Selection = EVERYTHING,
) -> Any:
    """The rows of some buckets as one Arrow table; only the selected ones are ever decoded or held together.

    Raises:
        DataError: a data file is gone: the version is older than the catalogue file's ``fleet.keep_versions``.
    """
    wanted = [("bucket", "in", [str(bucket) for bucket in sorted(set(buckets))])]
    with delta_errors(table.table_uri):
        schema = pa.schema(table.schema().to_arrow())
        uris = table.file_uris(file_pruning_predicate=wanted) if wanted[0][2] else []
    prefix = store.uri("")

    def read(uri: str) -> Any:
        data = store.find(unquote(uri.removeprefix(prefix)))
        if data is None:
            raise DataError(f"{table.table_uri}: version {table.version()} cannot be read any more, {_KEPT}")
        return read_file(data, columns, selection)

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        parts = list(pool.map(read, sorted(uris)))
    return pa.concat_tables([*parts, empty_rows(schema, columns)]).unify_dictionaries()


@contextmanager
def delta_errors(uri: str) -> Iterator[None]:
    """Turn what delta-rs raises about S3 into our own errors."""
    try:
        yield
    except (DeltaError, OSError) as error:
        text = _COLOUR.sub("", " ".join(str(error).split()))[:300]
        unanswered = isinstance(error, TableNotFoundError) or "Generic S3 error" in text
        if isinstance(error, DeltaError) and not unanswered:
            raise DataError(f"{uri}: the table cannot be read or written: {text}") from error
        raise ServiceUnavailableError(f"{uri}: S3 does not answer: {text}; is the server up?") from error
