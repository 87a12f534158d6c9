"""The preferred candidate unless more than noise speaks for another; demand classes."""

import numpy as np
import pytest

from include.skufleet.forecasting.backtest import Scores
from include.skufleet.forecasting.selection import (
    choose_candidate,
    classify_demand,
    expect_losses,
    find_handicaps,
    find_worse,
)

NAN = float("nan")
FIRST, SECOND, THIRD = "profile", "poisson_regression", "seasonal_naive"


def scores(wape, mae=1.0):
    return Scores(wape, 0.0, 1.0, 1.0, mae, 1.0, 1.0, 0.0, 1.0, 1)


def choose(names, expected, **settings):
    return choose_candidate(names, expected, **{"margin": 0.0} | settings)


def worse(values, losses=None, tolerance=0.0, metric="wape"):
    """Names that are worse than ``THIRD``, by as much in each of three windows where nothing else is said."""
    known = {
        name: np.array([0.3, 0.3, 0.4]) * (value if isinstance(value, float) else 1.0) for name, value in values.items()
    }
    return find_worse(
        {name: value if isinstance(value, Scores) else scores(value) for name, value in values.items()},
        known | {name: np.array(values, dtype=float) for name, values in (losses or {}).items()},
        metric=metric,
        baseline=THIRD,
        tolerance=tolerance,
    )


def expect(first, second, squared=False):
    losses = {SECOND: np.array(second, dtype=float), FIRST: np.array(first, dtype=float)}
    return expect_losses(losses, {FIRST: 0.0, SECOND: 0.02}, squared=squared)


def test_the_preferred_candidate_is_the_yardstick_of_all_expectations():
    found = expect([4.0, 5.0, 6.0], [4.0, 5.0, 6.0])
    assert list(found) == [FIRST, SECOND]
    assert found[FIRST] == 0.0


def test_a_gain_in_every_window_outweighs_the_preference_and_one_lucky_window_does_not():
    steady = expect([10.0] * 12, [9.5] * 12)
    lucky = expect([10.0] * 12, [10.0] * 11 + [4.0])
    assert steady[SECOND] == pytest.approx(np.log(0.95), abs=1e-6)
    assert lucky[SECOND] > 0 > np.log(114 / 120)


def test_squared_losses_are_compared_by_their_roots():
    absolute, squared = expect([10.0] * 12, [9.0] * 12), expect([100.0] * 12, [81.0] * 12, squared=True)
    assert squared[SECOND] == pytest.approx(absolute[SECOND])


def test_a_single_store_window_moves_nothing():
    assert expect([10.0], [1.0])[SECOND] == expect([1.0], [10.0])[SECOND] > 0


def test_losses_of_zero_are_no_trouble():
    found = expect([0.0, 0.0], [0.0, 0.0])
    assert np.isfinite(list(found.values())).all()
    assert expect([0.0, 0.0], [1.0, 2.0])[SECOND] > 0 > expect([1.0, 2.0], [0.0, 0.0])[SECOND]


def test_without_candidates_there_is_nothing_to_expect():
    assert expect_losses({}, {FIRST: 0.0}, squared=True) == {}
    assert list(expect_losses({SECOND: np.ones(3)}, {FIRST: 0.0, SECOND: 0.02}, squared=True)) == [SECOND]


def test_the_preference_depends_on_the_kind_of_demand_and_on_what_is_known_of_its_days():
    names = ["seasonal_naive", "tsb", "exponential_smoothing", "profile", "a model of old"]

    def order(demand_class, informed):
        return list(find_handicaps(names, demand_class, informed=informed))

    assert order("smooth", True)[0] == order("lumpy", True)[0] == "profile"
    assert order("smooth", False)[0] == "exponential_smoothing"
    assert order("lumpy", False)[0] == "tsb"
    assert order("smooth", True)[-2:] == ["a model of old", "seasonal_naive"]


def test_a_mean_with_the_preferred_one_is_taken_unless_the_other_is_decidedly_better():
    names = {FIRST, SECOND, "ensemble"}
    assert choose(names, {FIRST: 0.0, SECOND: -0.03}) == "ensemble"
    assert choose(names, {FIRST: 0.0, SECOND: -0.2}) == SECOND


def test_another_candidate_is_taken_where_it_is_expected_to_be_better_by_more_than_the_margin():
    names = {FIRST, SECOND}
    assert choose(names, {FIRST: 0.0, SECOND: -0.01}) == SECOND
    assert choose(names, {FIRST: 0.0, SECOND: -0.01}, margin=0.02) == FIRST
    assert choose(names, {FIRST: 0.0, SECOND: 0.01}) == FIRST


def test_where_another_is_expected_to_be_better_the_ensemble_of_both_is_taken():
    names = {FIRST, SECOND, "ensemble"}
    assert choose(names, {FIRST: 0.0, SECOND: -0.01}) == "ensemble"
    assert choose(names, {FIRST: 0.0, SECOND: 0.01}) == FIRST


def test_none_that_is_refused_is_chosen_and_the_baseline_is_what_is_left():
    names, expected = {FIRST, SECOND, THIRD}, {FIRST: 0.0, SECOND: -0.1, THIRD: 0.2}
    assert choose(names, expected, refused={FIRST, SECOND}, baseline=THIRD) == THIRD
    assert choose(names, expected, refused={SECOND}, baseline=THIRD) == FIRST
    assert choose({FIRST, SECOND}, expected, baseline=THIRD) == SECOND


def test_worse_than_the_baseline_is_what_is_so_in_every_window():
    assert worse({FIRST: 0.52, SECOND: 0.49, THIRD: 0.5}) == {FIRST}
    assert worse({FIRST: 0.52, SECOND: 0.51, THIRD: 0.5}, tolerance=0.05) == frozenset()
    assert worse({FIRST: 0.52, SECOND: 0.51}) == frozenset()


def test_one_window_in_which_the_baseline_was_lucky_makes_nothing_worse():
    lucky = {FIRST: [10.0, 10.0, 10.0], THIRD: [11.0, 11.0, 5.0]}
    assert worse({FIRST: 30.0, THIRD: 27.0}, lucky) == frozenset()
    steady = {FIRST: [10.0, 10.0, 10.0], THIRD: [9.0, 9.1, 8.9]}
    assert worse({FIRST: 30.0, THIRD: 27.0}, steady) == {FIRST}


def test_of_a_single_window_there_is_no_noise_to_be_told():
    assert worse({FIRST: 0.51, THIRD: 0.5}, {FIRST: [0.51], THIRD: [0.5]}) == {FIRST}


def test_a_baseline_without_any_error_is_not_beaten():
    assert worse(
        {FIRST: 0.01, SECOND: 0.0, THIRD: 0.0}, {FIRST: [0.01, 0.0], SECOND: [0.0, 0.0], THIRD: [0.0, 0.0]}
    ) == {FIRST}


def test_without_a_scale_mean_absolute_errors_say_what_is_worse_than_the_baseline():
    values = {FIRST: scores(NAN, 2.0), SECOND: scores(0.0, 0.5), THIRD: scores(NAN, 1.0)}
    assert worse(values, {FIRST: [2.0, 2.0], SECOND: [0.5, 0.5], THIRD: [1.0, 1.0]}) == {FIRST}


def test_nothing_to_choose_from_is_no_choice():
    assert choose((), {}) is None


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
