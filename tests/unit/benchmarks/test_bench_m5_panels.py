"""The benchmark's reader of M5 against the importer's long tables, which are what the product trains on."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.m5_files import M5, read_m5
from benchmarks.m5_panels import cut_blocks, department_panels, frame_of, panel_of, to_frames
from benchmarks.pooling import sum_panels
from include.skufleet.config import find_catalogue
from include.skufleet.errors import DataError
from include.skufleet.forecasting.building import build_catalogue_panels
from include.skufleet.forecasting.panel import Panel, Prior
from include.skufleet.sources.archive import open_archive
from include.skufleet.sources.m5 import list_m5_drops
from tests.unit.benchmarks.fake_m5 import DAYS, FIRST, ITEMS, make_fake

CATALOGUE = find_catalogue("m5")
LAST = (pd.Timestamp(FIRST) + pd.Timedelta(days=DAYS - 1)).date()


def built(history: pd.DataFrame, prices: pd.DataFrame, calendar: pd.DataFrame, origin: date) -> dict[str, Panel]:
    """Panels by the catalogue's file, with no days of trade but those that the rows have."""
    return build_catalogue_panels(
        history, CATALOGUE, as_of=origin, calendar=calendar, prices=prices, trading_dates=None, last_date=None
    )


def imported(folder: Path, origin: date) -> dict[str, Panel]:
    """Panels of what the importer would land."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for drop in list_m5_drops(open_archive(folder)):
        tables.setdefault(drop.folder, []).append(pd.read_parquet(io.BytesIO(drop.make().data)))
    names = {"item_id": "sku", "store_id": "store"}
    history = pd.concat(tables["sales"]).rename(columns=names).astype({"sku": str, "store": str})
    prices = tables["prices"][0].rename(columns=names).astype({"sku": str, "store": str})
    return built(history, prices, tables["calendar"][0], origin)


def read(folder: Path, origin: date, size: int = 3) -> tuple[M5, dict[str, Panel]]:
    """Panels of the benchmark's own reader."""
    m5 = read_m5(open_archive(folder), origin)
    frame = frame_of(m5, CATALOGUE)
    panels = (panel_of(frame, block, number) for block in cut_blocks(m5, size) for number in range(len(block.items)))
    return m5, {panel.sku: panel for panel in panels if panel is not None}


def assert_same(got: Panel, expected: Panel) -> None:
    assert (got.sku, got.stores, got.events) == (expected.sku, expected.stores, expected.events)
    assert (got.frequency, got.season_length, got.horizon) == ("D", 7, 28)
    assert got.price_known_ahead == expected.price_known_ahead
    assert set(got.flags) == set(expected.flags)
    fields = ("dates", "units", "price", "indicators", "closed")
    pairs: dict[str, Any] = {name: (getattr(got, name), getattr(expected, name)) for name in fields}
    pairs |= {f"flag {name}": (got.flags[name], expected.flags[name]) for name in got.flags}
    for name, (ours, theirs) in pairs.items():
        np.testing.assert_array_equal(ours, theirs, err_msg=f"{got.sku} {name}")


@pytest.mark.parametrize("origin", [LAST, date(2015, 9, 1)])
def test_the_panels_are_those_of_the_importers_tables(tmp_path: Path, origin: date) -> None:
    folder = make_fake().write(tmp_path / "m5")
    expected = imported(folder, origin)
    _, got = read(folder, origin)
    assert list(got) == list(expected) == list(ITEMS)
    for sku, panel in got.items():
        assert_same(panel, expected[sku])


def test_the_fake_has_what_the_comparison_is_about(tmp_path: Path) -> None:
    """A late store, a store that never lists an item, a closed day, flags that differ, prices that change."""
    _, panels = read(make_fake().write(tmp_path / "m5"), LAST)
    late = panels["HOBBIES_1_001"]
    assert np.isnan(late.units[1]).sum() > np.isnan(late.units[0]).sum() > 0
    assert panels["HOUSEHOLD_1_001"].stores == ("CA_1", "TX_1")
    assert str(late.dates[late.closed[: late.dates.size]][0]) == "2014-12-25"
    assert late.price is not None
    assert np.unique(late.price[0]).tolist() == [4.0, 4.25]
    assert (late.flags["snap"][0] != late.flags["snap"][2]).any()
    assert "Christmas" in late.events


def test_long_tables_of_a_sample_make_the_same_panels(tmp_path: Path) -> None:
    m5, panels = read(make_fake().write(tmp_path / "m5"), LAST)
    history, prices = to_frames(m5, np.array([1, 2]))
    again = built(history, prices, m5.calendar, LAST)
    assert list(again) == list(m5.items[1:3])
    for sku, panel in again.items():
        assert_same(panel, panels[sku])


def test_departments_are_the_sums_of_their_items(tmp_path: Path) -> None:
    m5, panels = read(make_fake().write(tmp_path / "m5"), LAST)
    departments = department_panels(m5, frame_of(m5, CATALOGUE))
    assert [panel.sku for panel in departments] == ["FOODS_1", "HOBBIES_1", "HOUSEHOLD_1"]
    for panel in departments:
        members = [panels[sku] for sku, name in ITEMS.items() if name == panel.sku]
        expected = sum_panels(panel.sku, members)
        assert_same(panel, expected)
    first, second = panels["FOODS_1_001"], panels["FOODS_1_002"]
    day, late = 200, first.dates.size - second.dates.size
    assert departments[0].units[1, day] == first.units[1, day] + second.units[1, day - late]


def test_blocks_carry_the_profiles_of_each_items_department(tmp_path: Path) -> None:
    m5 = read_m5(open_archive(make_fake().write(tmp_path / "m5")), LAST)
    frame = frame_of(m5, CATALOGUE)
    priors = {"FOODS_1": (Prior("FOODS_1", "2015-01-01", {}),)}
    block = next(cut_blocks(m5, 4, priors))
    found = [panel_of(frame, block, number) for number in range(4)]
    assert [panel.priors if panel else None for panel in found] == [priors["FOODS_1"], priors["FOODS_1"], (), ()]


def test_a_sample_keeps_what_all_items_say_together(tmp_path: Path) -> None:
    m5 = read_m5(open_archive(make_fake().write(tmp_path / "m5")), LAST)
    part = m5.sample(2)
    assert part.items == ("FOODS_1_001", "HOUSEHOLD_1_001")
    assert part.departments == ("FOODS_1", "HOUSEHOLD_1")
    assert part.calendar is m5.calendar


def test_an_origin_beyond_the_sales_or_the_calendar_is_refused(tmp_path: Path) -> None:
    archive = open_archive(make_fake().write(tmp_path / "m5"))
    with pytest.raises(DataError, match="expected every day up to 2015-12-26"):
        read_m5(archive, date(2015, 11, 28))
    fake = make_fake()
    fake.units = fake.units[:, :, :-1]
    with pytest.raises(DataError, match=f"has no column d_{DAYS}, the origin's day; it ends with d_{DAYS - 1}"):
        read_m5(open_archive(fake.write(tmp_path / "short")), LAST)
