"""The benchmark of the whole path works, on a stack of its own: counts and keys are looked at here, never times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]

ASKED_FOR = {
    *("skus", "seconds", "seconds_by_stage", "seconds_per_sku", "naive_seconds_per_sku", "tuned_seconds_per_sku"),
    *("tuned_2_processes_seconds_per_sku", "speedup_naive", "speedup_tuned", "peak_task_rss_mb", "s3_bytes"),
    *("versions_registered", "floor_seconds_per_sku", "floor_fit_seconds_per_sku", "floor_calls_seconds_per_sku"),
    *("over_floor", "s3_bytes_per_model_median", "s3_bytes_by_folder", "registry_page_seconds", "landing_seconds"),
    *("registry_search_seconds", "never_unhealthy", "slowest_health_seconds", "slowest_grid_seconds"),
    *("runs", "machine"),
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "fleet"


@pytest.fixture(scope="module")
def figures(state: Path) -> dict[str, Any]:
    """The last line of one benchmark of 200 SKUs: a first run, and one with nothing new."""
    command = [sys.executable, "-m", "benchmarks.fleet", "--skus", "200", "--days", "420", "--runs", "first,unchanged"]
    command += ["--naive", "1", "--tuned", "1", "--panels", "8", "--versions", "2", "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def test_everything_that_is_asked_for_is_in_the_last_line(figures: dict[str, Any]) -> None:
    assert set(figures) >= ASKED_FOR
    assert figures["machine"]["cores"] == os.cpu_count()


def test_every_sku_of_both_runs_is_accounted_for(figures: dict[str, Any]) -> None:
    for run in figures["runs"].values():
        assert run["state"] == "success"
        assert run["complete"]
        assert run["skus"] == figures["skus"] == sum(run["outcomes"].values())


def test_the_first_run_trains_and_the_second_has_nothing_to_train(figures: dict[str, Any]) -> None:
    first, unchanged = figures["runs"]["first"], figures["runs"]["unchanged"]
    assert first["models"] > 150
    assert first["unchanged"] == 0
    assert unchanged["models"] == 0
    assert unchanged["unchanged"] >= first["models"]
    assert unchanged["as_of"] == first["as_of"]


def test_what_is_stored_is_that_of_the_runs_and_not_of_the_rivals(figures: dict[str, Any]) -> None:
    """Each model of the first run is one version, and a quarantined SKU may have one: fewer than two for every SKU, so
    those that are added for the pages come later."""
    assert figures["runs"]["first"]["models"] <= figures["versions_registered"] <= figures["skus"]
    assert sum(figures["s3_bytes_by_folder"].values()) == figures["s3_bytes"]
    assert not {"rivals", "floor"} & set(figures["s3_bytes_by_folder"])
    assert 0 < figures["s3_bytes_per_model_median"] < figures["s3_bytes"]


def test_ratios_are_those_of_the_figures_beside_them(figures: dict[str, Any]) -> None:
    """A loop over two SKUs or more has a time; two processes need two SKUs each."""
    for rival in ("naive", "tuned"):
        ratio = figures[f"{rival}_seconds_per_sku"] / figures["seconds_per_sku"]
        assert figures[f"speedup_{rival}"] == pytest.approx(ratio, rel=0.02, abs=0.06)
    assert figures["tuned_2_processes_seconds_per_sku"] is None
    parts = figures["floor_fit_seconds_per_sku"] + figures["floor_calls_seconds_per_sku"]
    assert figures["floor_seconds_per_sku"] == pytest.approx(parts, abs=2e-4)


def test_tasks_were_seen_while_they_ran(figures: dict[str, Any]) -> None:
    for run in figures["runs"].values():
        assert run["peak_task_rss_mb"] > 100


def test_nothing_of_the_stack_is_left_running(figures: dict[str, Any], state: Path) -> None:
    left = [process for process in psutil.process_iter(["cmdline"]) if str(state) in " ".join(_command(process))]
    assert left == []


def _command(process: psutil.Process) -> list[str]:
    return process.info["cmdline"] or []
