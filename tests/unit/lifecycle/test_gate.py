from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.config import Gate
from include.skufleet.lifecycle.evidence import Evidence
from include.skufleet.lifecycle.gate import Contender, Match, choose_recipe
from include.skufleet.lifecycle.trials import Standing

AS_OF = date(2026, 3, 31)
GATE = Gate()
LONG_AGO = AS_OF - timedelta(days=100)


def contender(recipe: str, metric: float, bias: float = 0.0) -> Contender:
    return Contender(recipe, metric, 100 * bias, 100.0)


def match(challenger: float = 0.8, champion: float | None = 1.0, probability: float = 0.99, **changes: Any) -> Match:
    """A challenger ``tsb`` that beats ``theta`` by a fifth, beyond luck."""
    known, gain = champion is not None, 1 - challenger / champion if champion else 0.0
    values: dict[str, Any] = {
        "metric": "rmsse",
        "challenger": contender("tsb", challenger),
        "production": "theta" if known else "",
        "champion": contender("theta", champion) if champion is not None else None,
        "baseline": 1.2,
        "refused": frozenset(),
        "evidence": Evidence(gain, gain, probability, 12) if champion else None,
        "windows": 3,
        "offered": True,
        "since": LONG_AGO,
        "as_of": AS_OF,
        "trial": Standing(possible=frozenset({"tsb", "theta"})),
    }
    return Match(**values | changes)


def test_a_challenger_that_is_better_by_more_than_luck_takes_over() -> None:
    choice = choose_recipe(match(), GATE)
    assert (choice.recipe, choice.rule, choice.changed, choice.start) == ("tsb", "better", True, "")
    assert choice.reason == "tsb: rmsse 0.8 against 1 of production's theta, 20.0% better."


@pytest.mark.parametrize(
    ("changes", "rule", "says"),
    [
        ({"challenger": 0.996}, "gain", "expected to be 0.4% better, a gain of 0.5 % is asked for"),
        ({"challenger": 1.01}, "gain", "1.0% worse"),
        ({"probability": 0.6}, "luck", "it may be luck: better with a probability of 60%, 75% is asked for"),
        ({"since": AS_OF - timedelta(days=3)}, "hold", "production's recipe came on 2026-03-28 and stays for 7 days"),
        ({"windows": 1}, "windows", "1 backtest window(s), 2 must speak"),
        ({"evidence": None}, "unmeasured", "they could not be compared"),
        ({"challenger": math.nan}, "unmeasured", "they could not be compared"),
    ],
)
def test_otherwise_productions_recipe_is_refit_and_the_reason_says_why(
    changes: dict[str, Any], rule: str, says: str
) -> None:
    choice = choose_recipe(match(**changes), GATE)
    assert (choice.recipe, choice.rule, choice.changed) == ("theta", rule, False)
    assert says in choice.reason


def test_a_bias_beyond_the_limit_is_refused_unless_productions_is_no_better() -> None:
    biased = replace(match(), challenger=contender("tsb", 0.8, bias=-1.2))
    assert choose_recipe(biased, GATE).rule == "bias"
    both = replace(biased, champion=contender("theta", 1.0, bias=1.3))
    assert choose_recipe(both, GATE).rule == "better"


def test_the_same_recipe_needs_no_proof() -> None:
    same = match(champion=1.0, challenger=1.0)
    choice = choose_recipe(replace(same, challenger=contender("theta", 1.0), windows=1, since=AS_OF), GATE)
    assert (choice.recipe, choice.rule, choice.changed) == ("theta", "refresh", False)


def test_nothing_in_production_or_what_cannot_be_used_gives_way_at_once() -> None:
    first = choose_recipe(match(champion=None), GATE)
    assert (first.rule, first.changed) == ("first", False)
    assert "nothing trained was in production" in first.reason
    failed = choose_recipe(match(champion=None, production="theta"), GATE)
    assert (failed.rule, failed.changed) == ("retired", True)
    assert "production's theta failed on these windows" in failed.reason
    gone = choose_recipe(match(offered=False), GATE)
    assert "production's theta is no longer a candidate" in gone.reason


def test_what_would_not_be_let_in_today_gives_way_without_proof() -> None:
    close = match(challenger=1.19, champion=1.21, probability=0.5, since=AS_OF)
    assert choose_recipe(close, GATE).recipe == "theta"
    assert choose_recipe(replace(close, refused=frozenset({"theta"})), GATE).recipe == "tsb"
    assert choose_recipe(replace(close, refused=frozenset({"theta", "tsb"})), GATE).recipe == "theta"


@pytest.mark.parametrize(("mode", "told"), [("dry_run", True), ("disabled", False)])
def test_a_gate_that_is_not_enforced_lets_all_through(mode: Any, told: bool) -> None:
    choice = choose_recipe(match(probability=0.4), Gate(mode=mode))
    assert (choice.recipe, choice.changed) == ("tsb", True)
    assert ("it would have been held back" in choice.reason) is told


def test_a_gate_that_is_not_enforced_ends_what_is_on_trial() -> None:
    assert choose_recipe(on_trial("shadow", 3), Gate(mode="disabled", shadow_days=7)).ends


