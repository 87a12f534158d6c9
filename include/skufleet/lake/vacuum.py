"""Remove what no reader needs any more: data files of old versions, their log, and their indexes.

A version of a table can be read for ``fleet.keep_versions`` days after it was superseded, its log a month longer. Delta
decides which files are old enough; they are deleted here, because its own vacuum would write two versions every day.
What does not belong here: putting small files together (``compaction.py``).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from deltalake.exceptions import CommitFailedError

from include.skufleet.lake.delta import delta_errors
from include.skufleet.lake.keys import index_folder
from include.skufleet.lake.store import ObjectStore

LOG_DAYS = 30
"""Delta deletes older entries of the log with each checkpoint, every tenth version."""
INDEXES_KEPT = 30
"""Objects: the indexes of some ten versions stay, however old they are."""


def keep_versions(table: Any, days: int) -> bool:
    """Tell the table for how long superseded versions stay readable; whether that was news to it: a new version."""
    wanted = {
        "delta.deletedFileRetentionDuration": f"interval {days} days",
        "delta.logRetentionDuration": f"interval {days + LOG_DAYS} days",
    }
    # Where somebody else writes at this moment, the next ingestion says it again.
    with delta_errors(table.table_uri), suppress(CommitFailedError):
        if not wanted.items() <= table.metadata().configuration.items():
            table.alter.set_table_properties(wanted)
            return True
    return False


def remove_files(store: ObjectStore, key: str, table: Any, days: int) -> int:
    """Delete the data files that no version of the last days needs, lost commits' included; how many there were."""
    with delta_errors(table.table_uri):
        paths = table.vacuum(retention_hours=24 * days, dry_run=True, enforce_retention_duration=False, full=True)
    present = {item.key for item in store.list(f"{key}/bucket=")} if paths else set()
    old = sorted({f"{key}/{path}" for path in paths} & present)
    store.delete_many(old)
    return len(old)


def remove_indexes(store: ObjectStore, catalogue: str, days: int) -> int:
    """Delete the indexes of versions that cannot be read any more; how many objects there were."""
    cutoff = datetime.now(UTC) - timedelta(days=days)
    found = sorted(store.list(index_folder(catalogue)), key=lambda item: item.last_modified, reverse=True)
    old = [item.key for item in found[INDEXES_KEPT:] if item.last_modified < cutoff]
    store.delete_many(old)
    return len(old)
