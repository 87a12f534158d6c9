"""What the simulated chain delivers: archive and nightly exports, with the dirt that ingestion must survive."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from include.skufleet.config import find_catalogue
from include.skufleet.errors import LandingError
from include.skufleet.lake.store import ObjectStore
from include.skufleet.sources.demo.demand import Demand, simulate
from include.skufleet.sources.demo.dirt import SALES_COLUMNS, soil_rows, write_csv
from include.skufleet.sources.demo.drops import is_cut_off, is_short, list_drops
from include.skufleet.sources.demo.land import land_demo, state_key
from include.skufleet.sources.demo.spec import AHEAD, DemoSpec
from include.skufleet.sources.land import land
from include.skufleet.sources.upload import LandSummary

ANCHOR = date(2026, 3, 15)
LANDING = find_catalogue("demo").landing
SMALL = {"skus": 40, "stores": 2, "days": 150}


def deliver(demand: Demand) -> dict[str, bytes]:
    return {f"{drop.folder}/{drop.name}": drop.make().data for drop in list_drops(demand)}


def read_lines(data: bytes) -> list[list[str]]:
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return list(csv.reader(io.StringIO(text.decode())))


@pytest.fixture(scope="module")
def chain() -> Demand:
    return simulate(DemoSpec(ANCHOR, skus=200, stores=3, days=150), ANCHOR)


@pytest.fixture(scope="module")
def files(chain: Demand) -> dict[str, bytes]:
    return deliver(chain)


def test_older_history_comes_by_month_and_the_last_31_days_one_by_one(files: dict[str, bytes]) -> None:
    sales = sorted(name.removeprefix("sales/") for name in files if name.startswith("sales/"))
    assert [name for name in sales if name.endswith("parquet")] == [
        f"{month}_archive.parquet" for month in ("2025-10", "2025-11", "2025-12", "2026-01", "2026-02")
    ]
    days = {name[:10] for name in sales if "archive" not in name and "correction" not in name}
    assert days == {(ANCHOR - timedelta(days=back)).isoformat() for back in range(31)}
    assert {name.partition(".")[2] for name in sales} == {"parquet", "csv", "csv.gz"}


def test_a_later_import_delivers_the_same_bytes_and_adds_to_them(files: dict[str, bytes], chain: Demand) -> None:
    later = deliver(simulate(chain.spec, ANCHOR + timedelta(days=10)))
    dated = {name for name in files if not name.startswith(("attributes/", "calendar/"))}
    assert {name: later[name] for name in dated} == {name: files[name] for name in dated}
    new = {name for name in later if name not in files and name.startswith("sales/")}
    assert {name[6:16] for name in new} == {(ANCHOR + timedelta(days=day)).isoformat() for day in range(1, 11)}


def test_prices_and_calendar_reach_ahead(files: dict[str, bytes]) -> None:
    known = (ANCHOR + timedelta(days=AHEAD)).isoformat()
    calendar = read_lines(files[f"calendar/calendar_{ANCHOR}.csv"])
    assert calendar[0] == ["day", "event", "school_holiday_north", "school_holiday_south", "closed"]
    assert calendar[-1][0] == known
    prices = read_lines(files[f"prices/prices_{ANCHOR}.csv"])
    assert ANCHOR.isoformat() < max(row[1] for row in prices[1:]) <= known


def test_price_lists_of_later_days_are_news_only(chain: Demand) -> None:
    spec = chain.spec
    later = simulate(spec, ANCHOR + timedelta(days=40))
    lists = {name: read_lines(data)[1:] for name, data in deliver(later).items() if name.startswith("prices/")}
    news = [row for name, rows in lists.items() if str(ANCHOR) not in name for row in rows]
    assert news
    assert min(row[1] for row in news) > (ANCHOR + timedelta(days=AHEAD)).isoformat()
    assert len(news) == len({(row[0], row[1]) for row in news})


def test_one_export_is_cut_off_and_another_is_corrected_three_days_later(
    files: dict[str, bytes], chain: Demand
) -> None:
    cut = ANCHOR - timedelta(days=12)
    assert is_cut_off(chain, cut)
    with pytest.raises(EOFError):
        gzip.decompress(files[f"sales/{cut}.csv.gz"])
    short = ANCHOR - timedelta(days=9)
    assert is_short(chain, short)
    right = read_lines(files[f"sales/{ANCHOR - timedelta(days=6)}_correction.csv"])[1:]
    assert {(row[0], row[1]) for row in right if len(row) == 4} == {(short.isoformat(), chain.spec.store_names[-1])}
    number = (short - chain.spec.start).days
    truth = dict(
        zip(
            chain.spec.assortment["sku"].to_numpy()[chain.sku[chain.store == 2]],
            chain.units[chain.store == 2, number],
            strict=True,
        )
    )
    agree = [truth[row[2]] == float(row[3]) for row in right if len(row) == 4 and row[3].isdigit()]
    assert len(agree) > 100
    assert all(agree)


def test_a_closed_day_moves_what_goes_wrong_to_the_day_before() -> None:
    chain = simulate(DemoSpec(date(2027, 1, 6), **SMALL), date(2027, 1, 6))
    assert not is_cut_off(chain, date(2026, 12, 25))
    assert is_cut_off(chain, date(2026, 12, 24))
    assert "sales/2026-12-25.csv" not in deliver(chain)
    assert "sales/2026-12-25.csv.gz" not in deliver(chain)


def test_the_dirt_of_the_export_three_days_before_the_anchor(files: dict[str, bytes]) -> None:
    """Every way of garbling a line is there on that day, and a SKU that nobody knows."""
    day = (ANCHOR - timedelta(days=3)).isoformat()
    rows = next(read_lines(data) for name, data in files.items() if name.startswith(f"sales/{day}."))[1:]
    assert rows
    assert [row for row in rows if len(row) == 3]
    units = [row[3] for row in rows if len(row) == 4]
    assert "inf" in units
    assert "" in units
    assert any("pcs?" in value for value in units)
    days = {row[0] for row in rows}
    assert {day, "2026-02-30", "12.03.2026", "2056-03-01"} == days
    assert any(row[2] == "TMP-NEW-ITEM" for row in rows)


def test_soiling_loses_doubles_contradicts_and_returns() -> None:
    """Of 200,000 idle rows, each kind of dirt hits about as many as its rate says, and the right row comes last."""
    n = 200_000
    rows = pd.DataFrame(
        {"day": np.datetime64("2026-01-01"), "store": "N01", "article": [f"A{i}" for i in range(n)], "sold": 0.0}
    )
    soiled = soil_rows(rows, np.zeros(n, dtype=bool), np.random.default_rng(5))
    count = soiled["article"].value_counts()
    lost = n - len(count)
    assert 200 < lost < 400
    assert 600 < (soiled["sold"].between(-3, -1)).sum() < 1000
    assert {9_999_999.0, -40_000.0} <= set(soiled["sold"])
    twice = soiled[soiled["article"].isin(count[count == 2].index)]
    per_article = twice.groupby("article")["sold"]
    agree = per_article.first() == per_article.last()
    assert 80 < agree.sum() < 160
    assert 50 < (~agree).sum() < 110
    assert (per_article.first() > per_article.last())[~agree].all()


def test_a_broken_scanner_reports_absurd_units_on_a_third_of_its_rows() -> None:
    n = 3000
    rows = pd.DataFrame(
        {"day": np.datetime64("2026-01-01"), "store": "N01", "article": "A", "sold": 4.0}, index=range(n)
    )
    soiled = soil_rows(rows, np.ones(n, dtype=bool), np.random.default_rng(5))
    assert 0.3 < (soiled["sold"] >= 40_000).mean() < 0.4


def test_csv_quotes_what_needs_it() -> None:
    rows = pd.DataFrame(
        {"day": [np.datetime64("2026-01-01")], "store": ["N01"], "article": ['A,"1"'], "sold": [3.0]},
        columns=list(SALES_COLUMNS),
    )
    data = write_csv(rows, np.random.default_rng(1))
    assert data.decode() == 'day,store,article,sold\n2026-01-01,N01,"A,""1""",3\n'


