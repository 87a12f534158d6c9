from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.config import Gate
from include.skufleet.lifecycle.gate import Decision, Outcome, decide

errors = st.floats(0, 1e6)
rivals = st.one_of(errors, st.just(math.nan))
gates = st.builds(Gate, max_loss_to_baseline=st.floats(0, 0.5), max_loss_to_production=st.floats(0, 0.5))
STRICT = Gate(max_loss_to_baseline=0.0, max_loss_to_production=0.02)


def judge(
    challenger: float,
    baseline: float,
    champion: float | None,
    gate: Gate = STRICT,
    outcome: Outcome = "trained",
    production: Outcome | None = "trained",
) -> Decision:
    return decide(
        challenger, baseline, champion, gate,
        candidate="tsb", outcome=outcome, production_outcome=production, metric="wape",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("challenger", "baseline", "champion", "promote", "rule", "reason"),
    [
        (0.31, 0.40, 0.33, True, "better", "0.31 is no worse than NAIVE 0.4 and production's 0.33 (tolerance 2 %)."),
        (0.40, 0.40, None, True, "better", "0.4 is no worse than NAIVE 0.4."),
        (0.41, 0.40, None, False, "baseline", "0.41 is worse than NAIVE 0.4."),
        (0.306, 0.40, 0.30, True, "better", "0.306 is no worse than NAIVE 0.4 and production's 0.3 (tolerance 2 %)."),
        (0.307, 0.40, 0.30, False, "production", "0.307 is worse than production's 0.3 (tolerance 2 %)."),
        (0.31, math.nan, math.nan, True, "better", "0.31; nothing to compare with."),
        (math.nan, 0.40, None, False, "unmeasured", "nan could not be measured, but NAIVE 0.4 could."),
        (math.inf, math.nan, 0.3, False, "unmeasured", "inf could not be measured, but production's 0.3 could."),
        (math.nan, math.nan, math.nan, True, "unmeasured", "could not be measured for any version; the newer serves."),
    ],
)  # fmt: skip
def test_the_gate_compares_with_baseline_and_production_and_says_so(
    challenger: float, baseline: float, champion: float | None, promote: bool, rule: str, reason: str
) -> None:
    sentence = "tsb: wape " + reason.replace("NAIVE", "the seasonal naive's")
    assert judge(challenger, baseline, champion) == Decision(promote, sentence, rule)  # type: ignore[arg-type]


@pytest.mark.parametrize(("production", "promote"), [(None, True), ("fallback", True), ("trained", False)])
def test_a_fallback_never_replaces_a_trained_version(production: Outcome | None, promote: bool) -> None:
    assert judge(math.nan, math.nan, None, outcome="fallback", production=production).promote is promote


@given(errors, errors, errors, gates)
def test_a_strictly_better_challenger_is_never_refused(
    challenger: float, baseline: float, champion: float, gate: Gate
) -> None:
    if challenger < min(baseline, champion):
        assert judge(challenger, baseline, champion, gate).promote


@given(errors, rivals, rivals, gates)
def test_a_challenger_worse_than_a_tolerance_is_never_promoted(
    challenger: float, baseline: float, champion: float, gate: Gate
) -> None:
    too_bad = challenger > baseline * (1 + gate.max_loss_to_baseline)
    too_bad |= challenger > champion * (1 + gate.max_loss_to_production)
    assert judge(challenger, baseline, champion, gate).promote is not too_bad


@given(errors, errors, rivals, rivals, gates)
def test_a_smaller_error_never_turns_a_yes_into_a_no(
    one: float, other: float, baseline: float, champion: float, gate: Gate
) -> None:
    smaller, larger = sorted((one, other))
    if judge(larger, baseline, champion, gate).promote:
        assert judge(smaller, baseline, champion, gate).promote


@given(
    rivals,
    rivals,
    rivals,
    gates,
    st.sampled_from(["trained", "fallback"]),
    st.sampled_from([None, "trained", "fallback"]),
)
def test_every_decision_has_a_sentence(
    challenger: float, baseline: float, champion: float, gate: Gate, outcome: Outcome, production: Outcome | None
) -> None:
    decision = judge(challenger, baseline, champion, gate, outcome, production)
    assert decision.reason.startswith("tsb: ")
    assert decision.reason.endswith(".")
