"""What goes wrong in the middle of a run: one SKU, one service, one task; the others go on and nothing is doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from include.skufleet.errors import PermanentError, ServiceUnavailableError
from include.skufleet.fleet import retrain, train
from include.skufleet.fleet.attempts import Attempt
from include.skufleet.fleet.audit import audit_run
from include.skufleet.fleet.progress import count_finished_skus
from include.skufleet.fleet.publish_report import raise_if_incomplete
from include.skufleet.fleet.run import TRIES, Run
from include.skufleet.forecasting.candidates.naive import SeasonalNaive
from include.skufleet.forecasting.candidates.smoothing import ExponentialSmoothing
from include.skufleet.forecasting.candidates.tsb import TSB
from include.skufleet.registry.records import ModelRecord, RegisteredVersion
from include.skufleet.registry.register import ChunkRegistration
from tests.unit.fleet import small_fleet
from tests.unit.fleet.killed import Killed
from tests.unit.fleet.small_fleet import END, WEEK, SmallFleet, weekly

SKUS = tuple(f"SKU-{number}" for number in range(6))


@pytest.fixture
def fleet() -> SmallFleet:
    """Six SKUs in one chunk."""
    opened = SmallFleet.open()
    opened.deliver([row for sku in SKUS for row in weekly(sku)])
    return opened


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every two SKUs."""
    monkeypatch.setattr(retrain, "CHECKPOINT_SKUS", 2)


def break_fit(monkeypatch: pytest.MonkeyPatch, kind: type[Any], sku: str) -> None:
    right = kind.fit

    def fit(self: Any, panel: Any) -> Any:
        if panel.sku == sku:
            raise ZeroDivisionError(f"cannot fit {sku}")
        return right(self, panel)

    monkeypatch.setattr(kind, "fit", fit)


def use_up_tries(fleet: SmallFleet, run: Run, chunk: str) -> None:
    """Its task is tried until it has failed for good."""
    for _ in range(TRIES):
        Attempt.begin(fleet.store, run.chunk_folder(chunk))


def break_registration(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, when: Callable[[ModelRecord], bool], *, after: bool = False
) -> list[str]:
    """Registering a model raises once, before or after it was done; returns the SKUs that were asked for."""
    right, asked, armed = ChunkRegistration._register, [], [True]

    def register(self: ChunkRegistration, record: ModelRecord) -> RegisteredVersion:
        asked.append(record.sku)
        if armed and when(record):
            armed.clear()
            if after:
                right(self, record)
            raise error
        return right(self, record)

    monkeypatch.setattr(ChunkRegistration, "_register", register)
    return asked


