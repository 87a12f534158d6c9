"""What a run writes down for its report, on real services: stock-outs, components, intervals."""

from __future__ import annotations

import pandas as pd

from tests.unit.fleet.small_fleet import END, HORIZON, SmallFleet, day, same, weekly


def test_a_run_reports_its_stock_outs_its_intervals_and_how_a_forecast_comes_about() -> None:
    fleet = SmallFleet.open()
    empty = range(30, 44)
    rows = [row for sku in ("A", "B") for row in weekly(sku)]
    fleet.deliver(
        [*rows, *weekly("C", days=(number for number in range(84) if number not in empty)), *same("C", 0, empty)]
    )
    run = fleet.new_run()
    summary = fleet.do_all(run)
    chunk = fleet.store.get_json(run.plan_key)["chunks"][0]["chunk"]
    found = fleet.store.get_frame(f"{run.chunk_folder(chunk)}/stockouts.parquet")
    assert found[["sku", "store", "periods"]].to_numpy().tolist() == [["C", "S1", 14]]
    assert found[["from", "to"]].iloc[0].tolist() == [pd.Timestamp(day(30)), pd.Timestamp(day(43))]
    assert summary["stockout_periods"] == 14
    assert 0.5 < summary["coverage_80"] <= summary["coverage_95"] <= 1.0
    page = fleet.store.get(run.report_key).decode()
    assert "14 days<small>in 1 series" in page
    assert '<figure class="why">' in page
    assert page.count('class="range fore-range"') > page.count('class="range back-range"') > 0


def test_every_series_is_forecast_with_bounds_also_by_the_fallback() -> None:
    fleet = SmallFleet.open()
    fleet.deliver([*weekly("A"), *weekly("young", days=range(70, 84))])
    run = fleet.new_run()
    fleet.do_all(run)
    found = fleet.published()
    assert found.groupby("sku")["served_by"].first().to_dict() == {"A": "production", "young": "fallback"}
    assert len(found) == 2 * HORIZON
    assert found["date"].min() == pd.Timestamp(END) + pd.Timedelta(days=1)
    order = ["lower_95", "lower_80", "y_hat", "upper_80", "upper_95"]
    assert (found[order].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert (found["lower_95"] >= 0).all()
