"""A release: which version serves each SKU after a run, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields

import pandas as pd

from include.skufleet.registry.records import RegisteredVersion

_FIELDS = [item.name for item in fields(RegisteredVersion)]
_TYPES = {name: "int64" if name in ("version", "artifact_bytes") else "str" for name in [*_FIELDS, "served_by"]}


def freeze_release(production: Mapping[str, RegisteredVersion]) -> pd.DataFrame:
    """The map SKU -> version as a frame that never changes again, sorted by SKU.

    Args:
        production: SKU -> its version in production.

    Returns:
        The fields of ``RegisteredVersion`` (``as_of`` is the ISO date of the run that trained the version) and
        ``served_by``: ``production``, or ``fallback`` for a version that was not trained.
    """
    rows = [
        asdict(item) | {"served_by": "production" if item.outcome == "trained" else "fallback"}
        for _, item in sorted(production.items())
    ]
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)


def thaw_release(release: pd.DataFrame) -> Iterable[RegisteredVersion]:
    """The versions of a release."""
    return (
        RegisteredVersion(**{str(key): value for key, value in row.items()})
        for row in release[_FIELDS].to_dict("records")
    )


def follow_decisions(
    production: Mapping[str, RegisteredVersion], decisions: pd.DataFrame, made: Mapping[str, RegisteredVersion]
) -> dict[str, RegisteredVersion]:
    """SKU -> the version in production after the decisions were carried out.

    Args:
        production: SKU -> the version in production before.
        decisions: ``sku, promoted`` of ``lifecycle.promotion``.
        made: SKU -> the version that the run made.
    """
    promoted = decisions.loc[decisions["promoted"], "sku"]
    return {**production, **{str(sku): made[str(sku)] for sku in promoted}}
