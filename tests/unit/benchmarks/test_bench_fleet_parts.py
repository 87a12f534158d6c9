"""What the benchmark of the whole path looks at: storage, processes, rivals' features, loops side by side, its lock."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fleet.own_stack import hold_alone
from benchmarks.fleet.registry_pages import find_latest
from benchmarks.fleet.rivals import HORIZON, LAGS, make_features
from benchmarks.fleet.sample import spread
from benchmarks.fleet.side_by_side import time_side_by_side
from benchmarks.fleet.storage import sum_below
from benchmarks.fleet.watching import largest_task
from include.skufleet.errors import LocalStackError, PermanentError


@given(st.lists(st.integers(), unique=True, max_size=50), st.integers(0, 60))
def test_a_spread_sample_has_as_many_as_asked_for_in_their_order_and_the_first_of_all(
    items: list[int], most: int
) -> None:
    found = spread(items, most)
    assert len(found) == min(most, len(items))
    assert found == [item for item in items if item in found]
    assert found[:1] == (items[:1] if most else [])


def test_a_spread_sample_leaves_gaps_that_differ_by_one_at_most() -> None:
    assert set(np.diff(spread(range(1000), 60))) == {16, 17}


def test_bytes_of_a_folder_are_not_those_of_one_whose_name_begins_alike() -> None:
    sizes = {"a/1/x": 3, "a/1/code/y": 4, "a/12/x": 5, "a/1": 100}
    assert sum_below(sizes, ["a/1/", "a/12", "gone"]) == {"a/1": 7, "a/12": 5, "gone": 0}


def test_the_latest_version_is_the_highest_number_not_the_last_by_name() -> None:
    versions = [SimpleNamespace(name=name, version=version) for name, version in (("m", "9"), ("m", "10"), ("n", "1"))]
    assert {item.name: item.version for item in find_latest(versions)} == {"m": "10", "n": "1"}


def test_features_know_nothing_of_the_horizon_before_their_day() -> None:
    units = pd.Series(np.arange(100.0), index=pd.date_range("2026-01-05", periods=100))
    features, target = make_features(units)
    last = features.iloc[-1]
    assert target.iloc[-1] == 99
    assert [last[f"lag_{lag}"] for lag in LAGS] == [99 - lag for lag in LAGS]
    assert last["mean_7"] == 99 - HORIZON - 3
    assert last["mean_28"] == 99 - HORIZON - 13.5
    assert (last["weekday"], last["month"]) == (1, 4)  # 2026-04-14, a Tuesday


def test_days_that_are_not_known_are_neither_learnt_nor_learnt_from() -> None:
    units = pd.Series(np.ones(100), index=pd.date_range("2026-01-05", periods=100))
    units.iloc[60] = np.nan
    features, target = make_features(units)
    left_out = {60, *(60 + lag for lag in LAGS if 60 + lag < 100)}
    known = set(range(max(LAGS), 100)) - left_out
    assert target.index.equals(units.index[sorted(known)])
    assert not features.isna().any(axis=None)


def nap(part: float, begin: Callable[[], None]) -> int:
    begin()
    time.sleep(part)
    return 2


def give_up(part: float, begin: Callable[[], None]) -> int:
    raise ValueError("no such part")


def make_nothing(part: float, begin: Callable[[], None]) -> int:
    begin()
    return 0


def test_processes_side_by_side_take_as_long_as_the_slowest_for_all_their_models() -> None:
    """0.1 s and 0.4 s side by side, two models each: a quarter of 0.4 s per model, and a little on a busy machine."""
    assert 0.1 <= time_side_by_side(nap, [0.1, 0.4]) < 0.5


def test_a_process_that_fails_before_its_beginning_keeps_nobody_waiting() -> None:
    with pytest.raises(ValueError, match="no such part"):
        time_side_by_side(give_up, [0.0])


def test_work_that_made_no_model_has_no_time_per_model() -> None:
    with pytest.raises(PermanentError, match="made no model"):
        time_side_by_side(make_nothing, [0.0])


def test_only_what_a_worker_has_started_is_a_task() -> None:
    """A scheduler with two workers: one has a child with 60 MB in memory, the other itself holds 120 MB."""
    hold = "kept = b'x' * {}; print(flush=True); sys.stdin.read()"
    task = f"import sys; {hold.format(60_000_000)}"
    worker = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {task!r}])"
    idle = f"import sys; {hold.format(120_000_000)}"
    start = (
        "started = [subprocess.Popen([sys.executable, '-c', code]) for code in {}]; [item.wait() for item in started]"
    )
    scheduler = f"import subprocess, sys; {start.format([worker, idle])}"
    with subprocess.Popen([sys.executable, "-c", scheduler], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"\n", b"\n"]
        watched = psutil.Process(process.pid)
        assert 60 <= largest_task(watched) < 100
        process.communicate()
    assert largest_task(watched) == 0


def test_a_folder_is_used_by_one_benchmark_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "bench" / "fleet.lock"
    refused = pytest.raises(LocalStackError, match="another benchmark works in this folder")
    with hold_alone(lock), refused, hold_alone(lock):
        pass
    with hold_alone(lock):
        pass
