"""Splitting landed objects into rows."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.skufleet.config import TableFormat
from include.skufleet.errors import DropError
from include.skufleet.lake.tables import RawRows, read_rows

CSV = TableFormat()


def read(content: str | bytes, table_format: TableFormat = CSV, key: str = "day.csv") -> RawRows:
    return read_rows(key, content.encode() if isinstance(content, str) else content, table_format, ["a", "b"])


def cells(rows: RawRows) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in rows.table.columns), strict=True))


def test_cells_stay_text() -> None:
    assert cells(read("a,b\n007,1.50\n ,NULL\n")) == [("007", "1.50"), (" ", "NULL")]


def test_a_row_with_the_wrong_number_of_fields_does_not_stop_the_others() -> None:
    rows = read("a,b\n1,2\n1,2,3\n\n4,5\n6\n7,8")
    assert cells(rows) == [("1", "2"), ("4", "5"), ("7", "8")]
    assert rows.numbers.tolist() == [1, 3, 5]
    assert [(row.number, row.text, row.detail) for row in rows.broken] == [
        (2, "1,2,3", "has 3 fields, expected 2"),
        (4, "6", "has 1 fields, expected 2"),
    ]


def test_an_unclosed_quote_swallows_no_other_row() -> None:
    rows = read('a,b\n1,2\n"3,4\n5,6\n7,8\n9,"10"\n')
    assert cells(rows) == [("1", "2"), ("5", "6"), ("7", "8"), ("9", "10")]
    assert [(row.number, row.text, row.detail) for row in rows.broken] == [
        (2, '"3,4', "a quote is opened and not closed")
    ]


def test_swallowed_rows_are_found_when_they_make_up_the_right_number_of_fields() -> None:
    rows = read('a,b\n"1,2\n3,"4"\n5,6\n')
    assert cells(rows) == [("3", "4"), ("5", "6")]
    assert [row.text for row in rows.broken] == ['"1,2']


def test_quoted_delimiters_quotes_and_line_breaks_are_part_of_a_cell() -> None:
    rows = read('a,b\r\n"x, ""y""",1\r\n"two\nlines",2\r\n5" nail,3\r\n"6"" nail",4\r\n')
    assert cells(rows) == [('x, "y"', "1"), ("two\nlines", "2"), ('5" nail', "3"), ('6" nail', "4")]
    assert rows.broken == []


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_a_missing_last_line_break_do_not_matter(mark: bytes) -> None:
    assert cells(read(mark + b" a ,b\n1,2")) == [("1", "2")]


def test_encoding_and_delimiter_are_the_catalogues() -> None:
    german = TableFormat(encoding="cp1252", delimiter=";")
    assert cells(read("a;b\nKäse;1,5\n".encode("cp1252"), german)) == [("Käse", "1,5")]
    assert cells(read("a;b\nKäse;1\n".encode("utf-16"), TableFormat(encoding="utf-16", delimiter=";"))) == [
        ("Käse", "1")
    ]


def test_gzip_is_recognised_by_its_content() -> None:
    assert cells(read(gzip.compress(b"a,b\n1,2\n"), key="day.csv.gz")) == [("1", "2")]
    assert cells(read(gzip.compress(b"a,b\n1,2\n"), key="day.csv")) == [("1", "2")]


def test_a_header_without_rows_is_a_drop_without_rows() -> None:
    assert read("a,b\n").table.num_rows == 0


def test_parquet_keeps_its_types() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), buffer)
    rows = read(buffer.getvalue(), key="Day.PARQUET")
    assert cells(rows) == [(1, "x"), (2, None)]
    assert rows.numbers.tolist() == [1, 2]


def parquet_bytes() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000)), "b": list(range(1000))}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("key", "content", "table_format", "sentence"),
    [
        ("d.csv", b"", CSV, r"d.csv: is empty \(0 rows, no header\); deliver it again"),
        ("d.csv", b"\xef\xbb\xbf\n\n", CSV, "d.csv: is empty"),
        ("d.parquet", parquet_bytes()[:-200], CSV, "d.parquet: is not a whole Parquet file: .*; deliver it again"),
        ("d.csv.gz", gzip.compress(b"a,b\n" * 99, mtime=0)[:-9], CSV, "d.csv.gz: the gzip file is truncated or broken"),
        (
            "d.csv",
            "a,b\nKäse,1".encode("cp1252"),
            CSV,
            r"is not utf-8: byte b'\\xe4' at position 5; set `encoding` in the catalogue file",
        ),
        ("d.csv", b"a;b\n1;2", CSV, r"has no column 'a', 'b'; got 'a;b'; correct `columns` \(or `delimiter`\)"),
        ("d.csv", b"b,c\n1,2", CSV, "has no column 'a'; got 'b', 'c'"),
        ("d.csv", b"a,b,a\n1,2,3", CSV, "has the column 'a' more than once"),
        ("d.xlsx", b"PK", CSV, "d.xlsx: expected an ending .csv, .csv.gz or .parquet; rename it or set `format`"),
    ],
)
def test_what_cannot_be_read_as_a_whole_says_why_and_what_to_do(
    key: str, content: bytes, table_format: TableFormat, sentence: str
) -> None:
    with pytest.raises(DropError, match=sentence):
        read(content, table_format, key)
