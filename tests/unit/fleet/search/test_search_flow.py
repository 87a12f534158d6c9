"""A search of a small catalogue on a real S3 server and a real MLflow, rung by rung, with what can go wrong in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from include.skufleet.errors import CatalogueError, PermanentError, PlanError
from include.skufleet.fleet.search.publish import publish_search, raise_if_undecided
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.fleet.search.trial import run_trial, score_sku
from include.skufleet.forecasting.panel import Panel
from tests.unit.fleet.search.searches import SmallSearch
from tests.unit.fleet.small_fleet import DAYS, END, HORIZON, SmallFleet, day, same, weekly
from tests.unit.forecasting.forecasting_data import make_panel
from tests.unit.registry.mlflow_server import server_uri

WEEKLY = [f"{'AB'[number % 2]}-{number:02d}" for number in range(12)]
HOPELESS = ["seasonal_naive"]
SPACE = {"candidates": [HOPELESS, ["seasonal_naive", "exponential_smoothing"]], "backtest.windows": [2, 3]}


def make_fleet(**settings: Any) -> SmallFleet:
    """Twelve SKUs that can be tried on, in two departments; one that is retired, one too young, one unlisted."""
    fleet = SmallFleet.open(attributes=True, **settings)
    rows = [row for sku in WEEKLY for row in weekly(sku)]
    rows += same("OLD", 2, range(10)) + same("NEW", 3, range(DAYS - 14, DAYS)) + weekly("UNLISTED")
    fleet.deliver(rows)
    fleet.list_skus({sku: f"dept {sku[0]}" for sku in [*WEEKLY, "OLD", "NEW"]})
    return fleet


@pytest.fixture(scope="module")
def fleet() -> SmallFleet:
    return make_fleet()


class Looked:
    """A search that is over, and what it left."""

    def __init__(self, search: SmallSearch) -> None:
        self.search = search
        self.summary = search.do_all()

    @cached_property
    def ranking(self) -> pd.DataFrame:
        return self.search.fleet.store.get_frame(self.search.run.ranking_key)

    @cached_property
    def mlflow_runs(self) -> dict[str, Any]:
        """Trial -> its MLflow run; the whole search's under an empty name."""
        client = mlflow.MlflowClient(server_uri(), server_uri())
        experiment = self.search.planned().parent.experiment_id
        draw = self.search.planned().draw
        runs = [run for run in client.search_runs([experiment]) if run.data.tags["draw"] == draw]
        return {run.data.tags.get("trial", ""): run for run in runs}


@pytest.fixture(scope="module")
def done(fleet: SmallFleet) -> Looked:
    return Looked(SmallSearch.of(fleet, sample=3, rungs=3, held_back=2, space=SPACE))


def test_the_sample_holds_the_skus_that_can_be_tried_on_in_proportion(done: Looked) -> None:
    plan = done.search.planned()
    assert [(piece.rung, len(piece.departments)) for piece in plan.pieces] == [(1, 3), (2, 6), (3, 3)]
    sampled = {sku: name for piece in plan.pieces for sku, name in piece.departments.items()}
    assert sampled == {sku: f"dept {sku[0]}" for sku in WEEKLY}
    assert plan.counts == {"skus": 14, "sampled": 12, "inactive": 1, "too_short": 1}


def test_every_rung_has_fewer_trials_and_more_skus(done: Looked) -> None:
    assert done.summary["rungs"] == [
        {"rung": 1, "trials": 5, "skus": 3},
        {"rung": 2, "trials": 3, "skus": 9},
        {"rung": 3, "trials": 2, "skus": 12},
    ]
    assert done.ranking["trial"].is_unique
    assert sorted(done.ranking["rung"]) == [1, 1, 2, 3, 3]
    assert done.summary["complete"] is True


def test_a_trial_forecasts_in_a_rung_only_what_is_new_to_it(done: Looked) -> None:
    counts = [done.search.scores("t000", rung).groupby("sku").size() for rung in (1, 2, 3)]
    assert [len(part) for part in counts] == [3, 6, 3]
    assert all((part == 2).all() for part in counts), "two windows each"
    assert not set(counts[0].index) & set(counts[1].index)


def test_the_summary_states_gain_noise_and_both_times(done: Looked) -> None:
    summary = done.summary
    assert summary["verdict"] in ("change", "noise", "keep")
    assert summary["trials"] == 5
    assert summary["failed_trials"] == []
    assert 0 < summary["cpu_seconds"] <= summary["sequential_seconds"] + 1
    assert summary["parallel_seconds"] > 0
    own = done.ranking.set_index("trial").loc["t000"]
    assert (own["gain"], own["noise"]) == (0.0, 0.0)


