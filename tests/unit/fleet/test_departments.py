"""The stage of the departments: what is added up, for which dates, who borrows, and what happens without it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.skufleet.fleet import departments
from include.skufleet.fleet.chunk_data import load_chunk, load_part
from include.skufleet.fleet.departments import WHOLE_CATALOGUE, list_cutoffs, read_priors
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.selection import UNKNOWN_DEPARTMENT
from include.skufleet.fleet.serving import forecast_sku
from include.skufleet.forecasting.panel import Panel
from tests.unit.fleet.small_fleet import DAYS, END, HORIZON, Row, SmallFleet, day, make_catalogue, weekly

SHOP: dict[str, Any] = {"candidates": ["seasonal_naive", "profile"], "backtest": {"windows": 2}}
LISTED = {"A-1": "Tea", "A-2": "Tea", "B-1": "Coffee", "NEW": "Tea", "FRESH": "Coffee"}
YOUNG = 10
SEASON = [f"season|7:{position}" for position in range(7)]
"""Position 0 is a Monday; ``day(0)`` is a Wednesday."""


def young(sku: str, first: int, units: float = 8) -> list[Row]:
    """A SKU that sells the same every day since ``first``."""
    return [(sku, "S1", day(number), units) for number in range(first, DAYS)]


def open_shop(**settings: Any) -> SmallFleet:
    fleet = SmallFleet.open(attributes=True, **(SHOP | settings))
    fleet.deliver([*weekly("A-1"), *weekly("A-2", "S2"), *weekly("B-1"), *young("NEW", DAYS - YOUNG)])
    fleet.list_skus(LISTED)
    return fleet


@dataclass(frozen=True)
class Done:
    """A shop after a whole run."""

    fleet: SmallFleet
    run: Run
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def done() -> Done:
    fleet = open_shop()
    run = fleet.new_run()
    return Done(fleet, run, fleet.do_all(run))


def seasons(fleet: SmallFleet, run: Run, department: str) -> list[dict[str, float]]:
    """The weekday effects of a department's profiles, oldest first."""
    return [
        {key: prior.coefficients.get(key, 0.0) for key in SEASON} for prior in read_priors(fleet.store, run)[department]
    ]


def test_each_department_has_a_profile_as_known_at_the_end_and_before_each_window(done: Done) -> None:
    found = read_priors(done.fleet.store, done.run)
    assert sorted(found) == ["Coffee", "Tea"]
    expected = [str(day(DAYS - 1 - HORIZON * back)) for back in (2, 1, 0)]
    for department, priors in found.items():
        assert [prior.as_of for prior in priors] == expected
        assert {prior.department for prior in priors} == {department}


def test_a_department_sells_by_the_weekday_as_its_skus_do(done: Done) -> None:
    """Units are 3 on a Wednesday and 12 on a Monday, give or take one, for every SKU but the new one."""
    newest = seasons(done.fleet, done.run, "Coffee")[-1]
    assert max(newest, key=lambda key: newest[key]) == "season|7:0"
    assert newest["season|7:0"] - newest["season|7:2"] == pytest.approx(math.log(12 / 3), abs=0.35)


def test_the_sums_are_those_of_all_stores_and_skus_of_a_department(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Panel] = {}
    monkeypatch.setattr(departments, "fit_priors", lambda panel, _: seen.setdefault(panel.sku, panel) and ())
    fleet = open_shop()
    run = fleet.new_run()
    fleet.plan(run)
    assert fleet.departments(run) == {"departments": 0, "profiles": 0}
    assert sorted(seen) == ["Coffee", "Tea"]
    tea = seen["Tea"]
    assert tea.stores == ("S1", "S2")
    own, other = ([units for *_, units in weekly(sku)] for sku in ("A-1", "A-2"))
    np.testing.assert_array_equal(tea.units[0, : DAYS - YOUNG], own[: DAYS - YOUNG])
    np.testing.assert_array_equal(tea.units[0, DAYS - YOUNG :], np.array(own[DAYS - YOUNG :]) + 8)
    np.testing.assert_array_equal(tea.units[1], other)


