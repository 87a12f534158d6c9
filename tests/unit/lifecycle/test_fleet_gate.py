from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from include.skufleet.config import Release
from include.skufleet.lifecycle.fleet_gate import FLEET, Counts, Verdict, judge_release

LIMITS = Release(min_skus=2)
COUNTS = Counts(skus=100, champions=90, changed=9, served=95, quarantined=4)


def measured(**departments: tuple[float, float]) -> pd.DataFrame:
    """Three SKUs per department that sold 100 each: absolute and signed error of each."""
    sold = {"units": 100.0, "actuals": 50}
    rows = [
        {"sku": f"{name}-{number}", "department": name, "abs_error": float(wrong), "signed_error": float(bias)} | sold
        for name, (wrong, bias) in departments.items()
        for number in range(3)
    ]
    return pd.DataFrame(rows, columns=["sku", "department", "abs_error", "signed_error", "units", "actuals"])


BEFORE = measured(Toys=(40, 2), Food=(30, -1))


def judge(after: pd.DataFrame, counts: Counts = COUNTS, **limits: Any) -> Verdict:
    return judge_release(BEFORE, after, counts, LIMITS.model_copy(update=limits))


def test_what_is_about_as_good_goes_on() -> None:
    verdict = judge(measured(Toys=(42, 3), Food=(29, -2)))
    assert verdict.passed
    assert verdict.broken == ()
    assert "WAPE 0.350 to 0.355" in verdict.reason
    assert verdict.after[FLEET].skus == 6


def test_one_department_that_goes_wrong_stops_the_release_and_is_named() -> None:
    verdict = judge(measured(Toys=(75, -71), Food=(30, -1)), max_wape_loss=10.0, max_bias_change=0.4)
    assert not verdict.passed
    assert verdict.reason == (
        "The bias of Toys goes from +2.0% to -71.0% of its units (3 SKUs), 69.0% further from zero, the limit is 40%."
    )
    assert len(judge(measured(Toys=(75, -71), Food=(30, -1))).broken) == 4, "bias and WAPE of the fleet and of Toys"


def test_a_worse_wape_stops_it_too() -> None:
    verdict = judge(measured(Toys=(40, 2), Food=(45, -1)), max_bias_change=9)
    assert verdict.reason == "The WAPE of Food goes from 0.300 to 0.450 (3 SKUs), 50% worse, the limit is 25%."


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"changed": 46}, "46 of 90 SKUs (51%) would change their recipe, the limit is 50%."),
        ({"served": 79}, "79 of 100 SKUs (79%) would have a version in production, 80% is asked for."),
        ({"quarantined": 21}, "21 of 100 SKUs (21%) were quarantined, the limit is 20%."),
    ],
)
def test_shares_of_the_catalogue_are_bounded(counts: dict[str, int], says: str) -> None:
    values = {name: getattr(COUNTS, name) for name in COUNTS.__slots__}
    verdict = judge(BEFORE, Counts(**values | counts))
    assert not verdict.passed
    assert verdict.reason == says


@pytest.mark.parametrize(("factor", "passed"), [(1.9, True), (0.55, True), (2.1, False), (0.45, False), (10.0, False)])
def test_sales_that_jump_are_doubted_although_the_models_have_learned_them(factor: float, passed: bool) -> None:
    jumped = BEFORE.copy()
    toys = jumped["department"] == "Toys"
    columns = ["abs_error", "signed_error", "units"]
    jumped.loc[toys, columns] = jumped.loc[toys, columns] * factor
    verdict = judge(jumped)
    assert verdict.passed is passed
    if not passed:
        assert "The sales of Toys in the backtest go from 2 to" in verdict.reason


def test_nothing_to_compare_with_is_no_reason_to_stop() -> None:
    nothing = BEFORE.head(0)
    assert judge_release(nothing, BEFORE, COUNTS, LIMITS).passed
    few = Counts(skus=100, champions=0, changed=0, served=30, quarantined=0)
    assert judge_release(nothing, BEFORE, few, LIMITS).passed, "a few are served where none were"
    assert judge_release(BEFORE, nothing, COUNTS, LIMITS).passed
    unmeasured = BEFORE.assign(units=float("nan"))
    assert judge_release(unmeasured, BEFORE, COUNTS, LIMITS).after == {}
    assert judge_release(nothing, nothing, Counts(0, 0, 0, 0, 0), LIMITS).passed


def test_a_few_skus_say_little() -> None:
    wrong = measured(Toys=(75, -71), Food=(30, -1))
    assert judge(wrong, min_skus=7).passed
    assert set(judge(wrong, min_skus=4).after) == {FLEET}


@pytest.mark.parametrize(
    ("mode", "says"), [("dry_run", "it would have stopped the release. The bias"), ("disabled", "is disabled")]
)
def test_a_gate_that_is_not_enforced_stops_nothing(mode: Any, says: str) -> None:
    verdict = judge(measured(Toys=(75, -71), Food=(30, -1)), mode=mode)
    assert verdict.passed
    assert says in verdict.reason


def test_a_verdict_survives_json() -> None:
    verdict = judge(measured(Toys=(75, -71), Food=(30, -1)))
    again = Verdict.parse(json.loads(json.dumps(verdict.to_json())))
    assert again.reason == verdict.reason
    assert again.broken == verdict.broken
    assert again.after["Toys"].wape == pytest.approx(0.75)