def test_the_proposal_is_an_object_that_holds_the_winners_changes_only(done: Looked) -> None:
    store, run = done.search.fleet.store, done.search.run
    if done.summary["verdict"] == "keep":
        assert not store.exists(run.proposal_key)
        return
    changes = yaml.safe_load(store.get(run.proposal_key))
    flat = {
        f"{key}.{name}": value
        for key, part in changes.items()
        if isinstance(part, dict)
        for name, value in part.items()
    }
    flat |= {key: value for key, value in changes.items() if not isinstance(value, dict)}
    assert flat == done.summary["changes"]
    assert store.get(run.proposal_key.replace(".yaml", ".diff")).decode().strip() == done.summary["diff"]


def test_every_trial_is_a_run_in_mlflow_below_that_of_the_search(done: Looked) -> None:
    parent = done.mlflow_runs[""]
    assert set(done.mlflow_runs) == {"", "t000", "t001", "t002", "t003", "t004"}
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["verdict"] == done.summary["verdict"]
    for trial, run in done.mlflow_runs.items():
        if trial:
            row = done.ranking.set_index("trial").loc[trial]
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert run.info.status == "FINISHED"
            assert set(run.data.params) == {"candidates", "backtest.windows"}
            for name in ("wape", "rmsse", "bias", "cpu_seconds", "skus", "rung"):
                assert run.data.metrics[name] == pytest.approx(row[name])


def test_figures_of_every_rung_are_kept(done: Looked) -> None:
    client = mlflow.MlflowClient(server_uri(), server_uri())
    history = client.get_metric_history(done.mlflow_runs["t000"].info.run_id, "skus")
    assert [(item.step, item.value) for item in history] == [(1, 3.0), (2, 9.0), (3, 12.0)]


def test_nothing_is_registered(done: Looked) -> None:
    assert done.search.fleet.versions() == {}
    assert done.search.clients.registry.states(done.search.fleet.catalogue.name) == {}


def test_the_report_stands_by_itself_and_names_what_matters(done: Looked) -> None:
    html = done.search.fleet.store.get(done.search.run.report_key).decode()
    for text in ("One after the other", "Side by side", "Ranking", "t003", "http://localhost/page", "dept A · "):
        assert text in html
    assert "<script" not in html
    assert "src=" not in html


def test_a_second_report_of_the_same_search_says_the_same(done: Looked) -> None:
    again = done.search.report()
    told = {"verdict", "winner", "changes", "gain", "noise", "rungs", "sequential_seconds"}
    assert {key: again[key] for key in told} == {key: done.summary[key] for key in told}


def test_a_second_search_of_the_same_seed_scores_to_the_bit(fleet: SmallFleet, done: Looked) -> None:
    other = SmallSearch(fleet, SearchRun(fleet.catalogue.name, "again", as_of=END), done.search.search)
    other.try_out(other.plan()[:2], 1)
    columns = ["sku", "cutoff", "candidate", "abs_error", "squared_error", "units"]
    for trial in ("t000", "t001"):
        pd.testing.assert_frame_equal(other.scores(trial, 1)[columns], done.search.scores(trial, 1)[columns])


def test_a_trial_that_died_is_recorded_and_the_others_go_on(fleet: SmallFleet) -> None:
    search = SmallSearch.of(fleet, sample=3, rungs=2, held_back=1, space=SPACE)
    search.run = SearchRun(fleet.catalogue.name, "one died", as_of=END)
    search.lost = {("t002", 1)}
    looked = Looked(search)
    assert looked.summary["failed_trials"] == ["t002"]
    assert looked.summary["complete"] is True
    assert [item["trials"] for item in looked.summary["rungs"]] == [4, 2]
    assert looked.mlflow_runs["t002"].info.status == "FAILED"
    assert "failed in rung 1" in looked.mlflow_runs["t002"].data.tags["outcome"]
    assert "t002 in rung 1" in looked.summary["markdown"]
    raise_if_undecided(looked.summary)


@pytest.mark.parametrize("lost", [["t000"], ["t001", "t002", "t003", "t004"], ["t000", "t001", "t002", "t003", "t004"]])
def test_a_search_without_a_comparison_ends_with_a_report_and_an_error(fleet: SmallFleet, lost: list[str]) -> None:
    search = SmallSearch.of(fleet, sample=3, rungs=1, held_back=1, space=SPACE)
    search.run = SearchRun(fleet.catalogue.name, f"lost {lost}", as_of=END)
    search.lost = {(trial, 1) for trial in lost}
    summary = search.do_all()
    assert (summary["verdict"], summary["complete"]) == ("unknown", False)
    assert fleet.store.exists(search.run.report_key)
    with pytest.raises(PermanentError, match=r"its last rung has no scores of both.*t000"):
        raise_if_undecided(summary)