def test_skus_without_a_department_are_pooled_with_the_whole_catalogue() -> None:
    fleet = SmallFleet.open(**SHOP)
    fleet.deliver([*weekly("A-1"), *weekly("B-1")])
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    fleet.departments(run)
    found = read_priors(fleet.store, run)
    assert list(found) == [UNKNOWN_DEPARTMENT]
    panels = load_chunk(fleet.clients, fleet.catalogue, run, chunk).panels
    assert {prior.department for panel in panels.values() for prior in panel.priors} == {WHOLE_CATALOGUE}


def test_where_memory_is_short_stores_with_the_same_flags_are_added_up(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departments, "MOST_CELLS", 100)
    run = done.fleet.new_run()
    done.fleet.plan(run)
    done.fleet.departments(run)
    few, many = (seasons(done.fleet, which, "Tea")[-1] for which in (run, done.run))
    assert few == pytest.approx(many, abs=0.05)


def test_a_run_of_some_skus_borrows_from_all_of_their_department(done: Done) -> None:
    run = done.fleet.new_run(skus=("NEW",))
    done.fleet.plan(run)
    done.fleet.departments(run)
    assert read_priors(done.fleet.store, run) == read_priors(done.fleet.store, done.run)


def test_later_days_change_no_profile_of_an_earlier_date(done: Done) -> None:
    """The same shop, but after the last window's cutoff three days are ten times as busy."""
    fleet = open_shop()
    changed: list[Row] = [("B-1", "S1", day(number), 90) for number in (77, 80, 83)]
    fleet.deliver(changed, "later.csv")
    run = fleet.new_run()
    fleet.plan(run)
    fleet.departments(run)
    before, after = (read_priors(shop.store, which)["Coffee"] for shop, which in ((done.fleet, done.run), (fleet, run)))
    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_the_panels_of_a_chunk_borrow_from_their_own_department(done: Done) -> None:
    plan = done.fleet.store.get_json(done.run.plan_key)
    panels = {
        sku: panel
        for chunk in plan["chunks"]
        for sku, panel in load_chunk(done.fleet.clients, done.fleet.catalogue, done.run, chunk["chunk"]).panels.items()
    }
    assert {sku: panel.priors[-1].department for sku, panel in panels.items()} == {
        sku: LISTED[sku] for sku in ("A-1", "A-2", "B-1", "NEW")
    }
    assert all(panel.until(panel.dates.size - 1).priors == panel.priors[:-1] for panel in panels.values())


def test_what_a_model_borrows_is_in_its_row_and_its_artifact(done: Done) -> None:
    rows = done.fleet.results(done.run)
    borrowing = {sku: row for sku, row in rows.items() if row["candidate"] == "profile"}
    assert "NEW" in borrowing
    for sku, row in rows.items():
        assert row["pooled_with"] == (LISTED[sku] if sku in borrowing else "")
    for sku, row in borrowing.items():
        parameters = done.fleet.clients.get_artifact(f"{row['artifact_uri']}/model.json").decode()
        assert f'"prior": {{"department": "{LISTED[sku]}", "as_of": "{END}"}}'.replace(" ", "") in parameters.replace(
            " ", ""
        )


def test_a_new_sku_sells_at_its_own_level_by_its_departments_weekdays(done: Done) -> None:
    row, forecast = done.fleet.results(done.run)["NEW"], done.fleet.published()
    assert row["outcome"] == "fallback"
    assert row["candidate"] == "profile"
    assert row["reason"].endswith("served at its own level with the calendar of Tea")
    own = forecast[forecast["sku"] == "NEW"].set_index("date")["y_hat"]
    assert set(forecast.loc[forecast["sku"] == "NEW", "served_by"]) == {"fallback"}
    monday, wednesday = (own[pd.DatetimeIndex(own.index).day_of_week == number].iloc[0] for number in (0, 2))
    assert monday > 2 * wednesday
    assert own.mean() == pytest.approx(8, rel=0.35)


