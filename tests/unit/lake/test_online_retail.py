"""The real daily feed: ingested drop by drop it gives the same history as all at once."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd
import pytest
from lake_shop import Shop, make_catalogue

from include.skufleet.lake.index import read_series_index, read_trading_dates
from include.skufleet.lake.store import ObjectStore

ARCHIVE = Path(__file__).resolve().parents[4] / "shared/data/online_retail/by-day.zip"
DAYS = 20


@pytest.mark.shared_data
@pytest.mark.skipif(not ARCHIVE.exists(), reason="the Online Retail files are not beside the repository")
def test_online_retail_drop_by_drop_is_the_same_as_all_at_once(store: ObjectStore) -> None:
    columns = {"sku": "StockCode", "date": "InvoiceDate", "units": "Quantity", "price": "UnitPrice"}
    settings = {"columns": columns, "store": "web", "repeated": "sum", "sku_pattern": r"\d{5}[A-Za-z]*"}
    by_drop = Shop(store, make_catalogue(**settings))
    at_once = Shop(store, by_drop.catalogue.model_copy(update={"name": "at_once"}))
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in sorted(archive.namelist())[:DAYS]:
            by_drop.put(name, archive.read(name))
            last = by_drop.ingest()
    whole = at_once.ingest()
    assert (whole.drops_ingested, last.drops_ingested) == (DAYS, 1)
    pd.testing.assert_frame_equal(at_once.history(whole.table_version), by_drop.history(last.table_version))
    for read, key in ((read_series_index, "index_key"), (read_trading_dates, "dates_key")):
        left, right = (read(store, getattr(summary, key)) for summary in (whole, last))
        assert left.equals(right)
    pd.testing.assert_frame_equal(at_once.history(whole.table_version), expected_history())


def expected_history() -> pd.DataFrame:
    """The same rules, written down once more in plain pandas."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        days = [pd.read_csv(archive.open(name), dtype=str) for name in sorted(archive.namelist())[:DAYS]]
    lines = pd.concat([day.drop_duplicates() for day in days])
    lines["sku"] = lines["StockCode"].str.strip()
    lines = lines[lines["sku"].str.fullmatch(r"\d{5}[A-Za-z]*")]
    lines["date"] = pd.to_datetime(lines["InvoiceDate"]).dt.normalize().astype("datetime64[us]")
    lines["units"] = lines["Quantity"].astype(float)
    price = lines["UnitPrice"].astype(float)
    lines["weight"] = lines["units"].where((lines["units"] > 0) & (price > 0), 0.0)
    lines["paid"] = lines["weight"] * price
    total = lines.groupby(["sku", "date"], as_index=False)[["units", "weight", "paid"]].sum()
    total["price"] = total["paid"] / total["weight"].where(total["weight"] > 0)
    total["units"] = total["units"].clip(lower=0)
    return total.assign(store="web").astype({"store": "str"})[["sku", "store", "date", "units", "price"]]
