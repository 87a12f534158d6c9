"""What a validation says: frozen records, free of Great Expectations' own classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

SkuStatus = Literal["trainable", "too_short", "stale", "inactive", "quarantined", "no_data"]

BAD_ROW_COLUMNS = ("sku", "store", "date", "units", "scope", "reason", "expectation")


@dataclass(frozen=True)
class ExpectationResult:
    """How one expectation fared.

    Attributes:
        name: its short name, unique over all suites; ``bad_rows.expectation`` refers to it.
        success: whether nothing failed it.
        unexpected_count: how many rows (or columns, or SKUs: see ``suite``) failed it.
        unexpected_percent: the same in percent (0 to 100) of those that had a value to look at; 0 where none had.
        suite: ``schema`` (over columns), ``rows`` or ``skus``: what is counted.
        checked: how many had a value to look at.
        type: the class of Great Expectations that ran, in snake case.
        meaning: what is expected, in words, with the limits.
    """

    name: str
    success: bool
    unexpected_count: int
    unexpected_percent: float
    suite: str
    checked: int
    type: str
    meaning: str


@dataclass(frozen=True)
class SkuVerdict:
    """What to do with one SKU.

    Attributes:
        status: ``trainable``; ``stale`` (train, and say so); ``too_short`` (the fallback serves); ``inactive``
            (retired); ``quarantined`` (too many bad rows: none of its rows is in ``Verdict.clean``); ``no_data``.
        reason: why, as a sentence; empty for ``trainable``.
    """

    status: SkuStatus
    reason: str

    @property
    def train(self) -> bool:
        """Whether a model can be trained."""
        return self.status in ("trainable", "stale")


@dataclass(frozen=True)
class Verdict:
    """The outcome of validating one chunk.

    Attributes:
        clean: the rows that passed, columns and order as they came, index from 0; without the rows of quarantined SKUs.
        bad_rows: ``sku, store, date, units, scope, reason, expectation``; one line per row set aside (scope ``row``),
            then one per SKU quarantined as a whole (scope ``sku``; store and date empty, units NaN).
        skus: the verdict of every planned SKU, in the plan's order.
        expectations: how each expectation fared, in the order of the suites.
        seconds: how long it took.
    """

    clean: pd.DataFrame
    bad_rows: pd.DataFrame
    skus: Mapping[str, SkuVerdict]
    expectations: tuple[ExpectationResult, ...]
    seconds: float


def combine_expectations(chunks: Iterable[Iterable[ExpectationResult]]) -> tuple[ExpectationResult, ...]:
    """Add up the results of several chunks, expectation by expectation, in the order they are first seen.

    Counts are added and the percentage is taken again from the sums, so that big chunks weigh more.
    """
    total: dict[str, ExpectationResult] = {}
    for result in (result for chunk in chunks for result in chunk):
        known = total.get(result.name)
        if known is None:
            total[result.name] = result
            continue
        bad, checked = known.unexpected_count + result.unexpected_count, known.checked + result.checked
        total[result.name] = replace(
            known,
            success=known.success and result.success,
            unexpected_count=bad,
            unexpected_percent=100 * bad / checked if checked else 0.0,
            checked=checked,
        )
    return tuple(total.values())
