"""What a stage took is written down with its memory and CPU, and a straggler is named."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.stages import FORGET_PEAK, StageCost, read_peak_memory, read_stages, timed_stage
from include.skufleet.lake.store import ObjectStore
from tests.unit.s3_server import open_bucket

RUN = RunKeys("shop", "manual__1")


@pytest.fixture
def store() -> ObjectStore:
    return open_bucket("stages")


def put_part(store: ObjectStore, part: str, began: int, ended: int, **more: float) -> None:
    """A part that ran from one second of the minute to another."""
    times = {"started": f"2026-04-01T03:00:{began:02d}+00:00", "finished": f"2026-04-01T03:00:{ended:02d}+00:00"}
    store.put_json(f"{RUN.folder}/stages/{part}.json", times | more)


def in_a_fork(measure: Callable[[], int]) -> int:
    """What the function gives in a process forked from this one."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(write, str(measure()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        return int(answer.read())


def test_parts_are_added_up_and_the_slowest_is_named_with_its_ratio_to_the_mean(store: ObjectStore) -> None:
    put_part(store, "retrain-c000", 0, 10, cpu_seconds=9.5, peak_rss_mb=500)
    put_part(store, "retrain-c001", 2, 32, cpu_seconds=20.25, peak_rss_mb=450)
    put_part(store, "plan", 0, 1, cpu_seconds=0.5, peak_rss_mb=400)
    costs, began = read_stages(store, RUN)
    assert list(costs) == ["plan", "retrain"], "in the order of the flow"
    assert costs["retrain"] == StageCost(32.0, 29.75, 500, "c001", 1.5)
    assert costs["plan"] == StageCost(1.0, 0.5, 400)
    assert began == datetime(2026, 4, 1, 3, tzinfo=UTC)


def test_a_run_of_which_no_stage_finished_has_no_beginning(store: ObjectStore) -> None:
    assert read_stages(store, RunKeys("shop", "manual__2")) == ({}, None)


def test_times_that_an_earlier_version_wrote_are_still_read(store: ObjectStore) -> None:
    put_part(store, "plan", 0, 2)
    assert read_stages(store, RUN)[0]["plan"] == StageCost(2.0, 0.0, 0)


def test_a_stage_that_failed_leaves_nothing_of_an_earlier_try(store: ObjectStore) -> None:
    put_part(store, "plan", 0, 2)
    with pytest.raises(OSError, match="away"), timed_stage(store, RUN, "plan"):
        raise OSError("S3 is away")
    assert "plan" not in read_stages(store, RUN)[0]


def test_cpu_is_counted_and_waiting_is_not(store: ObjectStore) -> None:
    with timed_stage(store, RUN, "ingest"):
        time.sleep(0.3)
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
    cost = read_stages(store, RUN)[0]["ingest"]
    assert cost.seconds >= 0.4
    assert 0.05 <= cost.cpu_seconds < 0.3  # the kernel counts in hundredths


def test_memory_is_that_of_the_stage_and_not_of_what_ran_before_in_its_process(store: ObjectStore) -> None:
    FORGET_PEAK.write_text("5")  # of the tests before this one
    before = read_peak_memory()
    large = bytearray(b"x") * (300 << 20)
    assert read_peak_memory() >= before + 250
    del large
    with timed_stage(store, RUN, "forecast"):
        pass
    assert read_stages(store, RUN)[0]["forecast"].peak_rss_mb < before + 150


def test_a_forked_process_does_not_begin_with_its_parents_peak() -> None:
    FORGET_PEAK.write_text("5")  # of the tests before this one
    before = read_peak_memory()
    large = bytearray(b"x") * (300 << 20)
    del large
    assert read_peak_memory() >= before + 250
    assert in_a_fork(read_peak_memory) < before + 150
