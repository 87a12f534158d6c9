"""A search of a small catalogue through the whole platform: Airflow, PostgreSQL, S3, MLflow; one trial is killed.

One search is run once and looked at by many tests.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import yaml

from include.skufleet.cli.airflow_api import FINISHED
from include.skufleet.config import CATALOGUES_FOLDER
from include.skufleet.fleet.search.planned import SearchPlan
from include.skufleet.fleet.search.run import SearchRun
from tests.integration.conftest import RunningStack
from tests.integration.fleet_runs import Shop, process_of
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration
DAG = "search_demo"
CONFIGURATIONS, SAMPLE = 5, 5
FILE = CATALOGUES_FOLDER / "demo.yaml"


@dataclass
class Searched:
    """A search that is over."""

    shop: Shop
    run: SearchRun
    state: str
    file_before: str

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self.shop.store.get_json(self.run.summary_key)
        return summary

    @property
    def plan(self) -> SearchPlan:
        return SearchPlan.read(self.shop.store, self.run)

    def instances(self, task: str) -> list[dict[str, Any]]:
        found = [item for item in self.shop.api.task_instances(DAG, self.run.run_id) if item["task_id"] == task]
        return sorted(found, key=lambda item: item["map_index"])

    def links(self, task: str, map_index: int = -1) -> dict[str, str]:
        path = f"/api/v2/dags/{DAG}/dagRuns/{quote(self.run.run_id, safe='')}/taskInstances/{task}/links"
        links: dict[str, str] = self.shop.http.get(path, params={"map_index": map_index}).json()["extra_links"]
        return links


def digest_of_file() -> str:
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def done(stack: RunningStack) -> Searched:
    """A search whose first mapped trial is killed while it works."""
    shop, before = Shop.open(stack), digest_of_file()
    shop.land(shop.end)
    shop.api.wait_for_dag(DAG)
    shop.api.unpause(DAG)
    asked = {"as_of": shop.end.isoformat(), "configurations": CONFIGURATIONS, "sample": SAMPLE}
    run = SearchRun("demo", shop.api.trigger(DAG, asked), as_of=shop.end)
    searched = Searched(shop, run, "", before)

    def victim() -> Any:
        found = [item for item in searched.instances("rung_1") if item["state"] == "running"]
        return process_of(found[0]) if found else None

    wait_for(victim, "a trial's process", pause=0.05).kill()
    searched.state = wait_for(
        lambda: (state := shop.api.run_state(DAG, run.run_id)) in FINISHED and state, "the end of the search"
    )
    return searched


def test_the_search_ends_well_although_a_trial_was_killed(done: Searched) -> None:
    assert done.state == "success"
    assert sorted(item["try_number"] for item in done.instances("rung_1")) == [1, 1, 1, 1, 2]
    assert done.summary["failed_trials"] == []


def test_the_best_third_goes_on_with_three_times_as_many_skus(done: Searched) -> None:
    assert done.summary["rungs"] == [
        {"rung": 1, "trials": 5, "skus": 5},
        {"rung": 2, "trials": 3, "skus": 15},
        {"rung": 3, "trials": 2, "skus": 45},
    ]
    for rung, trials in ((1, 5), (2, 3), (3, 2)):
        assert [item["state"] for item in done.instances(f"rung_{rung}")] == ["success"] * trials


def test_the_cells_of_the_grid_say_what_is_tried(done: Searched) -> None:
    labels = [item["rendered_map_index"] for item in done.instances("rung_1")]
    assert labels == [done.plan.label(trial) for trial in done.plan.trials]
    assert labels[0] == "t000 · as in the file"
    assert all(re.fullmatch(r"t00\d · [\w.]+(=| with(out)? ).+", label) for label in labels[1:])


def test_every_trial_is_a_finished_run_in_mlflow_with_params_and_metrics(done: Searched) -> None:
    plan = done.plan
    experiment = done.shop.mlflow.get_experiment_by_name("skufleet/demo/search")
    runs = {
        run.data.tags["trial"]: run
        for run in done.shop.mlflow.search_runs([experiment.experiment_id])
        if run.data.tags.get("mlflow.parentRunId") == plan.parent.run_id
    }
    assert set(runs) == set(plan.trials)
    keys = {key for changes in plan.trials.values() for key in changes}
    for run in runs.values():
        assert run.info.status == "FINISHED"
        assert set(run.data.params) == keys
        assert {"wape", "rmsse", "bias", "cpu_seconds", "rung", "skus", "gain"} <= set(run.data.metrics)
    parent = done.shop.mlflow.get_run(plan.parent.run_id)
    assert parent.data.metrics["parallel_seconds"] == pytest.approx(done.summary["parallel_seconds"], abs=0.01)


def test_the_trials_really_ran_side_by_side(done: Searched) -> None:
    """Two at a time at least: some trial began before another of its rung had ended."""
    spans = sorted((item["start_date"], item["end_date"]) for item in done.instances("rung_1"))
    assert any(later < ended for (_, ended), (later, _) in pairwise(spans))
    assert done.summary["sequential_seconds"] > 0


def test_nothing_is_registered_and_the_file_stays_as_it_was(done: Searched) -> None:
    assert digest_of_file() == done.file_before
    made = [item for items in done.shop.versions().values() for item in items]
    assert not [item for item in made if item.tags["dag_run_id"] == done.run.run_id]


def test_the_proposal_can_be_put_into_the_file(done: Searched) -> None:
    summary = done.summary
    assert summary["verdict"] in ("change", "noise", "keep")
    if summary["changes"]:
        changes = yaml.safe_load(done.shop.store.get(done.run.proposal_key))
        assert set(changes) <= {"backtest", "candidates", "settings", "budget"}
        assert summary["gain"] > 0


def test_the_report_is_beside_the_run_for_those_who_are_logged_in(done: Searched) -> None:
    path = f"/skufleet/report/{DAG}/{quote(done.run.run_id, safe='')}"
    assert httpx.get(done.shop.stack.airflow_url + path).status_code in (401, 403)
    page = done.shop.http.get(path)
    assert page.status_code == 200
    assert page.content == done.shop.store.get(done.run.report_key)
    assert done.shop.http.get(f"/skufleet/report/{DAG}/manual__never").status_code == 404


def test_the_links_of_the_tasks_lead_to_their_mlflow_run_and_to_the_report(done: Searched) -> None:
    for index, trial in enumerate(done.plan.trials):
        assert done.links("rung_1", index)["MLflow run"].endswith(f"/runs/{done.plan.runs[trial].run_id}")
    links = done.links("report")
    assert done.shop.http.get(links["Search report"]).content == done.shop.store.get(done.run.report_key)
    assert links["MLflow run"].endswith(f"/runs/{done.plan.parent.run_id}")
