"""From the rows of one drop to rows of the history; all numbers by hand."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.skufleet.config import Sales
from include.skufleet.errors import DropError
from include.skufleet.lake.sales import clean_sales
from include.skufleet.lake.set_aside import CleanDrop, count_reasons
from include.skufleet.lake.tables import read_rows

TODAY = date(2024, 3, 31)


def clean(*rows: str, price: bool = False, **settings: Any) -> CleanDrop:
    columns = {"sku": "sku", "store": "store", "date": "day", "units": "units"} | ({"price": "price"} if price else {})
    sales = Sales.model_validate({"columns": columns} | settings)
    delimiter = sales.delimiter
    header = delimiter.join(["sku", "store", "day", "units", *(["price"] if price else [])])
    data = "\n".join([header, *rows]).encode()
    return clean_sales("d.csv", read_rows("d.csv", data, sales, list(columns.values())), sales, TODAY)


def kept(drop: CleanDrop, *names: str) -> list[tuple[Any, ...]]:
    columns = names or ("sku", "store", "date", "units")
    rows = list(zip(*(drop.rows.column(name).to_pylist() for name in columns), strict=True))
    return [tuple(cell.isoformat() if isinstance(cell, date) else cell for cell in row) for row in rows]


def aside(drop: CleanDrop) -> list[tuple[int, str, str]]:
    return [(row["row"], row["reason"], row["detail"]) for row in drop.set_aside.to_pylist()]


def test_codes_are_text_and_only_trimmed() -> None:
    codes = ["007", "a/b:c", "Ünïcode 🧦", "x" * 300, "1e5", "%2F", "NaN", "null"]
    drop = clean(*(f" {code} ,S 1,2024-03-01,1" for code in codes))
    assert [row[0] for row in kept(drop)] == codes
    assert {row[1] for row in kept(drop)} == {"S 1"}


def test_every_unreadable_row_is_set_aside_with_its_number_and_a_sentence() -> None:
    drop = clean(
        "a,s,2024-03-01,1",
        ",s,2024-03-01,1",
        "a, ,2024-03-01,1",
        "a,s,31.03.2024,1",
        "a,s,2024-04-01,1",
        "a,s,1024-03-01,1",
        "a,s,2024-03-02,many",
        "a,s,2024-03-03,inf",
        "a,s,2024-03-04,NaN",
        "a,s,2024-03-05",
        *(f"b,s,2024-03-{day:02},1" for day in range(1, 21)),
    )
    assert len(kept(drop)) == 21
    assert aside(drop) == [
        (2, "sku_missing", "the SKU is empty"),
        (3, "store_missing", "the store is empty"),
        (4, "date_unreadable", "date '31.03.2024' is not ISO 8601 (YYYY-MM-DD)"),
        (5, "date_future", "date '2024-04-01' is after 2024-03-31, the day of the ingestion"),
        (6, "date_implausible", "date '1024-03-01' is before 1970-01-01"),
        (7, "units_unreadable", "units 'many' is not a number with the decimal mark '.'"),
        (8, "units_infinite", "units 'inf' is not finite"),
        (9, "units_unreadable", "units 'NaN' is not a number with the decimal mark '.'"),
        (10, "fields", "has 3 fields, expected 4"),
    ]
    assert drop.set_aside.column("text").to_pylist()[5] == "a,s,2024-03-02,many"


def test_absurd_but_finite_units_are_left_to_the_validation() -> None:
    drop = clean("a,s,2024-03-01,1e12", "a,s,2024-03-02,-3", "a,s,2024-03-03,0.25", returns="reject")
    assert [row[3] for row in kept(drop)] == [1e12, -3.0, 0.25]
    assert aside(drop) == []


def test_of_daily_totals_the_last_of_a_day_counts() -> None:
    drop = clean("a,s,2024-03-01,1", "b,s,2024-03-01,7", "a,s,2024-03-01,3", repeated="last")
    assert sorted(kept(drop)) == [("a", "s", "2024-03-01", 3.0), ("b", "s", "2024-03-01", 7.0)]
    assert aside(drop) == [(1, "repeated", "a later row of the drop has the same SKU, store and date")]


def test_invoice_lines_are_added_up_and_the_price_is_weighted_by_units() -> None:
    drop = clean(
        "a,s,2024-03-01,1,2.00",
        "a,s,2024-03-01,3,4.00",
        "a,s,2024-03-01,5,0",  # given away: no price
        "a,s,2024-03-02,2,",
        "a,s,2024-03-03,0,9",
        price=True,
        repeated="sum",
    )
    assert kept(drop, "date", "units", "price") == [
        ("2024-03-01", 9.0, (1 * 2 + 3 * 4) / 4),
        ("2024-03-02", 2.0, None),
        ("2024-03-03", 0.0, None),
    ]


@pytest.mark.parametrize(("identical", "units"), [("drop", 3.0), ("keep", 4.0)])
def test_identical_rows_are_one_row_or_two_sales(identical: str, units: float) -> None:
    drop = clean("a,s,2024-03-01,1", "a,s,2024-03-01,2", "a,s,2024-03-01,1", repeated="sum", identical=identical)
    assert kept(drop) == [("a", "s", "2024-03-01", units)]
    assert count_reasons(drop.set_aside) == ({"identical": 1} if identical == "drop" else {})


def test_rows_that_differ_in_a_column_that_we_do_not_read_are_not_identical() -> None:
    sales = Sales.model_validate(
        {"columns": {"sku": "sku", "date": "day", "units": "units"}, "store": "web", "repeated": "sum"}
    )
    data = b"invoice,sku,day,units\n1,a,2024-03-01,1\n2,a,2024-03-01,1\n2,a,2024-03-01,1\n"
    drop = clean_sales("d.csv", read_rows("d.csv", data, sales, ["sku", "day", "units"]), sales, TODAY)
    assert kept(drop) == [("a", "web", "2024-03-01", 2.0)]


RETURNS = ("a,s,2024-03-01,5", "a,s,2024-03-01,-2", "b,s,2024-03-01,1", "b,s,2024-03-01,-4")


def test_returns_are_netted_against_their_day_and_the_excess_is_noted() -> None:
    drop = clean(*RETURNS, repeated="sum", returns="net")
    assert sorted(kept(drop)) == [("a", "s", "2024-03-01", 3.0), ("b", "s", "2024-03-01", 0.0)]
    assert aside(drop) == [(3, "returns_exceed_sales", "returns exceed the day's sales by 3; the day counts as zero")]


def test_returns_are_left_out() -> None:
    drop = clean(*RETURNS, repeated="sum", returns="drop")
    assert sorted(kept(drop)) == [("a", "s", "2024-03-01", 5.0), ("b", "s", "2024-03-01", 1.0)]
    assert aside(drop)[0] == (2, "return", "a return ('-2' units), left out by `returns: drop`")


def test_returns_among_invoice_lines_are_refused_before_they_vanish_in_a_sum() -> None:
    drop = clean(*RETURNS, repeated="sum", returns="reject")
    assert sorted(kept(drop)) == [("a", "s", "2024-03-01", 5.0), ("b", "s", "2024-03-01", 1.0)]
    assert count_reasons(drop.set_aside) == {"units_negative": 2}


def test_codes_off_the_pattern_are_set_aside_however_many() -> None:
    drop = clean("POST,s,2024-03-01,1", "M,s,2024-03-01,1", "85123A,s,2024-03-01,1", sku_pattern=r"\d{5}[A-Z]?")
    assert kept(drop) == [("85123A", "s", "2024-03-01", 1.0)]
    assert aside(drop)[0] == (1, "sku_pattern", "SKU 'POST' does not match sku_pattern")


def test_a_drop_that_is_mostly_unreadable_is_refused_as_a_whole_with_an_example() -> None:
    with pytest.raises(DropError) as caught:
        clean("a,s,03/01/2024,1", "a,s,03/02/2024,1", "a,s,2024-03-03,1")
    assert str(caught.value) == (
        "d.csv: 2 of 3 rows cannot be read, for example row 1: date '03/01/2024' is not ISO 8601 (YYYY-MM-DD); check "
        "`delimiter`, `decimal`, `date_format`, `encoding` and `columns` in the catalogue file, or deliver the file "
        "again"
    )


def test_a_decimal_comma_in_a_comma_separated_file_is_refused_as_a_whole() -> None:
    with pytest.raises(DropError, match=r"2 of 2 rows cannot be read, for example row 1: has 5 fields, expected 4"):
        clean("a,s,2024-03-01,1,5", "a,s,2024-03-02,2,5")


def test_a_decimal_comma_in_a_few_rows_does_not_cost_just_the_fractions() -> None:
    rows = [f"a;s;2024-03-{day:02};{day}" for day in range(1, 21)]
    with pytest.raises(DropError) as caught:
        clean(*rows, "b;s;2024-03-01;1,5", "b;s;2024-03-02;0,5", delimiter=";")
    assert str(caught.value) == (
        "d.csv: 2 of 22 units have the decimal mark ',', for example '1,5', expected '.'; set `decimal` in the "
        "catalogue file (thousands separators are not read)"
    )
    assert len(kept(clean(*rows, "b;s;2024-03-01;1,5", delimiter=";", decimal=","))) == 21


def test_a_date_format_of_the_retailers() -> None:
    drop = clean("a,s,1.3.2024,1", "b,s,31.03.2024,2", date_format="%d.%m.%Y")
    assert [row[2] for row in kept(drop)] == ["2024-03-01", "2024-03-31"]


def test_a_time_of_day_is_cut_off() -> None:
    drop = clean("a,s,2024-03-01 08:26:00,1", "a,s,2024-03-01T23:59:59Z,2", repeated="sum")
    assert kept(drop) == [("a", "s", "2024-03-01", 3.0)]


def test_a_typed_file_gives_the_same_as_text() -> None:
    table = pa.table(
        {
            "sku": pa.array([7, 8, 8, None], pa.int32()),
            "store": pa.array(["x ", "x", "x", "x"]).dictionary_encode(),
            "day": pa.array([datetime(2024, 3, 1, 5)] * 2 + [datetime(2024, 3, 2)] * 2, pa.timestamp("ms")),  # noqa: DTZ001
            "units": pa.array([1, 2, None, 4], pa.int16()),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    sales = Sales.model_validate({"columns": {"sku": "sku", "store": "store", "date": "day", "units": "units"}})
    raw = read_rows("d.parquet", buffer.getvalue(), sales, ["sku", "store", "day", "units"])
    drop = clean_sales("d.parquet", raw, sales, TODAY)
    assert kept(drop) == [("7", "x", "2024-03-01", 1.0), ("8", "x", "2024-03-01", 2.0)]
    assert [row[:2] for row in aside(drop)] == [(3, "units_unreadable"), (4, "sku_missing")]


def test_a_drop_without_rows_is_no_error() -> None:
    drop = clean()
    assert drop.rows.num_rows == 0
    assert drop.set_aside.num_rows == 0
