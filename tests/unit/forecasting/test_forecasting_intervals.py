"""Intervals: never crossing, calibrated by windows that they are judged without, sane with little to go by."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from forecasting_data import make_panel, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.forecasting import scoring
from include.skufleet.forecasting.candidates import fit_candidate
from include.skufleet.forecasting.intervals import _score, _to_one_tail, bound_windows, fit_intervals
from include.skufleet.forecasting.scoring import count_bounds, count_range

LEVELS = (0.5, 0.8, 0.95)
CLASSES = ("smooth", "erratic", "intermittent", "lumpy", "no_demand")
NOTHING = np.zeros(0)


def simulate_counts(mean, dispersion, seed=0):
    rng = np.random.default_rng(seed)
    rate = mean * rng.gamma(1 / dispersion, dispersion, mean.shape) if dispersion else mean
    return rng.poisson(rate).astype(float)


def uneven_means(size, low, high, seed=1):
    return np.random.default_rng(seed).uniform(low, high, size)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.001, 0.05, 1.0, 30.0, 1e5]),
    size=st.integers(0, 90),
    sold=st.sampled_from([0.0, 0.3, 1.0]),
    whole=st.booleans(),
    demand_class=st.sampled_from(CLASSES),
)
def test_bounds_never_cross_and_hold_the_forecast_whatever_the_errors(seed, scale, size, sold, whole, demand_class):
    rng = np.random.default_rng(seed)
    y = rng.gamma(0.5, scale, size) * (rng.random(size) < sold)
    y = np.rint(y) if whole else y
    y_hat = rng.gamma(1.0, scale, size)
    found = fit_intervals(y, y_hat, LEVELS, demand_class)
    assert json.loads(json.dumps(found)) == found
    expected = np.concatenate([[0.0], rng.gamma(1.0, scale, 20)])
    bounds = count_bounds(found, expected)
    for lower, upper in bounds:
        assert np.isfinite(upper).all()
        assert ((lower >= 0) & (lower <= expected) & (expected <= upper)).all()
    for (lower, upper), (wider_lower, wider_upper) in itertools.pairwise(bounds):
        assert ((wider_lower <= lower) & (upper <= wider_upper)).all()


@pytest.mark.parametrize(
    ("low", "high", "dispersion", "demand_class"),
    [
        (20.0, 60.0, 0.05, "smooth"),
        (2.0, 9.0, 0.5, "erratic"),
        (0.1, 1.5, 0.3, "intermittent"),
        (0.3, 3.0, 2.0, "lumpy"),
    ],
)
def test_counts_of_every_class_are_covered_as_often_as_the_levels_say(low, high, dispersion, demand_class):
    mean = uneven_means(20_000, low, high)
    y = simulate_counts(mean, dispersion)
    found = fit_intervals(y[:4000], mean[:4000], (0.8, 0.95), demand_class)
    for level, (lower, upper) in zip((0.8, 0.95), count_bounds(found, mean[4000:]), strict=True):
        covered = ((lower <= y[4000:]) & (y[4000:] <= upper)).mean()
        assert covered == pytest.approx(level, abs=0.02)


def test_a_forecast_that_jumps_is_not_taken_at_its_word():
    """Yesterday's sale as a forecast says zero on most days: the bounds must still reach what sells now and then."""
    y = simulate_counts(np.full(3000, 0.4), 0.0)
    found = fit_intervals(y[1:1500], y[: 1500 - 1], (0.8, 0.95), "intermittent")
    assert found["slope"] < 0.1
    (_, upper) = count_bounds(found, np.zeros(1))[1]
    assert upper.tolist() == [1.0]
    assert count_bounds(dict(found) | {"slope": 1.0, "shift": 0.0}, np.zeros(1))[1][1].tolist() == [0.0]


def test_the_score_is_the_least_quantile_whose_bounds_cover_the_actual():
    rng = np.random.default_rng(5)
    mean, count = rng.uniform(0.05, 12.0, 400), rng.integers(0, 25, 400).astype(float)
    score = _score(count, mean, 0.7)
    inside = score < 5.9  # beyond it scores are cut off
    for step, expected in ((1e-4, True), (-1e-4, False)):
        two = np.maximum(score + step, 0.0)
        lower, upper = count_range(mean, 0.7, _to_one_tail(two), two)
        covered = (lower <= count) & (count <= upper)
        assert (covered == expected)[inside & (two > 0.01)].all()


