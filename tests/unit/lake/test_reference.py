"""Attributes, calendar and prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lake_shop import TODAY, Shop, make_catalogue

from include.skufleet.errors import LandingError
from include.skufleet.lake.history import read_prices
from include.skufleet.lake.ingest import ingest
from include.skufleet.lake.store import ObjectStore

ATTRIBUTES: dict[str, Any] = {"attributes": {"columns": {"sku": "code", "department": "dept"}}}
CALENDAR: dict[str, Any] = {
    "calendar": {
        "date": "day",
        "events": ["event"],
        "flags": {"snap": [{"column": "snap_x", "stores": "x*"}]},
        "closed": "shut",
    }
}
PRICES: dict[str, Any] = {"prices": {"columns": {"sku": "sku", "date": "from", "price": "price"}}}


def open_shop(store: ObjectStore, landing: dict[str, Any]) -> Shop:
    shop = Shop(store, make_catalogue(landing))
    shop.drop("1.csv", "a,s,2024-01-01,1")
    return shop


def attributes(shop: Shop) -> list[list[Any]]:
    key = shop.ingest().attributes_key
    assert key is not None
    frame = shop.store.get_frame(key)
    assert frame.columns.tolist() == ["sku", "department"]
    return frame.replace({np.nan: None}).to_numpy().tolist()


def test_the_newest_attributes_count_under_our_names(store: ObjectStore) -> None:
    shop = open_shop(store, ATTRIBUTES)
    shop.drop("z.csv", "a,old", header="code,dept", folder="attributes")
    shop.drop("b.csv", "007,Food", " a ,", "a,Toys", ",lost", header="code,dept", folder="attributes")
    assert attributes(shop) == [["007", "Food"], ["a", "Toys"]]
    reasons = {record["key"].rsplit("/", 1)[-1]: record["set_aside"] for record in shop.ledger().values()}
    assert reasons["b.csv"] == {"repeated": 1, "sku_missing": 1}
    shop.drop("b.csv", "a,New", header="code,dept", folder="attributes")
    assert attributes(shop) == [["a", "New"]]


def test_a_sku_that_the_attributes_do_not_list_stays_in_the_history(store: ObjectStore) -> None:
    shop = open_shop(store, ATTRIBUTES)
    shop.drop("a.csv", "other,Food", header="code,dept", folder="attributes")
    assert shop.units(shop.ingest().table_version) == {("a", "s", "2024-01-01"): 1}


def test_an_unreadable_file_does_not_replace_a_good_one(store: ObjectStore) -> None:
    shop = open_shop(store, ATTRIBUTES)
    shop.drop("1.csv", "a,Toys", header="code,dept", folder="attributes")
    assert attributes(shop) == [["a", "Toys"]]
    shop.drop("2.csv", "a,Toys", header="article,dept", folder="attributes")
    assert attributes(shop) == [["a", "Toys"]]
    assert shop.ledger()["2.csv"]["status"] == "rejected"
    shop.put("1.csv", b"", folder="attributes")
    summary = shop.ingest()
    assert summary.drops_rejected == 3
    assert "nothing readable; attributes of landing/shop/attributes/1.csv go on serving" in summary.rejections[-1]
    assert attributes(shop) == [["a", "Toys"]]


@pytest.mark.parametrize(
    ("landing", "sentence"),
    [
        (
            ATTRIBUTES,
            r"landing/shop/attributes/: holds no attributes file, which landing\.attributes of shop\.yaml asks for",
        ),
        (CALENDAR, r"landing/shop/calendar/: holds no calendar file, which landing\.calendar of shop\.yaml asks for"),
        (PRICES, r"landing/shop/prices/: holds no readable price file, which landing\.prices of shop\.yaml asks for"),
    ],
)
def test_a_missing_folder_says_what_is_missing(store: ObjectStore, landing: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LandingError, match=sentence):
        open_shop(store, landing).ingest()


def test_the_calendar_keeps_its_columns_and_gets_numbers(store: ObjectStore) -> None:
    shop = open_shop(store, CALENDAR)
    header = "day,event,snap_x,shut,ignored"
    rows = [
        "2024-01-02,,0,no,x",
        "2024-01-01,New Year,1,YES,x",
        "2024-01-03,,,,x",
        "2024-01-04,,maybe,0,x",
        "soon,,0,0,x",
    ]
    shop.drop("c.csv", *rows, header=header, folder="calendar")
    key = shop.ingest().calendar_key
    assert key is not None
    frame = store.get_frame(key)
    assert frame["date"].dt.strftime("%m-%d").tolist() == ["01-01", "01-02", "01-03"]
    assert frame["event"].replace({np.nan: None}).tolist() == ["New Year", None, None]
    assert frame["snap_x"].tolist() == [1.0, 0.0, 0.0]
    assert frame["shut"].tolist() == [1.0, 0.0, 0.0]
    assert shop.ledger()["c.csv"]["set_aside"] == {"date_unreadable": 1, "flag_unreadable": 1}


def test_every_price_file_counts_the_last_delivered_wins_and_dates_may_lie_ahead(store: ObjectStore) -> None:
    shop = open_shop(store, PRICES)
    header = "sku,from,price"
    shop.drop(
        "1.csv",
        "a,2024-01-01,1.5",
        "a,2030-01-01,2",
        "b,2024-01-01,3",
        "b,2024-01-08,0",
        header=header,
        folder="prices",
    )
    shop.drop("2.csv", "a,2030-01-01,2.5", header=header, folder="prices")
    summary = shop.ingest()
    assert summary.set_aside == {"prices.price_not_positive": 1}
    assert summary.prices_version is not None
    frame = read_prices(store, shop.catalogue, version=summary.prices_version, buckets=range(4))
    got = frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d")).to_numpy().tolist()
    assert got == [["a", "", "2024-01-01", 1.5], ["a", "", "2030-01-01", 2.5], ["b", "", "2024-01-01", 3.0]]
    assert ingest(store, shop.catalogue, TODAY).prices_version == summary.prices_version


def test_prices_that_cannot_be_read_are_an_error_only_when_there_never_were_any(store: ObjectStore) -> None:
    shop = open_shop(store, PRICES)
    shop.drop("1.csv", "a,2024-01-01,1", header="article,from,price", folder="prices")
    with pytest.raises(LandingError, match=r"none of 1 price files can be read; the first: .*has no column 'sku'"):
        shop.ingest()
    shop.drop("2.csv", "a,2024-01-01,1", header="sku,from,price", folder="prices")
    assert shop.ingest().prices_version is not None
