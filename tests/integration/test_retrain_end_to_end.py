"""A small catalogue through the whole platform: Airflow, PostgreSQL, S3, MLflow; no mock anywhere.

Start-up and runs are dear, so each stage below is run once and looked at by many tests, in this order: a first run, one
of its chunks cleared, four runs triggered at once, the next day with a task killed, a day with MLflow killed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest

from include.skufleet.fleet.audit import Finding, audit_run
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.forecast import forecast_columns
from include.skufleet.fleet.outcomes import OUTCOMES
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.history import read_history
from include.skufleet.local import processes
from include.skufleet.local import stack as embedded
from include.skufleet.registry.names import registered_name
from include.skufleet.registry.states import ModelState
from tests.integration.conftest import RunningStack
from tests.integration.fleet_runs import DAG, POINTER, Finished, Shop, active_series, process_of
from tests.integration.registry_gate import RegistryGate
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Snapshot:
    """A run, and what registry and publication looked like right after it."""

    done: Finished
    states: dict[str, ModelState]
    versions: dict[str, list[Any]]
    pointer: dict[str, Any]
    published: pd.DataFrame
    broken: list[Finding]

    @classmethod
    def of(cls, done: Finished) -> Snapshot:
        shop = done.shop
        pointer, broken = shop.store.get_json(POINTER), audit_run(shop.clients, shop.catalogue, done.run)
        return cls(done, shop.states(), shop.versions(), pointer, shop.published(), broken)

    @property
    def production(self) -> dict[str, int]:
        """SKU -> version in production."""
        return {sku: state.aliases["production"] for sku, state in self.states.items() if "production" in state.aliases}

    def made(self, run: RunKeys) -> dict[str, list[int]]:
        """Registered model's name -> the versions that a run made of it."""
        own = {
            name: [int(item.version) for item in items if item.tags["dag_run_id"] == run.run_id]
            for name, items in self.versions.items()
        }
        return {name: numbers for name, numbers in own.items() if numbers}


Killed = tuple[Snapshot, dict[str, list[int]]]
"""The next day's run, and the versions that each chunk had registered when a task was killed."""


@pytest.fixture(scope="module")
def shop(stack: RunningStack) -> Shop:
    opened = Shop.open(stack)
    opened.land(opened.end)
    opened.api.wait_for_dag(DAG)
    opened.api.unpause(DAG)
    return opened


@pytest.fixture(scope="module")
def first(shop: Shop) -> Snapshot:
    """The first run of a catalogue that has never been trained."""
    return Snapshot.of(shop.finish(shop.trigger(as_of=shop.end.isoformat())))


@pytest.fixture(scope="module")
def cleared(shop: Shop, first: Snapshot) -> Snapshot:
    """The first run again, after its second chunk was cleared with what follows."""
    run = first.done.run
    shop.clear(run, "retrain", 1)
    return Snapshot.of(shop.finish(run))


@dataclass
class AtOnce:
    """Four runs that were asked for at the same time."""

    dry: subprocess.CompletedProcess[str]
    nothing: subprocess.CompletedProcess[str]
    past: Finished
    early: Finished
    before: Snapshot
    after: Snapshot

    def run_of(self, word: str) -> Finished:
        """The run that a command started, by the run id that it prints in the report's address."""
        output = {"dry": self.dry, "nothing": self.nothing}[word].stdout
        found = re.search(r"manual__[\dT:.+-]+", unquote(output))
        assert found, output
        return Finished(self.past.shop, RunKeys("demo", found.group()), "")


def command(shop: Shop, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "include.skufleet", "trigger", "--catalogue", "demo", *arguments],
        env=shop.environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    output, _ = process.communicate(timeout=400)
    return subprocess.CompletedProcess(process.args, process.returncode, output, "")


@pytest.fixture(scope="module")
def at_once(shop: Shop, cleared: Snapshot) -> AtOnce:
    """A dry run and a hopeless one by command, a run of the past and one before all data through the API."""
    dry = command(shop, "--as-of", shop.end.isoformat(), "--dry-run", "--force")
    nothing = command(shop, "--as-of", shop.end.isoformat(), "--skus", "NOSUCH-*")
    past = shop.trigger(as_of=(shop.end - timedelta(days=70)).isoformat(), skus=["GRO-*", "TOYS 00050 blue"])
    early = shop.trigger(as_of="2001-01-01")
    ended = finish(dry), finish(nothing)
    done = shop.finish(past)
    return AtOnce(*ended, past=done, early=shop.finish(early), before=cleared, after=Snapshot.of(done))


