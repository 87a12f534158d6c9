"""What the gate of a SKU is asked, from its backtest, its version in production and its trial. No I/O."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd

from include.skufleet.config import BASELINE, Catalogue
from include.skufleet.forecasting.backtest import Backtest, sum_losses
from include.skufleet.forecasting.candidates import CANDIDATES
from include.skufleet.forecasting.panel import Panel
from include.skufleet.forecasting.selection import ENSEMBLE, UNKNOWN, squares_errors
from include.skufleet.lifecycle.evidence import Evidence, sum_blocks, weigh
from include.skufleet.lifecycle.gate import Choice, Contender, Match, choose_recipe
from include.skufleet.lifecycle.trials import Standing, compare_trial, is_canary


@dataclass(frozen=True)
class Ring:
    """What a SKU's challenger meets.

    Attributes:
        as_of: the run's date.
        champion: the version in production, as ``RegisteredVersion`` in JSON; ``None`` without one.
        trial: rows of the SKU's open trial (``lifecycle.trials.COLUMNS``); empty without one.
        verdicts: recipe -> whether it did no worse in the canaries.
    """

    as_of: date
    champion: Mapping[str, Any] | None = None
    trial: pd.DataFrame = field(default_factory=pd.DataFrame)
    verdicts: Mapping[str, bool] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """Production's recipe; empty where nothing trained is in production."""
        return str(self.champion["candidate"]) if self.champion and self.champion["outcome"] == "trained" else ""

    @property
    def since(self) -> date | None:
        """The day on which it replaced another; ``None`` where it is the SKU's first, or that is not known."""
        text = (self.champion or {}).get("recipe_since") or ""
        return date.fromisoformat(text) if self.recipe and text else None

    @property
    def asked(self) -> tuple[str, ...]:
        """Recipes that must be backtested, whatever they cost: production's first."""
        named = [self.recipe, *(str(self.trial[name].iloc[0]) for name in ("recipe", "rival") if len(self.trial))]
        return tuple(dict.fromkeys(name for name in named if name in CANDIDATES or name == ENSEMBLE))


class SkuGate:
    """Asks the gate once, when the backtest is made; keeps what it said.

    Attributes:
        choice: what it said; ``None`` before.
        match: what it was asked.
    """

    def __init__(self, panel: Panel, catalogue: Catalogue, ring: Ring) -> None:
        self.panel, self.catalogue, self.ring = panel, catalogue, ring
        self.choice: Choice | None = None
        self.match: Match | None = None

    def settle(self, backtest: Backtest, chosen: str, handicaps: Mapping[str, float], refused: Collection[str]) -> str:
        """The recipe that is refit and serves: the run's choice, or production's. See ``evaluate``'s ``settle``."""
        self.match = self._describe(backtest, chosen, handicaps, refused)
        self.choice = choose_recipe(self.match, self.catalogue.gate)
        return self.choice.recipe

    def _describe(
        self, backtest: Backtest, chosen: str, handicaps: Mapping[str, float], refused: Collection[str]
    ) -> Match:
        metric, recipe = self.catalogue.backtest.metric, self.ring.recipe
        known = recipe in backtest.forecasts
        baseline = backtest.scores.get(BASELINE)
        return Match(
            metric=metric,
            challenger=_contend(backtest, chosen, metric),
            production=recipe,
            champion=_contend(backtest, recipe, metric) if known else None,
            baseline=math.nan if baseline is None else float(getattr(baseline, metric)),
            refused=frozenset(refused),
            evidence=_weigh(backtest, chosen, recipe, handicaps, squared=squares_errors(metric)) if known else None,
            windows=len(backtest.cutoffs),
            offered=recipe in self.catalogue.candidates,
            since=self.ring.since,
            as_of=self.ring.as_of,
            trial=self._stand(backtest),
        )

    def _stand(self, backtest: Backtest) -> Standing:
        canary = is_canary(self.panel.sku, self.catalogue.gate.canary_share)
        trial, possible = self.ring.trial, frozenset(backtest.forecasts)
        if trial.empty:
            return Standing(canary=canary, verdicts=self.ring.verdicts, possible=possible)
        first = trial.iloc[0]
        error, rival_error, periods = compare_trial(trial, list_actuals(self.panel))
        return Standing(
            kind=cast("Any", str(first["kind"])),
            recipe=str(first["recipe"]),
            rival=str(first["rival"]),
            elapsed=(self.ring.as_of - date.fromisoformat(str(first["since"]))).days,
            error=error,
            rival_error=rival_error,
            periods=periods,
            canary=canary,
            verdicts=self.ring.verdicts,
            possible=possible,
        )


def list_actuals(panel: Panel) -> pd.DataFrame:
    """``store, date, units`` of a panel, NaN where not known."""
    periods = len(panel.dates)
    return pd.DataFrame(
        {
            "store": np.repeat(list(panel.stores), periods),
            "date": np.tile(panel.dates.astype("datetime64[s]"), len(panel.stores)),
            "units": panel.units.reshape(-1),
        }
    )


def _contend(backtest: Backtest, recipe: str, metric: str) -> Contender:
    scores = backtest.scores[recipe]
    return Contender(recipe, float(getattr(scores, metric)), scores.signed_error, scores.units)


def _weigh(
    backtest: Backtest, challenger: str, champion: str, handicaps: Mapping[str, float], *, squared: bool
) -> Evidence:
    """What losses by stretch of days, over all stores, and what is known of the recipes say."""
    y = np.swapaxes(backtest.y, 1, 2)  # so that the sum over the last axis is one over stores
    sums = {
        name: sum_blocks(sum_losses(y, np.swapaxes(backtest.forecasts[name], 1, 2), squared=squared))
        for name in {challenger, champion}
    }
    prior = handicaps.get(challenger, UNKNOWN) - handicaps.get(champion, UNKNOWN)
    return weigh(sums[challenger], sums[champion], prior, squared=squared)
