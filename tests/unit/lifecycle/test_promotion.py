"""What becomes of a new version beside what is in production by now: pure, no registry."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from include.skufleet.config import Gate
from include.skufleet.lifecycle.promotion import Known, decide_versions, find_moved_by_hand, hold_back
from include.skufleet.registry.records import RegisteredVersion
from include.skufleet.registry.states import ModelState

AS_OF = date(2026, 3, 31)
NOTHING = Known({})


def version(number: int, as_of: str = "2026-03-30", **changes: Any) -> RegisteredVersion:
    known = {
        "sku": "A", "name": "shop-A", "version": number, "candidate": "theta", "outcome": "trained", "as_of": as_of,
        "fingerprint": f"f{number}", "run_id": "r", "artifact_uri": "s3://b/a", "artifact_bytes": 1,
    }  # fmt: skip
    return RegisteredVersion(**known | changes)


def state(serving: RegisteredVersion | None, **aliases: int) -> dict[str, ModelState]:
    named = ({"production": serving.version} if serving else {}) | aliases
    return {"A": ModelState("A", "shop-A", named, serving)}


def results(**changes: Any) -> pd.DataFrame:
    row = {
        "sku": "A", "registered_name": "shop-A", "version": 5, "outcome": "trained", "candidate": "theta",
        "gate": "passed", "rule": "refresh", "verdict": "refit.", "fingerprint": "f5", "champion_version": 4,
        "trial": "", "trial_kind": "", "staged_version": 0,
    }  # fmt: skip
    return pd.DataFrame([row | changes])


def decide(rows: pd.DataFrame, states: dict[str, ModelState], known: Known = NOTHING, **gate: Any) -> dict[str, Any]:
    (found,) = decide_versions(rows, states, known, Gate(**gate), as_of=AS_OF).to_dict("records")
    return {str(name): value for name, value in found.items()}


@pytest.mark.parametrize(
    ("changes", "serving", "known", "rule", "promoted"),
    [
        ({}, version(4), NOTHING, "refresh", True),
        ({}, None, NOTHING, "refresh", True),
        ({}, version(5), NOTHING, "already", True),
        ({}, version(6, "2026-04-01"), NOTHING, "newer", False),
        ({}, version(6, "2026-03-31"), NOTHING, "newer", False),
        ({}, version(4), Known({"A": 4}), "refresh", True),
        ({}, version(3), Known({"A": 4}), "moved", False),
        ({}, None, Known({"A": 4}), "refresh", True),
        ({}, version(3), Known({"A": 3}, by_people={"A"}), "moved", False),
        ({}, version(4), Known({"A": 4}, by_people={"A"}), "refresh", True),
        ({}, version(4), Known({}, refused={"f5": "by amy."}), "rolled_back", False),
        ({"gate": "held", "rule": "guard"}, version(4), NOTHING, "guard", False),
        ({"outcome": "fallback", "rule": "fallback"}, version(4), NOTHING, "fallback", False),
        ({"outcome": "fallback", "rule": "fallback"}, version(4, outcome="fallback"), NOTHING, "fallback", True),
    ],
)
def test_what_was_not_foreseen_is_held_back(
    changes: dict[str, Any], serving: RegisteredVersion | None, known: Known, rule: str, promoted: bool
) -> None:
    found = decide(results(**changes), state(serving), known)
    assert (found["rule"], found["promoted"]) == (rule, promoted)
    assert found["reason"].endswith(".")


def test_a_dry_run_of_the_gate_lets_through_what_a_guard_rail_refused() -> None:
    held = results(gate="held", rule="guard")
    assert decide(held, state(version(4)), mode="dry_run")["promoted"]
    assert not decide(held, state(version(4)), mode="enabled")["promoted"]


def test_a_deleted_model_is_an_error_of_its_own_sku() -> None:
    found = decide(results(), {})
    assert (found["rule"], found["promoted"]) == ("error", False)
    assert "it was deleted after the run registered version 5" in found["reason"]


def test_another_recipe_is_counted_as_a_change_and_a_first_one_is_not() -> None:
    assert decide(results(candidate="tsb"), state(version(4)))["changed"]
    assert not decide(results(), state(version(4)))["changed"]
    assert not decide(results(candidate="tsb"), state(None))["changed"]
    assert not decide(results(candidate="tsb"), state(version(4, outcome="fallback")))["changed"]


@pytest.mark.parametrize(
    ("changes", "aliases", "staging"),
    [
        ({}, {}, -1),
        ({}, {"staging": 2}, 0),
        ({"trial_kind": "shadow", "trial": "begun", "staged_version": 6}, {}, 6),
        ({"trial_kind": "shadow", "trial": "open"}, {"staging": 2}, -1),
        ({"trial_kind": "shadow", "trial": "ended"}, {"staging": 2}, 0),
    ],
)
def test_staging_is_a_shadows(changes: dict[str, Any], aliases: dict[str, int], staging: int) -> None:
    assert decide(results(**changes), state(version(4), **aliases))["staging"] == staging


def test_a_release_that_is_stopped_holds_back_all_but_what_is_there_already() -> None:
    rows = pd.concat([results(), results(sku="B", registered_name="shop-B")], ignore_index=True)
    states = state(version(5)) | {"B": ModelState("B", "shop-B", {"production": 4}, version(4, sku="B"))}
    decisions = decide_versions(rows, states, NOTHING, Gate(), as_of=AS_OF)
    held = hold_back(decisions, "fleet", "The bias.")
    assert held["promoted"].tolist() == [True, False]
    assert held["rule"].tolist() == ["already", "fleet"]
    assert hold_back(held, "fleet", "The bias.").equals(held)


def test_aliases_that_do_not_say_what_the_release_says_are_found() -> None:
    assert find_moved_by_hand(state(version(3)), {"A": 4, "B": 2}) == {"A": (4, 3), "B": (2, 0)}
    assert find_moved_by_hand(state(version(4)), {"A": 4}) == {}
