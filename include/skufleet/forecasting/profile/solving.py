"""A ridge-penalised Poisson regression on region totals with an offset, by Newton's method.

Written out because of the columns' structure: common ones are summed over the regions before they meet, and events
touch few rows, so that a step takes about a third of the time that it takes on the stacked matrix. ``scikit-learn``
solves the same problem on that matrix; a test compares the two.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve as solve_linear

from include.skufleet.forecasting.panel import Floats
from include.skufleet.forecasting.profile.design import Design

LARGEST_STEP = 2.0
CLOSE_ENOUGH = 1e-3
LIMIT = 5.0  # of the linear predictor: a profile between 1/148 and 148


def expect(offset: Floats, linear: Floats) -> Floats:
    """Expected units from the offset and the linear predictor."""
    mean: Floats = offset * np.exp(np.clip(linear, -LIMIT, LIMIT))
    return mean


def dispersion(actual: Floats, expected: Floats) -> float:
    """Pearson's estimate (McCullagh and Nelder 1989, 4.5.2): mean of squared error over expectation.

    Expectations below a fiftieth of their mean count as that; without any cell it is 1. It scales with the unit of
    measure, so that a fit whose penalties are pseudo-units times the dispersion does not depend on that unit.

    >>> dispersion(np.array([[3.0, 1.0]]), np.array([[2.0, 2.0]]))
    0.5
    """
    used = expected > 0
    if not used.any():
        return 1.0
    floor = expected[used].mean() / 50.0
    value = float((np.square(actual - expected)[used] / np.maximum(expected[used], floor)).mean())
    return max(value, 1e-9)


def solve(
    actual: Floats, offset: Floats, design: Design, *, start: Floats, prior: Floats, penalty: Floats, steps: int
) -> Floats:
    """Coefficients after at most ``steps`` Newton steps.

    Maximises sum(y eta - offset exp(eta)) - sum(penalty (b - prior)^2) / 2 over the coefficients b.

    Args:
        actual: (R, T) units, 0 in cells that do not count.
        offset: (R, T) units expected without the profile, 0 in cells that do not count.
        design: the columns.
        start: where to begin.
        prior: what the penalty holds the coefficients at.
        penalty: one positive value per coefficient.
        steps: at most so many.
    """
    p, q = design.common.shape[1], design.regional[0].shape[1]
    common, events, rows = design.common, design.events, design.event_rows
    at_events = common[rows]
    coefficients = start.copy()
    size = coefficients.size
    hessian, gradient = np.zeros((size, size)), np.zeros(size)
    for _ in range(steps):
        mean = expect(offset, design.predict(coefficients))
        error = actual - mean
        total, left = mean.sum(axis=0), error.sum(axis=0)
        hessian[:] = 0.0
        hessian[:p, :p] = common.T @ (total[:, None] * common)
        gradient[:p], gradient[p + q :] = common.T @ left, events.T @ left[rows]
        weighted = total[rows][:, None] * events
        hessian[:p, p + q :] = at_events.T @ weighted
        hessian[p + q :, p + q :] = events.T @ weighted
        gradient[p : p + q] = 0.0
        for region, own in enumerate(design.regional if q else ()):
            part = mean[region][:, None] * own
            hessian[p : p + q, p : p + q] += own.T @ part
            hessian[:p, p : p + q] += common.T @ part
            hessian[p : p + q, p + q :] += part[rows].T @ events
            gradient[p : p + q] += own.T @ error[region]
        hessian[np.diag_indices(size)] += penalty
        gradient -= penalty * (coefficients - prior)
        # Only the upper triangle was filled; the diagonal blocks are symmetric as they are.
        change = solve_linear(hessian, gradient, lower=False, assume_a="pos", check_finite=False)
        largest = float(np.abs(change).max())
        coefficients = coefficients + change * min(1.0, LARGEST_STEP / max(largest, 1e-12))
        if largest < CLOSE_ENOUGH:
            break
    return coefficients
