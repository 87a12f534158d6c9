"""The M5 importer: hand-made files in Kaggle's form, and the real ones where they stand beside the repository."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.skufleet.config import find_catalogue
from include.skufleet.errors import LandingError
from include.skufleet.lake.store import ObjectStore
from include.skufleet.sources.archive import open_archive
from include.skufleet.sources.land import land
from include.skufleet.sources.m5 import list_m5_drops, looks_like_m5
from tests.unit.sources.conftest import SHARED

M5 = find_catalogue("m5")
REAL = SHARED / "m5" / "m5-forecasting-accuracy.zip"

SALES = """\
id,item_id,dept_id,cat_id,store_id,state_id,{days}
A_1_CA_1_evaluation,A_1,A_D,A,CA_1,CA,{first}
A_1_TX_1_evaluation,A_1,A_D,A,TX_1,TX,{second}
B_1_CA_1_evaluation,B_1,B_D,B,CA_1,CA,{third}
"""


def write_m5(folder: Path, **changed: str) -> Path:
    """Twelve days from Saturday 2011-12-17 on in two of Walmart's weeks, nine of them sold, and 8 days ahead.

    Item B_1 is listed from the second week on; 2011-12-25 (the ninth day) is a Sunday on which nearly nothing is sold.
    """
    days = pd.date_range("2011-12-17", "2011-12-28").union(pd.date_range("2012-12-24", "2012-12-26"))
    week = np.where(days < "2011-12-24", 11147, np.where(days < "2012-01-01", 11148, 11247))
    calendar = [
        "date,wm_yr_wk,weekday,wday,month,year,d,event_name_1,event_type_1,event_name_2,event_type_2,snap_CA,snap_TX,snap_WI"
    ]
    for number, (day, code) in enumerate(zip(days, week, strict=True), start=1):
        event = "Christmas,National" if (day.month, day.day) == (12, 25) else ","
        calendar.append(f"{day:%Y-%m-%d},{code},x,1,{day.month},{day.year},d_{number},{event},,,{number % 2},0,1")
    sold = {
        "days": ",".join(f"d_{number}" for number in range(1, 11)),
        "first": "100,101,102,103,104,105,106,107,1,109",
        "second": "0,200,0,200,0,200,0,200,0,200",
        "third": "0,0,0,0,0,0,0,7,0,8",
    }
    prices = [
        "store_id,item_id,wm_yr_wk,sell_price",
        "CA_1,A_1,11147,2.5",
        "CA_1,A_1,11148,2.5",
        "CA_1,A_1,11247,3.0",
        "TX_1,A_1,11148,2.0",
        "TX_1,A_1,11147,2.5",
        "CA_1,B_1,11148,3.0",
    ]
    files = {
        "sales_train_evaluation.csv": SALES.format(**sold),
        "calendar.csv": "\n".join(calendar) + "\n",
        "sell_prices.csv": "\n".join(prices) + "\n",
        **changed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if text:
            (folder / name).write_text(text)
    return folder


def tables(source: Path, stores: tuple[str, ...] = ()) -> dict[str, pd.DataFrame]:
    drops = list_m5_drops(open_archive(source), stores)
    return {f"{drop.folder}/{drop.name}": pd.read_parquet(io.BytesIO(drop.make().data)) for drop in drops}


def test_sales_are_long_by_month_from_the_first_listed_week_on(tmp_path: Path) -> None:
    found = tables(write_m5(tmp_path))
    assert list(found) == [
        "sales/2011-12.parquet",
        "prices/prices.parquet",
        "attributes/attributes.parquet",
        "calendar/calendar.parquet",
    ]
    sales = found["sales/2011-12.parquet"]
    assert list(sales.columns) == ["date", "store_id", "item_id", "units"]
    assert len(sales) == 10 + 10 + 3
    new = sales[sales["item_id"] == "B_1"]
    assert list(new["date"].astype(str)) == ["2011-12-24", "2011-12-25", "2011-12-26"]
    assert list(new["units"]) == [7, 0, 8]
    texas = sales[sales["store_id"] == "TX_1"]
    assert list(texas["units"]) == [0, 200] * 5


def test_prices_are_changes_on_the_first_day_of_their_week(tmp_path: Path) -> None:
    prices = tables(write_m5(tmp_path))["prices/prices.parquet"]
    rows = {tuple(row) for row in prices.astype({"date": str}).itertuples(index=False)}
    assert rows == {
        ("2011-12-17", "CA_1", "A_1", 2.5),
        ("2012-12-24", "CA_1", "A_1", 3.0),
        ("2011-12-17", "TX_1", "A_1", 2.5),
        ("2011-12-24", "TX_1", "A_1", 2.0),
        ("2011-12-24", "CA_1", "B_1", 3.0),
    }


def test_the_calendar_is_closed_where_the_chain_sold_nothing_and_on_that_date_later_on(tmp_path: Path) -> None:
    """On 2011-12-25 the chain sold 1 unit against a median day of some 230."""
    calendar = tables(write_m5(tmp_path))["calendar/calendar.parquet"]
    assert list(calendar.loc[calendar["closed"] == 1, "date"]) == [date(2011, 12, 25), date(2012, 12, 25)]
    assert list(calendar["event_name_1"].dropna()) == ["Christmas", "Christmas"]
    assert list(calendar["snap_CA"])[:3] == [1, 0, 1]


def test_attributes_have_a_row_per_item(tmp_path: Path) -> None:
    attributes = tables(write_m5(tmp_path))["attributes/attributes.parquet"]
    assert attributes.to_numpy().tolist() == [["A_1", "A_D", "A"], ["B_1", "B_D", "B"]]


def test_chosen_stores_limit_everything_but_what_closed_means(tmp_path: Path) -> None:
    found = tables(write_m5(tmp_path), ("TX_1",))
    assert set(found["sales/2011-12.parquet"]["store_id"]) == {"TX_1"}
    assert set(found["prices/prices.parquet"]["store_id"]) == {"TX_1"}
    assert list(found["attributes/attributes.parquet"]["item_id"]) == ["A_1"]
    assert found["calendar/calendar.parquet"]["closed"].sum() == 2


def test_an_unknown_store_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="has no store NY_1; STORES may name CA_1, TX_1"):
        tables(write_m5(tmp_path), ("CA_1", "NY_1"))


def test_zip_and_folder_give_the_same_whatever_wraps_them(tmp_path: Path) -> None:
    folder = write_m5(tmp_path / "m5" / "inner")
    packed = tmp_path / "m5.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    one, two = tables(tmp_path / "m5"), tables(packed)
    assert list(one) == list(two)
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, two[name])


def test_the_competitions_first_sales_file_serves_too(tmp_path: Path) -> None:
    folder = write_m5(tmp_path)
    (folder / "sales_train_evaluation.csv").rename(folder / "sales_train_validation.csv")
    assert looks_like_m5(open_archive(folder))
    assert len(tables(folder)["sales/2011-12.parquet"]) == 23


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sales_train_evaluation.csv", SALES.format(days="d_1", first="many", second="1", third="2"), "'many'"),
        ("sales_train_evaluation.csv", SALES.format(days="d_1", first="", second="1", third="2"), "empty cells in d_1"),
        (
            "sales_train_evaluation.csv",
            SALES.format(days="d_99", first="1", second="1", third="2"),
            "expected day columns",
        ),
        ("sales_train_evaluation.csv", "item_id,d_1\nA,1\n", "is not the M5 file"),
        ("sell_prices.csv", "store_id,item_id,week,sell_price\n", "wm_yr_wk"),
        ("calendar.csv", "date\n2011-01-01\n", "is not the M5 file"),
    ],
)
def test_a_file_that_is_not_m5s_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(LandingError, match=said) as caught:
        tables(write_m5(tmp_path, **{name: text}))
    assert name in str(caught.value)


def test_landing_twice_uploads_once(tmp_path: Path, store: ObjectStore) -> None:
    folder = write_m5(tmp_path)
    first = land(store, M5, folder)
    assert (first.objects, first.rows) == (4, 23 + 5 + 2 + 15)
    assert [item.key for item in store.list("landing/m5/")] == [
        "landing/m5/attributes/attributes.parquet",
        "landing/m5/calendar/calendar.parquet",
        "landing/m5/prices/prices.parquet",
        "landing/m5/sales/2011-12.parquet",
    ]
    assert land(store, M5, folder).objects == 0
    assert land(store, M5, folder, stores=("CA_1",)).objects == 2


def test_m5_into_a_catalogue_that_reads_other_columns_is_refused(tmp_path: Path, store: ObjectStore) -> None:
    with pytest.raises(LandingError, match=r"online_retail: the M5 importer .* reads InvoiceDate, Quantity"):
        land(store, find_catalogue("online_retail"), write_m5(tmp_path))


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="the M5 files are not beside the repository")
def test_the_real_files_of_one_store() -> None:
    """3,049 series; each Christmas Day is closed; prices change a few times per item; units as in the wide file."""
    drops = {f"{drop.folder}/{drop.name}": drop for drop in list_m5_drops(open_archive(REAL), ("CA_1",))}
    assert len(drops) == 65 + 3
    read = {name: pd.read_parquet(io.BytesIO(drops[name].make().data)) for name in drops if "sales" not in name}
    closed = read["calendar/calendar.parquet"].query("closed == 1")["date"]
    assert [str(day) for day in closed] == [f"{year}-12-25" for year in range(2011, 2016)]
    assert len(read["attributes/attributes.parquet"]) == 3049
    assert 3049 < len(read["prices/prices.parquet"]) < 20_000
    may = pd.read_parquet(io.BytesIO(drops["sales/2016-05.parquet"].make().data))
    assert len(may) == 22 * 3049
    with zipfile.ZipFile(REAL) as packed, packed.open("sales_train_evaluation.csv") as stream:
        wide = pd.read_csv(stream, usecols=["item_id", "store_id", "d_1941"])
    last = may[may["date"].astype(str) == "2016-05-22"].astype({"item_id": str}).set_index("item_id")["units"]
    own = wide[wide["store_id"] == "CA_1"].set_index("item_id")["d_1941"]
    pd.testing.assert_series_equal(last.sort_index(), own.sort_index(), check_dtype=False, check_names=False)
