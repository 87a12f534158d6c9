"""The gate of one SKU: whether another recipe takes over from the one in production. Pure: figures in, a choice out.

A recipe (the candidate that was chosen) and its refit on newer days are two questions. Production's own recipe is refit
on all data in every run; that needs no proof, for nothing speaks for the older fit. Another recipe must be better by
more than luck, and a recipe that has just come stays a while. Where the gate says no, production's recipe is refit: no
challenger that waits leaves an old model serving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Literal

from include.skufleet.config import Gate
from include.skufleet.lifecycle.evidence import Evidence
from include.skufleet.lifecycle.trials import Standing

Rule = Literal[
    "first",
    "refresh",
    "better",
    "retired",
    "unmeasured",
    "gain",
    "luck",
    "hold",
    "windows",
    "bias",
    "shadow",
    "canary",
    "guard",
]
"""Which rule chose. ``better`` and ``retired`` let another recipe take over; ``shadow`` and ``canary`` may."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One recipe on the run's windows.

    Attributes:
        recipe: the candidate's name.
        metric: its error by the catalogue's metric, smaller is better; NaN where it could not be measured.
        signed_error: sum of forecast minus actual, in units.
        units: sum of the actuals.
    """

    recipe: str
    metric: float
    signed_error: float
    units: float

    @property
    def bias(self) -> float:
        """Relative to what was sold; NaN where nothing was."""
        return self.signed_error / self.units if self.units > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Match:
    """What the gate looks at.

    Attributes:
        metric: the metric's name, for the sentences.
        challenger: what the run would choose.
        production: the recipe in production; empty where nothing trained is.
        champion: production's recipe on the same windows; ``None`` where there is none, or it failed on them.
        baseline: the seasonal naive's metric, NaN where it was not measured.
        refused: recipes that are worse than the seasonal naive by more than noise and the catalogue's tolerance.
        evidence: the challenger's losses against the champion's, ``None`` without a champion.
        windows: how many there are.
        offered: whether production's recipe is still among the catalogue's candidates.
        since: the day on which production's recipe replaced another; ``None``: it is the SKU's first.
        as_of: the run's date.
        trial: how the SKU's shadow or canary stands, and what the canaries of others showed.
    """

    metric: str
    challenger: Contender
    production: str
    champion: Contender | None
    baseline: float
    refused: frozenset[str]
    evidence: Evidence | None
    windows: int
    offered: bool
    since: date | None
    as_of: date
    trial: Standing


@dataclass(frozen=True, slots=True)
class Choice:
    """What the gate says.

    Attributes:
        recipe: the one to refit and to let serve.
        rule: which rule decided.
        reason: one sentence with the figures.
        changed: the recipe is another than production's.
        start: the trial that begins: ``shadow``, ``canary`` or nothing.
        ends: the SKU's trial is over.
    """

    recipe: str
    rule: Rule
    reason: str
    changed: bool = False
    start: Literal["", "shadow", "canary"] = ""
    ends: bool = False


def choose_recipe(match: Match, gate: Gate) -> Choice:
    """Which recipe is refit and serves.

    ``dry_run`` and ``disabled`` let every challenger through; the former says what would have been held back.
    """
    if match.champion is None or not match.offered:
        return _without_rival(match)
    choice = _enforce(match, match.champion, gate)
    if gate.mode == "enabled" or choice.recipe == match.challenger.recipe:
        return choice
    told = f" Dry run of the gate: it would have been held back. {choice.reason}" if gate.mode == "dry_run" else ""
    reason = f"{_name(match, match.challenger)}: the gate is {_MODES[gate.mode]}.{told}"
    return Choice(match.challenger.recipe, "better", reason, changed=True, ends=bool(match.trial.recipe))


_MODES = {"dry_run": "not enforced", "disabled": "disabled"}


def _without_rival(match: Match) -> Choice:
    own, recipe = _name(match, match.challenger), match.challenger.recipe
    if match.production == "":
        return Choice(recipe, "first", f"{own}; nothing trained was in production.")
    why = "failed on these windows" if match.offered else "is no longer a candidate of the catalogue"
    return Choice(recipe, "retired", f"{own}; production's {match.production} {why}.", changed=True)


def _enforce(match: Match, champion: Contender, gate: Gate) -> Choice:
    if match.trial.recipe:
        return _go_on(match, champion, gate)
    if match.challenger.recipe == champion.recipe:
        return Choice(
            champion.recipe, "refresh", f"{_name(match, champion)}: production's recipe, refit on newer days."
        )
    refusal = _refuse(match, champion, gate)
    if refusal is not None:
        return refusal
    return _let_through(match, champion, gate)


def _let_through(match: Match, champion: Contender, gate: Gate) -> Choice:
    """The challenger passes: it takes over at once, or begins its trial, or waits for the canaries."""
    passed, recipe = _name_pair(match, champion), match.challenger.recipe
    if gate.shadow_days:
        reason = f"{passed}; its forecasts are written beside production's for {gate.shadow_days} days."
        return Choice(champion.recipe, "shadow", reason, start="shadow")
    cleared = match.trial.verdicts.get(recipe)
    if gate.canary_share and cleared is False:
        return Choice(champion.recipe, "canary", f"{passed}; in the canaries it did worse than production's recipe.")
    if gate.canary_share and cleared is None:
        if not match.trial.canary:
            return Choice(champion.recipe, "canary", f"{passed}; it is tried in the canaries first.")
        reason = f"{passed}; this SKU is a canary for {gate.canary_days} days."
        return Choice(recipe, "better", reason, changed=True, start="canary")
    return Choice(recipe, "better", f"{passed}.", changed=True)


def _refuse(match: Match, champion: Contender, gate: Gate) -> Choice | None:
    """Why production's recipe stays; ``None`` where the challenger passes."""

    def keep(rule: Rule, why: str) -> Choice:
        return Choice(champion.recipe, rule, f"{_name_pair(match, champion)}: {why}.")

    challenger, evidence = match.challenger, match.evidence
    if evidence is None or not (math.isfinite(challenger.metric) and math.isfinite(champion.metric)):
        return keep("unmeasured", "they could not be compared")
    if champion.recipe in match.refused and challenger.recipe not in match.refused:
        return None  # production's recipe would not be let in today
    if match.windows < gate.min_windows:
        return keep("windows", f"{match.windows} backtest window(s), {gate.min_windows} must speak for another recipe")
    if match.since is not None and (match.as_of - match.since).days < gate.hold_days:
        return keep("hold", f"production's recipe came on {match.since} and stays for {gate.hold_days} days")
    if not evidence.gain >= gate.min_gain:
        return keep("gain", f"{_expect(evidence)}, a gain of {100 * gate.min_gain:g} % is asked for")
    if evidence.probability < gate.min_probability:
        why = f"it may be luck: better with a probability of {evidence.probability:.0%}"
        return keep("luck", f"{why}, {gate.min_probability:.0%} is asked for")
    if abs(challenger.bias) > max(gate.max_bias, abs(champion.bias)):
        return keep("bias", f"its bias is {challenger.bias:+.0%}, production's recipe's {champion.bias:+.0%}")
    return None


