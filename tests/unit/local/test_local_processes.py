from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from include.skufleet.errors import LocalStackError
from include.skufleet.local.processes import (
    find_members,
    find_process,
    forget_started,
    last_log_line,
    read_started,
    start_process,
    stop_service,
    sweep_leftovers,
)
from include.skufleet.local.settings import Paths

ENVIRONMENT = {"PATH": os.environ["PATH"]}
# Starts a child that leaves the session, as a careless server might; both announce themselves in the log.
WITH_RUNAWAY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    state = tmp_path / "state"
    state.mkdir()
    paths = Paths(root=tmp_path, state=state)
    yield paths
    stop_service(paths, "demo", signal.SIGKILL, 5)


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about within 10 s")


def start(paths: Paths, code: str) -> psutil.Process:
    started = start_process(paths, "demo", [sys.executable, "-c", code], ENVIRONMENT, "f")
    wait_until(lambda: last_log_line(paths.log("demo")) == "ready")
    process = find_process(started)
    assert process is not None
    return process


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_started_process_is_found_again_by_its_record_and_leads_its_own_session(paths: Paths) -> None:
    process = start(paths, STUBBORN)
    record = read_started(paths, "demo")
    assert record is not None
    assert record.fingerprint == "f"
    assert find_process(record) == process
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_stopping_takes_children_that_left_the_session_too(paths: Paths) -> None:
    process = start(paths, WITH_RUNAWAY)
    runaway = process.children()[0]
    assert os.getsid(runaway.pid) != process.pid
    assert stop_service(paths, "demo", signal.SIGTERM, 5)
    assert is_gone(process.pid)
    assert is_gone(runaway.pid)
    assert read_started(paths, "demo") is None


def test_a_process_that_ignores_the_request_is_ended_by_force(paths: Paths) -> None:
    process = start(paths, STUBBORN)
    stop_service(paths, "demo", signal.SIGTERM, 0.2)
    assert is_gone(process.pid)


def test_what_a_killed_leader_left_behind_is_swept(paths: Paths) -> None:
    process = start(paths, WITH_RUNAWAY)
    runaway = process.children()[0]
    process.kill()
    wait_until(lambda: is_gone(process.pid))
    started = read_started(paths, "demo")
    assert find_process(started) is None
    sweep_leftovers(paths, "demo", started)
    wait_until(lambda: is_gone(runaway.pid))


def test_a_pid_that_another_process_has_now_is_never_touched(paths: Paths) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        try:
            paths.pids.mkdir()
            created = psutil.Process(stranger.pid).create_time() - 100
            record = {"pid": stranger.pid, "created": created, "fingerprint": ""}
            (paths.pids / "demo.json").write_text(json.dumps(record))
            started = read_started(paths, "demo")
            assert find_process(started) is None
            assert find_members(paths, "demo", started) == []
            assert not stop_service(paths, "demo", signal.SIGKILL, 1)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_another_installation_with_the_same_service_name_is_left_alone(paths: Paths, tmp_path: Path) -> None:
    other = Paths(root=tmp_path, state=tmp_path / "other")
    other.state.mkdir()
    process = start(paths, STUBBORN)
    assert not stop_service(other, "demo", signal.SIGKILL, 1)
    assert not is_gone(process.pid)


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "[]", '{"pid": 1}'])
def test_a_damaged_record_counts_as_none(paths: Paths, content: str) -> None:
    paths.pids.mkdir()
    (paths.pids / "demo.json").write_text(content)
    assert read_started(paths, "demo") is None


def test_stopping_what_never_ran_does_nothing(paths: Paths) -> None:
    assert not stop_service(paths, "demo", signal.SIGTERM, 1)
    forget_started(paths, "demo")


def test_a_program_that_does_not_exist_is_named(paths: Paths) -> None:
    with pytest.raises(LocalStackError, match="demo: cannot start /no/such/program"):
        start_process(paths, "demo", ["/no/such/program"], ENVIRONMENT, "f")


def test_the_last_line_that_says_something_is_found_and_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_log_line(log) == ""
    log.write_text("first\n" + "x" * 300 + "\n  \n\n")
    assert last_log_line(log) == "x" * 200