def test_a_sku_whose_training_raises_is_recorded_and_the_others_go_on(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (SeasonalNaive, ExponentialSmoothing, TSB):
        break_fit(monkeypatch, kind, "SKU-2")
    run = fleet.new_run()
    summary = fleet.do_all(run)
    rows = fleet.results(run)
    assert (rows["SKU-2"]["outcome"], rows["SKU-2"]["step"]) == ("failed", "train")
    assert "cannot fit SKU-2" in rows["SKU-2"]["error"]
    assert {rows[sku]["outcome"] for sku in SKUS if sku != "SKU-2"} == {"trained"}
    assert summary["outcomes"] == {"trained": 5, "fallback": 0, "quarantined": 0, "failed": 1, "skipped": 0}
    assert summary["complete"]
    own = fleet.forecasts(run).query("sku == 'SKU-2'")
    assert list(own["y_hat"]) == [0.0] * fleet.catalogue.horizon


def test_a_candidate_that_raises_for_a_sku_leaves_it_to_the_other_candidates(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_fit(monkeypatch, ExponentialSmoothing, "SKU-2")
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    assert fleet.retrain(run, chunk)["counts"]["trained"] == len(SKUS)
    results = fleet.store.get_frame(f"{run.chunk_folder(chunk)}/results.parquet").set_index("sku")
    assert results.loc["SKU-2", "candidate"] in {"seasonal_naive", "tsb"}


def test_a_failed_sku_is_served_by_the_fallback(fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    right = train.refit

    def refit(panel: Any, *others: Any) -> Any:
        if panel.sku == "SKU-2":
            raise FloatingPointError("overflow")
        return right(panel, *others)

    monkeypatch.setattr(train, "refit", refit)
    run = fleet.new_run()
    fleet.do_all(run)
    row = fleet.results(run)["SKU-2"]
    assert (row["outcome"], row["step"], row["error"]) == ("failed", "train", "FloatingPointError: overflow")
    assert (row["candidate"], row["version"]) == ("seasonal_naive", 1)
    own = fleet.forecasts(run).query("sku == 'SKU-2'")
    assert len(own) == fleet.catalogue.horizon
    assert set(own["served_by"]) == {"fallback"}
    assert own["y_hat"].mean() == pytest.approx(sum(WEEK) / 7, abs=1)


def test_a_sku_that_mlflow_refuses_fails_alone(fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    break_registration(monkeypatch, PermanentError("MLflow: refused"), lambda record: record.sku == "SKU-4")
    run = fleet.new_run()
    summary = fleet.do_all(run)
    row = fleet.results(run)["SKU-4"]
    assert (row["outcome"], row["step"], row["version"]) == ("failed", "register", 0)
    assert row["error"] == "PermanentError: MLflow: refused"
    assert fleet.versions() == {sku: [1] for sku in SKUS if sku != "SKU-4"}
    assert summary["complete"]
    assert set(fleet.forecasts(run).query("sku == 'SKU-4'")["served_by"]) == {"fallback"}


@pytest.mark.usefixtures("pairs")
def test_a_killed_chunk_does_only_the_rest_again(fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    asked = break_registration(monkeypatch, Killed(), lambda record: record.sku == "SKU-3")
    with pytest.raises(Killed):
        fleet.retrain(run, chunk)
    assert asked == ["SKU-0", "SKU-1", "SKU-2", "SKU-3"]
    assert count_finished_skus(fleet.store, run) == 2
    asked.clear()
    again = fleet.again()
    again.retrain(run, chunk)
    assert asked == ["SKU-2", "SKU-3", "SKU-4", "SKU-5"]
    assert count_finished_skus(fleet.store, run) == len(SKUS)
    assert fleet.versions() == {sku: [1] for sku in SKUS}
    again.promote(run)
    assert [fleet.results(run)[sku]["version"] for sku in SKUS] == [1] * len(SKUS)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work, the answer is lost"])
def test_a_service_that_is_away_stops_the_chunk_and_the_second_try_ends_it(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    error = ServiceUnavailableError("MLflow is away")
    break_registration(monkeypatch, error, lambda record: record.sku == "SKU-4", after=after)
    with pytest.raises(ServiceUnavailableError):
        fleet.retrain(run, chunk)
    assert not fleet.store.exists(f"{run.chunk_folder(chunk)}/results.parquet")
    again = fleet.again()
    assert again.retrain(run, chunk)["counts"]["trained"] == len(SKUS)
    assert fleet.versions() == {sku: [1] for sku in SKUS}


@pytest.mark.usefixtures("pairs")
def test_a_chunk_done_again_in_several_parts_has_the_backtest_of_all(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    break_registration(monkeypatch, Killed(), lambda record: record.sku == "SKU-5")
    with pytest.raises(Killed):
        fleet.retrain(run, chunk)
    fleet.again().retrain(run, chunk)
    backtest = fleet.store.get_frame(f"{run.chunk_folder(chunk)}/backtest.parquet")
    assert backtest.groupby("sku").size().to_dict() == dict.fromkeys(SKUS, 2 * fleet.catalogue.horizon)


def test_a_lost_chunk_shows_as_failed_skus_and_turns_the_run_red() -> None:
    fleet = SmallFleet.open(fleet={"buckets": 4, "skus_per_chunk": 3})
    fleet.deliver([row for sku in SKUS for row in weekly(sku)])
    run = fleet.new_run()
    kept, lost = fleet.plan(run)
    fleet.retrain(run, kept)
    use_up_tries(fleet, run, lost)
    fleet.promote(run)
    fleet.forecast(run)
    summary = fleet.report(run)
    rows = fleet.results(run)
    gone = fleet.store.get_json(f"{run.chunk_folder(lost)}/manifest.json")["skus"]
    assert len(gone) == 3
    assert {sku for sku, row in rows.items() if row["outcome"] == "failed"} == set(gone)
    assert {(rows[sku]["step"], rows[sku]["chunk"]) for sku in gone} == {("chunk", lost)}
    assert all("ended without results" in rows[sku]["reason"] for sku in gone)
    assert summary["lost_chunks"] == [lost]
    assert not summary["complete"]
    with pytest.raises(PermanentError, match=f"6 of 6 SKUs are accounted for; lost chunks: {lost}"):
        raise_if_incomplete(summary)
    forecasts = fleet.forecasts(run)
    assert set(forecasts["sku"]) == set(SKUS)
    assert set(forecasts[forecasts["sku"].isin(gone)]["served_by"]) == {"fallback"}


@pytest.mark.usefixtures("pairs")
def test_what_a_lost_chunk_had_finished_counts(monkeypatch: pytest.MonkeyPatch, fleet: SmallFleet) -> None:
    run = fleet.new_run()
    (chunk,) = fleet.plan(run)
    break_registration(monkeypatch, Killed(), lambda record: record.sku == "SKU-3")
    with pytest.raises(Killed):
        fleet.retrain(run, chunk)
    use_up_tries(fleet, run, chunk)
    again = fleet.again()
    promoted = again.promote(run)
    assert promoted["lost_chunks"] == [chunk]
    assert {sku for sku, row in fleet.results(run).items() if row["outcome"] == "trained"} == {"SKU-0", "SKU-1"}
    assert promoted["promoted"] == 2


def test_promotion_and_forecast_may_be_repeated(fleet: SmallFleet) -> None:
    run = fleet.new_run()
    fleet.do_all(run)
    before, pointer = fleet.forecasts(run), fleet.published()
    first = fleet.again().promote(run)
    fleet.again().forecast(run)
    assert (first["promoted"], first["held"]) == (6, 0)
    assert fleet.forecasts(run).equals(before)
    assert fleet.published().equals(pointer)
    assert fleet.versions() == {sku: [1] for sku in SKUS}


def test_a_run_planned_anew_with_other_chunks_still_accounts_for_each_sku_once() -> None:
    fleet = SmallFleet.open(fleet={"buckets": 4, "skus_per_chunk": 2})
    fleet.deliver([row for sku in SKUS[:3] for row in weekly(sku)])
    run = fleet.new_run()
    fleet.do_all(run)
    before = {row["chunk"] for row in fleet.results(run).values()}
    fleet.deliver([row for sku in SKUS[3:] for row in weekly(sku)], "second.csv")
    summary = fleet.again().do_all(run)
    assert set(fleet.results(run)) == set(SKUS)
    assert summary["complete"]
    assert {row["chunk"] for row in fleet.results(run).values()} > before
    assert not fleet.forecasts(run).duplicated(["sku", "store", "date"]).any()


def test_a_run_cleared_after_new_data_came_trains_anew_and_keeps_what_it_had_made() -> None:
    fleet = SmallFleet.open(fleet={"buckets": 4})
    fleet.deliver([row for sku in SKUS for row in weekly(sku)])
    run = fleet.new_run()
    fleet.do_all(run)
    first = fleet.results(run)
    fleet.deliver([("SKU-2", "S1", END - timedelta(days=3), 40)], "correction.csv")
    again = fleet.again()
    summary = again.do_all(run)
    second = again.results(run)
    assert summary["complete"]
    assert [sku for sku in SKUS if not second[sku]["unchanged_since"]] == ["SKU-2"]
    assert fleet.versions() == {sku: [1, 2] if sku == "SKU-2" else [1] for sku in SKUS}
    assert second["SKU-2"]["artifact_uri"] != first["SKU-2"]["artifact_uri"]
    assert not again.forecasts(run).duplicated(["sku", "store", "date"]).any()
    assert audit_run(again.clients, again.catalogue, run) == []
    backtest = pd.concat(
        again.store.get_frame(item.key)
        for item in again.store.list(f"{run.folder}/chunks/")
        if item.key.endswith("/backtest.parquet")
    )
    assert not backtest.duplicated(["sku", "store", "date", "cutoff"]).any()


@pytest.mark.parametrize("stage", ["promote", "forecast"])
def test_a_stage_that_fails_when_it_is_done_again_is_not_taken_for_done(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    run = fleet.new_run(skus=("SKU-1",))
    assert fleet.do_all(run)["missing_stages"] == []

    def fail(*_: object) -> None:
        raise ServiceUnavailableError("S3 is away")

    monkeypatch.setattr(small_fleet, f"{stage}_run", fail)
    with pytest.raises(ServiceUnavailableError):
        getattr(fleet, stage)(run)
    summary = fleet.report(run)
    assert (summary["complete"], summary["missing_stages"]) == (False, [stage])


def test_a_report_of_a_run_without_a_plan_says_where_to_look(fleet: SmallFleet) -> None:
    with pytest.raises(PermanentError, match="has no plan: ingest or plan failed"):
        fleet.report(fleet.new_run())
