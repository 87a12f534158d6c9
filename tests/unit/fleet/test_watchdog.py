"""A process that hangs is ended, and says where it hung."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.skufleet.fleet.watchdog import end_process_after
from tests.unit.fleet.small_fleet import SmallFleet, weekly

ROOT = Path(__file__).resolve().parents[3]
HEAD = """
import os, signal, time
from include.skufleet.fleet.watchdog import end_process_after
from tests.unit.fleet.deadly import hang_in_native_code
"""


def run_script(body: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, which ends by itself long before its work does."""
    return subprocess.run(
        [sys.executable, "-c", HEAD + body], capture_output=True, text=True, check=False, timeout=50, cwd=ROOT
    )


def test_work_that_hangs_in_native_code_is_ended_and_named() -> None:
    ended = run_script("with end_process_after(0.5):\n    hang_in_native_code()\nprint('went on')")
    assert ended.returncode == 1
    assert "went on" not in ended.stdout
    assert "in hang_in_native_code" in ended.stderr


def test_a_signal_as_airflow_uses_would_not_have_ended_it() -> None:
    """What the watchdog is for: the handler of the alarm is not asked until the native code returns."""
    ended = run_script(
        "signal.signal(signal.SIGALRM, lambda *_: os._exit(7))\nsignal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "with end_process_after(1.5):\n    hang_in_native_code()"
    )
    assert ended.returncode == 1


def test_a_block_that_begins_again_has_all_its_seconds() -> None:
    ended = run_script(
        "with end_process_after(1.0) as begin_again:\n    for _ in range(4):\n        begin_again()\n"
        "        time.sleep(0.5)\nprint('went on')"
    )
    assert (ended.returncode, ended.stdout) == (0, "went on\n")


def test_a_block_that_ended_is_not_held_against_the_process_and_the_outer_one_still_is() -> None:
    inner = "    with end_process_after(0.5):\n        pass\n    time.sleep(1.5)\nprint('went on')"
    body = "with end_process_after({outer}):\n" + inner
    assert run_script(body.format(outer=30)).stdout == "went on\n"
    assert run_script(body.format(outer=1.0)).returncode == 1


def test_the_outer_end_counts_where_it_comes_first() -> None:
    ended = run_script("with end_process_after(0.5), end_process_after(60):\n    time.sleep(50)")
    assert ended.returncode == 1


def test_after_an_error_nothing_is_watched() -> None:
    with pytest.raises(ValueError, match="planted"), end_process_after(0.3):
        raise ValueError("planted")
    time.sleep(0.6)


def test_each_sku_of_a_first_try_has_the_seconds_of_the_catalogue_file(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = SmallFleet.open(fleet={"sku_seconds": 77})
    fleet.deliver([row for sku in ("A", "B") for row in weekly(sku)])
    asked: list[float] = []
    monkeypatch.setattr(
        "include.skufleet.fleet.watchdog.faulthandler.dump_traceback_later",
        lambda seconds, **_: asked.append(seconds),
    )
    fleet.do_all(fleet.new_run())
    assert asked == pytest.approx([77, 77, 77], abs=1)
