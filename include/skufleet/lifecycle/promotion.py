"""What becomes of every new version of a run, beside what is in production by now. Pure: frames in, decisions out.

The chunks have asked the gate; since then production may have changed: another run promoted, a person rolled back, an
alias was moved by hand in MLflow. What was not foreseen is held back and told, never overwritten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Literal

import pandas as pd

from include.skufleet.config import Gate
from include.skufleet.registry.records import PREVIOUS, STAGING, RegisteredVersion
from include.skufleet.registry.states import ModelState

Outcome = Literal["trained", "fallback"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one new version: a row of ``decisions.parquet``.

    Attributes:
        sku: the SKU's code.
        registered_name: the registered model's name.
        version: the new version.
        promoted: whether it goes to production, or is there.
        rule: which rule decided: of ``lifecycle.gate``, or ``already``, ``newer``, ``moved``, ``rolled_back``,
            ``fallback``, ``guard``, ``fleet``, ``approval``, ``error``.
        reason: one sentence with the figures.
        changed: whether another recipe than production's takes over.
        previous_version: the version in production before, 0 where there was none.
        staging: the version that ``staging`` is to name: 0 none, -1 what it names already.
        waiting: the version that it names now, 0 where none.
    """

    sku: str
    registered_name: str
    version: int
    promoted: bool
    rule: str
    reason: str
    changed: bool = False
    previous_version: int = 0
    staging: int = -1
    waiting: int = 0


TYPES = {
    "sku": "str",
    "registered_name": "str",
    "version": "int64",
    "promoted": "bool",
    "rule": "str",
    "reason": "str",
    "changed": "bool",
    "previous_version": "int64",
    "staging": "int64",
    "waiting": "int64",
}


@dataclass(frozen=True)
class Known:
    """What is known of production beside MLflow's aliases.

    Attributes:
        released: SKU -> the version that the release in force names.
        by_people: SKUs whose version in production was put there by a person, by rollback or promotion.
        refused: fingerprints of versions that were rolled back, and why.
    """

    released: Mapping[str, int]
    by_people: Collection[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def decide_versions(
    results: pd.DataFrame, states: Mapping[str, ModelState], known: Known, gate: Gate, *, as_of: date
) -> pd.DataFrame:
    """Decide on every new version of a run.

    Args:
        results: the run's results; rows with a ``version`` above 0 count.
        states: SKU -> what its registered model points at now.
        known: what is known of production besides.
        gate: ``mode`` says whether a version that the guard rails refuse is held back.
        as_of: the run's date.

    Returns:
        One row per version, the fields of ``Decision``, in the order of ``results``.
    """
    by_name = {state.name: state for state in states.values()}
    rows = results[results["version"] > 0].to_dict("records")
    decided = [_decide(row, by_name.get(str(row["registered_name"])), known, gate, as_of) for row in rows]
    return to_frame(decided)


def hold_back(decisions: pd.DataFrame, rule: str, reason: str) -> pd.DataFrame:
    """The same decisions, where nothing goes to production that is not there yet, for a reason that all share."""
    held = decisions["promoted"] & (decisions["rule"] != "already")
    changed = {"promoted": False, "rule": rule, "reason": reason, "changed": False, "staging": -1}
    return decisions.assign(**{name: decisions[name].mask(held, value) for name, value in changed.items()}).astype(
        TYPES
    )


def to_frame(decisions: Collection[Decision]) -> pd.DataFrame:
    """A row each, typed even without a row."""
    return pd.DataFrame([asdict(item) for item in decisions], columns=list(TYPES)).astype(TYPES)


def to_outcome(value: object) -> Outcome:
    """A quarantined or failed SKU that has a model has a fallback."""
    return "trained" if value == "trained" else "fallback"


def find_moved_by_hand(states: Mapping[str, ModelState], released: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """SKU -> the released version and the one that MLflow's alias names (0: none), where these differ."""
    named = {sku: state.production.version if state.production else 0 for sku, state in states.items()}
    return {
        sku: (version, named.get(sku, 0)) for sku, version in sorted(released.items()) if named.get(sku, 0) != version
    }


def _decide(row: Mapping[Any, Any], state: ModelState | None, known: Known, gate: Gate, as_of: date) -> Decision:
    sku, name, version = str(row["sku"]), str(row["registered_name"]), int(row["version"])
    own = Decision(sku, name, version, False, str(row["rule"]), str(row["verdict"]))
    if state is None:
        reason = f"MLflow has no registered model {name}; it was deleted after the run registered version {version}."
        return replace(own, rule="error", reason=reason)
    current = state.production
    if current and current.version == version:
        return replace(own, promoted=True, rule="already", previous_version=state.aliases.get(PREVIOUS, 0))
    own = replace(own, previous_version=current.version if current else 0, waiting=state.aliases.get(STAGING, 0))
    refusal = _refuse(row, current, known, gate, as_of)
    if refusal is not None:
        return replace(own, rule=refusal[0], reason=refusal[1])
    changed = current is not None and current.outcome == "trained" and current.candidate != str(row["candidate"])
    return replace(own, promoted=True, changed=changed, staging=_stage(row, state))


def _refuse(
    row: Mapping[Any, Any], current: RegisteredVersion | None, known: Known, gate: Gate, as_of: date
) -> tuple[str, str] | None:
    """Rule and reason why the version does not go to production; ``None``: it does."""
    sku, version = str(row["sku"]), int(row["version"])
    now = current.version if current else 0
    if current and (current.as_of, current.version) > (as_of.isoformat(), version):
        return "newer", f"Version {now} in production is of {current.as_of}; this one, of {as_of}, is older."
    released = known.released.get(sku)
    if current and released is not None and released != now:  # one that is gone is put back by the new version
        return "moved", (
            f"The alias production was moved by hand: it names version {now}, the release in force says {released}. "
            "It is left as it is; the next new version is judged beside it."
        )
    if sku in known.by_people and now != int(row["champion_version"]):
        return "moved", f"A person put version {now} into production while the run was at work; it is left as it is."
    if reason := known.refused.get(str(row["fingerprint"])):
        return "rolled_back", f"Its data are those of a version that was rolled back: {reason}"
    if row["gate"] != "passed" and (gate.mode == "enabled" or not row["gate"]):
        return str(row["rule"]), str(row["verdict"])
    if to_outcome(row["outcome"]) == "fallback" and current and current.outcome == "trained":
        return "fallback", f"{row['candidate']}: a fallback does not replace the trained version in production."
    return None


def _stage(row: Mapping[Any, Any], state: ModelState) -> int:
    """Which version ``staging`` is to name once the new one serves."""
    if row["trial_kind"] == "shadow":
        return {"begun": int(row["staged_version"]), "ended": 0}.get(str(row["trial"]), -1)
    return 0 if STAGING in state.aliases else -1
