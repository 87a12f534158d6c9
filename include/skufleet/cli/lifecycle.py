"""``explain``, ``releases``, ``diff``, ``history``, ``promote``, ``rollback``, ``plan``: the life of models by command.

Tables for people, tab-separated where the output is no terminal, JSON with ``--json``.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from include.skufleet.config import Catalogue, find_catalogue, read_settings
from include.skufleet.errors import PlanError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.explain import Explanation, explain_sku
from include.skufleet.fleet.moving import Done
from include.skufleet.fleet.plan import plan_run
from include.skufleet.fleet.releases import Release, find_release, list_releases, open_release
from include.skufleet.fleet.rollback import Scope, promote_held, roll_back, summarise
from include.skufleet.fleet.run import Run, RunKeys
from include.skufleet.fleet.transitions import read_transitions, served_on
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.ingest import ingest
from include.skufleet.lifecycle.release import compare_releases

DONE, NOT_ALL, DIFFERENT = 0, 3, 4
"""Exit codes beside 1 (an error) and 2 (wrong usage): some SKUs could not be moved; the releases differ."""
SHOWN = 40


def open_services(name: str) -> tuple[Clients, Catalogue]:
    """Clients of the environment, and the catalogue.

    Raises:
        CatalogueError: there is no such catalogue.
    """
    settings = read_settings()
    catalogue = find_catalogue(name)
    return Clients.open(open_store(settings.bucket), settings), catalogue


def find_actor() -> str:
    """Who gives the command, for the record: ``SKUFLEET_ACTOR``, or the user of the operating system."""
    return os.environ.get("SKUFLEET_ACTOR") or getpass.getuser()


def show_plan(name: str, as_of: date, skus: tuple[str, ...], console: Console, *, as_json: bool) -> int:
    """Bring in what has landed and say what a run would do; nothing is trained. The plan is not kept."""
    clients, catalogue = open_services(name)
    run = Run(name, _command("plan"), as_of=as_of, skus=skus, dry_run=True)
    ingested = ingest(clients.store, catalogue, as_of).to_json()
    plan_run(clients, catalogue, run, ingested)
    plan = clients.store.get_json(run.plan_key)
    clients.store.delete_many(item.key for item in clients.store.list(f"{run.folder}/"))
    told = {
        "catalogue": name,
        "as_of": as_of.isoformat(),
        **plan["counts"],
        "seconds": round(sum(chunk["seconds"] for chunk in plan["chunks"]), 1),
        "table_version": ingested["table_version"],
    }
    if as_json:
        return _print_json(console, told)
    words = {
        "skus": "SKUs of the catalogue",
        "to_train": "to train",
        "unchanged": "with nothing new",
        "not_planned": "not planned",
        "chunks": "chunks",
        "seconds": "CPU seconds estimated",
    }
    _print_rows(console, ("", name), [(text, _format(told[key])) for key, text in words.items()], f"as of {as_of}")
    return DONE


def show_releases(name: str, console: Console, *, as_json: bool) -> int:
    """The releases that are kept, the newest first; the first is in force."""
    clients, _ = open_services(name)
    known = list_releases(clients.store, RunKeys(name, ""))[::-1]
    if as_json:
        return _print_json(console, [asdict(item) for item in known])
    if not known:
        console.print(f"{name}: no release yet; the first retraining makes one")
        return DONE
    rows = [
        (item.name, item.as_of, item.made_at[:16].replace("T", " "), item.kind, f"{item.skus:,}", f"{item.promoted:,}",
         item.actor, item.reason)
        for item in known
    ]  # fmt: skip
    _print_rows(console, ("release", "as of", "made (UTC)", "kind", "SKUs", "moved", "by", "why"), rows)
    return DONE


def show_diff(name: str, one: str, other: str, console: Console, *, as_json: bool) -> int:
    """What differs from one release to another; 0 where nothing does, else ``DIFFERENT``."""
    clients, _ = open_services(name)
    keys = RunKeys(name, "")
    first, second = (find_release(clients.store, keys, wanted) for wanted in (one, other))
    found = compare_releases(open_release(clients.store, first), open_release(clients.store, second))
    code = DIFFERENT if len(found) else DONE
    if as_json:
        changes = [_clean(row) for row in found.to_dict("records")]
        _print_json(console, {"from": first.name, "to": second.name, "changes": changes})
        return code
    counts = found["change"].value_counts().to_dict()
    told = ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items())) or "no difference"
    rows = [
        (row["sku"], row["department"], row["change"], f"{row['version_from']} → {row['version_to']}",
         _name_recipes(row), f"{_format(row['error_from'])} → {_format(row['error_to'])}", row["reason"])
        for row in found.sort_values(["change", "sku"], key=lambda column: column == "refit").to_dict("records")
    ]  # fmt: skip
    header = ("SKU", "department", "change", "version", "recipe", "error", "why")
    _print_rows(console, header, rows, f"{first.name} → {second.name}: {told}")
    return code


def show_history(name: str, sku: str, day: date | None, console: Console, *, as_json: bool) -> int:
    """Every change of stage of a SKU, the newest first; with a day, which version served at its end."""
    clients, _ = open_services(name)
    keys = RunKeys(name, "")
    if day is not None:
        served = served_on(clients.store, keys, sku, day)
        if as_json:
            return _print_json(console, {"sku": sku, "day": day.isoformat()} | _clean(asdict(served)))
        if not served.version:
            console.print(f"{sku}: nothing served it at the end of {day} (UTC)")
            return DONE
        until = f" until {served.until:%Y-%m-%d %H:%M}" if served.until else ""
        since = f"{served.since:%Y-%m-%d %H:%M}" if served.since else "?"
        console.print(f"{escape(sku)}: version [bold]{served.version}[/], since {since}{until} (UTC)")
        console.print(f"{escape(served.reason)} ({escape(served.rule)}; by {escape(served.actor)})", soft_wrap=True)
        return DONE
    rows = read_transitions(clients.store, keys)
    own = rows[rows["sku"] == sku].sort_values("time", ascending=False)
    if as_json:
        return _print_json(console, [_clean(row) for row in own.to_dict("records")])
    if own.empty:
        raise PlanError(f"catalogue {name!r}: nothing is known of a SKU {sku!r}; `explain` names some that there are")
    shown = [
        (f"{row['time']:%Y-%m-%d %H:%M}", str(row["version"]), f"{row['from_stage']} → {row['to_stage']}", row["actor"],
         row["reason"])
        for row in own.to_dict("records")
    ]  # fmt: skip
    _print_rows(console, ("time (UTC)", "version", "stage", "by", "why"), shown, sku)
    return DONE


def show_explanation(name: str, sku: str, console: Console, *, as_json: bool) -> int:
    """Which version serves a SKU and why, in a screen."""
    clients, catalogue = open_services(name)
    told = explain_sku(clients, catalogue, sku)
    if as_json:
        return _print_json(console, told.to_json())
    _print_explanation(console, told)
    return DONE


def promote_by_command(name: str, run_id: str, scope: Scope, reason: str, console: Console, *, as_json: bool) -> int:
    """Put what a run had held back into production; 0, or ``NOT_ALL`` where a SKU could not be moved."""
    clients, catalogue = open_services(name)
    runs = [item for item in list_releases(clients.store, RunKeys(name, "")) if item.kind == "run"]
    if not run_id and not runs:
        raise PlanError(f"catalogue {name!r}: no run has ended yet, there is nothing to promote")
    source = RunKeys(name, run_id or runs[-1].run_id)
    done = promote_held(
        clients, catalogue, source, scope, actor=find_actor(), run_id=_command("promotion"), reason=reason
    )
    released = list_releases(clients.store, source)[-1]
    return _tell(done, released, console, as_json=as_json)


def roll_back_by_command(name: str, wanted: str, scope: Scope, reason: str, console: Console, *, as_json: bool) -> int:
    """Put a release back into production; 0, or ``NOT_ALL`` where a SKU could not be moved."""
    clients, catalogue = open_services(name)
    release = find_release(clients.store, RunKeys(name, ""), wanted)
    done = roll_back(clients, catalogue, release, scope, actor=find_actor(), run_id=_command("rollback"), reason=reason)
    code = _tell(done, release, console, as_json=as_json)
    if not as_json and done.moved:
        console.print(f"The forecasts that are published are still the former versions': make trigger CATALOGUE={name}")
    return code


def _command(verb: str) -> str:
    """A name for a command, as a run has its id."""
    return f"{verb}__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}-{secrets.token_hex(2)}"


def _tell(done: Done, release: Release, console: Console, *, as_json: bool) -> int:
    told = summarise(done, release)
    if as_json:
        _print_json(console, told)
    else:
        console.print(escape(told["sentence"]), soft_wrap=True)
        for sku, error in list(told["errors"].items())[:SHOWN]:
            console.print(f"  [red]{escape(sku)}[/]: {escape(error)}", soft_wrap=True)
    return NOT_ALL if told["failed"] else DONE


def _print_explanation(console: Console, told: Explanation) -> None:
    serving = told.serving
    where = f", department {escape(told.department)}" if told.department else ""
    console.print(f"[bold]{escape(told.sku)}[/]{where}")
    if serving:
        since = f" since {str(serving['since'])[:16].replace('T', ' ')} UTC" if serving.get("since") else ""
        console.print(f"Serves: version [bold]{serving['version']}[/], {serving['candidate']}, as of "
                      f"{serving['as_of']}{since}")  # fmt: skip
        console.print(f"  {escape(str(serving.get('reason', '')))}", soft_wrap=True)
    else:
        console.print("Serves: nothing is in production; the forecasts are a fallback's.")
    if told.moved_by_hand:
        console.print(f"[yellow]Moved by hand[/]: the release in force names version {told.moved_by_hand}.")
    others = {alias: number for alias, number in told.aliases.items() if alias != "production"}
    if others:
        console.print("Also: " + ", ".join(f"{alias} {number}" for alias, number in others.items()))
    if told.last:
        last = told.last
        console.print(f"\nLast looked at as of {last['as_of']}: {last['outcome']}")
        console.print(f"  {escape(str(last.get('verdict') or last['reason']))}", soft_wrap=True)
    if told.decided and not told.decided["promoted"]:
        held, why = told.decided["version"], escape(str(told.decided["reason"]))
        console.print(f"  [yellow]Version {held} was held back[/]: {why}", soft_wrap=True)
    if told.competed:
        console.print("\n[bold]What competed[/]")
        rows = [(name, f"{value:.4g}", _say_role(name, told)) for name, value in told.competed.items()]
        _print_rows(console, ("candidate", "error", ""), rows)
    if told.last:
        console.print("\n[bold]The gate[/]")
        rows = [(name, value, asked) for name, (value, asked) in told.figures.items()]
        _print_rows(console, ("figure", "value", "asked for"), rows)
        console.print(f"\n[bold]What would have to change[/]\n  {escape(told.would_change)}", soft_wrap=True)


def _say_role(name: str, told: Explanation) -> str:
    roles = {
        str(told.last.get("champion_candidate")): "was in production",
        str(told.last.get("challenger")): "would have been chosen",
        str(told.last.get("candidate")): "was refit",
    }
    found = [role for recipe, role in roles.items() if recipe == name]
    return ", ".join(found)


def _name_recipes(row: Mapping[Any, Any]) -> str:
    one, other = str(row["candidate_from"]), str(row["candidate_to"])
    return other if one == other else f"{one or '–'} → {other or '–'}"


def _format(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _clean(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A record that JSON can hold."""
    cleaned = {}
    for name, value in row.items():
        if isinstance(value, float) and math.isnan(value):
            value = None
        cleaned[str(name)] = value.isoformat() if isinstance(value, datetime) else value
    return cleaned


def _print_json(console: Console, value: Any) -> int:
    console.out(json.dumps(value, ensure_ascii=False, allow_nan=False))
    return DONE


def _print_rows(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """A table on a terminal, at most ``SHOWN`` rows; elsewhere tab-separated lines, all of them."""
    every = list(rows)
    if not console.is_terminal:
        for row in [header, *every]:
            line = "\t".join(str(cell).replace("\t", " ").replace("\n", " ") for cell in row)
            console.file.write(f"{line}\n")  # rich would make spaces of the tabs
        return
    if title:
        console.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in header:
        table.add_column(name, overflow="fold")
    for row in every[:SHOWN]:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)
    if len(every) > SHOWN:
        console.print(f"and {len(every) - SHOWN:,} more: pipe the output, or use --json")
