"""How a forecast comes about: which components are shown, what is said of each, and a sentence for the planner.

Components come in as ``fleet.components`` writes them, all stores together. Drawing does not belong here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd

from include.skufleet.fleet.report.words import number, times

SLIGHT = 0.015
"""A ratio that is never further from 1 than this is not shown."""
ALIKE = 0.01
"""Ratios that differ by less than this, relative, are said to be the same."""
MOST_EVENTS = 4
MOST_STRETCHES = 3
MOST_SAID = 5
EVENTS = "events"
OTHERS = "other members"
SPEAKS_FOR_ITSELF = ("weekday", EVENTS, "closed")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


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
        """How far it moves the forecast at most, as a logarithm; a ratio of zero counts as a half."""
        return float(np.abs(np.log(self.ratios.where(self.ratios > 0, 0.5).to_numpy(dtype=float))).max())

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
        effects.append(Effect(OTHERS, ratios, _say(OTHERS, ratios, "effect", days)))
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
            effects.append(Effect(name, table[name], _say(name, table[name], kinds[name], days)))
        elif name == events[0]:
            effects.append(Effect(EVENTS, table[events].prod(axis=1), _say_events(table[events], days)))
    return effects


def _say(name: str, ratios: pd.Series, kind: str, days: int) -> str:
    """What a component does."""
    if kind == "closed":
        return f"closed on {say_dates(_dates(ratios[ratios == 0]), days)}"
    if name == "weekday":
        return _say_weekdays(ratios)
    stretches = _find_stretches(ratios)
    if len(stretches) == 1:
        return f"{times(float(ratios.mean()))} throughout"
    felt = [part for part in stretches if abs(float(part.mean()) - 1) > SLIGHT]
    if len(stretches) <= 2 * MOST_STRETCHES and 0 < len(felt) <= MOST_STRETCHES:
        return ", ".join(f"{times(float(part.mean()))} {_when(part, ratios, days)}" for part in felt)
    moved = ratios[(ratios - 1).abs() > SLIGHT]
    if len(moved) and len(moved) < len(ratios) and moved.max() <= moved.min() * (1 + 2 * ALIKE):
        return f"{times(float(moved.mean()))} on {say_dates(_dates(moved), days)}"
    dates, values = _dates(ratios), ratios.to_numpy(dtype=float)
    low, high = int(values.argmin()), int(values.argmax())
    return f"from {times(values[low])} ({_day(dates[low])}) to {times(values[high])} ({_day(dates[high])})"


def _find_stretches(ratios: pd.Series) -> list[pd.Series]:
    """The dates cut where the ratio has moved by more than ``ALIKE`` since the last cut."""
    cuts, first = [0], float(ratios.iloc[0])
    for row, value in enumerate(ratios):
        if abs(value - first) > ALIKE * max(value, first):
            cuts.append(row)
            first = float(value)
    return [ratios.iloc[start:end] for start, end in pairwise([*cuts, len(ratios)])]


def _when(part: pd.Series, whole: pd.Series, days: int) -> str:
    """From when to when a stretch lasts; its open end is not named."""
    first, last = _dates(part)[0], _dates(part)[-1]
    if part.index[0] == whole.index[0]:
        return f"until {_day(last)}"
    return f"from {_day(first)} on" if part.index[-1] == whole.index[-1] else f"on {say_dates(_dates(part), days)}"


def _say_weekdays(ratios: pd.Series) -> str:
    """The best and the worst weekday beside an average day."""
    sold = ratios[ratios > 0]
    days = pd.DatetimeIndex(sold.index).day_of_week
    means = {name: float(sold[days == day].mean()) for day, name in enumerate(WEEKDAYS) if (days == day).any()}
    beside = {name: value * len(means) / sum(means.values()) for name, value in means.items()}
    if not beside or max(beside.values()) - min(beside.values()) < 0.03:
        return "all weekdays sell alike"
    high, low = max(beside, key=lambda name: beside[name]), min(beside, key=lambda name: beside[name])
    return f"{high}s sell {beside[high]:.2g}\u00a0× an average day, {low}s {beside[low]:.2g}\u00a0×"


def _say_events(table: pd.DataFrame, days: int) -> str:
    """The events that move the forecast most, each with its date."""
    felt = {str(name): ratios[(ratios - 1).abs() > SLIGHT] for name, ratios in table.items()}
    strongest = {name: max(moved, key=lambda ratio: abs(ratio - 1)) for name, moved in felt.items() if len(moved)}
    names = sorted(strongest, key=lambda name: -abs(strongest[name] - 1))
    said = [f"{name} ({say_dates(_dates(felt[name]), days)}) {times(strongest[name])}" for name in names[:MOST_EVENTS]]
    if not said:
        return "none in this horizon that moves sales"
    more = len(names) - MOST_EVENTS
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def say_sentence(build: BuildUp, period: str) -> str:
    """One sentence on how the forecasts come about, with the strongest effects.

    Args:
        build: the components.
        period: a period in words, in the singular.
    """
    start = f"Starting from {number(float(build.base.mean()))} units a {period} ({build.base_name})"
    strongest = sorted((*build.shown, *build.constant), key=lambda effect: -effect.strength)[:MOST_SAID]
    said = [effect.says if effect.name in SPEAKS_FOR_ITSELF else f"{effect.name} {effect.says}" for effect in strongest]
    return f"{start}: {'; '.join(said)}." if said else f"{start}, the same for every {period}."


def say_dates(dates: Sequence[date], days: int) -> str:
    """Dates in words: a day, a stretch of days, or how many.

    >>> say_dates([date(2026, 4, 3), date(2026, 4, 4), date(2026, 4, 5)], 1)
    '3 to 5 Apr'
    >>> say_dates([date(2026, 4, 3), date(2026, 4, 10)], 1), say_dates([date(2026, 4, 28), date(2026, 5, 1)], 1)
    ('3 and 10 Apr', '28 Apr and 1 May')
    """
    if not dates:
        return "no date"
    if len(dates) > 1 and all((after - before).days == days for before, after in pairwise(dates)):
        return _join(dates[0], dates[-1], " to ")
    if len(dates) == 1:
        return _day(dates[0])
    if len(dates) == 2:
        return _join(dates[0], dates[1], " and ")
    return f"{len(dates)} {'days' if days == 1 else 'weeks'}"


def _join(first: date, last: date, word: str) -> str:
    same = (first.year, first.month) == (last.year, last.month)
    return f"{first.day if same else _day(first)}{word}{_day(last)}"


def _day(when: date) -> str:
    return f"{when.day} {when:%b}"


def _dates(ratios: pd.Series) -> list[date]:
    return [stamp.date() for stamp in pd.DatetimeIndex(ratios.index)]
