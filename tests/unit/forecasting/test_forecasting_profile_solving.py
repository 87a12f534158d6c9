"""The regression against scikit-learn's, its dispersion, and that units of measure do not matter."""

import dataclasses

import numpy as np
import pytest
from forecasting_data import make_panel, rich_panel
from sklearn.linear_model import PoissonRegressor

from include.skufleet.forecasting.candidates.profile import ProfileModel
from include.skufleet.forecasting.profile.design import make_design
from include.skufleet.forecasting.profile.solving import dispersion, solve


def two_regions(periods=140, seed=3):
    """Region totals with gaps, smooth levels as offset, flags that differ by region, two overlapping events."""
    rng = np.random.default_rng(seed)
    steps = np.arange(periods)
    indicators = np.array([steps % 30 == 12, (steps % 45 == 12) | (steps % 45 == 13)]) * 1.0
    panel = make_panel(
        np.ones((3, periods)),
        horizon=0,
        flags={"benefit": np.array([steps % 5 == 0, steps % 4 == 1, steps % 5 == 0]) * 1.0},
        events=("fair", "match"),
        indicators=indicators,
    )
    design = make_design(panel)
    offset = np.array([[8.0], [20.0]]) * (1.0 + 0.3 * np.sin(steps / 20.0))
    truth = 0.4 * (steps % 7 >= 5) + 0.8 * indicators[0] - 0.5 * indicators[1]
    actual = rng.poisson(offset * np.exp(truth)).astype(float)
    offset[0, 30:50], actual[0, 30:50] = 0.0, 0.0  # unknown in one region
    offset[:, 100:103], actual[:, 100:103] = 0.0, 0.0  # closed
    return design, actual, offset


def stack(design, regions):
    """The dense matrix that the design stands for, region after region."""
    events = np.zeros((design.events.periods, design.events.count))
    events[design.events.rows, design.events.events] = 1.0
    own = np.zeros((regions, len(events), design.first_event))
    for region in range(regions):
        own[region, :, : design.common.shape[1]] = design.common
        own[region][:, design.own[region]] = design.regional[region]
    return np.vstack([np.hstack([columns, events]) for columns in own])


def solve_from_zero(actual, offset, design, **settings):
    start = np.zeros(len(design.keys))
    return solve(actual, offset, design, start=start, ratios=design.ratios(start), **settings)


@pytest.mark.parametrize("with_prior", [False, True])
def test_the_solution_is_that_of_scikit_learn_on_the_stacked_matrix(with_prior):
    design, actual, offset = two_regions()
    size = len(design.keys)
    prior = np.random.default_rng(1).normal(0.0, 0.2, size) if with_prior else np.zeros(size)
    penalty = design.ridge * 0.7
    found, ratios = solve_from_zero(actual, offset, design, prior=prior, penalty=penalty, steps=30)
    np.testing.assert_array_equal(ratios, design.ratios(found))

    dense, y, weight = stack(design, 2), actual.ravel(), offset.ravel()
    used = weight > 0
    weight = weight * np.exp(dense @ prior)  # the regression is then of what differs from the prior
    scale = 1.0 / np.sqrt(penalty)
    model = PoissonRegressor(
        alpha=1.0 / weight[used].sum(), fit_intercept=False, solver="newton-cholesky", tol=1e-10, max_iter=200
    )
    model.fit(dense[used] * scale, y[used] / weight[used], sample_weight=weight[used])
    expected = prior + model.coef_ * scale
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_great_penalty_holds_the_coefficients_at_the_prior():
    design, actual, offset = two_regions()
    prior = np.linspace(-0.5, 0.5, len(design.keys))
    penalty = np.full(prior.size, 1e9)
    found, _ = solve_from_zero(actual, offset, design, prior=prior, penalty=penalty, steps=10)
    np.testing.assert_allclose(found, prior, atol=1e-5)


def test_dispersion_by_hand():
    # errors 2, -1, 0 over 4, 1, 5: (4/4 + 1/1 + 0) / 3; a cell that nothing is expected of does not count
    assert dispersion(np.array([[6.0, 0.0, 5.0, 9.0]]), np.array([[4.0, 1.0, 5.0, 0.0]])) == pytest.approx(2 / 3)


def test_tiny_expectations_do_not_blow_up_the_dispersion():
    # mean 5.05, so that 0.1 counts as 0.101: (0.81 / 0.101 + 0) / 2
    actual, expected = np.array([[1.0, 10.0]]), np.array([[0.1, 10.0]])
    assert dispersion(actual, expected) == pytest.approx(0.81 / 0.101 / 2)


def test_dispersion_scales_with_the_unit_of_measure_and_is_one_of_nothing():
    rng = np.random.default_rng(0)
    expected = rng.uniform(1, 9, (2, 50))
    actual = rng.poisson(expected).astype(float)
    assert dispersion(1000 * actual, 1000 * expected) == pytest.approx(1000 * dispersion(actual, expected))
    assert dispersion(np.zeros((1, 3)), np.zeros((1, 3))) == 1.0
    assert dispersion(expected, expected) > 0  # penalties are multiples of it


def test_the_profile_is_bounded_on_both_sides():
    design, _, _ = two_regions()
    for effect in (-99.0, 0.0, 99.0):
        coefficients = np.where([group == "season" for group, _ in design.keys], effect, 0.0)
        assert design.ratios(coefficients) == pytest.approx(np.full((2, 140), np.exp(np.clip(effect, -5, 5))))


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_the_unit_of_measure_does_not_matter(factor):
    panel = rich_panel()
    scaled = dataclasses.replace(panel, units=factor * panel.units)
    one, other = (ProfileModel().fit(each).predict(each.future) for each in (panel, scaled))
    assert one.max() > 1
    np.testing.assert_allclose(other, factor * one, rtol=1e-3)
