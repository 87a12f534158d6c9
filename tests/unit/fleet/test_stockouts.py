"""The table of stock-outs: stretches, their ends and what was missed, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.skufleet.fleet import stockouts
from include.skufleet.fleet.stockouts import NO_STOCKOUTS, list_stockouts
from include.skufleet.forecasting.panel import Panel
from include.skufleet.forecasting.stockouts import find_stockouts
from tests.unit.forecasting.forecasting_data import make_panel


def steady(**zeros: slice) -> Panel:
    """Stores that sell ten a day for 200 days, with nothing sold in these stretches; the first is a Monday."""
    units = np.full((2, 200), 10.0)
    for store, days in zeros.items():
        units[int(store.removeprefix("s")), days] = 0.0
    return make_panel(units)


def test_a_stretch_is_one_row_with_its_ends_and_what_was_to_be_expected() -> None:
    panel = steady(s1=slice(100, 114))
    found = list_stockouts([panel])
    row = found.iloc[0]
    assert len(found) == 1
    assert (row["sku"], row["store"], row["periods"]) == ("tea", "s1", 14)
    assert row["from"] == pd.Timestamp(panel.dates[100])
    assert row["to"] == pd.Timestamp(panel.dates[113])
    assert row["expected_units"] == pytest.approx(find_stockouts(panel).expected[1, 100:114].sum())
    assert 100 < row["expected_units"] < 140, "two weeks at ten a day, a little less for the silence itself"
    assert row["reason"].startswith("nothing sold in 14 days in which about 1")


def test_an_unknown_day_within_a_stretch_does_not_cut_it_and_one_beside_it_does_not_widen_it() -> None:
    panel = steady(s0=slice(100, 114))
    units = panel.units.copy()
    units[0, [99, 105, 106, 114]] = np.nan
    found = list_stockouts([replace(panel, units=units)])
    assert found[["from", "to"]].iloc[0].tolist() == [pd.Timestamp(panel.dates[100]), pd.Timestamp(panel.dates[113])]
    assert found["periods"].tolist() == [12]


def test_every_masked_period_is_in_one_stretch() -> None:
    panels = [steady(s0=slice(50, 70), s1=slice(20, 40)), steady(s0=slice(150, 165))]
    found = list_stockouts(panels)
    assert found["periods"].sum() == sum(find_stockouts(panel).masked.sum() for panel in panels)
    assert found["store"].tolist() == ["s0", "s1", "s0"]


def test_without_a_stock_out_the_table_is_empty_and_typed() -> None:
    found = list_stockouts([steady()])
    assert found.empty
    pd.testing.assert_series_equal(found.dtypes, NO_STOCKOUTS.dtypes)


def test_a_sku_that_cannot_be_looked_at_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = replace(steady(), sku="bad"), steady(s0=slice(100, 114))

    def find(panel: Panel) -> object:
        if panel.sku == "bad":
            raise FloatingPointError("overflow")
        return find_stockouts(panel)

    monkeypatch.setattr(stockouts, "find_stockouts", find)
    assert list_stockouts([bad, good])["sku"].tolist() == ["tea"]
    assert "'bad'" in caplog.text
