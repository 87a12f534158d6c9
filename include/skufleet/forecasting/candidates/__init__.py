"""Model families, one module each, and the table that the catalogue file's names are looked up in.

What does not belong here: choosing between candidates, prediction (``scoring``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.skufleet.config import CandidateSettings
from include.skufleet.errors import ConfigError
from include.skufleet.forecasting.candidates.contract import Candidate, Fitted, forecast_panel
from include.skufleet.forecasting.candidates.ensemble import Ensemble, combine
from include.skufleet.forecasting.candidates.naive import SeasonalNaive, ZeroDemand, fallback
from include.skufleet.forecasting.candidates.newcomer import fit_newcomer
from include.skufleet.forecasting.candidates.profile import ProfileModel
from include.skufleet.forecasting.candidates.regression import PoissonRegression
from include.skufleet.forecasting.candidates.smoothing import ExponentialSmoothing
from include.skufleet.forecasting.candidates.theta import Theta
from include.skufleet.forecasting.candidates.trees import HistGradientBoosting, RandomForest
from include.skufleet.forecasting.candidates.tsb import TSB
from include.skufleet.forecasting.candidates.weekday_mean import WeekdayMean
from include.skufleet.forecasting.panel import Panel

__all__ = [
    "CANDIDATES",
    "Candidate",
    "Fitted",
    "combine",
    "fallback",
    "find_candidate",
    "fit_candidate",
    "fit_newcomer",
    "forecast_panel",
    "restore",
]

CANDIDATES: dict[str, type[Candidate]] = {
    ZeroDemand.name: ZeroDemand,
    SeasonalNaive.name: SeasonalNaive,
    WeekdayMean.name: WeekdayMean,
    ExponentialSmoothing.name: ExponentialSmoothing,
    Theta.name: Theta,
    TSB.name: TSB,
    PoissonRegression.name: PoissonRegression,
    ProfileModel.name: ProfileModel,
    HistGradientBoosting.name: HistGradientBoosting,
    RandomForest.name: RandomForest,
    Ensemble.name: Ensemble,
}


def find_candidate(name: str, settings: CandidateSettings | None = None) -> Candidate:
    """The candidate of that name, with a catalogue's settings or its own defaults.

    Raises:
        ConfigError: there is none.
    """
    if name not in CANDIDATES:
        raise ConfigError(f"no candidate {name!r}; there are {', '.join(CANDIDATES)}")
    given = getattr(settings, name, None)
    return CANDIDATES[name](**(dict(given) if given is not None else {}))


def fit_candidate(name: str, panel: Panel, settings: CandidateSettings | None = None) -> Fitted:
    """Fit the candidate of that name to a panel.

    Raises:
        ConfigError: there is no such candidate.
    """
    return find_candidate(name, settings).fit(panel)


def restore(artifact: Mapping[str, Any]) -> Fitted:
    """The fitted model that an artifact holds.

    Raises:
        ArtifactError: its format or kind is not known.
    """
    return Fitted.from_artifact(artifact)
