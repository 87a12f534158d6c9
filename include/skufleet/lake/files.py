"""The data files of a table: Parquet, one bucket each, sorted by SKU, store and date, in small row groups.

So a reader decodes the row groups that can hold its SKUs and leaves the others' alone. Objects are read whole: a bucket
of half a million rows has half a megabyte, and asking for parts of it would cost more than it saves.
What does not belong here: which files a version of a table has (``delta.py``).
"""

from __future__ import annotations

import io
import uuid
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.grouping import day_number, indices_of, rank_values
from include.skufleet.lake.store import ObjectStore

ROWS_PER_GROUP = 32_768
"""By measurement: half as many cost 20 % more bytes, twice as many are decoded no faster and hold more neighbours."""
_TEXTS = ["sku", "store", "drop"]


@dataclass(frozen=True)
class DataFile:
    """One file of a table: its path below the table's key, its bucket, its bytes and its rows."""

    path: str
    bucket: int
    size: int
    rows: int

    @property
    def partition(self) -> dict[str, str | None]:
        """The partition's values, as Delta has them."""
        return {"bucket": str(self.bucket)}


class Selection:
    """Which rows a reader wants.

    Args:
        skus: of these SKUs; ``None``: of all.
        first: none dated before.
        last: none dated after.
        known: of these deliveries; ``None``: of all. Needs the column ``seq``.
    """

    def __init__(
        self,
        skus: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        known: Known | None = None,
    ) -> None:
        self._skus = None if skus is None else sorted(set(skus))
        self._wanted = None if skus is None else pa.array(self._skus, pa.string())
        self._first = None if first is None else day_number(first)
        self._last = None if last is None else day_number(last)
        self._known = known

    def may_be_between(self, least: str, greatest: str) -> bool:
        """Whether a SKU that is wanted lies in this range, both ends included."""
        if self._skus is None:
            return True
        place = bisect_left(self._skus, least)
        return place < len(self._skus) and self._skus[place] <= greatest

    def apply(self, rows: Any) -> Any:
        """The rows of an Arrow table (``sku`` dictionary-encoded, ``date``) that are wanted."""
        mask = np.ones(rows.num_rows, dtype=np.bool_)
        if self._wanted is not None:
            sku = rows.column("sku").combine_chunks()
            named = pc.is_in(sku.dictionary, value_set=self._wanted).to_numpy(zero_copy_only=False)
            mask &= named[indices_of(sku)]
        days = rows.column("date").cast(pa.int32()).to_numpy()
        if self._first is not None:
            mask &= days >= self._first
        if self._last is not None:
            mask &= days <= self._last
        if self._known is not None:
            mask &= self._known.includes(rows.column("seq").to_numpy())
        return rows if mask.all() else rows.filter(pa.array(mask))


EVERYTHING = Selection()


def sort_rows(rows: Any) -> Any:
    """Rows of a table by bucket, SKU, store and date; deliveries of one day in the order in which they came in."""
    table = rows.unify_dictionaries().combine_chunks()
    sku, _ = rank_values(table.column("sku"))
    store, _ = rank_values(table.column("store"))
    days = table.column("date").cast(pa.int32()).to_numpy()
    order = np.lexsort((table.column("seq").to_numpy(), days, store, sku, table.column("bucket").to_numpy()))
    return table.take(pa.array(order))


def write_files(store: ObjectStore, key: str, rows: Any) -> list[DataFile]:
    """Write sorted rows as new files of the table at ``key``, one per bucket; nobody sees them before a commit."""
    buckets = rows.column("bucket").to_numpy()
    bounds = [*np.flatnonzero(np.diff(buckets, prepend=-1)).tolist(), len(buckets)]
    data = rows.drop_columns(["bucket"])
    items, files = [], []
    for start, end in pairwise(bounds):
        body = _to_parquet(data.slice(start, end - start))
        path = f"bucket={buckets[start]}/part-{uuid.uuid4().hex}.parquet"
        files.append(DataFile(path, int(buckets[start]), len(body), end - start))
        items.append((f"{key}/{path}", body))
    store.put_many(items)
    return files


def _to_parquet(rows: Any) -> bytes:
    """Few distinct values in all columns; dates rise day by day, whose differences take next to nothing."""
    buffer = io.BytesIO()
    pq.write_table(
        rows,
        buffer,
        compression="zstd",
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=[name for name in rows.column_names if name != "date"],
        column_encoding={"date": "DELTA_BINARY_PACKED"},
        store_schema=False,
    )
    return buffer.getvalue()


def read_file(data: bytes, columns: Sequence[str], selection: Selection) -> Any:
    """The selected rows of one file; texts are dictionary-encoded. ``columns`` has those that are selected by."""
    file = pq.ParquetFile(io.BytesIO(data), read_dictionary=[name for name in _TEXTS if name in columns])
    groups = [number for number in range(file.num_row_groups) if _may_hold(file, number, selection)]
    # Several files are read at a time already.
    rows = file.read_row_groups(groups, columns=list(columns), use_threads=False).unify_dictionaries()
    return selection.apply(rows)


def _may_hold(file: Any, group: int, selection: Selection) -> bool:
    """Whether a row group may hold anything selected; files of other writers may not say."""
    place = file.schema_arrow.get_field_index("sku")
    known = file.metadata.row_group(group).column(place).statistics
    return known is None or not known.has_min_max or selection.may_be_between(known.min, known.max)


def empty_rows(schema: Any, columns: Sequence[str]) -> Any:
    """No rows, of the types that ``read_file`` gives."""
    encoded = pa.dictionary(pa.int32(), pa.string())
    fields = [schema.field(name) for name in columns]
    return pa.schema([field.with_type(encoded) if field.name in _TEXTS else field for field in fields]).empty_table()
