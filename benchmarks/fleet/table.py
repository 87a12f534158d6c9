"""The figures for people, and a bar while they wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def print_table(console: Console, figures: Mapping[str, Any]) -> None:
    """A table of the runs, and a line for each other figure."""
    table = Table("run", "seconds", "ms / SKU", "models", "unchanged", "chunks", "task MB", "stages")
    for name, run in figures["runs"].items():
        stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in run["stage_seconds"].items())
        row = [run["seconds"], round(1000 * run["seconds_per_sku"], 1), run["models"]]
        row += [run["unchanged"], run["chunks"], run["peak_task_rss_mb"], stages]
        table.add_row(name, *map(str, row))
    console.print(table)
    for name, value in figures.items():
        if not isinstance(value, Mapping):
            console.print(f"  {name:<36}{value}")


@contextmanager
def count_along(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar that moves by one at each call of what the block is given."""
    columns = (TextColumn("  {task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda: progress.advance(bar)
