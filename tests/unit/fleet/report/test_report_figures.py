"""Fleet figures, the choice of SKUs and the grouping of reasons, by hand."""

from __future__ import annotations

import doctest
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.fleet.outcomes import SkuOutcome, to_frame
from include.skufleet.fleet.report import figures, plots, words
from include.skufleet.fleet.report.figures import count_left_out, pool, pool_by, pool_coverage, pool_levels
from include.skufleet.fleet.report.pick import pick_skus, rank_skus
from include.skufleet.fleet.report.reasons import group_bad_rows, group_reasons


def scored(sku: str, error: float, units: float, naive: float = 10.0, **more: object) -> SkuOutcome:
    wape = error / units if units else math.nan
    return SkuOutcome(
        sku=sku, department=str(more.pop("department", "")), outcome="trained", reason="", abs_error=error, units=units,
        baseline_abs_error=naive, baseline_wape=naive / units if units else math.nan, wape=wape, signed_error=-error,
        baseline_bias=0.1 if units else math.nan,
    )  # fmt: skip


@pytest.mark.parametrize("module", [figures, plots, words])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_the_fleets_wape_is_pooled_not_averaged() -> None:
    fleet = pool(to_frame([scored("big", 100, 1000, 200), scored("small", 10, 10, 20)]))
    assert fleet.wape == pytest.approx(110 / 1010)
    assert fleet.baseline_wape == pytest.approx(220 / 1010)
    assert fleet.gain == pytest.approx(0.5)
    assert fleet.bias == pytest.approx(-110 / 1010)
    assert fleet.baseline_bias == pytest.approx(0.1)


def test_skus_without_a_backtest_do_not_count() -> None:
    failed = SkuOutcome(sku="x", department="", outcome="failed", reason="")
    assert pool(to_frame([scored("a", 5, 10), failed])).skus == 1


def test_a_sku_that_sold_nothing_adds_its_error_but_no_units() -> None:
    fleet = pool(to_frame([scored("a", 5, 10), scored("silent", 3, 0, naive=0)]))
    assert (fleet.skus, fleet.units) == (2, 10)
    assert fleet.wape == pytest.approx(0.8)
    assert fleet.baseline_bias == pytest.approx(0.1)


def test_what_a_zero_denominator_gives() -> None:
    silent = pool(to_frame([scored("silent", 0, 0, naive=0)]))
    assert silent.wape == 0
    assert math.isnan(silent.gain)
    assert math.isnan(pool(to_frame([scored("ghost demand", 3, 0, naive=0)])).wape)


@pytest.mark.parametrize("nothing", [pd.DataFrame(), to_frame([])])
def test_a_fleet_without_results_has_no_accuracy(nothing: pd.DataFrame) -> None:
    fleet = pool(nothing)
    assert fleet.skus == 0
    assert math.isnan(fleet.wape)
    assert pool_by(nothing, "department").empty


def test_groups_are_ordered_by_units_and_an_empty_name_is_shown() -> None:
    rows = [scored("a", 5, 10), scored("b", 1, 90, department="Dairy"), scored("c", 3, 10, department="Dairy")]
    groups = pool_by(to_frame(rows), "department")
    assert groups["group"].tolist() == ["Dairy", "(none)"]
    assert groups["wape"].tolist() == pytest.approx([0.04, 0.5])
    assert groups["p50"].iloc[0] == pytest.approx((1 / 90 + 0.3) / 2)


def test_worst_and_best_are_picked_by_the_rules_that_the_page_states() -> None:
    rows = [
        scored(f"s{units:03d}", units * share, units)
        for units, share in [(100, 0.5), (90, 0.9), (80, 0.1), (70, 0.7), (60, 0.3)]
    ]
    rows += [scored(f"t{units}", units * 2.0, units) for units in (5, 4, 3, 2, 1)]
    ranking = rank_skus(to_frame(rows), 5)
    assert ranking.floor == 32.5, "the mean of the fifth and sixth largest of 10"
    assert ranking.costly == ("s090", "s100")
    assert ranking.best == ("s080", "s060")
    assert ranking.worst == ("s070",)
    assert pick_skus(to_frame(rows), 5) == ["s090", "s100", "s070", "s080", "s060"]


