"""``import``: put a catalogue's data into its landing, with a bar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.lake.connecting import open_store
from include.skufleet.sources.land import land


def land_data(catalogue: str, source: Path | None, stores: Sequence[str], end: date, console: Console) -> None:
    """Land ``source`` (or the simulated demo, up to ``end``) for a catalogue; unchanged objects are left alone.

    Raises:
        CatalogueError: there is no such catalogue.
        LandingError: the source cannot be used; the message says why.
    """
    settings = find_catalogue(catalogue)
    store = open_store(read_settings().bucket)
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(f"landing {catalogue}", total=None)
        summary = land(
            store,
            settings,
            source,
            stores=tuple(stores),
            end=end,
            progress=lambda done, total, _: progress.update(bar, completed=done, total=total),
        )
    if summary.objects == 0:
        console.print(f"[green]✓[/] landing of {catalogue}: nothing new, {summary.unchanged:,} objects are there")
        return
    if summary.skipped:
        console.print(
            f"  left out, since no folder of the catalogue reads them: {', '.join(summary.skipped)}", soft_wrap=True
        )
    rows = f", {summary.rows:,} rows" if summary.rows else ""
    console.print(
        f"[green]✓[/] landing of {catalogue}: {summary.objects:,} objects, {summary.bytes / 1e6:,.1f} MB{rows} "
        f"in {store.uri(settings.landing.prefix)}",
        soft_wrap=True,
    )
