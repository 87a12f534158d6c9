"""Apply the gate to every new version of a run. Safe to repeat, also when runs finish in the wrong order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config import Gate
from include.skufleet.errors import ConfigError, PermanentError
from include.skufleet.lifecycle.gate import Decision, Outcome, decide
from include.skufleet.registry.client import Registry
from include.skufleet.registry.records import PREVIOUS, RegisteredVersion
from include.skufleet.registry.states import ModelState


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of one new version: a row of ``decisions.parquet``.

    Attributes:
        sku: the SKU's code.
        registered_name: the registered model's name.
        version: the new version.
        promoted: whether it is in production now.
        rule: which rule decided.
        reason: one sentence with the figures.
        previous_version: the version in production before, 0 where there was none.
    """

    sku: str
    registered_name: str
    version: int
    promoted: bool
    rule: str
    reason: str
    previous_version: int


_TYPES = {
    "sku": "str",
    "registered_name": "str",
    "version": "int64",
    "promoted": "bool",
    "rule": "str",
    "reason": "str",
    "previous_version": "int64",
}


def promote(
    registry: Registry,
    results: pd.DataFrame,
    states: Mapping[str, ModelState],
    gate: Gate,
    *,
    as_of: date,
    threads: int = 4,
) -> pd.DataFrame:
    """Move to production what passes the gate, and let the rest wait in staging with the reason.

    A version that is in production already stays; production never moves to a version of an earlier ``as_of``, nor, of
    one ``as_of``, to an earlier version: such a version gets no alias. A SKU whose version MLflow refuses (deleted by
    hand, for example) gets the rule ``error``, and the others go on.

    Args:
        registry: the registry.
        results: the run's results; rows with a ``version`` above 0 count. Columns ``sku, registered_name, version,
            outcome, candidate, metric, challenger_metric, baseline_metric, champion_metric, gate``; the last is what
            the version's tags say already: ``passed`` or ``held``.
        states: SKU -> what its registered model points at now.
        gate: the catalogue's tolerances.
        as_of: the run's date.
        threads: SKUs at the same time.

    Returns:
        One row per version: ``sku, registered_name, version, promoted, rule, reason, previous_version``, in the order
        of ``results``.

    Raises:
        ServiceUnavailableError: MLflow went away; what was promoted stays, and a second call does the rest.
    """
    rows = results[results["version"] > 0].to_dict("records")
    by_name = {state.name: state for state in states.values()}
    done = _in_threads(
        lambda row: _promote_one(registry, row, by_name.get(row["registered_name"]), gate, as_of), rows, threads
    )
    return pd.DataFrame([asdict(item) for item in done], columns=list(_TYPES)).astype(_TYPES)


def judge(row: Mapping[str, Any], production_outcome: Outcome | None, gate: Gate) -> Decision:
    """What the gate says of a row of the results, beside a version in production of this outcome (``None``: none)."""
    champion = float(row["champion_metric"])
    return decide(
        float(row["challenger_metric"]),
        float(row["baseline_metric"]),
        None if math.isnan(champion) else champion,
        gate,
        candidate=str(row["candidate"]),
        outcome=to_outcome(row["outcome"]),
        production_outcome=production_outcome,
        metric=str(row["metric"]) or "metric",
    )


def to_outcome(value: object) -> Outcome:
    """A quarantined or failed SKU that has a model has a fallback."""
    return "trained" if value == "trained" else "fallback"


def _in_threads(work: Callable[[Any], Promotion], rows: Iterable[Any], threads: int) -> list[Promotion]:
    """Do all rows; the first error stops those that have not begun, rather than let each wait for a dead server."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, row) for row in rows]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _promote_one(
    registry: Registry, row: dict[str, Any], state: ModelState | None, gate: Gate, as_of: date
) -> Promotion:
    sku, name, version = str(row["sku"]), str(row["registered_name"]), int(row["version"])
    if state is None:
        reason = f"MLflow has no registered model {name}; it was deleted after the run registered version {version}"
        return Promotion(sku, name, version, False, "error", reason, 0)
    current = state.production
    if current and current.version == version:
        again = judge(row, None, gate)
        reason = again.reason if again.promote and row["outcome"] == "trained" else "In production already."
        return Promotion(sku, name, version, True, "already", reason, state.aliases.get(PREVIOUS, 0))
    previous = current.version if current else 0
    decision = _decide(row, current, gate, as_of)
    try:
        _carry_out(registry, row, state, decision)
    except ConfigError:
        raise
    except PermanentError as error:
        decision = Decision(False, str(error), "error")
    return Promotion(sku, name, version, decision.promote, decision.rule, decision.reason, previous)


def _decide(row: dict[str, Any], current: RegisteredVersion | None, gate: Gate, as_of: date) -> Decision:
    version = int(row["version"])
    if current and (current.as_of, current.version) > (as_of.isoformat(), version):
        reason = f"Version {current.version} in production is of {current.as_of}; this one, of {as_of}, is older."
        return Decision(False, reason, "newer")
    return judge(row, to_outcome(current.outcome) if current else None, gate)


def _carry_out(registry: Registry, row: dict[str, Any], state: ModelState, decision: Decision) -> None:
    """Move the aliases; correct the version's tags where production has changed since they were written."""
    version, verdict = int(row["version"]), "passed" if decision.promote else "held"
    if row["gate"] != verdict:
        registry.tag_version(state.name, version, {"gate": verdict, "reason": decision.reason})
    if decision.promote:
        registry.set_production(state, version)
    elif decision.rule != "newer":
        registry.keep_in_staging(state, version)
