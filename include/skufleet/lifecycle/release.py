"""A release: which version serves each SKU, what it was measured at and why it is there, frozen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pandas as pd

from include.skufleet.registry.records import RegisteredVersion

Kind = Literal["run", "rollback", "promotion", "hand"]

_FIELDS = {item.name: item.default for item in fields(RegisteredVersion)}
_OWN = {
    "served_by": "str",
    "department": "str",
    "metric": "str",
    "error": "float64",
    "baseline_error": "float64",
    "abs_error": "float64",
    "signed_error": "float64",
    "units": "float64",
    "actuals": "float64",
    "rule": "str",
    "reason": "str",
    "kind": "str",
    "released_by": "str",
    "since": "str",
}
TYPES = {**{name: "int64" if name in ("version", "artifact_bytes") else "str" for name in _FIELDS}, **_OWN}
"""Columns: the fields of ``RegisteredVersion``, and

- ``served_by``: ``production``, or ``fallback`` for a version that was not trained;
- ``department``; ``metric`` and the version's and the seasonal naive's ``error`` by it; the sums ``abs_error``,
  ``signed_error`` and ``units`` of its backtest, in units, and its ``actuals``: what it was measured at when made;
- ``rule`` and ``reason``: why it is in production; ``kind`` and ``released_by``: what put it there, a ``run``, a
  ``rollback``, a ``promotion`` by a person, or a ``hand`` in MLflow; ``since``: when, ISO 8601.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What makes a release.

    Attributes:
        kind: a run, or a command of a person.
        id: the run's or the command's.
        moment: ISO 8601, UTC.
    """

    kind: Kind
    id: str
    moment: str


def freeze_release(
    production: Mapping[str, RegisteredVersion],
    before: pd.DataFrame,
    details: Mapping[str, Mapping[str, Any]],
    change: Change,
) -> pd.DataFrame:
    """The map SKU -> version as a frame that never changes again, sorted by SKU.

    Args:
        production: SKU -> its version in production now.
        before: the release that was in force: what it says of a version that still serves is taken over.
        details: SKU -> what is known of the version that this change put into production: columns of ``TYPES``.
        change: what it was. A version that neither the release before nor this change knows came by hand.

    Returns:
        The columns of ``TYPES``.
    """
    known: dict[tuple[str, int], dict[Any, Any]] = {
        (str(row["sku"]), int(row["version"])): row for row in before.to_dict("records")
    }
    rows = []
    for sku, version in sorted(production.items()):
        own: dict[Any, Any] = dict(known.get((sku, version.version), {}))
        if sku in details:
            own |= {**details[sku], "kind": change.kind, "released_by": change.id, "since": change.moment}
        elif not own:
            reason = "The alias production was moved by hand in MLflow."
            own |= {"kind": "hand", "released_by": "", "since": change.moment, "rule": "moved", "reason": reason}
        own |= asdict(version) | {"served_by": "production" if version.outcome == "trained" else "fallback"}
        rows.append(own)
    return complete(pd.DataFrame(rows, columns=list(TYPES)))


def complete(release: pd.DataFrame) -> pd.DataFrame:
    """A release with every column, also one that an earlier version of the code wrote."""
    missing: dict[str, Any] = {"str": "", "int64": 0}
    filled = release.reindex(columns=list(TYPES))
    return filled.fillna({name: missing[kind] for name, kind in TYPES.items() if kind in missing}).astype(TYPES)


def thaw_release(release: pd.DataFrame) -> Iterable[RegisteredVersion]:
    """The versions of a release."""
    return (
        RegisteredVersion(**{str(key): value for key, value in row.items()})
        for row in complete(release)[list(_FIELDS)].to_dict("records")
    )


def compare_releases(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """What differs from one release to another: a row per SKU whose version is not the same.

    Returns:
        ``sku, department, change`` (``new``, ``gone``, ``recipe``, ``refit``), then ``version, candidate, as_of,
        error`` of each, with the suffixes ``_from`` and ``_to``; 0, empty and NaN where there is none. ``reason`` of
        the other.
    """
    columns = ["version", "candidate", "as_of", "error"]
    left = one[["sku", "department", *columns]]
    right = other[["sku", "department", *columns, "reason"]]
    both = left.merge(right, on="sku", how="outer", suffixes=("_from", "_to"))
    both = both[both["version_from"].fillna(0) != both["version_to"].fillna(0)]
    change = pd.Series("refit", index=both.index).mask(both["candidate_from"] != both["candidate_to"], "recipe")
    change = change.mask(both["version_from"].isna(), "new").mask(both["version_to"].isna(), "gone")
    department = both["department_to"].fillna(both["department_from"]).fillna("")
    shown: dict[str, Any] = {"sku": both["sku"], "department": department, "change": change}
    for name in columns:
        for side in ("_from", "_to"):
            own = both[f"{name}{side}"]
            shown[name + side] = own.fillna(0).astype("int64") if name == "version" else own
            if name in ("candidate", "as_of"):
                shown[name + side] = own.fillna("").astype("str")
    shown["reason"] = both["reason"].fillna("").astype("str")
    return pd.DataFrame(shown).sort_values("sku", ignore_index=True)