@pytest.fixture(scope="module")
def next_day(shop: Shop, at_once: AtOnce) -> Killed:
    """The next day's drop arrives; a task is killed in the middle of its chunk. And what it had registered by then."""
    shop.land(shop.end + timedelta(days=1))
    with RegistryGate(shop.stack.settings, let_through=5) as gate:
        run = shop.trigger(as_of=(shop.end + timedelta(days=1)).isoformat())
        gate.wait()
        registered = wait_for(lambda: _registered(shop, run), "the versions that were let through", pause=0.05)
        victim = wait_for(lambda: process_of(shop.instances(run, "retrain")[_index(registered)]), "the task's process")
        victim.kill()
    return Snapshot.of(shop.finish(run)), registered


def _registered(shop: Shop, run: RunKeys) -> dict[str, list[int]]:
    """Chunk -> versions registered so far in this run."""
    found: dict[str, list[int]] = {}
    for item in shop.mlflow.search_model_versions(f"tags.dag_run_id = '{run.run_id}'", max_results=1000):
        found.setdefault(item.tags["chunk"], []).append(int(item.version))
    return found


def _index(registered: dict[str, list[int]]) -> int:
    """The map index of a chunk that has begun to register, taken from its name."""
    return int(next(iter(registered))[1:])


@pytest.fixture(scope="module")
def without_mlflow(shop: Shop, next_day: Killed) -> Snapshot:
    """A run of some SKUs; MLflow's server dies while it registers the first of them, and comes back."""
    server = processes.find_process(processes.read_started(shop.stack.settings.paths, "mlflow"))
    assert server is not None
    with RegistryGate(shop.stack.settings, let_through=0) as gate:
        run = shop.trigger(as_of=(shop.end + timedelta(days=1)).isoformat(), skus=["FRE-*", "DRK-*"], force=True)
        gate.wait()
        doomed = [server, *server.children(recursive=True)]
        for process in doomed:
            process.kill()
        assert psutil.wait_procs(doomed, timeout=30)[1] == []
    embedded.up(shop.stack.settings)
    return Snapshot.of(shop.finish(run))


# -- the first run -----------------------------------------------------------------------------------------------------


def test_the_run_is_green_and_so_is_each_of_its_tasks(first: Snapshot) -> None:
    assert first.done.state == "success"
    assert first.done.states() == {
        "ingest": ["success"],
        "plan": ["success"],
        "departments": ["success"],
        "retrain": ["success", "success"],
        "decide": ["success"],
        "promote": ["success"],
        "forecast": ["success"],
        "report": ["success"],
        "tidy": ["success"],
    }


def test_every_sku_that_was_delivered_or_listed_has_exactly_one_outcome(first: Snapshot, shop: Shop) -> None:
    results, plan, summary = first.done.results, first.done.plan, first.done.summary
    index = shop.store.get_frame(plan["ingested"]["index_key"])
    listed = shop.store.get_frame(plan["ingested"]["attributes_key"])
    assert sorted(results["sku"]) == sorted(set(index["sku"]) | set(listed["sku"]))
    planned = [sku for chunk in plan["chunks"] for sku in chunk["skus"]]
    assert sorted(results["sku"]) == sorted([*planned, *shop.store.get_frame(first.done.run.not_planned_key)["sku"]])
    assert set(results["outcome"]) <= set(OUTCOMES)
    assert (results["reason"].str.len() > 0).all()
    assert summary["complete"]
    assert sum(summary["outcomes"].values()) == len(results) == plan["counts"]["skus"]
    assert summary["outcomes"]["trained"] > 40
    assert summary["outcomes"]["failed"] == 0


