"""A SKU that kills its task is found, set aside and served by what there is; its chunk goes on."""

from __future__ import annotations

import os

import pytest

from include.skufleet.fleet import drafting, rescue
from include.skufleet.fleet.attempts import Attempt, count_tries
from include.skufleet.fleet.run import TRIES
from include.skufleet.forecasting.backtest import BASELINE
from tests.unit.fleet import deadly
from tests.unit.fleet.killed import Killed
from tests.unit.fleet.small_fleet import SmallFleet, weekly

SKUS = tuple(f"SKU-{number}" for number in range(6))


def open_fleet(skus_per_chunk: int = len(SKUS)) -> SmallFleet:
    fleet = SmallFleet.open(fleet={"buckets": 4, "skus_per_chunk": skus_per_chunk})
    fleet.deliver([row for sku in SKUS for row in weekly(sku)])
    return fleet


def test_a_sku_that_kills_every_process_is_quarantined_by_the_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(deadly.TEST_PROCESS, str(os.getpid()))
    monkeypatch.setattr(drafting, "draft_sku", deadly.draft_or_die)
    fleet = open_fleet()
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    with pytest.raises(Killed):
        fleet.retrain(run, chunk)
    counts = fleet.again().retrain(run, chunk)["counts"]
    assert counts == {"trained": 5, "fallback": 0, "quarantined": 1, "failed": 0, "skipped": 0}
    again = fleet.again()
    again.promote(run)
    again.forecast(run)
    summary = again.report(run)
    row = again.results(run)[deadly.DEADLY]
    assert row["reason"] == ("training it 2 times cost its process, which was killed by SIGKILL; the fallback serves")
    assert (row["step"], row["version"]) == ("train", 0)
    assert summary["complete"]
    own = again.forecasts(run).query("sku == @deadly.DEADLY")
    assert len(own) == fleet.catalogue.horizon
    assert set(own["served_by"]) == {"fallback"}
    assert own["y_hat"].sum() > 0, f"{BASELINE} answers, not zero"


def test_a_sku_over_which_two_tries_died_is_not_touched_by_the_third() -> None:
    fleet = open_fleet()
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    folder = run.chunk_folder(chunk)
    for _ in range(2):
        Attempt.begin(fleet.store, folder).note("SKU-4")
    assert fleet.retrain(run, chunk)["counts"]["quarantined"] == 1
    fleet.promote(run)
    assert fleet.results(run)["SKU-4"]["reason"].startswith("training it 2 times cost its task")


def test_a_sku_over_which_one_try_died_is_trained_like_any_other() -> None:
    fleet = open_fleet()
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    Attempt.begin(fleet.store, run.chunk_folder(chunk)).note("SKU-4")
    assert fleet.retrain(run, chunk)["counts"]["trained"] == len(SKUS)
    assert count_tries(fleet.store, run.chunk_folder(chunk)) == 2


def test_a_try_without_memory_is_no_failure_of_the_sku_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(*_: object, **__: object) -> None:
        raise MemoryError

    fleet = open_fleet()
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    with monkeypatch.context() as patched:
        patched.setattr("include.skufleet.fleet.train.evaluate", exhaust)
        with pytest.raises(MemoryError):
            fleet.retrain(run, chunk)
    assert fleet.again().retrain(run, chunk)["counts"]["trained"] == len(SKUS)


def test_a_chunk_whose_task_never_ran_is_done_by_promotion() -> None:
    fleet = open_fleet(skus_per_chunk=3)
    run = fleet.new_run()
    first, dropped = fleet.plan(run)
    fleet.retrain(run, first)
    promoted = fleet.again().promote(run)
    assert (promoted["rescued_chunks"], promoted["lost_chunks"]) == ([dropped], [])
    assert promoted["outcomes"]["trained"] == len(SKUS)


def test_a_chunk_that_used_up_its_tries_is_left_to_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = open_fleet()
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    for _ in range(TRIES):
        Attempt.begin(fleet.store, run.chunk_folder(chunk))
    monkeypatch.setattr(rescue, "retrain_chunk", lambda *_: pytest.fail("is not tried again"))
    assert rescue.rescue_chunks(fleet.clients, fleet.catalogue, run, fleet.store.get_json(run.plan_key)) == []
