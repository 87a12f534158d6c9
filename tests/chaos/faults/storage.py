"""Faults of object storage: it refuses, stalls, breaks off, and is full."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tests.chaos.drill import Drill, Fault, NotHereError
from tests.chaos.proxy import Trouble


def _trouble(drill: Drill, trouble: Trouble, seconds: float) -> None:
    """Trouble from a random moment of the run on, of every kind of task."""
    drill.start()
    drill.wait_for_process(drill.chance.choice(["ingest", "plan", "retrain", "retrain", "promote"]))
    drill.sleep(0, 1.5)
    drill.arena.proxy.make(trouble)
    drill.note(f"{trouble} for {seconds:.0f} s")
    time.sleep(seconds)
    drill.arena.proxy.calm()
    drill.note(f"over; it happened to {drill.arena.proxy.struck} requests")


def s3_answers_503_for_60_s(drill: Drill) -> None:
    """Every request gets 503."""
    _trouble(drill, Trouble(code="ServiceUnavailable"), 60)


def s3_slows_down(drill: Drill) -> None:
    """Half of the requests get SlowDown."""
    _trouble(drill, Trouble(share=0.5, code="SlowDown"), 60)


def s3_does_not_answer(drill: Drill) -> None:
    """Requests hang."""
    _trouble(drill, Trouble(hang=True), 20)


def s3_resets_connections(drill: Drill) -> None:
    """A third of the connections is reset."""
    _trouble(drill, Trouble(share=0.33, reset=True), 30)


def s3_cuts_answers_in_half(drill: Drill) -> None:
    """A third of the answers ends in the middle of the body."""
    _trouble(drill, Trouble(share=0.33, cut=True), 30)


def s3_disk_full(drill: Drill) -> None:
    """The disk of the S3 server is full for 30 s."""
    disk = drill.arena.disk
    if disk is None:
        raise NotHereError("no disk of its own could be mounted for the S3 server")
    drill.start()
    drill.wait_for_chunk()
    drill.sleep(0, 3)
    filler = disk / "filler"
    _fill(filler, shutil.disk_usage(disk).free - 64 * 2**20)
    drill.note("filled the disk")
    time.sleep(30)
    filler.unlink()
    drill.note("freed it")


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


FAULTS: list[Fault] = [
    s3_answers_503_for_60_s,
    s3_slows_down,
    s3_does_not_answer,
    s3_resets_connections,
    s3_cuts_answers_in_half,
    s3_disk_full,
]
