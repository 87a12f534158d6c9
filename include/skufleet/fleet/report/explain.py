"""How a forecast comes about: which components are shown, what is said of each, and a sentence for the planner.

Components come in as ``fleet.components`` writes them, all stores together. Drawing does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.skufleet.fleet.report.sayings import ALIKE, SLIGHT, say_effect, say_events
from include.skufleet.fleet.report.words import number

MOST_SAID = 5
EVENTS = "events"
OTHERS = "other members"
SPEAKS_FOR_ITSELF = ("weekday", EVENTS, "closed")


@dataclass(frozen=True)
class Effect:
    """One component of a forecast, or all events together.

    Attributes:
        name: as the model calls it.
        ratios: by date: how it multiplies the forecast of all stores together.
        says: what it does, in a few words.
    """

    name: str
    ratios: pd.Series
    says: str

    @property
    def varies(self) -> bool:
        """Whether it moves the forecasts of some dates differently from others."""
        return bool(self.ratios.max() > self.ratios.min() * (1 + ALIKE))

    @property
    def strength(self) -> float:
        """How far it moves the forecast at most, as a logarithm; a closed day does not count."""
        return float(np.abs(np.log(self.ratios.where(self.ratios > 0, 1.0).to_numpy(dtype=float))).max())

    @property
    def matters(self) -> bool:
        """Whether it moves any forecast by more than ``SLIGHT``."""
        return bool((self.ratios - 1).abs().max() > SLIGHT)


@dataclass(frozen=True)
class BuildUp:
    """How the forecasts of one SKU come about.

    Attributes:
        sku: its code.
        base_name: what the model calls the component in units.
        base: that component, units by date.
        forecast: units by date: the base times all effects.
        shown: the effects that differ from date to date.
        constant: the effects that are the same on every date.
        slight: names of those that are too slight to be shown.
        members: an ensemble's members with their shares, the heaviest first; the effects are those of ``model``, one of
            them, and what the others make of its forecast.
        model: the kind of model whose components these are.
    """

    sku: str
    base_name: str
    base: pd.Series
    forecast: pd.Series
    shown: tuple[Effect, ...]
    constant: tuple[Effect, ...]
    slight: tuple[str, ...]
    members: tuple[tuple[str, float], ...]
    model: str


def build_up(explanation: pd.DataFrame, days: int) -> BuildUp:
    """Sort one SKU's components into what is shown and what is only said.

    Args:
        explanation: ``sku, model, date, component, kind, value`` of one SKU, see ``fleet.components.explain``.
        days: days in a period, 1 or 7.
    """
    dated = explanation.assign(date=pd.to_datetime(explanation["date"]))
    parts = dated[dated["model"] != "ensemble"]
    names = [str(name) for name in dict.fromkeys(parts["component"])]
    kinds = dict(zip(parts["component"], parts["kind"], strict=True))
    table = parts.pivot_table("value", "date", "component", sort=False)[names].sort_index()
    effects = _describe_effects(table[names[1:]], kinds, days)
    weights = dated[dated["kind"] == "weight"].drop_duplicates("component")
    members = tuple((str(row.component), float(str(row.value))) for row in weights.itertuples())
    model, forecast = str(parts["model"].iloc[0]), table.prod(axis=1)
    if members:
        mixed = _mix(dated, dict(members))
        ratios = (mixed / forecast.where(forecast > 0)).fillna(1.0)
        effects.append(Effect(OTHERS, ratios, say_effect(OTHERS, ratios, "effect", days)))
        forecast = mixed
    return BuildUp(
        sku=str(explanation["sku"].iloc[0]),
        base_name=names[0],
        base=table[names[0]],
        forecast=forecast,
        shown=tuple(effect for effect in effects if effect.matters and effect.varies),
        constant=tuple(effect for effect in effects if effect.matters and not effect.varies),
        slight=tuple(effect.name for effect in effects if not effect.matters),
        members=members,
        model=model,
    )


def _mix(dated: pd.DataFrame, weights: dict[str, float]) -> pd.Series:
    """An ensemble's forecast by date: the weighted sum of its members'."""
    forecasts = dated[dated["kind"] == "member"]
    weighted = forecasts["value"] * forecasts["component"].map(weights)
    total: pd.Series = weighted.groupby(forecasts["date"]).sum()
    return total


def _describe_effects(table: pd.DataFrame, kinds: dict[str, str], days: int) -> list[Effect]:
    """The effects in the model's order, all events as one at the place of the first."""
    names = [str(name) for name in table.columns]
    events = [name for name in names if kinds[name] == "event"]
    effects = []
    for name in names:
        if name not in events:
            effects.append(Effect(name, table[name], say_effect(name, table[name], kinds[name], days)))
        elif name == events[0]:
            effects.append(Effect(EVENTS, table[events].prod(axis=1), say_events(table[events], days)))
    return effects


def say_sentence(build: BuildUp, period: str) -> str:
    """One sentence on how the forecasts come about, with the strongest effects.

    Args:
        build: the components.
        period: a period in words, in the singular.
    """
    start = f"Starting from {number(float(build.base.mean()))} units ({build.base_name})"
    strongest = sorted((*build.shown, *build.constant), key=lambda effect: -effect.strength)[:MOST_SAID]
    said = [effect.says if effect.name in SPEAKS_FOR_ITSELF else f"{effect.name} {effect.says}" for effect in strongest]
    return f"{start}: {'; '.join(said)}." if said else f"{start}, on every {period} the same."