# --- shadow and canary


def on_trial(kind: Any, elapsed: int, error: float = 5.0, rival_error: float = 6.0, **changes: Any) -> Match:
    possible = frozenset({"tsb", "theta"})
    standing = Standing(kind, "tsb", "theta", elapsed, error, rival_error, 7, possible=possible, **changes)
    return match(trial=standing)


def test_a_shadow_begins_runs_its_days_and_is_judged_by_what_was_sold() -> None:
    gate = Gate(shadow_days=7)
    begun = choose_recipe(match(), gate)
    assert (begun.recipe, begun.rule, begun.start, begun.changed) == ("theta", "shadow", "shadow", False)
    still = choose_recipe(on_trial("shadow", 3), gate)
    assert (still.recipe, still.ends) == ("theta", False)
    assert "3 of 7 days" in still.reason
    won = choose_recipe(on_trial("shadow", 7), gate)
    assert (won.recipe, won.changed, won.ends) == ("tsb", True, True)
    assert "tsb was off by 5 units where theta was by 6" in won.reason
    lost = choose_recipe(on_trial("shadow", 7, error=6.5), gate)
    assert (lost.recipe, lost.changed, lost.ends) == ("theta", False, True)
    gone = on_trial("shadow", 9)
    gone = replace(gone, trial=replace(gone.trial, possible=frozenset({"theta"})))
    assert (choose_recipe(gone, gate).recipe, choose_recipe(gone, gate).ends) == ("theta", True)


def test_canaries_go_first_and_the_rest_only_where_they_were_no_worse() -> None:
    gate = Gate(canary_share=0.1)
    waits = choose_recipe(match(), gate)
    assert (waits.recipe, waits.rule, waits.start) == ("theta", "canary", "")
    canary = choose_recipe(match(trial=Standing(canary=True)), gate)
    assert (canary.recipe, canary.changed, canary.start) == ("tsb", True, "canary")
    cleared = choose_recipe(match(trial=Standing(verdicts={"tsb": True})), gate)
    assert (cleared.recipe, cleared.rule, cleared.start) == ("tsb", "better", "")
    refused = choose_recipe(match(trial=Standing(canary=True, verdicts={"tsb": False})), gate)
    assert (refused.recipe, refused.rule) == ("theta", "canary")


def test_a_canary_stays_or_goes_back_by_what_all_canaries_showed() -> None:
    gate = Gate(canary_share=0.1)

    def serving(verdicts: dict[str, bool], elapsed: int = 8) -> Match:
        found = on_trial("canary", elapsed, verdicts=verdicts)
        return replace(found, production="tsb", champion=contender("tsb", 1.0))

    assert not choose_recipe(serving({}, 3), gate).ends
    assert not choose_recipe(serving({}), gate).ends, "its days are over, but nobody has added them up yet"
    stays = choose_recipe(serving({"tsb": True}), gate)
    assert (stays.recipe, stays.changed, stays.ends) == ("tsb", False, True)
    back = choose_recipe(serving({"tsb": False}), gate)
    assert (back.recipe, back.changed, back.ends) == ("theta", True, True)


# --- properties

numbers = st.floats(0.01, 10)
gates = st.builds(
    Gate, min_gain=st.floats(0, 0.5), min_probability=st.floats(0, 1), hold_days=st.integers(0, 60),
)  # fmt: skip
matches = st.builds(
    lambda own, rival, p, refused, days, bias: replace(
        match(own, rival, p, refused=refused, since=AS_OF - timedelta(days=days)),
        challenger=contender("tsb", own, bias),
    ),
    numbers, numbers, st.floats(0, 1), st.frozensets(st.sampled_from(["tsb", "theta"])), st.integers(0, 90),
    st.floats(-2, 2),
)  # fmt: skip


@given(matches, gates)
def test_one_of_the_two_is_chosen_with_a_reason_always_the_same(found: Match, gate: Gate) -> None:
    choice = choose_recipe(found, gate)
    assert choice == choose_recipe(found, gate)
    assert choice.recipe in {"tsb", "theta"}
    assert choice.changed == (choice.recipe == "tsb")
    assert choice.reason.endswith(".")


@given(matches, gates, st.floats(0, 1))
def test_a_better_challenger_is_never_treated_worse(found: Match, gate: Gate, factor: float) -> None:
    """With a smaller error and the same luck, what passed passes."""
    better = replace(
        found,
        challenger=replace(found.challenger, metric=found.challenger.metric * factor),
        evidence=replace(found.evidence, gain=1 - (1 - found.evidence.gain) * factor) if found.evidence else None,
    )
    if choose_recipe(found, gate).changed:
        assert choose_recipe(better, gate).changed


@given(matches, gates)
def test_no_recipe_changes_twice_within_the_days_that_it_is_held(found: Match, gate: Gate) -> None:
    """Unless production's is worse than the seasonal naive."""
    choice = choose_recipe(found, gate)
    held = found.since is not None and (found.as_of - found.since).days < gate.hold_days
    if choice.changed and held:
        assert "theta" in found.refused
