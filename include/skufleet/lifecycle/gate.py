"""The gate of one SKU: whether its new version goes to production. Pure: figures in, a decision with its reason out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from include.skufleet.config import Gate

Outcome = Literal["trained", "fallback"]
Rule = Literal["better", "unmeasured", "first", "baseline", "production", "fallback", "newer", "already", "error"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of one version.

    Attributes:
        promote: whether it goes to production.
        reason: one sentence with the figures.
        rule: which rule decided.
    """

    promote: bool
    reason: str
    rule: Rule


def decide(
    challenger_metric: float,
    baseline_metric: float,
    champion_metric: float | None,
    gate: Gate,
    *,
    candidate: str,
    outcome: Outcome,
    production_outcome: Outcome | None = None,
    metric: str = "metric",
) -> Decision:
    """Decide on a new version by errors measured on the same windows; smaller is better.

    A trained version passes when it is no worse than the baseline and no worse than production, each within the gate's
    tolerance. NaN and infinity mean "not measured", as for a SKU that sold nothing in any window. A comparison with
    something that was not measured is left out; but where the challenger was not measured and either of the others was,
    the challenger is refused. A fallback passes only where no trained version would have to go for it.

    Args:
        challenger_metric: of the new version.
        baseline_metric: of the seasonal naive.
        champion_metric: of the recipe in production; ``None`` or NaN where there is none.
        gate: the catalogue's tolerances.
        candidate: the new version's model family, for the sentence.
        outcome: whether the new version was trained or is a fallback.
        production_outcome: the same of the version in production; ``None``: nothing is in production.
        metric: the metric's name, for the sentence.
    """
    if outcome == "fallback":
        return _decide_fallback(candidate, production_outcome)
    own, measured = f"{candidate}: {metric} {challenger_metric:.4g}", math.isfinite(challenger_metric)
    rivals: list[tuple[Rule, str, float, float]] = [
        ("baseline", "the seasonal naive's", baseline_metric, gate.max_loss_to_baseline),
        (
            "production",
            "production's",
            math.nan if champion_metric is None else champion_metric,
            gate.max_loss_to_production,
        ),
    ]
    known = [(rule, whose, value, loss) for rule, whose, value, loss in rivals if math.isfinite(value)]
    if not measured:
        if known:
            others = " and ".join(f"{whose} {value:.4g}" for _, whose, value, _ in known)
            return Decision(False, f"{own} could not be measured, but {others} could.", "unmeasured")
        return Decision(
            True, f"{candidate}: {metric} could not be measured for any version; the newer serves.", "unmeasured"
        )
    for rule, whose, value, loss in known:
        if challenger_metric > value * (1 + loss):
            return Decision(False, f"{own} is worse than {whose} {value:.4g}{_margin(loss)}.", rule)
    passed = " and ".join(f"{whose} {value:.4g}{_margin(loss)}" for _, whose, value, loss in known)
    return Decision(
        True, f"{own} is no worse than {passed}." if known else f"{own}; nothing to compare with.", "better"
    )


def _decide_fallback(candidate: str, production_outcome: Outcome | None) -> Decision:
    if production_outcome == "trained":
        return Decision(
            False, f"{candidate}: a fallback does not replace the trained version in production.", "fallback"
        )
    if production_outcome == "fallback":
        return Decision(True, f"{candidate}: a newer fallback replaces the fallback in production.", "fallback")
    return Decision(True, f"{candidate}: a fallback serves, since nothing is in production.", "first")


def _margin(loss: float) -> str:
    return f" (tolerance {100 * loss:g} %)" if loss else ""
