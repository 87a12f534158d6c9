"""Settings of the candidates: one record per candidate that has any, under the catalogue file's key ``settings``.

Every default is the candidate's own. What does not belong here: which candidates are tried (``catalogue``), what a
setting does to a fit (the candidate's docstring).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from include.skufleet.config.base import Model, Share

Weight = Annotated[float, Field(gt=0, le=1)]
HalfLives = Annotated[tuple[Annotated[float, Field(gt=0, le=10_000)], ...], Field(min_length=1, max_length=12)]
Weights = Annotated[tuple[Weight, ...], Field(min_length=1, max_length=12)]


class WeekdayMeanSettings(Model):
    """``seasons``: how many of the last seasons are averaged."""

    seasons: Annotated[int, Field(ge=1, le=520)] = 8


class SmoothingSettings(Model):
    """``half_lives``: periods after which a sale counts half, several of which are averaged; by frequency if null."""

    half_lives: HalfLives | None = None


class TsbSettings(Model):
    """Smoothing weights that are averaged: ``alphas`` for the size of a sale, ``betas`` for its probability."""

    alphas: Weights = (0.05, 0.15)
    betas: Weights = (0.01, 0.03, 0.1)


class RegressionSettings(Model):
    """``guard``: multiple of the largest sale that no forecast exceeds; ``ridge``: factor on all penalties."""

    guard: Annotated[float, Field(ge=1, le=1000)] = 3.0
    ridge: Annotated[float, Field(gt=0, le=1e6)] = 1.0


class BoostingSettings(Model):
    """``trees`` of at most ``leaves`` each, by ``learning_rate``; ``ridge``: pseudo-units on each leaf; ``guard``."""

    trees: Annotated[int, Field(ge=1, le=500)] = 10
    leaves: Annotated[int, Field(ge=2, le=64)] = 6
    learning_rate: Weight = 0.2
    ridge: Annotated[float, Field(ge=0, le=1e9)] = 300.0
    guard: Annotated[float, Field(ge=1, le=1000)] = 3.0


class ForestSettings(Model):
    """``trees`` of at most ``depth`` each, at least ``leaf_units`` expected units to a leaf; ``guard``."""

    trees: Annotated[int, Field(ge=1, le=500)] = 12
    depth: Annotated[int, Field(ge=1, le=16)] = 5
    leaf_units: Annotated[float, Field(ge=0, le=1e9)] = 200.0
    guard: Annotated[float, Field(ge=1, le=1000)] = 3.0


class ProfileSettings(Model):
    """How the profile model is held back where the data say little.

    Attributes:
        half_lives: periods after which a sale counts half in the level, several of which are averaged; by frequency if
            null.
        ridge: factor on all penalties of the calendar's effects.
        store_pseudo_units: expected units with which a store's own weekdays and flags are held at the common ones.
        elasticity: price elasticity of demand before the data are seen.
        elasticity_weight: units with which it is held there.
        pooling: share of the department's calendar effects at which those of a SKU are held; 0 at none.
        guard: multiple of a store's largest sale that no forecast exceeds.
    """

    half_lives: HalfLives | None = None
    ridge: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    store_pseudo_units: Annotated[float, Field(gt=0, le=1e9)] = 25.0
    elasticity: Annotated[float, Field(ge=-6, le=1)] = -1.0
    elasticity_weight: Annotated[float, Field(gt=0, le=1e9)] = 5.0
    pooling: Share = 0.5
    guard: Annotated[float, Field(ge=1, le=1000)] = 3.0


class CandidateSettings(Model):
    """Settings by candidate; one that is not named keeps its defaults."""

    weekday_mean: WeekdayMeanSettings = WeekdayMeanSettings()
    exponential_smoothing: SmoothingSettings = SmoothingSettings()
    theta: SmoothingSettings = SmoothingSettings()
    tsb: TsbSettings = TsbSettings()
    poisson_regression: RegressionSettings = RegressionSettings()
    profile: ProfileSettings = ProfileSettings()
    hist_gradient_boosting: BoostingSettings = BoostingSettings()
    random_forest: ForestSettings = ForestSettings()
