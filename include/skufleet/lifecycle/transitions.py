"""Every change of a version's stage, as rows: who was in production when, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd

from include.skufleet.lifecycle.moves import KEEP
from include.skufleet.registry.records import ARCHIVED, CANDIDATE, PRODUCTION, STAGING

TYPES = {
    "time": "datetime64[us, UTC]",
    "run_id": "str",
    "actor": "str",
    "sku": "str",
    "name": "str",
    "version": "int64",
    "from_stage": "str",
    "to_stage": "str",
    "rule": "str",
    "reason": "str",
}
"""``run_id`` is the Airflow run, or the command, that made the change."""


@dataclass(frozen=True, slots=True)
class Served:
    """Which version served a SKU on a day, and why.

    Attributes:
        version: its number; 0: none served.
        since: when it came.
        until: when another one came; ``None``: it still serves.
        run_id: what put it there.
        actor: who.
        rule: why, in a word.
        reason: why, in a sentence.
    """

    version: int
    since: datetime | None = None
    until: datetime | None = None
    run_id: str = ""
    actor: str = ""
    rule: str = ""
    reason: str = ""


def to_transitions(moves: pd.DataFrame, *, moment: datetime, run_id: str, actor: str) -> pd.DataFrame:
    """The changes of stage that these moves made.

    Args:
        moves: the fields of ``moves.Move``, of moves that took place.
        moment: when they were planned, in UTC.
        run_id: what made them.
        actor: who.
    """
    came = moves[(moves["after"] != KEEP) & (moves["after"] != moves["before"])]
    went, staged = came[came["before"] > 0], moves[moves["staging"] > 0]
    again = came["rule"] == "rollback"
    left = moves[(moves["staging"] != KEEP) & (moves["waiting"] > 0)]
    left = left[(left["waiting"] != left["staging"]) & (left["waiting"] != left["after"])]
    parts = [
        _rows(went, "before", PRODUCTION, ARCHIVED),
        _rows(came[~again], "after", CANDIDATE, PRODUCTION),
        _rows(came[again], "after", ARCHIVED, PRODUCTION),
        _rows(staged, "staging", CANDIDATE, STAGING),
        _rows(left, "waiting", STAGING, ARCHIVED),
    ]
    return (
        pd.concat(parts, ignore_index=True).assign(time=moment, run_id=run_id, actor=actor)[list(TYPES)].astype(TYPES)
    )


def _rows(moves: pd.DataFrame, version: str, from_stage: str, to_stage: str) -> pd.DataFrame:
    told = moves[["sku", "name", "rule", "reason"]]
    return told.assign(version=moves[version], from_stage=from_stage, to_stage=to_stage)


def find_served(transitions: pd.DataFrame, sku: str, day: date) -> Served:
    """The version in production at the end of a day (UTC), with why it came.

    Args:
        transitions: rows of ``TYPES``, in any order.
        sku: the SKU's code.
        day: the day.
    """
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    came = transitions[(transitions["sku"] == sku) & (transitions["to_stage"] == PRODUCTION)].sort_values("time")
    before, after = came[came["time"] < end], came[came["time"] >= end]
    if before.empty:
        return Served(0)
    last = before.iloc[-1]
    return Served(
        version=int(last["version"]),
        since=last["time"].to_pydatetime(),
        until=after.iloc[0]["time"].to_pydatetime() if len(after) else None,
        **{name: str(last[name]) for name in ("run_id", "actor", "rule", "reason")},
    )


def no_transitions() -> pd.DataFrame:
    """A frame without a row."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TYPES.items()})