def test_a_rung_in_which_every_challenger_dies_leaves_the_proposal_of_the_one_before(fleet: SmallFleet) -> None:
    search = SmallSearch.of(fleet, sample=3, rungs=3, held_back=1, space={"backtest.windows": [3]})
    search.run = SearchRun(fleet.catalogue.name, "died late", as_of=END)
    search.lost = {("t001", 2)}
    summary = search.do_all()
    assert summary["rungs"] == [{"rung": 1, "trials": 2, "skus": 3}, {"rung": 2, "trials": 1, "skus": 9}]
    assert summary["winner"] in ("t000", "t001")
    with pytest.raises(PermanentError, match="trials without scores: t001"):
        raise_if_undecided(summary)


def test_a_space_of_one_goes_through_every_rung(fleet: SmallFleet) -> None:
    search = SmallSearch.of(fleet, sample=2, rungs=3, held_back=1, space={"backtest.windows": [3]})
    search.run = SearchRun(fleet.catalogue.name, "one", as_of=END)
    summary = search.do_all()
    assert [item["trials"] for item in summary["rungs"]] == [2, 2, 2]
    assert summary["complete"] is True


def test_a_sample_larger_than_the_catalogue_is_all_of_it_in_one_rung(fleet: SmallFleet) -> None:
    search = SmallSearch.of(fleet, sample=500, rungs=3, held_back=1, space=SPACE)
    search.run = SearchRun(fleet.catalogue.name, "all", as_of=END)
    summary = search.do_all()
    assert summary["rungs"] == [{"rung": 1, "trials": 5, "skus": 12}]
    assert search.judge(2) == []
    assert "all SKUs that can be tried on were in the sample" in fleet.store.get(search.run.report_key).decode()


def test_a_catalogue_without_a_sku_to_try_on_is_refused_with_what_became_of_its_skus() -> None:
    young = SmallFleet.open()
    young.deliver([*same("OLD", 2, range(10)), *weekly("NEW", days=range(DAYS - 14, DAYS))])
    with pytest.raises(PlanError, match=r"no SKU of catalogue .* can be tried on as of .* \(1 inactive, 1 too_short\)"):
        SmallSearch.of(young, space=SPACE).plan()


def test_skus_that_no_window_fits_are_left_out() -> None:
    """32 days are enough to train on, and not enough for a window of 20 with a season of 30 before it."""
    fleet = SmallFleet.open(season_length=30, horizon=20)
    fleet.deliver([*weekly("LONG"), *weekly("SHORT", days=range(DAYS - 32, DAYS))])
    search = SmallSearch.of(fleet, held_back=1, space=SPACE)
    search.plan()
    assert search.planned().counts == {"skus": 2, "sampled": 1, "without a window": 1}


def test_departments_profiles_are_there_for_every_cutoff_of_every_trial_that_borrows() -> None:
    """Windows of 7 days: three to choose by before each of two held back, and the end of the data; 56 days at least."""
    fleet = make_fleet(candidates=["seasonal_naive", "profile"])
    search = SmallSearch.of(
        fleet, sample=6, rungs=1, held_back=2, space={"backtest.windows": [3], "settings.profile.pooling": [0.0, 1.0]}
    )
    trials = search.plan()
    known = fleet.store.get_json(search.run.departments_key)
    assert {"dept A", "dept B"} <= set(known)
    assert [item["as_of"] for item in known["dept A"]] == [str(day(83 - 7 * back)) for back in (4, 3, 2, 1, 0)]
    search.try_out(trials, 1)
    by_pooling = {
        plan.settings.profile.pooling: search.scores(trial, 1)
        for trial in trials
        if (plan := search.planned().catalogue_of(trial)).backtest.windows == 3
    }
    assert "profile" in set(by_pooling[0.0]["candidate"])
    assert not np.allclose(by_pooling[0.0]["signed_error"], by_pooling[1.0]["signed_error"])


def test_no_departments_profiles_are_made_where_no_trial_borrows(done: Looked) -> None:
    assert not done.search.fleet.store.exists(done.search.run.departments_key)


def test_before_the_first_sale_there_is_nothing_to_search(fleet: SmallFleet) -> None:
    with pytest.raises(PlanError, match="before the first sale"):
        SmallSearch.of(fleet, as_of=date(2000, 1, 1)).plan()


