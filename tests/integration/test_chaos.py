"""A few of the faults of ``make chaos``, on a platform of their own: after each, no invariant is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from include.skufleet.fleet.retrain import CHECKPOINT_SKUS
from tests.chaos.arena import Arena, open_arena
from tests.chaos.drill import hold_drill
from tests.chaos.faults import FAULTS

SEED = 5
SELECTED = (
    "planner_cleared_to_fewer_chunks",
    "sku_kills_its_task",
    "s3_cuts_answers_in_half",
    "postgres_restarted",
    "chunk_dropped",
)


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with open_arena(SEED, skus=60) as opened:
        yield opened


@pytest.mark.parametrize("name", SELECTED)
def test_the_run_recovers_by_itself_and_no_invariant_is_broken(arena: Arena, name: str) -> None:
    record = hold_drill(arena, name, FAULTS[name], SEED)
    assert record.broken == []
    assert record.recovered, record
    assert record.moments
    assert record.skus_redone <= CHECKPOINT_SKUS * record.tries


def test_no_poison_sku_stopped_another(arena: Arena) -> None:
    """The last run that was drilled trained everything: it has an outcome for each, and fails none."""
    published = arena.shop.store.get_json("forecasts/demo/current.json")
    results = arena.shop.store.get_frame(
        published["release"].replace("releases", "runs").replace(".parquet", "/results.parquet")
    )
    outcomes = dict(zip(results["sku"], results["outcome"], strict=True))
    assert set(arena.poison) <= set(outcomes)
    assert "failed" not in outcomes.values()
    assert sum(outcome == "trained" for outcome in outcomes.values()) > 40


def test_the_suite_lists_its_faults_and_refuses_one_that_it_does_not_know() -> None:
    command = [sys.executable, "-m", "tests.chaos"]
    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == len(FAULTS) >= 25
    refused = subprocess.run([*command, "--faults", "earthquake"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "no fault named earthquake" in refused.stderr
