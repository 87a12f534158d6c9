"""What the benchmarks' make targets hand on, and what they ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile with environments that are ready, whose Python prints what it was given."""
    for name in ("Makefile", "requirements.txt", "requirements-s3.txt", "requirements-rivals.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for environment in (".venv", ".venv-s3", ".venv-rivals"):
        (tmp_path / environment / "bin").mkdir(parents=True)
        (tmp_path / environment / "ready").touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "<%s>" "$OMP_NUM_THREADS" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=folder, env=kept, text=True, capture_output=True, check=False)


def test_accuracy_gets_its_values_as_they_were_typed_and_one_thread(clone: Path) -> None:
    done = make(clone, "bench-accuracy", "M5=my m5.zip", "ORIGIN=2016-04-24", "OUT=it's.parquet", "SELECT=1", "ITEMS=9")
    assert done.stdout == (
        "<1><-m><benchmarks.accuracy><--m5><my m5.zip><--origin><2016-04-24><--out><it's.parquet><--select><--items><9>"
    )


@pytest.mark.parametrize("given", [(), ("M5=m5.zip", "ORIGIN=2016-04-24"), ("ORIGIN=2016-04-24", "OUT=f")])
def test_accuracy_without_a_value_it_needs_says_how_it_is_called(clone: Path, given: tuple[str, ...]) -> None:
    done = make(clone, "bench-accuracy", *given)
    assert done.returncode != 0
    assert "make bench-accuracy M5=m5.zip ORIGIN=2016-04-24 OUT=forecasts.parquet" in done.stderr
    assert done.stdout == ""


def test_rivals_need_nothing_and_take_their_sources(clone: Path) -> None:
    assert make(clone, "bench-rivals").stdout == "<1><-m><benchmarks.rivals>"
    done = make(clone, "bench-rivals", "M5=m5.zip", "RETAIL=or.zip", "SKUS=40", "KEEP=kept files")
    assert done.stdout == ("<1><-m><benchmarks.rivals><--m5><m5.zip><--retail><or.zip><--skus><40><--keep><kept files>")


def test_the_whole_path_is_run_for_a_thousand_skus_unless_told_otherwise(clone: Path) -> None:
    assert make(clone, "bench-fleet").stdout == "<1><-m><benchmarks.fleet><--skus><1000>"
    done = make(clone, "bench-fleet", "SKUS=40", "RUNS=first,next_day", "DAILY=28", "VERSIONS=5", "KEEP=1")
    assert done.stdout == (
        "<1><-m><benchmarks.fleet><--skus><40><--runs><first,next_day><--daily><28><--versions><5><--keep>"
    )


def test_the_whole_path_of_m5_needs_its_zip(clone: Path) -> None:
    assert make(clone, "bench-m5-fleet", "M5=my m5.zip").stdout == "<1><-m><benchmarks.fleet><--m5><my m5.zip>"
    refused = make(clone, "bench-m5-fleet")
    assert refused.returncode != 0
    assert "make bench-m5-fleet M5=m5.zip" in refused.stderr


def test_a_backfill_gets_its_values_as_they_were_typed_and_one_thread(clone: Path) -> None:
    done = make(clone, "bench-backfill", "M5=my m5.zip", "STORES=CA_1", "DATES=8", "EVERY=7", "SKUS=A*,B", "SVG=p.svg")
    assert done.stdout == (
        "<1><-m><benchmarks.backfill><--m5><my m5.zip><--stores><CA_1><--dates><8><--every><7>"
        "<--skus><A*,B><--svg><p.svg>"
    )
    assert "make bench-backfill M5=m5.zip" in make(clone, "bench-backfill").stderr


def test_past_dates_are_handed_to_the_command_line(clone: Path) -> None:
    done = make(clone, "backfill", "CATALOGUE=m5", "FROM=2016-03-06", "TO=2016-04-24", "EVERY=7", "AGAIN=1")
    words = "<backfill><--catalogue><m5><--from><2016-03-06><--to><2016-04-24><--every><7><--again>"
    assert done.stdout.endswith(f"<-m><include.skufleet>{words}")
    assert make(clone, "backfill", "CATALOGUE=m5").returncode != 0
    done = make(clone, "scorecard", "CATALOGUE=m5", "SVG=a plot.svg")
    assert done.stdout.endswith("<-m><include.skufleet><scorecard><--catalogue><m5><--svg><a plot.svg>")
