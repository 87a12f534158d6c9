from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.lifecycle.trials import COLUMNS, change_trials, clear_recipes, compare_trial, is_canary, no_trials

SKUS = [f"SKU-{number}" for number in range(2000)]


def rows(sku: str, days: int = 2, **changes: Any) -> pd.DataFrame:
    known: dict[str, Any] = {
        "sku": sku, "kind": "shadow", "recipe": "tsb", "rival": "theta", "version": 3, "since": "2026-03-01",
        "store": "S1", "date": pd.date_range("2026-03-02", periods=days), "y_hat": 2.0, "rival_y_hat": 5.0,
    }  # fmt: skip
    return pd.DataFrame(known | changes).astype(COLUMNS)


@given(st.floats(0, 1), st.floats(0, 1))
def test_canaries_of_a_smaller_share_are_among_those_of_a_larger(one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert {sku for sku in SKUS[:50] if is_canary(sku, small)} <= {sku for sku in SKUS[:50] if is_canary(sku, large)}


def test_the_share_of_canaries_is_about_what_is_asked_for() -> None:
    assert 0.07 < np.mean([is_canary(sku, 0.1) for sku in SKUS]) < 0.13
    assert not any(is_canary(sku, 0.0) for sku in SKUS)
    assert all(is_canary(sku, 1.0) for sku in SKUS)


def test_a_trial_is_judged_by_the_days_that_are_known() -> None:
    days = pd.date_range("2026-03-01", periods=3)
    actuals = pd.DataFrame({"store": "S1", "date": days, "units": [9.0, 3.0, math.nan]})
    assert compare_trial(rows("A"), actuals) == (1.0, 2.0, 1)
    assert compare_trial(rows("A"), actuals.assign(store="S2")) == (0.0, 0.0, 0)


def test_canaries_of_a_recipe_are_judged_together() -> None:
    ended = pd.DataFrame({"recipe": ["tsb", "tsb", "theta"], "error": [9.0, 1.0, 3.0], "rival_error": [5.0, 5.0, 2.0]})
    assert clear_recipes(ended) == {"tsb": True, "theta": False}
    assert clear_recipes(ended.head(0)) == {}


def test_a_sku_has_one_trial_at_the_most() -> None:
    now = change_trials(no_trials(), pd.concat([rows("A"), rows("B")]), ())
    assert change_trials(now, rows("A", days=3, recipe="theta"), ())["sku"].value_counts().to_dict() == {"A": 3, "B": 2}
    assert set(change_trials(now, no_trials(), {"A"})["sku"]) == {"B"}
    pd.testing.assert_frame_equal(
        change_trials(now, rows("A"), ()).sort_values(["sku", "date"], ignore_index=True),
        now.sort_values(["sku", "date"], ignore_index=True),
    )
