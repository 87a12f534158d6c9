"""`python -m include.skufleet.local up | down | status | env`: the embedded stack from the command line."""

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from include.skufleet.errors import ConfigError, LocalStackError
from include.skufleet.local import preflight, stack
from include.skufleet.local.settings import StackSettings, load_settings

MARKS = {"healthy": "[green]✓[/]", "unresponsive": "[yellow]…[/]", "dead": "[red]✗[/]", "stopped": "[dim]·[/]"}
SECRET_WORDS = ("SECRET", "PASSWORD", "FERNET", "CONN", "ACCESS_KEY", "MLFLOW_URI")
console = Console(highlight=False)
complaints = Console(stderr=True, highlight=False)


def show_progress(progress: stack.Progress) -> None:
    """Print one line for a service that became healthy or was stopped."""
    console.print(f"{MARKS['healthy']} {progress.name:<22} {progress.what} [dim]{progress.seconds:5.1f} s[/]")


def show_access(settings: StackSettings, found: stack.Access) -> None:
    """Print where the stack is and which file holds the login; never the password itself."""
    console.print(f"  Airflow  {found.airflow_url}   login: [bold]{settings.paths.shown(found.login)}[/]")
    console.print(f"  MLflow   {found.mlflow_url}")
    console.print(f"  S3       {found.s3_url}   bucket: {found.bucket}")


def run_up(settings: StackSettings) -> int:
    """Bring the stack up."""
    show_access(settings, stack.up(settings, show_progress))
    return 0


def run_down(settings: StackSettings) -> int:
    """Take the stack down."""
    stack.down(settings, show_progress)
    console.print("The stack is down; its data stays in " + settings.paths.shown(settings.paths.state) + ".")
    return 0


def run_status(settings: StackSettings) -> int:
    """Print one line per process; 0 only when all are healthy."""
    found = stack.status(settings)
    for item in found:
        where = item.url or ""
        if item.state in {"dead", "unresponsive"}:
            where = f"log: {settings.paths.shown(item.log)}"
        pid = f"pid {item.pid}" if item.pid else ""
        console.print(f"{MARKS[item.state]} {item.name:<22} {item.state:<13} {pid:<12} {where}", soft_wrap=True)
    troubled = [item.name for item in found if item.state != "healthy"]
    if troubled:
        console.print(f"{len(troubled)} of {len(found)} not healthy. `make up` starts what is missing.")
    return 1 if troubled else 0


def run_env(settings: StackSettings, command: Sequence[str]) -> int:
    """Run `command` with the environment of the tasks; without one, print that environment, its secrets hidden."""
    if command:
        os.execvpe(command[0], list(command), dict(stack.environment_for_clients(settings)))  # noqa: S606 - the user's own command
    for name, value in sorted(stack.access(settings).environment.items()):
        shown = "(hidden)" if any(word in name for word in SECRET_WORDS) and not name.endswith("_FILE") else value
        console.print(f"{name}={shown}", soft_wrap=True, markup=False)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m include.skufleet.local", description="The embedded stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start what does not run and wait until all is healthy")
    commands.add_parser("down", help="stop everything; the data stays")
    commands.add_parser("status", help="say how each process is; exit code 1 if one is not healthy")
    env = commands.add_parser("env", help="run a command with the environment of the tasks, or show it without secrets")
    env.add_argument("program", nargs=argparse.REMAINDER, metavar="command ...")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code is returned."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        preflight.check_python()
        settings = load_settings()
        if options.command == "env":
            return run_env(settings, [word for word in options.program if word != "--"])
        return {"up": run_up, "down": run_down, "status": run_status}[options.command](settings)
    except (LocalStackError, ConfigError) as error:
        complaints.print("[red]✗[/] ", end="")
        complaints.print(str(error), soft_wrap=True, markup=False)
        return 1
    except KeyboardInterrupt:
        complaints.print("Interrupted. `make status` shows what runs, `make down` stops it.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
