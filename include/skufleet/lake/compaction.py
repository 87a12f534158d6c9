"""Put the small files of a table together, a few buckets at a time, so that the cost of a day stays flat.

Every day leaves a small file in each bucket. An ingestion rewrites the buckets with the most files, sorted: as many
rows as it has brought itself, or a sixteenth of the table where that is more. Then a bucket has some nine files on
average, a first load leaves it with one, and no day rewrites the whole table.
What does not belong here: removing the files that were put together (``vacuum.py``).
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from include.skufleet.lake.delta import commit, list_files, read_buckets
from include.skufleet.lake.files import DataFile, sort_rows, write_files
from include.skufleet.lake.store import ObjectStore

LEAST_FILES = 4
"""A bucket with fewer is not worth rewriting."""
SHARE = 16
"""The part of the table that one ingestion may rewrite, however little it brings."""


def compact_scattered(store: ObjectStore, key: str, table: Any, rows: int) -> bool:
    """Rewrite the most scattered buckets of the table at ``key`` as one sorted file each, in one commit.

    Args:
        store: the lake.
        key: of the table.
        table: its newest version.
        rows: what the ingestion has brought.

    Returns:
        Whether there is a new version with the same rows; not where nothing was scattered or somebody else wrote
        meanwhile. The versions before stay readable.
    """
    chosen = choose_buckets(list_files(table), rows)
    written = [file for files in chosen for file in _rewrite(store, key, table, files)]
    return bool(written) and commit(table, added=written, removed=[file for files in chosen for file in files])


def choose_buckets(files: list[DataFile], rows: int) -> list[list[DataFile]]:
    """The files of the most scattered buckets, one bucket at least where any is scattered."""
    budget = max(rows, math.ceil(sum(file.rows for file in files) / SHARE))
    by_bucket = [list(items) for _, items in groupby(files, key=lambda file: file.bucket)]
    chosen: list[list[DataFile]] = []
    for items in sorted(by_bucket, key=lambda items: -len(items)):
        if len(items) < LEAST_FILES or budget <= 0:
            break
        chosen.append(items)
        budget -= sum(file.rows for file in items)
    return chosen


def _rewrite(store: ObjectStore, key: str, table: Any, files: list[DataFile]) -> list[DataFile]:
    """One sorted file with the rows of several of one bucket: one bucket in memory at a time."""
    bucket = files[0].bucket
    names = [field.name for field in table.schema().fields if field.name != "bucket"]
    rows = read_buckets(store, table, [bucket], names)
    numbers = pa.array(np.full(rows.num_rows, bucket, dtype=np.int32))
    return write_files(store, key, sort_rows(rows.append_column("bucket", numbers)))
