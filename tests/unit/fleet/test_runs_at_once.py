"""Two runs of one catalogue at work at once: what they share ends as if one had come after the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from include.skufleet.fleet.releases import list_releases
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.standing import put_standing, read_standing
from include.skufleet.fleet.tidy import tidy_run
from include.skufleet.lake.store import ObjectStore
from tests.unit.fleet.small_fleet import END, SmallFleet, weekly

BEFORE = END - timedelta(days=1)


@pytest.fixture
def fleet() -> SmallFleet:
    fleet = SmallFleet.open(retention={"versions": 5, "runs": 1, "releases": 1})
    fleet.deliver([*weekly("A"), *weekly("B")])
    return fleet


def interrupt(monkeypatch: pytest.MonkeyPatch, key: str, work: Callable[[], Any]) -> None:
    """Let ``work`` be done by somebody else after the first read of an object that is about to be changed."""
    read, waiting = ObjectStore.find_with_etag, [work]

    def find(store: ObjectStore, wanted: str) -> Any:
        found = read(store, wanted)
        if wanted == key and waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(ObjectStore, "find_with_etag", find)


def finish(fleet: SmallFleet, run: Run) -> pd.DataFrame:
    """Everything before promotion; the results."""
    for chunk in fleet.plan(run):
        fleet.retrain(run, chunk)
    fleet.promote(run)
    return fleet.store.get_frame(run.results_key)


def test_standings_that_are_written_at_once_are_both_kept(fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = fleet.new_run(skus=("A",)), fleet.new_run(skus=("B",))
    results = {run.run_id: finish(fleet, run) for run in (first, second)}
    fleet.store.delete(first.standing_key)
    interrupt(monkeypatch, first.standing_key, lambda: put_standing(fleet.store, second, results[second.run_id]))
    put_standing(fleet.store, first, results[first.run_id])
    standing = read_standing(fleet.store, first)
    assert dict(zip(standing["sku"], standing["run_id"], strict=True)) == {"A": first.run_id, "B": second.run_id}


def test_a_run_of_the_past_that_loses_the_race_moves_nothing_back(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, today = fleet.new_run(as_of=BEFORE), fleet.new_run()
    for chunk in fleet.plan(past):
        fleet.retrain(past, chunk)
    results = {today.run_id: finish(fleet, today)}
    fleet.promote(past)
    results[past.run_id] = fleet.store.get_frame(past.results_key)
    assert fleet.store.get_json(past.release_pointer)["run_id"] == today.run_id
    assert [item.run_id for item in list_releases(fleet.store, past)] == [today.run_id]
    assert fleet.store.exists(past.release_key), "its forecasts are made with it all the same"
    fleet.store.delete(past.standing_key)
    interrupt(monkeypatch, past.standing_key, lambda: put_standing(fleet.store, today, results[today.run_id]))
    put_standing(fleet.store, past, results[past.run_id])
    assert set(read_standing(fleet.store, past)["as_of"]) == {END.isoformat()}


def test_forecasts_of_today_that_are_published_meanwhile_stay_published(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, today = fleet.new_run(as_of=BEFORE), fleet.new_run()
    for run in (past, today):
        finish(fleet, run)
    interrupt(monkeypatch, past.forecast_pointer, lambda: fleet.forecast(today))
    assert fleet.forecast(past)["published"] is False
    assert fleet.store.get_json(past.forecast_pointer)["run_id"] == today.run_id


def test_tidying_strikes_no_version_off_that_another_run_has_listed_meanwhile(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fleet.new_run()
    finish(fleet, run)
    fleet.forecast(run)
    stranger = pd.DataFrame({"name": ["of another run"], "version": [7], "artifact_uri": ["s3://nowhere/m-1"]})
    interrupt(monkeypatch, run.versions_key, lambda: fleet.store.put_frame(run.versions_key, stranger))
    tidy_run(fleet.clients, fleet.catalogue, run)
    listed = fleet.store.get_frame(run.versions_key)
    assert "of another run" in set(listed["name"])
    assert len(listed) == 3


def test_tidying_leaves_a_run_alone_that_is_still_at_work(fleet: SmallFleet) -> None:
    working = fleet.new_run(as_of=BEFORE)
    finish(fleet, working)
    for _ in range(2):
        run = fleet.new_run(force=True)
        fleet.do_all(run)
        tidy_run(fleet.clients, fleet.catalogue, run)
    left = {item.key.split("/")[2] for item in fleet.store.list(f"runs/{fleet.catalogue.name}/")}
    assert left == {working.key, fleet.runs[-1].key}
