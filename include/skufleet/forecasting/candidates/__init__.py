"""Model families, one module each, and the table that the catalogue file's names are looked up in.

What does not belong here: choosing between candidates, prediction (``scoring``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.skufleet.errors import ConfigError
from include.skufleet.forecasting.candidates.contract import Candidate, Fitted
from include.skufleet.forecasting.candidates.naive import SeasonalNaive, ZeroDemand, fallback
from include.skufleet.forecasting.candidates.regression import PoissonRegression
from include.skufleet.forecasting.candidates.smoothing import ExponentialSmoothing
from include.skufleet.forecasting.candidates.tsb import TSB
from include.skufleet.forecasting.panel import Panel

__all__ = ["CANDIDATES", "Candidate", "Fitted", "fallback", "find_candidate", "fit_candidate", "restore"]

CANDIDATES: dict[str, type[Candidate]] = {
    ZeroDemand.name: ZeroDemand,
    SeasonalNaive.name: SeasonalNaive,
    ExponentialSmoothing.name: ExponentialSmoothing,
    TSB.name: TSB,
    PoissonRegression.name: PoissonRegression,
}


def find_candidate(name: str) -> Candidate:
    """The candidate of that name with its default settings.

    Raises:
        ConfigError: there is none.
    """
    if name not in CANDIDATES:
        raise ConfigError(f"no candidate {name!r}; there are {', '.join(CANDIDATES)}")
    return CANDIDATES[name]()


def fit_candidate(name: str, panel: Panel) -> Fitted:
    """Fit the candidate of that name to a panel.

    Raises:
        ConfigError: there is no such candidate.
    """
    return find_candidate(name).fit(panel)


def restore(artifact: Mapping[str, Any]) -> Fitted:
    """The fitted model that an artifact holds.

    Raises:
        ArtifactError: its format or kind is not known.
    """
    return Fitted.from_artifact(artifact)
