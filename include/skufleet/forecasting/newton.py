"""Newton's method for a ridge-penalised Poisson regression on a dense matrix, and the linear system of one step.

The iterates are those of scikit-learn's ``PoissonRegressor(solver="newton-cholesky", fit_intercept=False)``, to
rounding; on a SKU's few thousand rows its checks and dispatch would take longer than the arithmetic, and its import
takes a second. A test compares the two. What does not belong here: columns, penalties of groups.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

from include.skufleet.forecasting.panel import Floats

MOST_STEPS = 30
MOST_HALVINGS = 20
CLOSE_ENOUGH = 1e-4  # of the gradient, and of what one more step would gain, both per exposed unit
SUFFICIENT = 2.0**-11  # share of the gain that the slope promises (Armijo 1966)
ROUNDING = 16 * float(np.finfo(float).eps)
RIDGE = 1e-9  # of the diagonal, where rounding hides that a matrix is positive definite


def solve_positive(matrix: Floats, vector: Floats) -> Floats:
    """The solution of a positive definite system; of ``matrix`` only the upper triangle is read.

    One that is so only but for rounding, as with a hundred million units sold, is solved with a little more of its
    diagonal, which ``matrix`` then has too.

    Raises:
        LinAlgError: the matrix is not positive definite.
    """
    _, solution, failed = dposv(matrix.T, vector, lower=True)
    if failed:
        matrix.flat[:: len(matrix) + 1] *= 1.0 + RIDGE
        _, solution, failed = dposv(matrix.T, vector, lower=True)
    if failed:
        raise np.linalg.LinAlgError(f"a Newton step: matrix of order {len(matrix)} is not positive definite ({failed})")
    found: Floats = solution
    return found


def fit_poisson(columns: Floats, sold: Floats, exposure: Floats, penalty: float) -> Floats:
    """Coefficients b (c,) that maximise sum(sold eta - exposure exp(eta)) - penalty |b|^2 / 2, with eta = b @ columns.

    Args:
        columns: (c, n).
        sold: (n,) units, >= 0.
        exposure: (n,) units expected without the columns, 0 in cells that do not count.
        penalty: above 0.

    Raises:
        LinAlgError: a step cannot be computed.
    """
    size = float(exposure.sum())
    found = _Iterate(np.zeros(len(columns)), np.zeros(sold.size), sold, exposure, penalty)
    for _ in range(MOST_STEPS):
        gradient = columns @ (found.mean - sold) + penalty * found.coefficients
        hessian = (columns * found.mean) @ columns.T
        hessian.flat[:: len(columns) + 1] += penalty
        step = solve_positive(hessian, -gradient)
        gain = -float(gradient @ step)
        better = _search(found, step, step @ columns, gain)
        if better is None:
            return found.coefficients
        found = better
        slope = columns @ (found.mean - sold) + penalty * found.coefficients
        if np.abs(slope).max() <= CLOSE_ENOUGH * size and 0.5 * gain <= CLOSE_ENOUGH * size:
            break
    return found.coefficients


class _Iterate:
    """Coefficients with what follows from them: expected units and the penalised loss."""

    def __init__(self, coefficients: Floats, linear: Floats, sold: Floats, exposure: Floats, penalty: float) -> None:
        self.coefficients, self.linear, self.sold, self.exposure, self.penalty = (
            coefficients,
            linear,
            sold,
            exposure,
            penalty,
        )
        with np.errstate(over="ignore"):
            self.mean = exposure * np.exp(linear)
        self.loss = float(self.mean.sum() - sold @ linear + 0.5 * penalty * (coefficients @ coefficients))

    def move(self, coefficients: Floats, linear: Floats) -> _Iterate:
        """This much further."""
        return _Iterate(self.coefficients + coefficients, self.linear + linear, self.sold, self.exposure, self.penalty)


def _search(found: _Iterate, step: Floats, along: Floats, gain: float) -> _Iterate | None:
    """The first of 1, 1/2, 1/4 ... of the step that gains enough; ``None`` if none does."""
    share = 1.0
    for _ in range(MOST_HALVINGS + 1):
        moved = found.move(share * step, share * along)
        change = moved.loss - found.loss
        if change <= -SUFFICIENT * share * gain or abs(change) <= ROUNDING * abs(found.loss):
            return moved
        share *= 0.5
    return None
