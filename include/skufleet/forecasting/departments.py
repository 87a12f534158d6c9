"""The profile of a department: what the calendar does to the sum of its SKUs, for theirs to be shrunk to.

A SKU of three sales a week cannot show what Easter does to it; its department can. Priors are fitted per cutoff, on
nothing later, so that a backtest that uses them stays honest. What does not belong here: reading the sums.
"""

from __future__ import annotations

from collections.abc import Sequence

from include.skufleet.forecasting.panel import Panel, Prior
from include.skufleet.forecasting.profile.fitting import FitSettings, fit_profile

POOLED_GROUPS = frozenset({"season", "month", "flag", "weekend", "event"})
HALF_LIVES = {"D": (28.0,), "W": (4.0,)}
RIDGE = 0.5
SMALLEST = 0.005
FEWEST_PERIODS = {"D": 56, "W": 26}


def fit_priors(panel: Panel, cutoffs: Sequence[int]) -> tuple[Prior, ...]:
    """The department's profile as known after so many of its periods, oldest first.

    Args:
        panel: the department's sums, its name in place of a SKU.
        cutoffs: numbers of periods, ascending; one before the department has 56 days or 26 weeks gives no prior.
    """
    return tuple(_fit_prior(panel.until(cutoff)) for cutoff in cutoffs if FEWEST_PERIODS[panel.frequency] <= cutoff)


def _fit_prior(cut: Panel) -> Prior:
    settings = FitSettings(
        half_lives=HALF_LIVES[cut.frequency],
        ridge=RIDGE,
        store_pseudo_units=1e9,
        elasticity=-1.0,
        elasticity_weight=1.0,
    )
    fitted = fit_profile(cut, settings)
    effects = {
        f"{group}|{name}": round(float(value), 4)
        for (group, name), value in zip(fitted.design.keys, fitted.coefficients, strict=True)
        if group in POOLED_GROUPS and abs(value) >= SMALLEST
    }
    return Prior(cut.sku, str(cut.dates[-1]), effects)