@settings(max_examples=40, deadline=None)
@given(errors=st.lists(st.floats(0, 1e6), max_size=30), k=st.integers(0, 25))
def test_no_sku_is_picked_twice_and_never_more_than_asked(errors: list[float], k: int) -> None:
    results = to_frame(scored(f"s{index}", error, 1 + index % 7) for index, error in enumerate(errors))
    picked = pick_skus(results, k)
    assert len(set(picked)) == len(picked) <= k
    assert bool(picked) == bool(errors and k)
    assert pick_skus(results.sample(frac=1, random_state=0), k) == picked


def test_reasons_that_differ_in_numbers_only_are_counted_together() -> None:
    rows = pd.DataFrame(
        {"reason": ["3 days, 56 needed", "17 days, 56 needed", "", "no row"], "step": "fit", "error": "boom 1"}
    )
    assert group_reasons(rows) == [(2, "3 days, 56 needed"), (1, "fit: boom 1"), (1, "no row")]


def test_bad_rows_are_grouped_by_expectation() -> None:
    rows = pd.DataFrame(
        {
            "sku": ["a", "a", "b", "c"],
            "scope": ["row", "row", "row", "sku"],
            "expectation": ["u", "u", "p", "f"],
            "reason": list("wxyz"),
        }
    )
    assert [(g.expectation, g.rows, g.skus, g.example) for g in group_bad_rows(rows)] == [
        ("u", 2, 1, "w"),
        ("p", 1, 1, "y"),
    ]


def judged(sku: str, demand_class: str, covered: float, actuals: int, **more: object) -> SkuOutcome:
    return SkuOutcome(
        sku=sku, department="", outcome="trained", reason="", demand_class=demand_class, coverage_80=covered,
        coverage_95=0.9, actuals=actuals, **more,
    )  # fmt: skip


def test_coverage_is_pooled_over_actuals_by_demand_class() -> None:
    rows = [judged("a", "smooth", 0.8, 300), judged("b", "smooth", 0.6, 100), judged("c", "lumpy", 1.0, 400)]
    table = pool_coverage(to_frame([*rows, judged("one window", "lumpy", math.nan, 28)]))
    assert table.index.tolist() == ["all", "smooth", "lumpy"]
    assert table[80].tolist() == pytest.approx([(240 + 60 + 400) / 800, 0.75, 1.0])
    assert table["actuals"].tolist() == [800, 400, 400]
    assert pool_levels(to_frame(rows)) == {80: pytest.approx(0.875), 95: pytest.approx(0.9)}
    assert pool_levels(pd.DataFrame()) == pool_levels(to_frame([judged("d", "smooth", math.nan, 28)])) == {}


def test_trials_left_out_are_counted_per_sku_and_candidate() -> None:
    rows = [
        judged(
            "a", "smooth", 0.8, 1, not_tried="forest: needs 3 s; trees: given up after 1 window", cpu_seconds_saved=2
        ),
        judged("b", "smooth", 0.8, 1, not_tried="forest: needs 5 s", cpu_seconds_saved=2.5),
        judged("c", "smooth", 0.8, 1),
        SkuOutcome(sku="d", department="", outcome="failed", reason=""),
    ]
    found = count_left_out(to_frame(rows), 4)
    assert (found.trials, found.left_out, found.cpu_seconds) == (12, 3, 4.5)
    assert found.share == pytest.approx(0.25)
    assert group_reasons(found.reasons) == [(2, "forest: needs 3 s"), (1, "trees: given up after 1 window")]
    nothing = count_left_out(to_frame([]), 4)
    assert (nothing.trials, nothing.left_out) == (0, 0)
    assert math.isnan(nothing.share)
