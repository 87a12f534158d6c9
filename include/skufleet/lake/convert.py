"""Turn the columns of a landed table into codes, dates and numbers, vectorised; a bad cell is a null, not an error.

What does not belong here: what happens to a row with a bad cell (``sales.py``, ``prices.py``).
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:nan|inf|infinity)$"


def to_text(column: Any) -> Any:
    """Codes as a dictionary-encoded text column, surrounding white space stripped; null where empty.

    Text stays as it is (leading zeros, any Unicode). A number, which only a Parquet file can hold, is written without
    a trailing ``.0``.
    """
    values = _plain(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_floating(values.type):
        whole = pc.all(pc.equal(pc.floor(values), values)).as_py() is not False
        values = values.cast(pa.int64(), safe=False) if whole else values
    encoded = values.cast(pa.string()).dictionary_encode()
    return _map_values(encoded, [text.strip() or None for text in encoded.dictionary.to_pylist()], pa.string())


def to_dates(column: Any, date_format: str | None) -> Any:
    """Dates (``date32``) from text, timestamps or dates; null where a cell is none. A time of day is cut off."""
    values = _plain(column)
    if pa.types.is_timestamp(values.type):
        return (pc.local_timestamp(values) if values.type.tz else values).cast(pa.date32(), safe=False)
    if pa.types.is_date(values.type):
        return values.cast(pa.date32())
    encoded = to_text(values)
    parsed = [None if text is None else _parse_date(text, date_format) for text in encoded.dictionary.to_pylist()]
    return _map_values(encoded, parsed, pa.date32()).dictionary_decode()


def to_numbers(column: Any, decimal: str) -> Any:
    """Numbers (``float64``) from text or any number type; null where a cell is none. NaN and infinity are kept."""
    values = _plain(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        if pa.types.is_boolean(values.type) or pa.types.is_temporal(values.type) or pa.types.is_nested(values.type):
            return pa.nulls(len(values), pa.float64())
        return values.cast(pa.float64(), safe=False)
    if decimal == ",":
        # A point would be a thousands separator here, or a file of the other habit: no guess.
        pointed = pc.match_substring(values, ".")
        values = pc.replace_substring(pc.if_else(pointed, None, values), ",", ".")
    try:
        return values.cast(pa.float64())
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(values)
        number = pc.match_substring_regex(trimmed, _NUMBER)
        # Arrow's cast knows no leading plus sign.
        return pc.replace_substring_regex(pc.if_else(number, trimmed, None), r"^\+", "").cast(pa.float64())


def _plain(column: Any) -> Any:
    """One contiguous array; the dictionaries of chunks are made one."""
    if isinstance(column, pa.ChunkedArray):
        return column.unify_dictionaries().combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def _map_values(encoded: Any, values: list[Any], value_type: Any) -> Any:
    """A dictionary-encoded column with every distinct value replaced; equal replacements become one, ``None`` null."""
    distinct = pa.array(values, value_type).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(encoded.indices), distinct.dictionary)


@lru_cache(maxsize=1 << 17)
def _parse_date(text: str, date_format: str | None) -> date | None:
    try:
        if date_format is None:
            return datetime.fromisoformat(text).date()
        return datetime.strptime(text, date_format).date()  # noqa: DTZ007 - only the date is kept
    except ValueError:
        return None