def test_only_the_skus_asked_for_are_sampled(fleet: SmallFleet) -> None:
    search = SmallSearch.of(fleet, skus=("A-*",), space=SPACE)
    search.run = SearchRun(fleet.catalogue.name, "some", as_of=END, skus=("A-*",))
    search.plan()
    assert {sku for piece in search.planned().pieces for sku in piece.departments} == set(WEEKLY[::2])


def test_a_wrong_combination_stops_the_search_before_anything_is_read(fleet: SmallFleet) -> None:
    with pytest.raises(CatalogueError, match="is not a possible configuration"):
        SmallSearch.of(fleet, space={"known_future": [["price"]]}).plan()


def test_a_report_without_a_plan_says_why() -> None:
    fleet = SmallFleet.open()
    with pytest.raises(PermanentError, match="has no plan: ingest or plan failed"):
        publish_search(fleet.clients, SearchRun(fleet.catalogue.name, "x", as_of=END), {})


def test_a_trial_of_another_plan_is_refused(done: Looked) -> None:
    with pytest.raises(PlanError, match=r"its plan has no trial 't099', only t000, t001"):
        run_trial(done.search.clients, done.search.run, "t099", 1)


def test_a_plan_made_anew_from_a_changed_file_finds_no_scores_of_the_old_one() -> None:
    fleet = make_fleet()
    search = SmallSearch.of(fleet, sample=2, rungs=1, held_back=1, space=SPACE)
    search.do_all()
    before = search.planned()
    fleet.catalogue = fleet.catalogue.model_copy(
        update={"backtest": fleet.catalogue.backtest.model_copy(update={"simpler_within": 0.5})}
    )
    search.plan()
    after = search.planned()
    assert after.draw != before.draw
    assert after.runs["t001"] != before.runs["t001"]
    assert search.report()["verdict"] == "unknown"


def test_the_file_is_never_touched_and_a_change_of_it_during_the_search_changes_no_trial(done: Looked) -> None:
    plan = done.search.planned()
    assert plan.catalogue_of("t000").backtest == done.search.fleet.catalogue.backtest
    for trial, changes in plan.trials.items():
        catalogue = plan.catalogue_of(trial)
        assert catalogue.backtest.windows == changes.get("backtest.windows", 2)
        assert list(catalogue.candidates) == changes.get("candidates", list(done.search.fleet.catalogue.candidates))


def poison(panel: Panel, since: int) -> Panel:
    """The same panel with absurd sales from a period on."""
    units = panel.units.copy()
    units[:, since:] = 1e6
    return replace(panel, units=units)


def test_what_is_scored_on_is_never_chosen_or_fitted_on(fleet: SmallFleet) -> None:
    """Poison the held-back windows: the same candidate is chosen and the same forecasts are made for them."""
    rng = np.random.default_rng(1)
    panel = make_panel(units=rng.poisson(5, (2, 120)).astype(float), horizon=7)
    clean = score_sku(panel, fleet.catalogue, "d", 1)
    dirty = score_sku(poison(panel, 113), fleet.catalogue, "d", 1)
    assert clean["candidate"].tolist() == dirty["candidate"].tolist()
    assert clean["cutoff"].tolist() == dirty["cutoff"].tolist()
    # Forecasts add up to the actuals plus the signed error, and that must not have changed.
    forecast = clean["units"] + clean["signed_error"]
    assert (dirty["units"] + dirty["signed_error"]).tolist() == pytest.approx(forecast.tolist())


def test_the_score_is_that_of_the_retrained_models_forecast(fleet: SmallFleet) -> None:
    """A constant series is forecast exactly; one unit more per day in the window is an error of one unit a day."""
    units = np.full((1, 100), 4.0)
    units[0, -HORIZON:] = 5.0
    (row,) = score_sku(make_panel(units=units, horizon=HORIZON), fleet.catalogue, "d", 1).to_dict("records")
    assert row["abs_error"] == pytest.approx(HORIZON, rel=1e-3)
    assert row["signed_error"] == pytest.approx(-HORIZON, rel=1e-3)
    assert row["units"] == 5.0 * HORIZON
    assert (row["window"], row["outcome"]) == (1.0, "trained")


def test_days_are_scored_from_the_last_window_back(fleet: SmallFleet) -> None:
    panel = make_panel(units=np.ones((1, 100)), horizon=7)
    found = score_sku(panel, fleet.catalogue, "d", 3)
    assert found["window"].tolist() == [1.0, 2.0, 3.0]
    assert found["cutoff"].tolist() == ["2022-04-05", "2022-03-29", "2022-03-22"]
