"""Start and stop detached processes, and know them again later without ever mistaking a stranger for one of them.

A process is known by its pid together with its start time. It leads its own session; what it leaves behind is
found by that session and by the mark in its environment.
What does not belong here: which processes there are (`services.py`).
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from include.skufleet.errors import LocalStackError
from include.skufleet.local.environment import MARKER
from include.skufleet.local.settings import Paths, write_private

SAME_START_SECONDS = 1.0
LONGEST_LOG_BYTES = 50 * 2**20
SERVICE_MARKER = f"{MARKER}_SERVICE"


@dataclass(frozen=True)
class Started:
    """A process that was once started.

    Attributes:
        pid: its process id.
        created: when it started, seconds since 1970; tells it from a later process with the same id.
        fingerprint: of the command and settings it was started with.
    """

    pid: int
    created: float
    fingerprint: str = ""


def read_started(paths: Paths, service: str) -> Started | None:
    """Return what was recorded when `service` was last started, or None."""
    try:
        values = json.loads((paths.pids / f"{service}.json").read_text(encoding="utf-8"))
        return Started(int(values["pid"]), float(values["created"]), str(values["fingerprint"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def forget_started(paths: Paths, service: str) -> None:
    """Remove the record of `service`: it was stopped on purpose."""
    (paths.pids / f"{service}.json").unlink(missing_ok=True)


def find_process(started: Started | None) -> psutil.Process | None:
    """Return the live process that `started` names; None when it has ended or its pid is another process's now."""
    if started is None:
        return None
    try:
        process = psutil.Process(started.pid)
        if abs(process.create_time() - started.created) > SAME_START_SECONDS:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def start_process(
    paths: Paths, service: str, command: Sequence[str], environment: Mapping[str, str], fingerprint: str
) -> Started:
    """Start `command` detached from this terminal, its output appended to the service's log, and record it.

    Raises:
        LocalStackError: the command cannot be started at all.
    """
    paths.pids.mkdir(parents=True, exist_ok=True)
    paths.logs.mkdir(parents=True, exist_ok=True)
    log = paths.log(service)
    if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))
    marked = {**environment, MARKER: str(paths.state), SERVICE_MARKER: service}
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - our own command
                list(command),
                env=marked,
                cwd=paths.state,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise LocalStackError(
            f"{service}: cannot start {command[0]}: {error.strerror}. Run `make up` to repair."
        ) from error
    started = Started(child.pid, psutil.Process(child.pid).create_time(), fingerprint)
    # Reaped by init after this program has ended; until then a dead one shows as a zombie, which counts as dead.
    child.returncode = 0
    write_private(paths.pids / f"{service}.json", json.dumps(asdict(started)))
    return started


def find_members(paths: Paths, service: str, started: Started | None) -> list[psutil.Process]:
    """Return every live process of `service`: those which carry its mark, and those in the session that it led.

    A server may overwrite its environment when it sets its title, so the mark alone would miss some; the session alone
    would miss those that left it.
    """
    sessions = {started.pid} if started is not None and not _is_stranger(started) else set()
    parents = {process.pid for process in [find_process(started)] if process is not None}
    members = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            in_session = started is not None and os.getsid(process.pid) in sessions
            in_session = in_session and process.create_time() >= (
                started.created - SAME_START_SECONDS if started else 0
            )
            if (in_session or process.pid in parents or _is_marked(process, paths, service)) and not _is_zombie(
                process
            ):
                members.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue
    return members


def _is_stranger(started: Started) -> bool:
    """Whether the pid lives on as somebody else's process, so that its session is not ours."""
    try:
        return abs(psutil.Process(started.pid).create_time() - started.created) > SAME_START_SECONDS
    except psutil.NoSuchProcess:
        return False


def _is_marked(process: psutil.Process, paths: Paths, service: str) -> bool:
    try:
        environment = process.environ()
    except (psutil.AccessDenied, psutil.ZombieProcess, OSError):
        return False
    return environment.get(MARKER) == str(paths.state) and environment.get(SERVICE_MARKER) == service


def _is_zombie(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_ZOMBIE


def stop_service(paths: Paths, service: str, stop_signal: signal.Signals, patience: float) -> bool:
    """Stop `service` with all its processes: first its leader by `stop_signal`, then whatever is left by force.

    Args:
        paths: folders of the installation.
        service: name of the process.
        stop_signal: what its leader takes as a request to end orderly.
        patience: seconds that it gets for it.

    Returns:
        Whether anything was running.

    Raises:
        LocalStackError: a process is still there after SIGKILL.
    """
    started = read_started(paths, service)
    members = find_members(paths, service, started)
    leader = find_process(started)
    if leader is not None:
        _signal([leader], stop_signal)
        _wait([leader], patience)
    sweep_leftovers(paths, service, started)
    forget_started(paths, service)
    return bool(members)


def sweep_leftovers(paths: Paths, service: str, started: Started | None) -> None:
    """End what a dead or stopping `service` left behind: SIGTERM, a moment, SIGKILL.

    Raises:
        LocalStackError: a process is still there after SIGKILL.
    """
    left = find_members(paths, service, started)
    if not left:
        return
    _signal(left, signal.SIGTERM)
    _wait(left, 2.0)
    left = find_members(paths, service, started)
    _signal(left, signal.SIGKILL)
    if stubborn := _wait(left, 10.0):
        pids = ", ".join(str(process.pid) for process in stubborn)
        raise LocalStackError(
            f"{service}: process {pids} does not end, even by SIGKILL. Look at it with `ps -o stat,wchan`."
        )


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return those that are still alive after at most `seconds`; a zombie has ended."""
    deadline = time.monotonic() + seconds
    alive = list(processes)
    while alive := [process for process in alive if process.is_running() and not _is_ended(process)]:
        if time.monotonic() >= deadline:
            return alive
        time.sleep(0.05)
    return []


def _is_ended(process: psutil.Process) -> bool:
    try:
        return _is_zombie(process)
    except psutil.NoSuchProcess:
        return True


def last_log_line(path: Path) -> str:
    """Return the last line of a log that says something, cut to 200 characters; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
