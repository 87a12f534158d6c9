"""The past stays of one size: versions, files, runs."""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
import pytest

from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.fleet.tidy import tidy_run
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.client import Registry
from tests.unit.fleet.small_fleet import SmallFleet, weekly
from tests.unit.registry.mlflow_server import server_uri

SKUS = ("A", "B")


@pytest.fixture
def fleet() -> SmallFleet:
    """Keeps two versions of each SKU and three runs."""
    opened = SmallFleet.open(retention={"versions": 2, "runs": 3, "releases": 1})
    opened.deliver([row for sku in SKUS for row in weekly(sku)])
    return opened


def run_and_tidy(fleet: SmallFleet) -> dict[str, Any]:
    fleet.do_all(run := fleet.new_run(force=True))
    return tidy_run(fleet.clients, fleet.catalogue, run)


def folders_of(fleet: SmallFleet, top: str) -> set[str]:
    return {item.key.split("/")[2].removesuffix(".html") for item in fleet.store.list(f"{top}/{fleet.catalogue.name}/")}


def artifacts(fleet: SmallFleet) -> set[str]:
    return {item.key.rsplit("/", 1)[0] for item in fleet.store.list("mlflow/") if item.key.endswith("MLmodel")}


def test_after_many_runs_there_is_as_much_as_after_a_few(fleet: SmallFleet) -> None:
    summaries = [run_and_tidy(fleet) for _ in range(5)]
    assert [summary["versions_pruned"] for summary in summaries] == [0, 0, 2, 2, 2]
    assert [summary["runs_pruned"] for summary in summaries] == [0, 0, 0, 1, 1]
    assert summaries[-1]["versions_kept"] == 4
    assert fleet.versions() == {"A": [4, 5], "B": [4, 5]}
    assert len(artifacts(fleet)) == 4
    newest = {run.key for run in fleet.runs[-3:]}
    assert folders_of(fleet, "runs") == folders_of(fleet, "forecasts") - {"current.json"} == newest
    assert folders_of(fleet, "reports") == newest


def test_the_run_that_made_every_model_asks_mlflow_for_no_list(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds older versions does: here, those of a fleet whose list was lost."""
    asked: list[str] = []
    listed = Registry.list_versions

    def note(registry: Registry, catalogue: str) -> Any:
        asked.append(catalogue)
        return listed(registry, catalogue)

    monkeypatch.setattr(Registry, "list_versions", note)
    assert run_and_tidy(fleet)["versions_kept"] == 2
    assert asked == []
    fleet.store.delete(fleet.runs[0].versions_key)
    assert run_and_tidy(fleet)["versions_kept"] == 4
    assert asked == [fleet.catalogue.name]


def test_what_serves_and_what_served_before_it_is_kept_whatever_its_age(fleet: SmallFleet) -> None:
    run_and_tidy(fleet)
    run_and_tidy(fleet)
    state = fleet.clients.registry.states(fleet.catalogue.name)["A"]
    client = mlflow.MlflowClient(server_uri(), server_uri())
    client.set_registered_model_alias(state.name, "kept_by_hand", "1")
    for _ in range(3):
        run_and_tidy(fleet)
    assert fleet.versions()["A"] == [1, 4, 5]
    production = fleet.clients.registry.production(fleet.catalogue.name)
    assert set(fleet.clients.registry.load_parameters(production.values(), fleet.clients.get_artifact)) == set(SKUS)


def test_a_run_that_is_in_force_is_kept_whatever_its_age(fleet: SmallFleet) -> None:
    run_and_tidy(fleet)
    first = fleet.runs[0]
    for _ in range(4):
        fleet.plan(run := fleet.new_run(force=True))
        fleet.store.put_json(run.summary_key, {})
    summary = tidy_run(fleet.clients, fleet.catalogue, first)
    assert summary["runs_pruned"] == 1
    assert first.key in folders_of(fleet, "runs")
    assert len(fleet.published()) == 2 * fleet.catalogue.horizon


@pytest.mark.parametrize("broken", ["delete_many", "delete_versions"])
def test_what_was_broken_off_is_finished_by_the_next_run(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    for _ in range(2):
        run_and_tidy(fleet)
    owner = ObjectStore if broken == "delete_many" else Registry

    def fail(*_: Any) -> None:
        raise ServiceUnavailableError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(owner, broken, fail)
        with pytest.raises(ServiceUnavailableError, match="planted"):
            run_and_tidy(fleet)
    run = fleet.runs[-1]
    assert tidy_run(fleet.clients, fleet.catalogue, run)["versions_pruned"] == 2
    assert fleet.versions() == {"A": [2, 3], "B": [2, 3]}
    assert len(artifacts(fleet)) == 4


def test_a_version_that_somebody_deleted_is_no_error(fleet: SmallFleet) -> None:
    for _ in range(2):
        run_and_tidy(fleet)
    name = fleet.clients.registry.states(fleet.catalogue.name)["A"].name
    mlflow.MlflowClient(server_uri(), server_uri()).delete_model_version(name, "1")
    assert run_and_tidy(fleet)["versions_pruned"] == 2


def test_a_lost_list_of_versions_is_made_anew_from_mlflow(fleet: SmallFleet) -> None:
    for _ in range(2):
        run_and_tidy(fleet)
    run = fleet.runs[-1]
    before = fleet.store.get_frame(run.versions_key)
    fleet.store.delete(run.versions_key)
    assert tidy_run(fleet.clients, fleet.catalogue, run)["versions_pruned"] == 0
    order = ["name", "version"]
    pd.testing.assert_frame_equal(
        fleet.store.get_frame(run.versions_key).sort_values(order, ignore_index=True),
        before.sort_values(order, ignore_index=True),
    )
