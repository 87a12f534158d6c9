from __future__ import annotations

import math

import numpy as np
import pytest

from include.skufleet.config import Gate
from include.skufleet.lifecycle.guards import check_forecasts, check_size

GATE = Gate(max_times_history=3, max_bytes=1000)
HISTORY = np.array([[1.0, 4.0, math.nan], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("y_hat", "says"),
    [
        ([[4.0, 12.0], [0.5, 3.0]], ""),
        ([[4.0, math.nan], [0.5, 1.0]], "1 of 4 forecasts are not a number of units"),
        ([[4.0, math.inf], [-0.1, 1.0]], "2 of 4 forecasts"),
        ([[4.0, 12.1], [0.5, 1.0]], "a forecast of 12.1 units, where a store never sold more than 4 in a period"),
        ([[4.0, 1.0], [0.5, 3.5]], "a forecast of 3.5 units, where a store never sold more than 1"),
    ],
)
def test_forecasts_are_numbers_within_reach_of_what_was_ever_sold(y_hat: list[list[float]], says: str) -> None:
    found = check_forecasts(np.array(y_hat), HISTORY, GATE)
    assert found.startswith(says)
    assert bool(found) is bool(says)


def test_a_store_that_never_sold_may_be_forecast_to_sell_a_little() -> None:
    assert check_forecasts(np.array([[3.0]]), np.full((1, 5), math.nan), GATE) == ""
    assert check_forecasts(np.zeros((0, 7)), np.zeros((0, 3)), GATE) == ""


def test_the_size_of_a_model_is_bounded() -> None:
    assert check_size(1000, GATE) == ""
    assert check_size(1001, GATE) == "the model has 1,001 bytes, the limit is 1,000"
