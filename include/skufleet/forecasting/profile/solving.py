"""A ridge-penalised Poisson regression on region totals with an offset, by Newton's method.

Written out because of the columns' structure: common ones are summed over the regions before they meet, a region's own
meet nothing of the others, and events are a few periods each, so that a step takes a tenth of the time that it takes
on the stacked matrix. ``scikit-learn`` solves the same problem on that matrix; a test compares the two.
"""

from __future__ import annotations

import numpy as np

from include.skufleet.forecasting.newton import solve_positive
from include.skufleet.forecasting.panel import Floats
from include.skufleet.forecasting.profile.design import Design

LARGEST_STEP = 2.0
CLOSE_ENOUGH = 1e-3


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
    due, sold = expected[used], actual[used]
    value = float((np.square(sold - due) / np.maximum(due, due.mean() / 50.0)).mean())
    return max(value, 1e-9)


def solve(
    actual: Floats,
    offset: Floats,
    design: Design,
    *,
    start: Floats,
    ratios: Floats,
    prior: Floats,
    penalty: Floats,
    steps: int,
) -> tuple[Floats, Floats]:
    """Coefficients after at most ``steps`` Newton steps, and the ratios (R, T) that they make.

    Maximises sum(y eta - offset exp(eta)) - sum(penalty (b - prior)^2) / 2 over the coefficients b.

    Args:
        actual: (R, T) units, 0 in cells that do not count.
        offset: (R, T) units expected without the profile, 0 in cells that do not count.
        design: the columns.
        start: where to begin.
        ratios: ``design.ratios(start)``.
        prior: what the penalty holds the coefficients at.
        penalty: one positive value per coefficient.
        steps: at most so many.
    """
    coefficients, size = start, start.size
    for _ in range(steps):
        mean = offset * ratios
        hessian, gradient = _differentiate(design, mean, actual - mean)
        hessian.flat[:: size + 1] += penalty
        change = solve_positive(hessian, gradient - penalty * (coefficients - prior))
        largest = float(np.abs(change).max())
        coefficients = coefficients + change * min(1.0, LARGEST_STEP / max(largest, 1e-12))
        ratios = design.ratios(coefficients)
        if largest < CLOSE_ENOUGH:
            break
    return coefficients, ratios


def _differentiate(design: Design, mean: Floats, error: Floats) -> tuple[Floats, Floats]:
    """The upper triangle of minus the likelihood's Hessian, and its gradient, at expected units ``mean`` (R, T)."""
    size, first, events, common = len(design.keys), design.first_event, design.events, design.common
    p = common.shape[1]
    hessian, gradient = np.zeros((size, size)), np.empty(size)
    total, left = mean.sum(axis=0), error.sum(axis=0)
    weighted = total[:, None] * common
    hessian[:p, :p] = common.T @ weighted
    gradient[:p] = left @ common
    gradient[p:first] = 0.0
    for region, (own, part) in enumerate(zip(design.own, design.regional, strict=True)):
        due = mean[region][:, None] * part
        hessian[:p, own] += common.T @ due
        hessian[np.ix_(own, own)] += part.T @ due
        hessian[own, first:] += events.add_up(due).T
        gradient[own] += error[region] @ part
    hessian[:p, first:] = events.add_up(weighted).T
    hessian[first:, first:] = events.meet(total)
    gradient[first:] = events.add_up(left)
    return hessian, gradient
