"""The comparison in words and numbers: the text for the page, and the JSON line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.defaults import SINGLE
from benchmarks.machine import Usage, describe_machine
from benchmarks.rivals.comparison import Comparison
from benchmarks.rivals.engine_side import CHOSEN
from benchmarks.rivals.table import Row, write_table


def write_page(found: Sequence[Comparison]) -> str:
    """What was measured, when and on what; the table; and the chosen model against the best single candidate."""
    machine, versions = describe_machine(), found[0].versions
    tools = ", ".join(f"{name} {number}" for name, number in versions.items())
    samples = "; ".join(_describe(one) for one in found)
    where = (
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}, commit {machine['commit']}"
    )
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d} ({where}; {tools}). {samples}.",
        "",
        "![WAPE beside CPU time per series, for each catalogue](rivals.svg)",
        "",
        write_table([row for one in found for row in one.shown]),
        "",
        "| catalogue | chosen, WAPE | best single candidate | its WAPE | ratio | actuals within the intervals |",
        "|---|--:|---|--:|--:|---|",
    ]
    for one in found:
        own = one.rows[0]
        within = ", ".join(f"{share:.1%} of {level:.0%}" for level, share in one.coverage.items())
        cells = (f"{own.wape:.4f}", one.best.entry, f"{one.best.wape:.4f}", f"{own.wape / one.best.wape:.3f}", within)
        lines.append(f"| {one.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _describe(one: Comparison) -> str:
    origins = ", ".join(map(str, one.origins))
    return f"{one.name}: {one.skus} SKUs, {one.series:,} series, origins {origins}"


def summarise(found: Sequence[Comparison], usage: Usage) -> dict[str, Any]:
    """Everything, for the JSON line."""
    return {
        "benchmark": "rivals",
        "catalogues": {one.name: _summarise(one) for one in found},
        "versions": dict(found[0].versions),
        "seconds": round(usage.seconds, 1),
        "cpu_seconds": round(usage.cpu_seconds, 1),
        "peak_rss_mb": round(usage.peak_rss_mb),
        **describe_machine(),
    }


def _summarise(one: Comparison) -> dict[str, Any]:
    own = one.rows[0]
    single = SINGLE if any(row.entry == SINGLE and row.ours for row in one.rows) else one.best.entry
    return {
        "origins": [str(day) for day in one.origins],
        "skus": one.skus,
        "series": one.series,
        "rows": [row.to_json() for row in one.rows],
        "candidates_chosen": dict(one.chosen),
        "coverage": {str(level): round(share, 4) for level, share in one.coverage.items()},
        "failed": one.failed,
        "best_single": {"entry": one.best.entry, "wape": one.best.wape, "chosen_over_it": own.wape / one.best.wape},
        "best_rival_within_cpu": {entry: _name(one.best_rival(entry)) for entry in (CHOSEN, single)},
    }


def _name(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {"entry": row.entry, "relative": row.relative}
