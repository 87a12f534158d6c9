"""Reasons of one kind, counted together."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from include.skufleet.fleet.report.words import blank_numbers, text


@dataclass(frozen=True)
class RowReason:
    """Rows set aside by one expectation.

    Attributes:
        expectation: its name.
        rows: how many rows.
        skus: of how many SKUs.
        example: the reason of the first of them.
    """

    expectation: str
    rows: int
    skus: int
    example: str


def group_reasons(rows: pd.DataFrame) -> list[tuple[int, str]]:
    """Count the reasons that differ in their numbers only; the most frequent first, each with its first text.

    A failed SKU's reason is its step and error, where it gives no other.
    """
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for row in rows.itertuples():
        reason = text(row.reason) or f"{text(getattr(row, 'step', ''))}: {text(getattr(row, 'error', ''))}"
        kind = blank_numbers(reason)
        counts[kind] = counts.get(kind, 0) + 1
        examples.setdefault(kind, reason)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(number, examples[kind]) for kind, number in ordered]


def group_bad_rows(quarantine: pd.DataFrame) -> list[RowReason]:
    """Count the rows set aside by expectation, the most frequent first."""
    if quarantine.empty:
        return []
    rows = quarantine[quarantine["scope"] == "row"]
    groups = [
        RowReason(str(name), len(group), group["sku"].nunique(), text(group["reason"].iloc[0]))
        for name, group in rows.groupby("expectation", sort=True)
    ]
    return sorted(groups, key=lambda group: -group.rows)
