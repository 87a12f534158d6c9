"""Two past dates of a catalogue without a schedule, backfilled by Airflow's own command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from include.skufleet.cli.airflow_api import FINISHED, AirflowApi
from include.skufleet.config import Settings
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.forecast import list_forecasts
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.scores import Scorecard, list_scorecards
from include.skufleet.lake.connecting import open_store
from include.skufleet.local import stack as embedded
from include.skufleet.registry.states import ModelState
from tests.integration.conftest import RunningStack
from tests.integration.fleet_runs import wait_for

pytestmark = pytest.mark.integration
CATALOGUE, DAG = "online_retail", "retrain_online_retail"
LAST, DAYS = date(2011, 12, 9), 150
DATES = (LAST - timedelta(days=15), LAST - timedelta(days=14))
SKUS = ("10002", "22423", "85123A")


@dataclass
class Backfilled:
    """A catalogue that was retrained as of its last day, and then as of two days before."""

    stack: RunningStack
    clients: Clients
    output: str
    runs: dict[str, dict[str, Any]]
    before: dict[str, ModelState]
    published: Any
    sold: pd.DataFrame

    def keys(self, day: date) -> RunKeys:
        return RunKeys(CATALOGUE, f"backfill__{day}T00:00:00+00:00")

    def cards(self) -> list[Scorecard]:
        return list_scorecards(self.clients.store, RunKeys(CATALOGUE, ""))


def invoice_lines() -> pd.DataFrame:
    """A line per SKU and day that it sold on."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        [
            (sku, LAST - timedelta(days=back), int(random.poisson(4 + 3 * number + 4 * (back % 7 == 0))))
            for back in reversed(range(DAYS))
            for number, sku in enumerate(SKUS)
        ],
        columns=["StockCode", "InvoiceDate", "Quantity"],
    )
    return frame[frame["Quantity"] > 0].assign(UnitPrice=2.5)


def airflow(stack: RunningStack, *words: str) -> str:
    """What Airflow's command line prints; it must end well."""
    command, environment = (
        [str(Path(sys.executable).with_name("airflow")), *words],
        embedded.environment_for_clients(stack.settings),
    )
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dag_runs(api: AirflowApi) -> dict[str, dict[str, Any]]:
    found = api._get(f"/dags/{DAG}/dagRuns")["dag_runs"]
    return {item["dag_run_id"]: item for item in found}


@pytest.fixture(scope="module")
def done(stack: RunningStack) -> Backfilled:
    store = open_store(stack.bucket, stack.environment)
    clients = Clients.open(store, Settings(bucket=stack.bucket, mlflow_tracking_uri=stack.mlflow_url))
    sold = invoice_lines()
    store.put("landing/online_retail/sales/all.csv", sold.to_csv(index=False).encode())
    api = AirflowApi(stack.airflow_url, *stack.login)
    api.wait_for_dag(DAG)
    api.unpause(DAG)
    today = api.trigger(DAG, {"as_of": LAST.isoformat()})
    wait_for(lambda: api.run_state(DAG, today) in FINISHED, "the end of the run of the last day")
    before, pointer = clients.registry.states(CATALOGUE), RunKeys(CATALOGUE, "").forecast_pointer
    published = store.get_json(pointer)
    first, last = (day.isoformat() for day in DATES)
    output = airflow(stack, "backfill", "create", "--dag-id", DAG, "--from-date", first, "--to-date", last)
    ended = ("success", "failed")
    wait_for(
        lambda: len(runs := dag_runs(api)) >= 3 and all(run["state"] in ended for run in runs.values()), "the backfill"
    )
    return Backfilled(stack, clients, output, dag_runs(api), before, published, sold)


def test_it_makes_a_run_for_each_date_and_the_scheduler_none_of_its_own(done: Backfilled) -> None:
    kinds = {run_id: (run["run_type"], run["state"]) for run_id, run in done.runs.items()}
    assert sorted(kinds.values()) == [("backfill", "success"), ("backfill", "success"), ("manual", "success")]
    assert {done.keys(day).run_id for day in DATES} < set(kinds)


def test_the_list_of_dags_says_that_runs_are_made_on_request(done: Backfilled) -> None:
    user, password = done.stack.login
    token = httpx.post(f"{done.stack.airflow_url}/auth/token", json={"username": user, "password": password}).json()
    answer = httpx.get(
        f"{done.stack.airflow_url}/api/v2/dags/{DAG}", headers={"Authorization": f"Bearer {token['access_token']}"}
    ).json()
    assert answer["timetable_summary"] == "on request"
    assert answer["timetable_description"] == "Never by itself; a backfill makes a run for every day of its range"
    assert answer["next_dagrun_run_after"] is None


def test_each_version_bears_its_date_and_each_date_its_forecasts(done: Backfilled) -> None:
    for day in DATES:
        results = done.clients.store.get_frame(done.keys(day).results_key)
        assert set(results["sku"]) == set(SKUS)
        assert set(results["outcome"]) == {"trained"}
        for row in results.to_dict("records"):
            version = next(
                item
                for item in done.clients.registry.list_versions(CATALOGUE)
                if (item.name, item.version) == (row["registered_name"], row["version"])
            )
            assert version.as_of == day.isoformat()
        keys = list_forecasts(done.clients.store, done.keys(day))
        forecasts = pd.concat([done.clients.store.get_frame(key) for key in keys])
        assert forecasts["date"].min() == pd.Timestamp(day + timedelta(days=1))
        assert len(forecasts) == len(SKUS) * 28
        assert set(forecasts["served_by"]) == {"archived"}


def test_what_serves_today_is_left_as_it_is(done: Backfilled) -> None:
    assert done.clients.registry.states(CATALOGUE) == done.before
    assert done.clients.store.get_json(RunKeys(CATALOGUE, "").forecast_pointer) == done.published


def test_the_scorecard_has_a_row_per_date_judged_by_what_was_sold_since(done: Backfilled) -> None:
    cards = done.cards()
    assert [card.as_of for card in cards] == list(DATES)
    for card, known in zip(cards, (15, 14), strict=True):
        since = done.sold[done.sold["InvoiceDate"] > card.as_of]
        assert (card.known, card.horizon) == (known, 28)
        assert card.fleet.units == since["Quantity"].sum()
        assert card.fleet.actuals == len(SKUS) * known
        assert 0 < card.fleet.wape < 2
        assert 0 < card.fleet.baseline_wape < 2


def test_a_scheduled_catalogue_is_backfilled_at_the_times_of_its_schedule(done: Backfilled) -> None:
    dates = ("--from-date", "2026-03-01", "--to-date", "2026-03-03T23:59")
    text = airflow(done.stack, "backfill", "create", "--dag-id", "retrain_demo", *dates, "--dry-run")
    assert [day for day in range(1, 5) if f"2026-03-0{day} 03:00:00" in text] == [1, 2, 3]
