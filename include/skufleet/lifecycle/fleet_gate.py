"""The gate of the whole release: sums over the fleet and its departments, beside the release in force. Pure.

No SKU's own figures show that a delivery was wrong for a whole department; sums do. What is compared is what each
release was measured at when it was made: the pooled backtest errors of the versions that it lets serve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pandas as pd

from include.skufleet.config import Release

FLEET = "the fleet"
FIGURES = ("abs_error", "signed_error", "units", "actuals")


@dataclass(frozen=True, slots=True)
class Figures:
    """What some SKUs' versions were measured at.

    Attributes:
        skus: with a measured version, in both releases.
        wape: sum of absolute errors / units; NaN where nothing was sold.
        bias: sum of (forecast - actual) / units; likewise.
        volume: units per series and period of the windows; NaN without any.
    """

    skus: int
    wape: float
    bias: float
    volume: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the fleet gate says of a release.

    Attributes:
        passed: it may go on. Without limits that are enforced it always does.
        reason: one sentence with the figures: the limit that is broken most, or how far from them all is.
        broken: every limit that is broken, a sentence each, the worst first.
        before: fleet and department -> figures of the release in force.
        after: the same of what would be released.
        shares: changed, covered and quarantined SKUs as shares.
    """

    passed: bool
    reason: str
    broken: tuple[str, ...] = ()
    before: Mapping[str, Figures] = field(default_factory=dict)
    after: Mapping[str, Figures] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON; NaN is null."""
        return {
            name: _to_json(value) if not isinstance(value, tuple) else list(value)
            for name, value in asdict(self).items()
        }

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""

        def number(value: float | None) -> float:
            return math.nan if value is None else value

        def figures(items: Mapping[str, Any]) -> dict[str, Figures]:
            return {
                name: Figures(int(item["skus"]), *(number(item[key]) for key in ("wape", "bias", "volume")))
                for name, item in items.items()
            }

        return cls(
            passed=bool(raw["passed"]),
            reason=str(raw["reason"]),
            broken=tuple(raw["broken"]),
            before=figures(raw["before"]),
            after=figures(raw["after"]),
            shares=dict(raw["shares"]),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """The catalogue in numbers of SKUs, were the release made.

    Attributes:
        skus: all that are known.
        champions: those that have a trained version in production before it.
        changed: those of them that would get another recipe.
        served: those that would have a version in production.
        quarantined: those that were quarantined in this run.
    """

    skus: int
    champions: int
    changed: int
    served: int
    quarantined: int


def judge_release(before: pd.DataFrame, after: pd.DataFrame, counts: Counts, limits: Release) -> Verdict:
    """Hold what would be released against the release in force.

    Args:
        before: the release in force: ``sku, department`` and ``FIGURES``; NaN where a version was not measured.
            Empty: there is none, and only changed recipes and quarantine are looked at.
        after: the same of what would be released. SKUs that only one of them has are not compared.
        counts: the catalogue in numbers.
        limits: the catalogue's; ``mode`` says whether a broken one stops the release.
    """
    both = _pair(before, after)
    old, new = _pool(both, "_before", limits.min_skus), _pool(both, "_after", limits.min_skus)
    shares = {
        "changed": _share(counts.changed, counts.champions),
        "served": _share(counts.served, counts.skus),
        "quarantined": _share(counts.quarantined, counts.skus),
    }
    if limits.mode == "disabled":
        return Verdict(True, "The fleet gate is disabled.", (), old, new, shares)
    first = before.empty
    broken = (*_break_figures(old, new, limits), *_break_shares(shares, counts, limits, first=first))
    if not broken:
        return Verdict(True, _describe(old, new, shares), (), old, new, shares)
    if limits.mode == "dry_run":
        reason = f"Dry run of the fleet gate: it would have stopped the release. {broken[0]}"
        return Verdict(True, reason, broken, old, new, shares)
    more = f" ({len(broken) - 1} more limits are broken.)" if len(broken) > 1 else ""
    return Verdict(False, f"{broken[0]}{more}", broken, old, new, shares)


def _pair(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    columns = ["sku", *FIGURES]
    return (
        after[["department", *columns]]
        .merge(before[columns], on="sku", suffixes=("_after", "_before"))
        .dropna(subset=[f"{name}_{side}" for name in FIGURES for side in ("after", "before")])
    )


def _pool(both: pd.DataFrame, side: str, least: int) -> dict[str, Figures]:
    """Fleet first, then departments by name; of those with too few SKUs nothing, for a few say little."""
    groups = {FLEET: both} if len(both) >= least else {}
    groups |= {str(name): rows for name, rows in both.groupby("department", sort=True) if len(rows) >= least and name}
    return {name: _sum(rows, side) for name, rows in groups.items()}


def _sum(rows: pd.DataFrame, side: str) -> Figures:
    sums = {name: float(rows[f"{name}{side}"].sum()) for name in FIGURES}
    units = sums["units"]
    volume = units / sums["actuals"] if sums["actuals"] > 0 else math.nan
    if units <= 0:
        return Figures(len(rows), math.nan, math.nan, volume)
    return Figures(len(rows), sums["abs_error"] / units, sums["signed_error"] / units, volume)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _break_shares(shares: Mapping[str, float], counts: Counts, limits: Release, *, first: bool) -> Iterator[str]:
    """A first release serves some where none were served: its coverage is no reason to stop it."""
    if shares["changed"] > limits.max_changed:
        yield (
            f"{counts.changed} of {counts.champions} SKUs ({shares['changed']:.0%}) would change their recipe, "
            f"the limit is {limits.max_changed:.0%}."
        )
    if counts.skus and shares["served"] < limits.min_coverage and not first:
        yield (
            f"{counts.served} of {counts.skus} SKUs ({shares['served']:.0%}) would have a version in production, "
            f"{limits.min_coverage:.0%} is asked for."
        )
    if shares["quarantined"] > limits.max_quarantined:
        yield (
            f"{counts.quarantined} of {counts.skus} SKUs ({shares['quarantined']:.0%}) were quarantined, "
            f"the limit is {limits.max_quarantined:.0%}."
        )


def _break_figures(before: Mapping[str, Figures], after: Mapping[str, Figures], limits: Release) -> list[str]:
    """A sentence per figure that is worse than the limit lets be, the worst first."""
    found: list[tuple[float, str]] = []
    for name, new in after.items():
        old = before[name]
        drift = abs(new.bias) - abs(old.bias)
        if drift > limits.max_bias_change:
            told = (
                f"The bias of {name} goes from {old.bias:+.1%} to {new.bias:+.1%} of its units ({new.skus} SKUs), "
                f"{drift:.1%} further from zero, the limit is {limits.max_bias_change:.0%}."
            )
            found.append((drift, told))
        if new.wape > old.wape * (1 + limits.max_wape_loss):
            worse = f"{new.wape / old.wape - 1:.0%} worse" if old.wape > 0 else "worse"
            told = (
                f"The WAPE of {name} goes from {old.wape:.3f} to {new.wape:.3f} ({new.skus} SKUs), {worse}, "
                f"the limit is {limits.max_wape_loss:.0%}."
            )
            found.append((new.wape - old.wape, told))
        jump = max(new.volume / old.volume, old.volume / new.volume) if old.volume > 0 and new.volume > 0 else 1.0
        if jump > 1 + limits.max_volume_change:
            told = (
                f"The sales of {name} in the backtest go from {old.volume:.3g} to {new.volume:.3g} units per series "
                f"and period ({new.skus} SKUs), a factor of {jump:.1f}, the limit is "
                f"{1 + limits.max_volume_change:.1f}: was a delivery wrong?"
            )
            found.append((jump, told))
    return [told for _, told in sorted(found, key=lambda item: -item[0])]


def _describe(before: Mapping[str, Figures], after: Mapping[str, Figures], shares: Mapping[str, float]) -> str:
    counted = f"{shares['changed']:.1%} of the recipes change, {shares['served']:.1%} of the SKUs are served"
    if FLEET not in after:
        return f"Within all limits: {counted}; no release to compare with."
    old, new = before[FLEET], after[FLEET]
    return (
        f"Within all limits: WAPE {old.wape:.3f} to {new.wape:.3f}, bias {old.bias:+.1%} to {new.bias:+.1%}; {counted}."
    )


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_json(item) for name, item in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