def test_every_sku_with_a_model_has_one_ready_version_and_is_in_production_unless_the_gate_said_no(
    first: Snapshot,
) -> None:
    with_model = first.done.results[first.done.results["version"] > 0]
    assert first.made(first.done.run) == {name: [1] for name in with_model["registered_name"]}
    assert {item.status for items in first.versions.values() for item in items} == {"READY"}
    promoted = set(first.done.decisions.query("promoted")["sku"])
    assert first.production == dict.fromkeys(promoted, 1)
    refused = first.done.decisions.query("not promoted")
    assert {first.states[sku].aliases["staging"] for sku in refused["sku"]} <= {1}
    assert (first.done.decisions["reason"].str.len() > 0).all()
    assert len(promoted) > 40


def test_a_model_answers_in_a_process_that_has_mlflow_but_not_this_repository(first: Snapshot, tmp_path: Path) -> None:
    shop, served = first.done.shop, first.published.query("served_by == 'production'")
    inputs = first.done.chunk_frames("inputs")
    kept = [sku for sku in served["sku"].unique() if sku in set(inputs["sku"])]
    awkward = [sku for sku in kept if not re.fullmatch(r"[A-Z0-9-]+", sku)]
    plain = [sku for sku in kept if sku not in awkward]
    asked = {registered_name("demo", sku): sku for sku in (*awkward, *plain[:4])}
    assert awkward
    inputs[inputs["sku"].isin(asked.values())].to_parquet(tmp_path / "asked.parquet")
    (tmp_path / "models.json").write_text(json.dumps(asked))
    program = """
import json, sys
import mlflow, pandas as pd
asked, answers = pd.read_parquet("asked.parquet"), []
for name, sku in json.load(open("models.json")).items():
    model = mlflow.pyfunc.load_model(f"models:/{name}@production")
    answers.append(model.predict(asked[asked["sku"] == sku]))
pd.concat(answers).to_parquet("answers.parquet")
assert not any(name.split(".")[0] == "include" for name in sys.modules)
"""
    environment = {
        name: value
        for name, value in {**os.environ, **shop.stack.environment}.items()
        if not name.startswith(("AIRFLOW", "PYTHON", "SKUFLEET"))
    }
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    answers = pd.read_parquet(tmp_path / "answers.parquet")
    expected = served[served["sku"].isin(asked.values())]
    both = expected.merge(answers, on=["sku", "store", "date"], suffixes=("", "_loaded"))
    assert len(both) == len(expected) == len(answers)
    for column in ("y_hat", *bound_columns(shop.catalogue)):
        np.testing.assert_allclose(both[f"{column}_loaded"], both[column], rtol=1e-9)


def test_the_forecasts_cover_every_active_series_and_day_exactly_once(first: Snapshot, shop: Shop) -> None:
    published, plan = first.published, first.done.plan
    planned = [sku for chunk in plan["chunks"] for sku in chunk["skus"]]
    history = read_history(
        shop.store,
        shop.catalogue,
        version=plan["ingested"]["table_version"],
        as_of=shop.end,
        buckets=range(shop.catalogue.fleet.buckets),
        skus=planned,
    )
    usable = history[history["units"].between(0, shop.catalogue.validation.max_units)]
    days = [pd.Timestamp(shop.end) + pd.Timedelta(days=step) for step in range(1, shop.catalogue.horizon + 1)]
    series = active_series(usable, shop.end, shop.catalogue.validation.inactive_after)
    expected = {(sku, store, day) for sku, store in series for day in days}
    got = list(zip(published["sku"], published["store"], published["date"], strict=True))
    assert len(got) == len(set(got))
    assert set(got) == expected
    assert list(published.columns) == forecast_columns(shop.catalogue)
    assert {"lower_80", "upper_80", "lower_95", "upper_95"} <= set(published.columns)


def test_the_forecasts_are_numbers_not_below_zero_and_say_who_made_them(first: Snapshot) -> None:
    published = first.published
    assert np.isfinite(published["y_hat"]).all()
    assert (published["y_hat"] >= 0).all()
    assert set(published["served_by"]) == {"production", "fallback"}
    produced = published[published["served_by"] == "production"]
    assert set(produced["model_name"]) == {registered_name("demo", sku) for sku in produced["sku"]}
    assert (produced["model_version"] == 1).all()


def test_the_pointer_names_the_forecasts_of_this_run(first: Snapshot, shop: Shop) -> None:
    assert first.pointer["run_id"] == first.done.run.run_id
    assert first.pointer["as_of"] == shop.end.isoformat()
    assert first.pointer["horizon"] == 28
    pd.testing.assert_frame_equal(
        first.published.sort_values(["sku", "store", "date"], ignore_index=True),
        first.done.forecasts.sort_values(["sku", "store", "date"], ignore_index=True),
    )


