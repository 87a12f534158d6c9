"""Choice by metric with a bonus for simplicity, and demand classes."""

import numpy as np
import pytest

from include.skufleet.forecasting.backtest import Scores
from include.skufleet.forecasting.selection import choose_candidate, classify_demand

NAN = float("nan")
RANK = {"plain": 1, "fancy": 2, "baroque": 3}


def scores(wape, mae=1.0):
    return Scores(wape, 0.0, 1.0, 1.0, mae, 1.0, 1.0, 0.0, 1.0, 1)


def choose(values, within=0.01):
    return choose_candidate(values, RANK, metric="wape", simpler_within=within)


def test_a_simpler_candidate_wins_unless_clearly_beaten():
    assert choose({"plain": scores(0.505), "fancy": scores(0.5)}) == "plain"
    assert choose({"plain": scores(0.506), "fancy": scores(0.5)}) == "fancy"
    assert choose({"plain": scores(0.506), "fancy": scores(0.504), "baroque": scores(0.5)}) == "fancy"
    assert choose({"plain": scores(0.506), "fancy": scores(0.5)}, within=0.0) == "fancy"


def test_without_a_scale_all_are_compared_by_mean_absolute_error():
    assert choose({"plain": scores(NAN, 2.0), "fancy": scores(NAN, 1.0)}) == "fancy"
    assert choose({"plain": scores(NAN, 2.0), "fancy": scores(0.0, 0.0)}) == "fancy"


def test_a_simpler_candidate_that_is_worse_than_the_baseline_is_not_chosen():
    values = {"plain": scores(0.503), "fancy": scores(0.502), "baroque": scores(0.5)}
    chosen = choose_candidate(values, RANK, metric="wape", simpler_within=0.01, baseline="fancy")
    assert chosen == "fancy"
    assert choose_candidate(values, RANK, metric="wape", simpler_within=0.01, baseline="unknown") == "plain"


def test_nothing_to_choose_from_is_no_choice():
    assert choose({}) is None


def test_the_order_in_which_candidates_were_tried_does_not_matter():
    values = {"plain": scores(0.6), "fancy": scores(0.5), "baroque": scores(0.5)}
    assert choose(values) == choose(dict(reversed(values.items()))) == "fancy"


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([[5, 4, 6, 5]], "smooth"),
        ([[1, 20, 1, 1]], "erratic"),
        ([[3, 0, 0, 3, 0, 0]], "intermittent"),
        ([[1, 0, 0, 20, 0, 1, 0, 0]], "lumpy"),
        ([[0, 0, 0]], "no_demand"),
        ([[NAN, NAN]], "no_demand"),
        ([[0, 0, 0, 0, 5, 5, 5]], "smooth"),
        ([[NAN, 4, NAN, 4]], "smooth"),
    ],
)
def test_demand_classes(units, expected):
    assert classify_demand(np.array(units, dtype=float)) == expected


def test_stores_of_different_size_are_each_measured_by_their_own_mean():
    assert classify_demand(np.array([[100.0] * 9, [1.0] * 9])) == "smooth"
