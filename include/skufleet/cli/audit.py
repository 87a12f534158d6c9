"""``audit``: hold a run and its catalogue against what must be true of them."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from include.skufleet.config import find_catalogue, read_settings
from include.skufleet.errors import ConfigError
from include.skufleet.fleet.audit import INVARIANTS, audit_run
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.publishing import read_published
from include.skufleet.lake.store import ObjectStore


def audit_and_print(catalogue: str, run_id: str, console: Console, *, as_json: bool = False) -> int:
    """Print one line per invariant, and below it what is wrong.

    Args:
        catalogue: the catalogue's name.
        run_id: the Airflow run; empty for the one whose forecasts are published.
        console: for people.
        as_json: print ``{"run_id", "findings": [{"invariant", "detail"}]}`` instead.

    Returns:
        0 only if every invariant holds.

    Raises:
        ConfigError: no such catalogue, or nothing of it is published. DataError: the run has no plan or no results.
    """
    settings, known = read_settings(), find_catalogue(catalogue)
    store = open_store(settings.bucket)
    run = RunKeys(catalogue, run_id or _published(store, catalogue))
    findings = audit_run(Clients.open(store, settings), known, run)
    if as_json:
        told = [{"invariant": item.invariant, "detail": item.detail} for item in findings]
        console.out(json.dumps({"run_id": run.run_id, "findings": told}))
        return 1 if findings else 0
    console.print(f"[bold]{escape(run.run_id)}[/] of {catalogue}")
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in INVARIANTS.items():
        wrong = [item.detail for item in findings if item.invariant == name]
        table.add_row("[red]broken[/]" if wrong else "[green]holds[/]", text)
        for detail in wrong:
            table.add_row("", f"[red]{escape(detail)}[/]")
    console.print(table)
    return 1 if findings else 0


def _published(store: ObjectStore, catalogue: str) -> str:
    pointer = read_published(store, RunKeys(catalogue, "").forecast_pointer)
    if pointer is None:
        raise ConfigError(f"catalogue {catalogue!r}: nothing is published yet, so there is no run to audit; give --run")
    return str(pointer["run_id"])
