"""The figures for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_table(console: Console, figures: dict[str, Any]) -> None:
    """A table of the runs, and a line for each other figure."""
    table = Table("run", "seconds", "ms / SKU", "trained", "unchanged", "chunks", "task MB", "stages")
    for name, run in figures["runs"].items():
        stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in run["stage_seconds"].items())
        row = [run["seconds"], round(1000 * run["seconds_per_sku"], 1), run["outcomes"].get("trained", 0)]
        row += [run["unchanged"], run["chunks"], run["peak_task_rss_mb"], stages]
        table.add_row(name, *map(str, row))
    console.print(table)
    for name, value in figures.items():
        if not isinstance(value, dict):
            console.print(f"  {name:<36}{value}")