def test_the_first_import_lands_and_the_second_adds_a_day(store: ObjectStore) -> None:
    seen: list[tuple[int, int, str]] = []
    first = land_demo(store, LANDING, ANCHOR, **SMALL, progress=lambda *step: seen.append(step))
    keys = [item.key for item in store.list("landing/demo/")]
    assert first.objects == len(keys) == len(seen)
    assert seen[-1][:2] == (len(keys), len(keys))
    assert first.rows is not None
    assert first.rows > 5_000
    assert first.bytes == sum(item.size for item in store.list("landing/demo/"))
    assert store.get_json("landing/demo.simulator.json") == {"anchor": "2026-03-15", "seed": 7, **SMALL}

    assert land_demo(store, LANDING, ANCHOR) == LandSummary(unchanged=len(keys))
    assert land_demo(store, LANDING, ANCHOR - timedelta(days=20)).objects == 0

    land_demo(store, LANDING, ANCHOR + timedelta(days=1))
    new = {item.key for item in store.list("landing/demo/")} - set(keys)
    assert {"landing/demo/attributes/attributes_2026-03-16.csv", "landing/demo/calendar/calendar_2026-03-16.csv"} <= new
    assert {key[19:29] for key in new if "/sales/" in key} == {"2026-03-16"}


def test_an_interrupted_import_is_completed(store: ObjectStore) -> None:
    land_demo(store, LANDING, ANCHOR, **SMALL)
    before = {item.key: item.etag for item in store.list("landing/demo/")}
    lost = [key for key in before if key.endswith("archive.parquet")][1:]
    for key in lost:
        store.delete(key)
    assert land_demo(store, LANDING, ANCHOR).objects == len(lost)
    assert {item.key: item.etag for item in store.list("landing/demo/")} == before


def test_a_damaged_state_is_refused(store: ObjectStore) -> None:
    store.put_json(state_key(LANDING), {"anchor": 5})
    with pytest.raises(LandingError, match=r"demo\.simulator\.json: is not the demo's state"):
        land_demo(store, LANDING, ANCHOR)


def test_the_simulator_needs_an_end_and_a_catalogue_that_reads_it(store: ObjectStore) -> None:
    with pytest.raises(LandingError, match="needs the last day"):
        land(store, find_catalogue("demo"), None)
    with pytest.raises(LandingError, match=r"m5: the simulator \(no FROM\) writes .* reads date, item_id"):
        land(store, find_catalogue("m5"), None, end=ANCHOR)
    with pytest.raises(LandingError, match="STORES=N01: the simulator lands every store"):
        land(store, find_catalogue("demo"), None, end=ANCHOR, stores=("N01",))
    assert store.list("") == []
