"""Read one landed object (CSV, CSV.gz, Parquet) into rows, tolerant of single bad rows, strict about the whole.

CSV cells stay text here, so that a SKU code never becomes a number; Parquet keeps its types. What cannot be read as a
whole (truncated, wrong encoding, wrong columns) is a ``DropError`` that says what to do.
What does not belong here: what the columns mean (``convert.py``, ``sales.py``).
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from include.skufleet.config import TableFormat
from include.skufleet.errors import DropError

_GZIP_MAGIC = b"\x1f\x8b"
_MARK = "\x00unclosed:"
_BLOCK = 1 << 24


@dataclass(frozen=True)
class BrokenRow:
    """A row that could not be split into its columns. ``number`` counts from 1 after the header, empty lines not."""

    number: int
    text: str
    detail: str


@dataclass(frozen=True)
class RawRows:
    """The rows of one object under the retailer's column names.

    Attributes:
        table: an Arrow table; text columns for CSV, the file's own types for Parquet.
        numbers: the row number in the object of each row of ``table``, int64, from 1.
        broken: the rows that are not in ``table``.
        delimiter: what joins the cells of a row again, to show it.
    """

    table: Any
    numbers: npt.NDArray[np.int64]
    broken: list[BrokenRow] = field(default_factory=list)
    delimiter: str = ","


def table_kind(key: str, table_format: TableFormat) -> str:
    """``csv`` or ``parquet``.

    Raises:
        DropError: ``format: auto`` and the key has an ending that says neither.
    """
    if table_format.format != "auto":
        return table_format.format
    name = key.lower()
    if name.endswith((".csv", ".csv.gz")):
        return "csv"
    if name.endswith(".parquet"):
        return "parquet"
    raise DropError(f"{key}: expected an ending .csv, .csv.gz or .parquet; rename it or set `format` in the catalogue")


def read_rows(
    key: str, data: bytes, table_format: TableFormat, columns: Sequence[str], optional: Sequence[str] = ()
) -> RawRows:
    """Split one object into rows; all its columns are kept.

    Args:
        key: names the object in messages, and by its ending the format.
        data: the object.
        table_format: how the catalogue file says that it is written.
        columns: the retailer's names of the columns that must be there.
        optional: names of columns that may be there; only checked for being there twice.

    Raises:
        DropError: it is empty, truncated, in another encoding or format, or a column is missing or there twice.
    """
    kind = table_kind(key, table_format)
    if not data.strip():
        raise DropError(f"{key}: is empty (0 rows, no header); deliver it again")
    rows = _read_parquet(key, data) if kind == "parquet" else _read_csv(key, data, table_format)
    names = rows.table.column_names
    if missing := [name for name in columns if name not in names]:
        raise DropError(
            f"{key}: has no column {_listed(missing)}; got {_listed(names)}; "
            "correct `columns` (or `delimiter`) in the catalogue file, or deliver the file again"
        )
    if twice := [name for name in [*columns, *optional] if names.count(name) > 1]:
        raise DropError(f"{key}: has the column {_listed(twice)} more than once; deliver it again with one of each")
    return rows


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name if len(name) <= 40 else name[:40] + "…") for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _read_parquet(key: str, data: bytes) -> RawRows:
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DropError(f"{key}: is not a whole Parquet file: {reason}; deliver it again") from error
    if table.num_rows == 0:
        return RawRows(table, np.zeros(0, dtype=np.int64))
    return RawRows(table, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _read_csv(key: str, data: bytes, table_format: TableFormat) -> RawRows:
    text = _decode(key, _unzip(key, data), table_format.encoding)
    delimiter = table_format.delimiter
    header, _, _ = text.partition("\n")
    names = [name.strip() for name in next(csv.reader([header.rstrip("\r")], delimiter=delimiter), [])]
    try:
        table, broken = _parse_csv(text, len(names), delimiter)
        in_doubt = any("\n" in row.text for row in broken) or (
            text.count('"') % 2 == 1 and _holds_swallowed_rows(table, delimiter)
        )
    except pa.ArrowInvalid:
        in_doubt = True
    if in_doubt:
        try:
            table, broken = _parse_csv(*_mark_unclosed(text, delimiter, len(names)))
        except pa.ArrowInvalid as error:
            raise DropError(f"{key}: cannot be split into rows: {error}; check `delimiter` and the quotes") from error
    return RawRows(table.rename_columns(names), _number_rows(table.num_rows, broken), broken, delimiter)


def _parse_csv(text: str, columns: int, delimiter: str, unclosed: Sequence[str] = ()) -> tuple[Any, list[BrokenRow]]:
    """Split text into a table of ``columns`` text columns (named 0, 1, ...: the file's names may repeat)."""
    broken: list[BrokenRow] = []

    def set_aside(row: Any) -> str:
        if row.text.startswith(_MARK):
            line, detail = unclosed[int(row.text.removeprefix(_MARK))], "a quote is opened and not closed"
        else:
            line, detail = row.text, f"has {row.actual_columns} fields, expected {row.expected_columns}"
        broken.append(BrokenRow(row.number - 1, line, detail))
        return "skip"

    positions = [str(position) for position in range(columns)]
    table = pacsv.read_csv(
        io.BytesIO(text.encode()),
        # With threads the numbers of the broken rows would be unknown.
        read_options=pacsv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=positions, skip_rows_after_names=1
        ),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(positions, pa.string()), strings_can_be_null=False
        ),
    )
    return table, broken


def _unzip(key: str, data: bytes) -> bytes:
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, OSError) as error:
        raise DropError(f"{key}: the gzip file is truncated or broken: {error}; deliver it again") from error


def _decode(key: str, data: bytes, encoding: str) -> str:
    """The text with a line feed at its end, without a byte order mark and without empty lines before the header."""
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, UnicodeError) as error:
        where = getattr(error, "start", 0)
        raise DropError(
            f"{key}: is not {encoding}: byte {data[where : where + 1]!r} at position {where}; "
            "set `encoding` in the catalogue file (for example cp1252 or utf-16)"
        ) from error
    text = text.removeprefix("\ufeff").lstrip("\r\n")
    if not text.strip():
        raise DropError(f"{key}: is empty (0 rows, no header); deliver it again")
    return text if text.endswith("\n") else text + "\n"


def _holds_swallowed_rows(table: Any, delimiter: str) -> bool:
    """Whether a cell spans lines and has delimiters in the later ones: perhaps rows behind an unclosed quote."""
    pattern = rf"\n[^\n]*{re.escape(delimiter)}"
    return any(pc.any(pc.match_substring_regex(column, pattern)).as_py() for column in table.columns)


def _mark_unclosed(text: str, delimiter: str, columns: int) -> tuple[str, int, str, list[str]]:
    """Replace lines that open a quote and never close it, as arguments of ``_parse_csv``.

    Left in, such a line swallows the rows after it up to the next quote. The other lines keep their places, hence the
    marks. A value that does span lines is set aside too, in a file where this is needed.
    """
    unclosed: list[str] = []
    lines = text.split("\n")
    for position, line in enumerate(lines):
        if line.count('"') % 2 == 0:
            continue
        try:
            next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            lines[position] = f"{_MARK}{len(unclosed)}"
            unclosed.append(line.rstrip("\r"))
    return "\n".join(lines), columns, delimiter, unclosed


def _number_rows(rows: int, broken: Sequence[BrokenRow]) -> npt.NDArray[np.int64]:
    """The numbers of the rows that were read: all numbers but those of the broken ones."""
    everything = np.arange(1, rows + len(broken) + 1, dtype=np.int64)
    return np.delete(everything, [row.number - 1 for row in broken]) if broken else everything