def _go_on(match: Match, champion: Contender, gate: Gate) -> Choice:
    """A SKU in a trial: it goes on until its days are over; then what was sold since decides."""
    trial = match.trial
    days = gate.shadow_days if trial.kind == "shadow" else gate.canary_days
    rule: Rule = "shadow" if trial.kind == "shadow" else "canary"
    if trial.elapsed < days:
        reason = f"{trial.recipe} has been in its {trial.kind} for {trial.elapsed} of {days} days."
        return Choice(champion.recipe, rule, reason)
    figures = (
        f"{trial.recipe} was off by {trial.error:.4g} units where {trial.rival} was by {trial.rival_error:.4g}, over "
        f"{trial.periods} periods of its {trial.kind}"
    )
    if trial.kind == "shadow":
        won: bool | None = trial.periods > 0 and trial.error <= trial.rival_error
    else:  # one canary says little: all of them decide, for themselves and for the others
        won = trial.verdicts.get(trial.recipe)
        figures = f"{trial.recipe} did {'no worse' if won else 'worse'} in all canaries; here {figures}"
    if won is None:
        return Choice(champion.recipe, rule, f"{trial.recipe} has been in its canary for {trial.elapsed} days.")
    winner = trial.recipe if won else trial.rival
    if winner not in trial.possible:
        return Choice(champion.recipe, rule, f"{figures}; {winner} failed on the windows of today.", ends=True)
    return Choice(winner, rule, f"{figures}: {winner} serves.", changed=winner != champion.recipe, ends=True)


def _expect(evidence: Evidence) -> str:
    """What is to be expected, in words."""
    return f"on windows to come it is expected to be {abs(evidence.gain):.1%} {_better(evidence.gain)}"


def _better(gain: float) -> str:
    return "better" if gain >= 0 else "worse"


def _name(match: Match, contender: Contender) -> str:
    return f"{contender.recipe}: {match.metric} {contender.metric:.4g}"


def _name_pair(match: Match, champion: Contender) -> str:
    gain = match.evidence.seen if match.evidence else math.nan
    better = f", {abs(gain):.1%} {_better(gain)}" if math.isfinite(gain) else ""
    return f"{_name(match, match.challenger)} against {champion.metric:.4g} of production's {champion.recipe}{better}"
