"""How forecasts come about: ratios of the stores' total, by hand and against what the models predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.skufleet.fleet.components import EMPTY, choose_explanations, count_components, explain
from include.skufleet.fleet.inputs import model_inputs
from include.skufleet.forecasting.candidates import find_candidate
from include.skufleet.forecasting.scoring import predict
from tests.unit.forecasting.forecasting_data import frame_of, rich_panel


def smoothing(levels: list[float], seasons: list[list[float]]) -> dict[str, Any]:
    """A model of stores that differ by their level and their weekdays; its first forecast is for a Monday."""
    return {
        "format": 2,
        "kind": "exponential_smoothing",
        "sku": "tea",
        "stores": [f"s{row}" for row in range(len(levels))],
        "as_of": "2026-03-01",
        "frequency": "D",
        "horizon": 7,
        "season_length": 7,
        "parameters": {"level": levels, "season": seasons},
        "intervals": None,
    }


def ask(days: int, stores: int = 2, **columns: Any) -> pd.DataFrame:
    dates = np.tile(pd.date_range("2026-03-02", periods=days), stores)
    names = np.repeat([f"s{row}" for row in range(stores)], days)
    return pd.DataFrame({"sku": "tea", "store": names, "date": dates} | columns)


def test_a_store_counts_by_what_it_sells() -> None:
    flat, double = [1.0] * 7, [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    found = explain(smoothing([10.0, 30.0], [double, flat]), ask(2))
    assert found["component"].tolist() == ["level", "weekday"] * 2
    assert found["kind"].tolist() == ["units", "effect"] * 2
    assert found["value"].tolist() == pytest.approx([40, (10 * 2 + 30) / 40, 40, 1])
    assert set(found["model"]) == {"exponential_smoothing"}
    assert list(found.columns) == list(EMPTY.columns)


def test_a_closed_day_is_a_component_of_its_own() -> None:
    found = explain(smoothing([10.0], [[0.5] * 7]), ask(2, 1, closed=[0.0, 1.0]))
    closed = found[found["component"] == "closed"]
    assert closed["kind"].unique().tolist() == ["closed"]
    assert closed["value"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ["poisson_regression", "exponential_smoothing", "tsb", "seasonal_naive"])
def test_the_components_of_a_date_multiply_to_the_sum_of_the_stores_forecasts(name: str) -> None:
    panel = rich_panel(horizon=90)
    artifact = find_candidate(name).fit(panel).to_artifact()
    asked = model_inputs(panel, (0, 2))
    found = explain(artifact, asked)
    expected = predict(artifact, asked).groupby("date")["y_hat"].sum()
    assert found.groupby("date")["value"].prod().to_numpy() == pytest.approx(expected.to_numpy())


def test_events_and_flags_are_told_apart_from_other_effects() -> None:
    panel = rich_panel(horizon=90)
    artifact = find_candidate("poisson_regression").fit(panel).to_artifact()
    found = explain(artifact, model_inputs(panel, (0, 1, 2)))
    kinds = dict(zip(found["component"], found["kind"], strict=True))
    assert kinds["level"] == "units"
    assert kinds["fair"] == "event"
    assert kinds["benefit"] == "flag"
    assert kinds["price"] == kinds["weekday"] == "effect"


def test_of_an_ensemble_the_mix_is_told_and_the_heaviest_member_that_tells_something_is_explained() -> None:
    panel = rich_panel(horizon=90)
    member = {name: find_candidate(name).fit(panel).to_artifact() for name in ("tsb", "poisson_regression")}
    artifact = member["tsb"] | {
        "kind": "ensemble",
        "parameters": {
            "members": [
                {"kind": "tsb", "weight": 3.0, "parameters": member["tsb"]["parameters"]},
                {"kind": "poisson_regression", "weight": 1.0, "parameters": member["poisson_regression"]["parameters"]},
            ]
        },
    }
    asked = frame_of(panel).assign(sku="tea")
    found = explain(artifact, asked)
    mix, parts = found[found["model"] == "ensemble"], found[found["model"] != "ensemble"]
    weights = mix[mix["kind"] == "weight"].drop_duplicates("component").set_index("component")["value"]
    assert weights.to_dict() == {"tsb": 0.75, "poisson_regression": 0.25}
    forecasts = mix[mix["kind"] == "member"].pivot_table("value", "date", "component")
    total = (forecasts * weights).sum(axis=1)
    assert total.to_numpy() == pytest.approx(predict(artifact, asked).groupby("date")["y_hat"].sum().to_numpy())
    assert set(parts["model"]) == {"poisson_regression"}
    assert parts.groupby("date")["value"].prod().to_numpy() == pytest.approx(forecasts["poisson_regression"].to_numpy())


def test_per_demand_class_the_first_sku_that_tells_something_is_chosen() -> None:
    plain = explain(smoothing([1.0], [[2.0] * 7]), ask(2, 1, closed=[0.0, 1.0]))
    panel = rich_panel()
    rich = explain(find_candidate("poisson_regression").fit(panel).to_artifact(), model_inputs(panel, (0,)))
    assert count_components(plain) == 2, "closed days tell nothing of the model"
    assert count_components(rich) > 3
    explanations = {"a": plain, "b": rich, "c": rich.copy(), "d": plain.copy(), "e": plain.copy()}
    ranked = {"smooth": ["a", "b", "c"], "erratic": ["d", "e"], "lumpy": ["not forecast"]}
    first, second = choose_explanations(ranked, explanations)
    assert first is rich
    assert second is explanations["d"]
