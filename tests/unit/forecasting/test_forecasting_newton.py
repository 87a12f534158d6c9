"""The Poisson regression of the candidate: the coefficients of scikit-learn's, step for step."""

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from include.skufleet.forecasting.newton import fit_poisson, solve_positive


def sales(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    columns = np.stack([np.ones(rows), (np.arange(rows) % 7 == 5) * 1.0, rng.normal(0.0, 0.4, rows)])
    exposure = rng.uniform(0.5, 8.0, rows)
    sold = rng.poisson(exposure * np.exp(0.3 * columns[1] - 0.9 * columns[2])).astype(float)
    return columns, sold, exposure


@pytest.mark.parametrize("penalty", [0.5, 20.0, 1e6])
def test_the_coefficients_are_those_of_scikit_learn_to_rounding(penalty):
    columns, sold, exposure = sales()
    model = PoissonRegressor(
        alpha=penalty / exposure.sum(), fit_intercept=False, solver="newton-cholesky", tol=1e-4, max_iter=30
    )
    model.fit(columns.T, sold / exposure, sample_weight=exposure)
    np.testing.assert_allclose(fit_poisson(columns, sold, exposure, penalty), model.coef_, rtol=1e-9, atol=1e-12)


def test_cells_without_exposure_and_sales_change_nothing():
    columns, sold, exposure = sales()
    expected = fit_poisson(columns, sold, exposure, 3.0)
    wider = np.concatenate([columns, np.full((3, 50), 2.0)], axis=1)
    padded = (np.concatenate([values, np.zeros(50)]) for values in (sold, exposure))
    np.testing.assert_allclose(fit_poisson(wider, *padded, 3.0), expected, rtol=1e-9)


def test_a_first_step_that_overshoots_is_halved():
    # 1,000 sold where 1 was due: Newton's first step from 0 is 999, and e^999 is no number
    found = fit_poisson(np.ones((1, 1)), np.array([1000.0]), np.array([1.0]), 1e-3)
    assert found == pytest.approx([np.log(1000.0)], abs=1e-2)


def test_only_the_upper_triangle_is_read_and_what_cannot_be_solved_is_said():
    full = np.array([[4.0, 1.0], [1.0, 3.0]])
    assert solve_positive(np.triu(full), np.array([9.0, 5.0])) == pytest.approx(np.linalg.solve(full, [9.0, 5.0]))
    alike = np.full((2, 2), 1e8)  # positive definite but for the rounding of one more on the diagonal
    alike[1, 1] -= 1e-7
    assert np.isfinite(solve_positive(alike, np.ones(2))).all()
    with pytest.raises(np.linalg.LinAlgError, match="order 2 is not positive definite"):
        solve_positive(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2))
