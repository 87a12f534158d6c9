"""Which runs the benchmark of the whole path does, and what it says of them."""

from __future__ import annotations

import doctest
import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.fleet import sample, steps, storage
from benchmarks.fleet.__main__ import parse, to_options
from benchmarks.fleet.simulated import summarise
from benchmarks.fleet.steps import RUNS, parse_runs, plan_steps
from benchmarks.fleet.table import print_table
from benchmarks.timed_run import describe_run
from include.skufleet.errors import ConfigError

DAY = date(2026, 6, 1)


@pytest.mark.parametrize("module", [sample, steps, storage])
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_runs_are_done_in_their_order_whatever_the_order_in_which_they_are_asked_for() -> None:
    assert parse_runs("unchanged, first") == ("first", "unchanged")
    assert parse_runs(",".join(reversed(RUNS))) == RUNS


@pytest.mark.parametrize("text", ["", "frist", "first,,"])
def test_a_run_that_there_is_not_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="expected some of first, next_day, unchanged, unchanged_later"):
        parse_runs(text)


def test_without_a_next_day_nothing_new_is_landed_after_the_first_run() -> None:
    plan = plan_steps(("first", "unchanged", "unchanged_later"), DAY)
    assert [(step.name, step.as_of.day, step.lands) for step in plan] == [
        ("first", 1, True),
        ("unchanged", 1, False),
        ("unchanged_later", 2, False),
    ]


def test_each_further_day_is_landed_and_run_on_a_day_of_its_own() -> None:
    plan = plan_steps(("first", "next_day"), DAY, daily=3)
    assert [step.as_of.day for step in plan] == [1, 2, 3, 4, 5]
    assert all(step.lands for step in plan)
    assert len({step.name for step in plan}) == len(plan)


def test_the_command_line_names_folder_and_runs() -> None:
    options = to_options(parse(["--skus", "50", "--runs", "first", "--end", "2026-06-01", "--naive", "0"]))
    assert (options.skus, options.naive, options.keep) == (50, 0, False)
    assert options.state.name == "fleet-50"
    assert options.state.parent.name == ".local-bench"
    assert [(step.name, step.as_of) for step in options.steps] == [("first", DAY)]
    assert to_options(parse(["--state", "/else/where"])).state == Path("/else/where")


def summary(**more: Any) -> dict[str, Any]:
    outcomes = {"trained": 6, "fallback": 2, "quarantined": 0, "failed": 0, "skipped": 2}
    return {"skus": 10, "outcomes": outcomes, "stage_seconds": {"retrain": 3.0}, "promoted": 8, "wape": 0.5} | more


def test_a_run_is_divided_by_the_models_that_it_made_and_by_its_skus() -> None:
    """Six trained and two fallbacks of ten SKUs in 4 s: 0.5 s per model, 0.4 s per SKU."""
    chunks = [{"seconds": 3.0, "peak_rss_mb": 300}, {"seconds": 1.0, "peak_rss_mb": 200}]
    found = describe_run(summary(), chunks, 4.0)
    assert (found["models"], found["seconds_per_model"], found["seconds_per_sku"]) == (8, 0.5, 0.4)
    assert (found["chunks"], found["slowest_chunk_over_mean"], found["peak_chunk_rss_mb"]) == (2, 1.5, 300)
    assert (found["unchanged"], found["wape"], found["bias"]) == (0, 0.5, None)


def test_a_run_that_made_no_model_has_no_seconds_per_model() -> None:
    found = describe_run(summary(outcomes={"skipped": 10}, unchanged=8), [], 4.0)
    assert (found["models"], found["unchanged"], found["seconds_per_model"]) == (0, 8, None)
    assert (found["slowest_chunk_over_mean"], found["peak_chunk_rss_mb"]) == (None, None)


def run(**more: Any) -> dict[str, Any]:
    seen = {
        "peak_task_rss_mb": 300,
        "never_unhealthy": True,
        "slowest_health_seconds": 0.1,
        "slowest_grid_seconds": 0.5,
    }
    return describe_run(summary(), [], 4.0) | seen | more


def beside(**more: float | None) -> dict[str, float | None]:
    found: dict[str, float | None] = {
        "naive_seconds_per_sku": 8.0,
        "tuned_seconds_per_sku": 1.0,
        "tuned_2_processes_seconds_per_sku": None,
        "floor_fit_seconds_per_sku": 0.15,
        "floor_calls_seconds_per_sku": 0.1,
    }
    return found | more


def test_rivals_and_floor_are_compared_with_the_first_run_per_model() -> None:
    """0.5 s per model: 16 times as fast as 8 s, twice as fast as 1 s, twice the floor of 0.25 s."""
    found = summarise({"first": run(), "next_day": run(seconds_per_model=9.0)}, beside())
    assert (found["seconds_per_sku"], found["speedup_naive"], found["speedup_tuned"]) == (0.5, 16.0, 2.0)
    assert (found["floor_seconds_per_sku"], found["over_floor"]) == (0.25, 2.0)
    assert found["speedup_tuned_2_processes"] is None


def test_the_worst_of_all_runs_is_what_is_said_of_memory_and_health() -> None:
    worse = run(peak_task_rss_mb=420, never_unhealthy=False, slowest_health_seconds=2.0, slowest_grid_seconds=0.1)
    found = summarise({"first": run(), "next_day": worse}, beside())
    assert (found["peak_task_rss_mb"], found["never_unhealthy"]) == (420, False)
    assert (found["slowest_health_seconds"], found["slowest_grid_seconds"]) == (2.0, 0.5)


def test_a_rival_that_was_not_timed_has_no_ratio() -> None:
    found = summarise({"first": run()}, beside(naive_seconds_per_sku=None))
    assert (found["naive_seconds_per_sku"], found["speedup_naive"]) == (None, None)


def test_a_first_run_that_made_no_model_has_no_ratios() -> None:
    found = summarise({"first": run(seconds_per_model=None)}, beside())
    assert (found["speedup_naive"], found["speedup_tuned"], found["over_floor"]) == (None, None, None)


def test_the_table_shows_every_run_and_every_single_figure() -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    print_table(console, {"skus": 10, "s3_bytes": 12345, "runs": {"first": run(), "unchanged": run()}})
    shown = console.export_text()
    assert all(text in shown for text in ("first", "unchanged", "retrain 3", "s3_bytes", "12345"))
