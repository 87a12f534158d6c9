"""The simulated chain through real ingestion: the history is what the tills counted, but for the dirt."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from include.skufleet.config import find_catalogue
from include.skufleet.lake.history import read_history, read_prices
from include.skufleet.lake.ingest import IngestSummary, ingest
from include.skufleet.lake.store import ObjectStore
from include.skufleet.sources.demo.demand import Demand, simulate
from include.skufleet.sources.demo.land import land_demo
from include.skufleet.sources.demo.spec import DemoSpec
from tests.unit.s3_server import open_bucket

ANCHOR = date(2026, 3, 15)
DEMO = find_catalogue("demo")
SIZES = {"skus": 120, "stores": 3, "days": 200}


@pytest.fixture(scope="module")
def lake() -> ObjectStore:
    """A bucket with the simulated chain in it; tests of this module only read it."""
    opened = open_bucket("ingested-demo")
    land_demo(opened, DEMO.landing, ANCHOR, **SIZES)
    return opened


@pytest.fixture(scope="module")
def ingested(lake: ObjectStore) -> IngestSummary:
    return ingest(lake, DEMO, ANCHOR)


def tills(chain: Demand) -> pd.Series:
    """True units by SKU, store and day, where on sale."""
    series, day = np.nonzero(chain.on_sale)
    codes = chain.spec.assortment["sku"].to_numpy()[chain.sku[series]]
    stores = np.array(chain.spec.store_names)[chain.store[series]]
    days = pd.Timestamp(chain.spec.start) + pd.to_timedelta(day, unit="D")
    keys = pd.MultiIndex.from_arrays([codes, stores, days.as_unit("us")], names=["sku", "store", "date"])
    return pd.Series(chain.units[series, day].astype(float), index=keys)


def history(store: ObjectStore, summary: IngestSummary) -> pd.Series:
    frame = read_history(store, DEMO, version=summary.table_version, as_of=ANCHOR, buckets=range(DEMO.fleet.buckets))
    return frame.astype({"date": "datetime64[us]"}).set_index(["sku", "store", "date"])["units"]


def test_the_history_is_what_the_tills_counted(lake: ObjectStore, ingested: IngestSummary) -> None:
    chain = simulate(DemoSpec(ANCHOR, **SIZES), ANCHOR)
    truth, got = tills(chain), history(lake, ingested)
    broken = chain.spec.assortment.loc[chain.spec.assortment["broken"], "sku"].item()
    invented = got.index.difference(truth.index)
    assert set(invented.get_level_values("sku")) == {"TMP-NEW-ITEM"}
    cut = pd.Timestamp(ANCHOR - timedelta(days=12))
    missing = truth.index.difference(got.index)
    elsewhere = missing[missing.get_level_values("date") != cut]
    assert len(missing) - len(elsewhere) > 200
    assert 0 < len(elsewhere) < 0.005 * len(truth)
    both = truth.index.intersection(got.index)
    wrong = (truth[both] != got[both]) & (both.get_level_values("sku") != broken)
    assert 0 < wrong.sum() < 0.001 * len(both)
    assert ((got[both][wrong] > 40_000) | (got[both][wrong] == 0)).all()


def test_the_correction_wins_over_the_short_export(lake: ObjectStore, ingested: IngestSummary) -> None:
    chain = simulate(DemoSpec(ANCHOR, **SIZES), ANCHOR)
    short, last_store = pd.Timestamp(ANCHOR - timedelta(days=9)), chain.spec.store_names[-1]
    truth = tills(chain).xs(last_store, level="store").xs(short, level="date")
    got = history(lake, ingested).xs(last_store, level="store").xs(short, level="date")
    both = truth.index.intersection(got.index)
    assert truth[both].sum() > 100
    assert (truth[both] != got[both]).mean() < 0.03


def test_what_is_set_aside_and_why(ingested: IngestSummary) -> None:
    assert (ingested.first_date, ingested.last_date) == (date(2025, 8, 28), ANCHOR)
    assert ingested.drops_rejected == 1
    assert f"{ANCHOR - timedelta(days=12)}.csv.gz" in ingested.rejections[0]
    reasons = {"identical", "repeated", "returns_exceed_sales", "units_unreadable", "units_infinite", "fields"}
    assert reasons | {"date_unreadable", "date_future"} <= set(ingested.set_aside)


def test_prices_planned_ahead_are_known(lake: ObjectStore, ingested: IngestSummary) -> None:
    assert ingested.prices_version is not None
    prices = read_prices(lake, DEMO, version=ingested.prices_version, buckets=range(DEMO.fleet.buckets))
    assert prices["sku"].nunique() == 120
    assert set(prices["store"]) == {""}
    assert prices["date"].max() > pd.Timestamp(ANCHOR + timedelta(days=28))


def test_two_days_later_only_the_new_drops_are_read(store: ObjectStore) -> None:
    small, later = {"skus": 20, "stores": 2, "days": 120}, ANCHOR + timedelta(days=2)
    land_demo(store, DEMO.landing, ANCHOR, **small)
    first = ingest(store, DEMO, ANCHOR)
    land_demo(store, DEMO.landing, later)
    second = ingest(store, DEMO, later)
    assert (first.last_date, second.last_date) == (ANCHOR, later)
    assert 40 < second.rows <= 2 * 40
    frame = read_history(store, DEMO, version=second.table_version, as_of=ANCHOR, buckets=range(DEMO.fleet.buckets))
    assert frame["date"].max() == pd.Timestamp(ANCHOR)
