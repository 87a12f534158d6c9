"""Work in another process: its results, its errors, and its deaths."""

from __future__ import annotations

import psutil
import pytest

from include.skufleet.fleet.isolation import Isolated, WorkerDiedError
from tests.unit.fleet import deadly


@pytest.fixture(scope="module")
def isolated():
    with Isolated(patience=30) as opened:
        yield opened


def test_a_call_returns_what_the_work_returns_whatever_it_prints(isolated: Isolated) -> None:
    assert [isolated.call(deadly.add, 1, number) for number in range(3)] == [1, 2, 3]


def test_what_the_work_raises_is_raised_to_the_caller_and_costs_nothing(isolated: Isolated) -> None:
    with pytest.raises(ValueError, match="not this"):
        isolated.call(deadly.raise_error, "not this")
    assert isolated.call(deadly.add, 2, 2) == 4


def test_a_killed_process_is_reported_and_the_next_call_has_a_new_one(isolated: Isolated) -> None:
    with pytest.raises(WorkerDiedError, match="was killed by SIGKILL"):
        isolated.call(deadly.kill_itself)
    assert isolated.call(deadly.add, 2, 3) == 5


def test_a_process_without_memory_counts_as_dead(isolated: Isolated) -> None:
    with pytest.raises(WorkerDiedError, match="ran out of memory"):
        isolated.call(deadly.exhaust_memory)


def test_work_that_hangs_is_ended() -> None:
    with Isolated(patience=0.5) as hasty, pytest.raises(WorkerDiedError, match="took longer than 0 s"):
        hasty.call(deadly.hang)


def test_the_process_ends_with_its_caller(isolated: Isolated) -> None:
    with Isolated(patience=30) as other:
        other.call(deadly.add, 1, 1)
        assert other._process is not None
        process = psutil.Process(other._process.pid)
    assert not process.is_running()