def test_the_answers_for_a_lost_model_are_those_of_the_registered_fallback(done: Done) -> None:
    plan = done.fleet.store.get_json(done.run.plan_key)
    (chunk,) = (item["chunk"] for item in plan["chunks"] if "NEW" in item["skus"])
    panel = load_part(done.fleet.clients, done.fleet.catalogue, done.run, chunk, ["NEW"]).panels["NEW"]
    without_model = forecast_sku(panel, done.fleet.catalogue, None, None)
    published = done.fleet.published()
    assert without_model is not None
    np.testing.assert_allclose(without_model["y_hat"], published.loc[published["sku"] == "NEW", "y_hat"])


def test_the_run_is_complete_and_names_the_stage(done: Done) -> None:
    assert done.summary["complete"]
    assert not done.summary["unpooled"]
    assert list(done.summary["stage_seconds"])[:3] == ["ingest", "plan", "departments"]


def test_without_the_stage_every_sku_is_trained_alone_and_the_report_says_so() -> None:
    fleet = open_shop()
    run = fleet.new_run()
    for chunk in fleet.plan(run):
        fleet.retrain(run, chunk)
    fleet.promote(run)
    fleet.forecast(run)
    summary = fleet.report(run)
    assert summary["unpooled"]
    assert summary["complete"]
    assert "each SKU was trained on its own" in summary["markdown"]
    assert "No SKU borrowed from its department" in fleet.store.get(run.report_key).decode()
    rows = fleet.results(run)
    assert {row["pooled_with"] for row in rows.values()} == {""}
    assert rows["NEW"]["candidate"] == "seasonal_naive"


def test_nobody_borrows_without_the_profile_model_or_with_a_share_of_zero() -> None:
    assert make_catalogue("shop", **SHOP).pools_departments
    assert not make_catalogue("shop", candidates=["seasonal_naive", "tsb"]).pools_departments
    assert not make_catalogue("shop", **SHOP, settings={"profile": {"pooling": 0}}).pools_departments


def test_profiles_of_an_earlier_plan_of_the_run_are_gone_when_the_stage_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = open_shop()
    run = fleet.new_run()
    fleet.plan(run)
    fleet.departments(run)
    assert read_priors(fleet.store, run)
    monkeypatch.setattr(departments, "fit_priors", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fleet.departments(run)
    assert read_priors(fleet.store, run) == {}


def test_a_department_too_young_for_a_profile_lends_nothing() -> None:
    fleet = SmallFleet.open(attributes=True, **SHOP)
    fleet.deliver([*weekly("A-1"), *young("FRESH", DAYS - 20)])
    fleet.list_skus(LISTED)
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    assert fleet.departments(run) == {"departments": 1, "profiles": 3}
    panels = load_chunk(fleet.clients, fleet.catalogue, run, chunk).panels
    assert {sku: len(panel.priors) for sku, panel in panels.items()} == {"A-1": 3, "FRESH": 0}


def test_weekly_sales_are_pooled_by_the_week() -> None:
    fleet = SmallFleet.open(
        attributes=True,
        frequency="W",
        season_length=4,
        **(SHOP | {"horizon": 2, "validation": {"min_history": 12}, "backtest": {"windows": 2}}),
    )
    rows: list[Row] = [
        (sku, "S1", day(number - 7 * 60 + 1), 10 + 5 * (number // 7 % 4 == 0) + seed)
        for seed, sku in enumerate(("A-1", "A-2"))
        for number in range(0, DAYS + 7 * 60, 7)
    ]
    fleet.deliver(rows)
    fleet.list_skus(LISTED)
    run = fleet.new_run()
    fleet.plan(run)
    fleet.departments(run)
    priors = read_priors(fleet.store, run)["Tea"]
    assert len(priors) == 3
    found = [priors[-1].coefficients.get(f"season|4:{position}", 0.0) for position in range(4)]
    assert max(found) - min(found) == pytest.approx(math.log(31 / 21), abs=0.12)


def test_cutoffs_are_the_end_and_those_of_the_windows_and_of_what_a_search_holds_back() -> None:
    catalogue = make_catalogue("shop", backtest={"windows": 3, "step": 2})
    assert list_cutoffs(catalogue) == [0, 7, 9, 11]
    assert list_cutoffs(catalogue, held_back=1) == [0, 7, 9, 11, 14, 16, 18]
