"""Verbs, their arguments, and the exit code that each ends with."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from include.skufleet.cli import lifecycle
from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.cli.audit import audit_and_print
from include.skufleet.cli.backfill import backfill_and_watch, list_dates
from include.skufleet.cli.land import land_data
from include.skufleet.cli.retrain import retrain_and_watch
from include.skufleet.cli.scorecard import show_scorecards
from include.skufleet.errors import SkufleetError
from include.skufleet.fleet.rollback import Scope
from include.skufleet.local.__main__ import show_progress
from include.skufleet.local.settings import load_settings
from include.skufleet.local.stack import Access, Announce, up

DEMO = "demo"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when it did what was asked, 1 when it could not (the reason is printed), 2 for wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        return int(options.run(options, console))
    except SkufleetError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; what was started goes on: see `make status`")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.skufleet", description="Retrain a catalogue's models.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo = verbs.add_parser("demo", help="start everything, land the demo catalogue and retrain it")
    demo.set_defaults(run=_demo)
    land = verbs.add_parser("import", help="land a catalogue's data on S3")
    land.add_argument("--catalogue", required=True)
    land.add_argument("--from", dest="source", type=Path, help="a zip, a folder or a file; none for the demo")
    land.add_argument("--stores", default="", help="only these stores, separated by commas (m5)")
    land.set_defaults(run=_import)
    trigger = verbs.add_parser("trigger", help="retrain a catalogue through Airflow and watch it")
    trigger.add_argument("--catalogue", required=True)
    trigger.add_argument("--as-of", type=_date, help="the date that the run pretends it is (YYYY-MM-DD)")
    trigger.add_argument("--skus", default="", help="codes or patterns, separated by commas")
    trigger.add_argument("--force", action="store_true")
    trigger.add_argument("--dry-run", action="store_true", help="ingest, plan and report only")
    trigger.set_defaults(run=_trigger)
    backfill = verbs.add_parser("backfill", help="retrain a catalogue as of past dates, one after the other")
    backfill.add_argument("--catalogue", required=True)
    backfill.add_argument("--from", type=_date, required=True, dest="first", help="the first date (YYYY-MM-DD)")
    backfill.add_argument("--to", type=_date, required=True, dest="last", help="the last date, included")
    backfill.add_argument("--every", type=int, default=1, help="days between two dates")
    backfill.add_argument("--skus", default="", help="codes or patterns, separated by commas")
    backfill.add_argument("--force", action="store_true")
    backfill.add_argument("--again", action="store_true", help="also dates that have a scorecard already")
    backfill.set_defaults(run=_backfill)
    scorecard = verbs.add_parser("scorecard", help="what the forecasts of past dates turned out to be worth")
    scorecard.add_argument("--catalogue", required=True)
    scorecard.add_argument("--json", action="store_true", dest="as_json")
    scorecard.add_argument("--svg", type=Path, help="write the plot to this file")
    scorecard.set_defaults(run=_scorecard)
    audit = verbs.add_parser("audit", help="hold a run against what must be true after it; 1 where something is not")
    audit.add_argument("--catalogue", required=True)
    audit.add_argument("--run", default="", dest="run_id", help="the Airflow run; the published one where not given")
    audit.add_argument("--json", action="store_true", dest="as_json")
    audit.set_defaults(run=_audit)
    _add_lifecycle(verbs)
    return parser


def _add_lifecycle(verbs: Any) -> None:
    """The verbs of releases and of single SKUs."""

    def add(name: str, run: Callable[[argparse.Namespace, Console], int], text: str) -> argparse.ArgumentParser:
        verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--catalogue", required=True)
        verb.add_argument("--json", action="store_true", dest="as_json")
        verb.set_defaults(run=run)
        return verb

    plan = add("plan", _plan, "bring in what has landed, and say what a run would train; nothing is trained")
    plan.add_argument("--as-of", type=_date, help="the date that the run would pretend it is; today without")
    plan.add_argument("--skus", default="", help="codes or patterns, separated by commas")
    explain = add("explain", _explain, "which version of a SKU serves, why, and what it would take to change that")
    explain.add_argument("sku")
    add("releases", _releases, "the releases that are kept, the newest first; the first is in force")
    diff = add("diff", _diff, "what differs between two releases; exit code 4 where anything does")
    diff.add_argument("one", nargs="?", default="previous", help="a release; the previous one without")
    diff.add_argument("other", nargs="?", default="current", help="another; the one in force without")
    history = add("history", _history, "every change of stage of a SKU: who was in production when, and why")
    history.add_argument("sku")
    history.add_argument("--on", type=_date, help="only: which version served at the end of this day (UTC)")
    promote = add("promote", _promote, "put what a run registered and held back into production")
    promote.add_argument("--run", default="", dest="run_id", help="the Airflow run; the last one without")
    rollback = add("rollback", _rollback, "put an earlier release back into production")
    rollback.add_argument("--release", required=True, help="a name, the beginning of one, a date, or previous")
    for verb in (promote, rollback):
        verb.add_argument("--skus", default="", help="codes or patterns, separated by commas; all without")
        verb.add_argument("--department", default="", help="only SKUs of it")
        verb.add_argument("--reason", default="", help="why, for the history of each SKU")


def _plan(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    as_of = options.as_of or datetime.now(UTC).date()
    return lifecycle.show_plan(options.catalogue, as_of, _split(options.skus), console, as_json=options.as_json)


def _explain(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    return lifecycle.show_explanation(options.catalogue, options.sku, console, as_json=options.as_json)


def _releases(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    return lifecycle.show_releases(options.catalogue, console, as_json=options.as_json)


def _diff(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    return lifecycle.show_diff(options.catalogue, options.one, options.other, console, as_json=options.as_json)


def _history(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    return lifecycle.show_history(options.catalogue, options.sku, options.on, console, as_json=options.as_json)


def _promote(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    scope = Scope(_split(options.skus), options.department)
    return lifecycle.promote_by_command(
        options.catalogue, options.run_id, scope, options.reason, console, as_json=options.as_json
    )


def _rollback(options: argparse.Namespace, console: Console) -> int:
    _start_quietly()
    scope = Scope(_split(options.skus), options.department)
    return lifecycle.roll_back_by_command(
        options.catalogue, options.release, scope, options.reason, console, as_json=options.as_json
    )


def _demo(_: argparse.Namespace, console: Console) -> int:
    access = _start(console)
    end = _yesterday()
    land_data(DEMO, None, (), end, console)
    return retrain_and_watch(open_airflow(access), DEMO, {"as_of": end.isoformat()}, console)


def _import(options: argparse.Namespace, console: Console) -> int:
    _start(console)
    land_data(options.catalogue, options.source, _split(options.stores), _yesterday(), console)
    return 0


def _trigger(options: argparse.Namespace, console: Console) -> int:
    conf = {
        "as_of": options.as_of.isoformat() if options.as_of else None,
        "skus": list(_split(options.skus)),
        "force": options.force,
        "dry_run": options.dry_run,
    }
    return retrain_and_watch(open_airflow(_start(console)), options.catalogue, conf, console)


def _backfill(options: argparse.Namespace, console: Console) -> int:
    dates = list_dates(options.first, options.last, options.every)
    conf = {"skus": list(_split(options.skus)), "force": options.force}
    api = open_airflow(_start(console))
    return backfill_and_watch(api, options.catalogue, dates, conf, console, again=options.again)


def _scorecard(options: argparse.Namespace, console: Console) -> int:
    _start_for(options, console)
    return show_scorecards(options.catalogue, console, as_json=options.as_json, svg=options.svg)


def _start_for(options: argparse.Namespace, console: Console) -> None:
    """Start what is not running; without a word where only JSON is to be printed."""
    if options.as_json:
        _start_quietly()
    else:
        _start(console)


def _start_quietly() -> None:
    """Start what is not running without a word: for verbs that are given often."""
    _start(Console(quiet=True), lambda _: None)


def _audit(options: argparse.Namespace, console: Console) -> int:
    _start_for(options, console)
    return audit_and_print(options.catalogue, options.run_id, console, as_json=options.as_json)


def _start(console: Console, announce: Announce = show_progress) -> Access:
    """The running stack, started where it is not; its variables become this process's environment."""
    settings = load_settings()
    with console.status("starting PostgreSQL, S3, MLflow and Airflow"):
        access = up(settings, announce)
    os.environ.update(access.environment)
    console.print(f"  Airflow  {access.airflow_url}   login in [bold]{settings.paths.shown(access.login)}[/]")
    console.print(f"  MLflow   {access.mlflow_url}")
    return access


def open_airflow(access: Access) -> AirflowApi:
    """Airflow's API, logged in as the first user of the stack's login file."""
    username, password = next(iter(json.loads(access.login.read_text(encoding="utf-8")).items()))
    return AirflowApi(access.airflow_url, username, password)


def _yesterday() -> date:
    """The last complete day: the simulated chain has delivered up to it."""
    return datetime.now(UTC).date() - timedelta(days=1)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a date such as 2026-01-31") from error