def test_rare_sales_of_weights_are_covered_though_most_days_sell_none():
    mean = uneven_means(20_000, 0.1, 1.5)
    y = simulate_counts(mean, 0.3) * 0.25 + 0.0
    mean *= 0.25
    found = fit_intervals(y[:4000], mean[:4000], (0.8, 0.95), "intermittent")
    assert 0.2 <= found["unit"] <= 0.3
    for level, (lower, upper) in zip((0.8, 0.95), count_bounds(found, mean[4000:]), strict=True):
        assert ((lower <= y[4000:]) & (y[4000:] <= upper)).mean() == pytest.approx(level, abs=0.03)


def test_without_any_error_to_learn_from_the_class_decides_how_wide_bounds_are():
    widths = {}
    for demand_class in ("smooth", "lumpy"):
        (lower, upper), _ = count_bounds(fit_intervals(NOTHING, NOTHING, (0.8, 0.95), demand_class), np.array([40.0]))
        widths[demand_class] = float((upper - lower)[0])
    assert 20 < widths["smooth"] < 60 < widths["lumpy"] < 160


def test_what_never_sold_and_was_never_forecast_has_no_width():
    found = fit_intervals(np.zeros(84), np.zeros(84), LEVELS, "no_demand")
    assert [bound.tolist() for pair in count_bounds(found, np.zeros(2)) for bound in pair] == [[0.0, 0.0]] * 6


def test_large_constant_sales_have_narrow_bounds():
    found = fit_intervals(np.full(84, 5000.0), np.full(84, 5000.0), (0.8,), "smooth")
    ((lower, upper),) = count_bounds(found, np.array([5000.0]))
    assert 4000 < lower[0] <= upper[0] < 6000


def test_weights_in_kilograms_have_bounds_finer_than_a_kilogram():
    rng = np.random.default_rng(2)
    y, y_hat = np.round(rng.gamma(8.0, 0.1, 500), 3), np.full(500, 0.8)
    found = fit_intervals(y, y_hat, (0.8,), "smooth")
    assert (found["unit"], found["whole"]) == (0.008, False)
    ((lower, upper),) = count_bounds(found, np.array([0.8]))
    assert 0.3 < lower[0] < 0.6 < 1.0 < upper[0] < 1.4


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), window=st.integers(0, 2))
def test_a_windows_bounds_do_not_depend_on_its_own_actuals(seed, window):
    rng = np.random.default_rng(seed)
    y_hat = rng.gamma(2.0, 2.0, (3, 2, 14))
    y = rng.poisson(y_hat).astype(float)
    poisoned = y.copy()
    poisoned[window] = rng.poisson(500.0, (2, 14))
    one, two = (bound_windows(values, y_hat, LEVELS, "erratic") for values in (y, poisoned))
    assert list(one) == ["lower_50", "upper_50", "lower_80", "upper_80", "lower_95", "upper_95"]
    for name, bounds in one.items():
        np.testing.assert_array_equal(bounds[window], two[name][window])
        assert (two[name][1 - window if window < 2 else 0] >= 0).all()


def test_one_window_alone_has_no_bounds_that_were_not_fitted_to_it():
    bounds = bound_windows(np.ones((1, 1, 7)), np.ones((1, 1, 7)), (0.8,), "smooth")
    assert all(np.isnan(values).all() for values in bounds.values())


def test_predictions_carry_the_bounds_and_closed_days_none():
    panel = make_panel(simulate())
    fitted = fit_candidate("exponential_smoothing", panel)
    found = fit_intervals(panel.units, panel.units.mean() + 0 * panel.units, (0.8, 0.95), "smooth")
    frame_in = {"store": ["s0", "s1"], "date": [str(panel.dates[-1] + 3)] * 2, "closed": [0, 1]}
    frame = scoring.predict(dict(fitted.artifact) | {"intervals": found}, pd.DataFrame(frame_in))
    assert list(frame.columns)[3:] == ["y_hat", "lower_80", "upper_80", "lower_95", "upper_95"]
    is_open, closed = frame.iloc[0], frame.iloc[1]
    assert is_open["lower_95"] <= is_open["lower_80"] <= is_open["y_hat"] <= is_open["upper_80"] <= is_open["upper_95"]
    assert closed.iloc[3:].tolist() == [0.0] * 5
    assert list(scoring.predict(fitted.artifact, pd.DataFrame(frame_in)).columns)[-1] == "y_hat"
