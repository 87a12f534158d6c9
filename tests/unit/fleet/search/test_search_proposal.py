"""What is proposed, and how sure."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import yaml

from include.skufleet.fleet.search.judge import choose_survivors, rank_trials
from include.skufleet.fleet.search.planned import CURRENT, Piece, SearchPlan
from include.skufleet.fleet.search.proposal import Proposal, propose
from include.skufleet.fleet.search.rungs import Rung
from include.skufleet.registry.trials import TrialRun
from tests.unit.fleet.search.test_search_judge import scores
from tests.unit.fleet.small_fleet import make_catalogue

OLD, NEW = [f"old {number}" for number in range(4)], [f"new {number}" for number in range(8)]
RUN = TrialRun("1", "2", "2026-03-31")


def make_plan(changes: dict[str, Any]) -> SearchPlan:
    pieces = [
        Piece(f"p{rung}", rung, [0], dict.fromkeys(skus, "d"), dict.fromkeys(skus, "d · smooth"))
        for rung, skus in ((1, OLD), (2, NEW))
    ]
    return SearchPlan(
        draw="x",
        catalogue=make_catalogue("shop").model_dump(mode="json", exclude={"search"}),
        metric="wape",
        held_back=1,
        ingested={"table_version": 7},
        trials={CURRENT: {}, "t001": changes},
        runs={CURRENT: RUN, "t001": RUN},
        parent=RUN,
        pieces=pieces,
        counts={"skus": 20, "sampled": 12},
        settings={"rungs": 3, "seed": 0},
    )


def make_rung(number: int, errors: dict[str, dict[str, float]]) -> Rung:
    frames = {trial: scores(values) for trial, values in errors.items()}
    ranked = rank_trials(frames, "wape", CURRENT)
    new = len(NEW) if number > 1 else len(OLD)
    return Rung(
        number, len(next(iter(errors.values()), {})), new, ranked, [], choose_survivors(ranked, CURRENT), frames
    )


def wobble(skus: list[str], gain: float) -> dict[str, float]:
    """Errors of 10, better by ``gain`` on the whole, give or take a unit in turns."""
    return {sku: 10 * (1 - gain) + (1 if number % 2 else -1) for number, sku in enumerate(skus)}


def ten(skus: list[str]) -> dict[str, float]:
    return dict.fromkeys(skus, 10.0)


CHANGES = {"backtest.windows": 5, "candidates": ["seasonal_naive", "tsb"]}


def judge(old_gain: float, new_gain: float) -> Proposal:
    errors = {CURRENT: ten(OLD + NEW), "t001": wobble(OLD, old_gain) | wobble(NEW, new_gain)}
    return propose(make_plan(CHANGES), [make_rung(2, errors)])


def test_a_clear_gain_on_old_and_new_skus_is_proposed_as_a_change() -> None:
    """12 SKUs, all better by 30 %: noise sqrt(12/11 x 12) / 120 = 3 %."""
    proposal = judge(0.3, 0.3)
    assert (proposal.verdict, proposal.trial) == ("change", "t001")
    assert proposal.changes == CHANGES
    whole, fresh, last = proposal.gains
    assert (whole.skus, fresh.skus, last.skus) == (12, 8, 12)
    assert whole.gain == pytest.approx(0.3)
    assert whole.noise == pytest.approx((12 / 11 * 12) ** 0.5 / 120)


def test_a_gain_below_two_standard_errors_may_be_noise() -> None:
    assert judge(0.04, 0.04).verdict == "noise"


def test_a_gain_that_skus_without_a_part_in_the_choice_do_not_share_may_be_noise() -> None:
    proposal = judge(0.5, -0.01)
    assert proposal.gains[0].gain > 2 * proposal.gains[0].noise
    assert proposal.verdict == "noise"


def test_the_file_is_kept_where_it_comes_first() -> None:
    proposal = judge(-0.1, -0.1)
    assert (proposal.verdict, proposal.changes, proposal.yaml, proposal.diff) == ("keep", {}, "", "")


def test_the_last_rung_that_can_compare_decides() -> None:
    plan = make_plan(CHANGES)
    first = make_rung(1, {CURRENT: ten(OLD), "t001": wobble(OLD, 0.4)})
    dead = make_rung(2, {CURRENT: ten(OLD + NEW)})
    assert propose(plan, [first, dead]).trial == "t001"
    assert len(propose(plan, [first, dead]).gains) == 2, "no rung before it: nobody is new"
    assert propose(plan, [dead]).verdict == "unknown"
    assert propose(plan, []).verdict == "unknown"


def test_the_change_is_shown_as_a_diff_of_yaml_that_can_be_put_into_the_file() -> None:
    changes = CHANGES | {"backtest.step": None, "settings.tsb.alphas": [0.1, 0.2]}
    proposal = Proposal("change", "t001", changes, dict.fromkeys(changes) | {"backtest.windows": 2})
    assert yaml.safe_load(proposal.yaml) == {
        "backtest": {"windows": 5, "step": None},
        "candidates": ["seasonal_naive", "tsb"],
        "settings": {"tsb": {"alphas": [0.1, 0.2]}},
    }
    lines = proposal.diff.splitlines()
    assert "-  windows: 2" in lines
    assert "+  windows: 5" in lines
    assert "+candidates: [seasonal_naive, tsb]" in lines
    assert " backtest:" in lines


def test_windows_are_compared_one_by_one() -> None:
    def both(last: float, before: float) -> pd.DataFrame:
        return pd.concat([scores({"a": last, "b": last}), scores({"a": before, "b": before}, window=2.0)])

    frames = {CURRENT: both(10, 10), "t001": both(4, 15)}
    ranked = rank_trials(frames, "wape", CURRENT)
    proposal = propose(make_plan(CHANGES), [Rung(1, 2, 2, ranked, [], [], frames)])
    assert [(item.where, item.gain) for item in proposal.gains] == [
        ("all SKUs of the rung", pytest.approx(0.05)),
        ("the last window", pytest.approx(0.6)),
        ("window 2 from the end", pytest.approx(-0.5)),
    ]