def test_the_release_freezes_what_was_in_production(first: Snapshot, shop: Shop) -> None:
    release = shop.store.get_frame(first.done.run.release_key)
    assert dict(zip(release["sku"], release["version"], strict=True)) == first.production


class Loads(HTMLParser):
    """Addresses that a browser fetches by itself when it opens a page; links that a person may follow are none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("src", "srcset", "data", "poster", "background", "xlink:href"):
            self.found.append(given.get(name) or "")
        if tag in ("link", "image", "use"):
            self.found.append(given.get("href") or "")


def test_the_report_is_on_s3_and_on_disk_and_needs_no_network(first: Snapshot, shop: Shop) -> None:
    html = shop.store.get(first.done.run.report_key)
    assert Path(first.done.summary["local_report"]).read_bytes() == html
    text = html.decode()
    page = Loads()
    page.feed(text)
    assert [url for url in page.found if url and not url.startswith(("data:", "#"))] == []
    assert [
        url for url in re.findall(r"url\(([^)]*)\)", text) if not url.strip("'\" ").startswith(("data:", "#"))
    ] == []
    assert "@import" not in text
    assert "<script" not in text
    assert first.done.run.run_id in text


def test_the_report_in_airflow_is_for_those_who_are_logged_in(first: Snapshot, shop: Shop) -> None:
    path = f"/skufleet/report/{DAG}/{quote(first.done.run.run_id, safe='')}"
    assert httpx.get(shop.stack.airflow_url + path).status_code in (401, 403)
    forged = httpx.get(shop.stack.airflow_url + path, headers={"Authorization": "Bearer forged"})
    assert forged.status_code in (401, 403)
    page = shop.http.get(path)
    assert page.status_code == 200
    assert page.content == shop.store.get(first.done.run.report_key)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_report_that_is_not_there_is_said_so_in_words(first: Snapshot, shop: Shop) -> None:
    answer = shop.http.get(f"/skufleet/report/{DAG}/manual__never")
    assert answer.status_code == 404
    assert "has not written its report" in answer.text


def test_a_chunks_links_lead_to_its_mlflow_run_and_to_the_registry(first: Snapshot, shop: Shop) -> None:
    for index, chunk in enumerate(first.done.plan["chunks"]):
        links = shop.links(first.done.run, "retrain", index)
        run_id = links["MLflow run"].rsplit("/", 1)[1]
        assert links["MLflow run"].startswith(f"{shop.stack.mlflow_url}/#/experiments/")
        found = shop.mlflow.get_run(run_id)
        assert found.info.status == "FINISHED"
        assert found.data.tags["dag_run_id"] == first.done.run.run_id
        assert found.data.tags["chunk"] == chunk["chunk"]
        assert links["Models in the registry"].startswith(f"{shop.stack.mlflow_url}/#/models?searchInput=")
        search = unquote(links["Models in the registry"].split("searchInput=")[1])
        assert shop.mlflow.search_registered_models(search, max_results=5)


def test_the_links_of_the_report_task_lead_to_the_page_that_shows_it(first: Snapshot, shop: Shop) -> None:
    address = shop.links(first.done.run, "report")["Fleet report"]
    assert shop.http.get(address).content == shop.store.get(first.done.run.report_key)


def test_the_chunks_have_names_that_a_person_can_read(first: Snapshot, shop: Shop) -> None:
    labels = [item["rendered_map_index"] for item in shop.instances(first.done.run, "retrain")]
    assert labels == [chunk["label"] for chunk in first.done.plan["chunks"]]
    assert all(re.fullmatch(r"c00\d · \d+ SKUs · .+", label) for label in labels)


# -- a chunk cleared ---------------------------------------------------------------------------------------------------


def test_a_cleared_chunk_makes_no_second_version_and_the_run_is_green_again(cleared: Snapshot, first: Snapshot) -> None:
    assert cleared.done.state == "success"
    tries = [item["try_number"] for item in cleared.done.shop.instances(cleared.done.run, "retrain")]
    assert tries == [1, 2]
    assert cleared.made(cleared.done.run) == first.made(first.done.run)
    assert cleared.production == first.production


def test_a_cleared_chunk_comes_to_the_same_results_and_forecasts(cleared: Snapshot, first: Snapshot) -> None:
    pd.testing.assert_frame_equal(cleared.done.results, first.done.results)
    order = ["sku", "store", "date"]
    pd.testing.assert_frame_equal(
        cleared.published.sort_values(order, ignore_index=True), first.published.sort_values(order, ignore_index=True)
    )


# -- four runs at once -------------------------------------------------------------------------------------------------


def test_runs_that_are_triggered_at_once_run_one_after_the_other(at_once: AtOnce, shop: Shop) -> None:
    runs = shop.http.get(f"/api/v2/dags/{DAG}/dagRuns", params={"order_by": "start_date"}).json()["dag_runs"]
    first = at_once.before.done.run.run_id  # cleared since it began
    spans = [(run["start_date"], run["end_date"]) for run in runs if run["dag_run_id"] != first]
    assert len(spans) >= 4
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_dry_run_trains_nothing_and_still_reports(at_once: AtOnce) -> None:
    assert at_once.dry.returncode == 0, at_once.dry.stdout
    assert "52 of 57 SKUs would be trained" in at_once.dry.stdout
    done = at_once.run_of("dry")
    assert done.summary["dry_run"]
    assert done.plan["counts"]["planned"] == 52
    assert at_once.after.made(done.run) == {}
    assert done.states()["departments"] == ["skipped"]
    assert done.states()["retrain"] == ["skipped"]
    assert done.states()["report"] == ["success"]
    assert "ry run" in done.shop.store.get(done.run.report_key).decode()


def test_a_pattern_without_a_match_fails_at_once_with_the_sentence(at_once: AtOnce, shop: Shop) -> None:
    assert at_once.nothing.returncode == 1, at_once.nothing.stdout
    assert "plan failed after 1 try:" in at_once.nothing.stdout
    run = at_once.run_of("nothing").run
    (plan,) = shop.instances(run, "plan")
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    assert "'NOSUCH-*' matches none of the 57 SKUs of catalogue 'demo'" in shop.log(run, "plan")
    assert [item["state"] for item in shop.instances(run, "promote")] == ["skipped"]


def test_a_date_before_the_first_sale_fails_at_once_with_the_sentence(at_once: AtOnce, shop: Shop) -> None:
    (plan,) = shop.instances(at_once.early.run, "plan")
    assert at_once.early.state == "failed"
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    assert "as_of 2001-01-01 is before the first sale of catalogue 'demo'" in shop.log(at_once.early.run, "plan")


def test_codes_and_patterns_limit_what_is_trained(at_once: AtOnce) -> None:
    results = at_once.past.results
    assert at_once.past.state == "success"
    assert all(sku.startswith("GRO-") or sku == "TOYS 00050 blue" for sku in results["sku"])
    assert "TOYS 00050 blue" in set(results["sku"])
    made = at_once.after.made(at_once.past.run)
    assert set(made) == set(results[results["version"] > 0]["registered_name"])
    assert made


def test_a_run_of_the_past_reads_nothing_later(at_once: AtOnce, shop: Shop) -> None:
    as_of = date.fromisoformat(at_once.past.plan["as_of"])
    assert as_of < shop.end
    results, backtest = at_once.past.results, at_once.past.chunk_frames("backtest")
    assert pd.to_datetime(results["last_date"].replace("", None)).max() == pd.Timestamp(as_of)
    assert backtest["date"].max() == pd.Timestamp(as_of)
    assert at_once.past.forecasts["date"].min() == pd.Timestamp(as_of + timedelta(days=1))
    history = read_history(
        shop.store,
        shop.catalogue,
        version=at_once.past.plan["ingested"]["table_version"],
        as_of=as_of,
        buckets=range(shop.catalogue.fleet.buckets),
    )
    truth = backtest.merge(history, on=["sku", "store", "date"])
    assert len(truth) > 100
    assert (truth["y"] == truth["units"]).all()
    known = history[history["units"].between(0, shop.catalogue.validation.max_units)].groupby("sku").size()
    trained = results[results["outcome"] == "trained"].set_index("sku")
    assert (trained["periods"] == known.reindex(trained.index)).all()


def test_a_run_of_the_past_moves_neither_production_nor_the_published_forecasts(at_once: AtOnce) -> None:
    assert at_once.after.production == at_once.before.production
    assert at_once.after.pointer == at_once.before.pointer
    assert not at_once.past.decisions["promoted"].any()
    assert set(at_once.past.forecasts["served_by"]) <= {"archived", "fallback"}


# -- the next day, with a task killed ----------------------------------------------------------------------------------


def test_a_killed_task_is_tried_again_and_the_run_ends_well(next_day: Killed, shop: Shop) -> None:
    day, registered = next_day
    assert day.done.state == "success"
    tries = [item["try_number"] for item in shop.instances(day.done.run, "retrain")]
    assert tries[_index(registered)] == 2
    assert day.done.summary["complete"]
    assert day.done.summary["lost_chunks"] == []


def test_the_task_was_killed_in_the_middle_of_its_chunk(next_day: Killed) -> None:
    day, registered = next_day
    ((chunk, before),) = list(registered.items())[:1]
    results = day.done.results
    assert 1 <= len(before) < len(results[(results["chunk"] == chunk) & (results["version"] > 0)])


def test_each_sku_gets_exactly_one_new_version_the_next_day(next_day: Killed, at_once: AtOnce) -> None:
    day, _ = next_day
    with_model = set(day.done.results.query("version > 0")["registered_name"])
    past = at_once.after.made(at_once.past.run)
    known = with_model & set(at_once.before.versions)
    made = day.made(day.done.run)
    assert len(known) > 40
    assert {name: made[name] for name in known} == {name: [3 if name in past else 2] for name in known}
    assert set(made) == with_model
    assert all(len(numbers) == 1 for numbers in made.values())


def test_what_was_in_production_before_is_kept_as_previous(next_day: Killed, at_once: AtOnce) -> None:
    day, _ = next_day
    moved = {sku for sku, version in at_once.after.production.items() if day.production[sku] != version}
    assert len(moved) > 20
    assert {sku: day.states[sku].aliases["previous"] for sku in moved} == dict.fromkeys(moved, 1)
    stayed = set(at_once.after.production) - moved
    refused = set(day.done.decisions.query("not promoted")["sku"])
    without_new = set(day.done.results.query("version == 0")["sku"])
    assert stayed <= refused | without_new


def test_only_the_new_drop_is_ingested(next_day: Killed, first: Snapshot) -> None:
    before, after = first.done.plan["ingested"], next_day[0].done.plan["ingested"]
    assert before["drops_ingested"] > 40
    new = (date.fromisoformat(after["last_date"]) - date.fromisoformat(before["last_date"])).days
    assert new == 1
    assert 1 <= after["drops_ingested"] <= 2
    assert after["rows"] < 200
    assert after["table_version"] > before["table_version"]


# -- MLflow killed -----------------------------------------------------------------------------------------------------


def test_a_run_survives_the_death_of_mlflow(without_mlflow: Snapshot) -> None:
    day = without_mlflow
    assert day.done.state == "success"
    with_model = day.done.results[day.done.results["version"] > 0]
    made = day.made(day.done.run)
    assert set(made) == set(with_model["registered_name"])
    assert all(len(numbers) == 1 for numbers in made.values())


def test_a_run_of_some_skus_leaves_the_forecasts_of_the_others_published(
    without_mlflow: Snapshot, next_day: Killed
) -> None:
    day, before = without_mlflow, next_day[0]
    order = ["sku", "store", "date"]
    assert not day.published.duplicated(order).any()
    own = set(day.done.results["sku"])
    pd.testing.assert_frame_equal(
        day.published[~day.published["sku"].isin(own)].sort_values(order, ignore_index=True),
        before.published[~before.published["sku"].isin(own)].sort_values(order, ignore_index=True),
    )
    assert set(day.published["sku"]) == set(before.published["sku"])
    assert day.pointer["run_id"] == day.done.run.run_id


def test_no_invariant_is_broken_by_a_cleared_chunk_a_killed_task_or_a_dead_registry(
    first: Snapshot, cleared: Snapshot, next_day: Killed, without_mlflow: Snapshot
) -> None:
    assert [snapshot.broken for snapshot in (first, cleared, next_day[0], without_mlflow)] == [[], [], [], []]
