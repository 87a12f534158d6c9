"""Cells to codes, dates and numbers."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.lake.convert import to_dates, to_numbers, to_text

BAD = None


@pytest.mark.parametrize(
    ("decimal", "text", "number"),
    [
        (".", "3", 3.0),
        (".", " -2.50 ", -2.5),
        (".", "+1e3", 1000.0),
        (".", ".5", 0.5),
        (".", "1,5", BAD),
        (".", "1,000", BAD),
        (".", "", BAD),
        (".", "1_000", BAD),
        (".", "0x1F", BAD),
        (".", "1e999", float("inf")),
        (",", "1,5", 1.5),
        (",", "1.5", BAD),
        (",", "7", 7.0),
    ],
)
@pytest.mark.parametrize("beside", ["1", "no number"])
def test_text_is_a_number_or_nothing_whatever_stands_beside_it(
    decimal: str, text: str, number: float | None, beside: str
) -> None:
    assert to_numbers(pa.array([text, beside]), decimal).to_pylist()[0] == number


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_every_number_that_python_writes_is_read_as_itself(numbers: list[float]) -> None:
    assert to_numbers(pa.array([repr(number) for number in numbers], pa.string()), ".").to_pylist() == numbers


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.times())
def test_iso_dates_are_read_with_or_without_a_time(day: date, time: object) -> None:
    texts = pa.array([day.isoformat(), f"{day}T{time}", f" {day} {time} "])
    assert to_dates(texts, None).to_pylist() == [day] * 3


def test_what_is_no_date_is_nothing() -> None:
    texts = pa.array(["2024-02-30", "01/02/2024", "45292", "", None, "today"])
    assert to_dates(texts, None).to_pylist() == [None] * 6
    assert to_dates(pa.array(["29.02.2023", "28.02.2023"]), "%d.%m.%Y").to_pylist() == [None, date(2023, 2, 28)]


def test_codes_that_differ_only_in_white_space_are_one() -> None:
    column = to_text(pa.chunked_array([["a ", "b"], [" a", "\t"]]))
    assert column.to_pylist() == ["a", "b", "a", None]
    assert sorted(column.dictionary.to_pylist()) == ["a", "b"]


def test_numbers_as_codes_have_no_decimals() -> None:
    assert to_text(pa.array([7.0, None, 12.0])).to_pylist() == ["7", None, "12"]
    assert to_text(pa.array([7, 12], pa.int64())).to_pylist() == ["7", "12"]
