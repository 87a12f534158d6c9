"""A run of the past trains on what was known then, bit for bit, and leaves what serves today as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import mlflow
import pandas as pd
import pytest

from include.skufleet.errors import PlanError
from include.skufleet.fleet.report.scorecards import draw_file
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.scores import list_scorecards
from tests.unit.fleet.small_fleet import DAYS, END, Row, SmallFleet, day, same, weekly
from tests.unit.registry.mlflow_server import server_uri

PAST = END - timedelta(days=20)
CLOSED = day(DAYS - 30)
DEPARTMENTS = {"A": "Food", "B": "Food", "C": "Drinks", "LATE": "Drinks"}
SETTINGS: dict[str, Any] = {
    "attributes": True,
    "known_from": "delivery",
    "candidates": ["seasonal_naive", "exponential_smoothing", "tsb", "profile"],
    "validation": {"max_units": 100_000, "min_history": 28, "inactive_after": 60},
}
METRICS = ["outcome", "candidate", "wape", "baseline_wape", "bias", "rmsse", "mase", "units", "abs_error"]


def history(factor: int = 1) -> list[Row]:
    """Three SKUs; what is dated after ``PAST`` is multiplied; on one day the chain was closed."""
    rows = [*weekly("A"), *weekly("A", "S2"), *weekly("B"), *weekly("C", days=range(20, DAYS))]
    kept = [row for row in rows if row[2] != CLOSED]
    return [(sku, store, when, units * (factor if when > PAST else 1)) for sku, store, when, units in kept]  # type: ignore[operator]


@dataclass
class Made:
    """What a run of the past made, in a form that two runs can be compared by."""

    results: pd.DataFrame
    backtest: pd.DataFrame
    forecasts: pd.DataFrame
    artifacts: dict[str, bytes]
    departments: Any
    plan: dict[str, Any]


def collect(fleet: SmallFleet, run: Run) -> Made:
    plan = fleet.store.get_json(run.plan_key)
    chunks = [run.chunk_folder(chunk["chunk"]) for chunk in plan["chunks"]]
    results = fleet.store.get_frame(run.results_key)
    backtest = pd.concat([fleet.store.get_frame(f"{folder}/backtest.parquet") for folder in chunks])
    forecasts = fleet.forecasts(run).sort_values(["sku", "store", "date"], ignore_index=True)
    return Made(
        results=results[["sku", *METRICS, "coverage_80"]],
        backtest=backtest.sort_values(["sku", "store", "cutoff", "date"], ignore_index=True),
        forecasts=forecasts.drop(columns=["model_name", "model_version"]),
        artifacts={
            row["sku"]: parameters(fleet, row["artifact_uri"]) for row in results.to_dict("records") if row["version"]
        },
        departments=fleet.store.get_json(run.departments_key),
        plan=plan,
    )


def parameters(fleet: SmallFleet, uri: str) -> bytes:
    """The model itself, without the files around it that name the run."""
    found = [item.key for item in fleet.store.list(uri.removeprefix(fleet.store.uri(""))) if "artifact" in item.key]
    names = [key for key in found if key.endswith(".json")]
    assert names, found
    return b"".join(fleet.store.get(key) for key in sorted(names))


def open_fleet(factor: int = 1) -> SmallFleet:
    """A catalogue that serves today's forecasts: the past is to be run beside it."""
    fleet = SmallFleet.open(**SETTINGS)
    fleet.list_skus(DEPARTMENTS)
    fleet.deliver(history(factor))
    fleet.do_all(fleet.new_run())
    return fleet


def shared_objects(fleet: SmallFleet, names: Sequence[str] = ("release_pointer", "forecast_pointer")) -> Any:
    run = fleet.runs[0]
    standing = fleet.store.get_frame(run.standing_key)
    return [fleet.store.get_json(getattr(run, name)) for name in names], standing.to_json()


def aliases(fleet: SmallFleet) -> dict[str, Any]:
    client = mlflow.MlflowClient(server_uri(), server_uri())
    models = client.search_registered_models(f"tags.catalogue = '{fleet.catalogue.name}'")
    return {model.name: {alias: int(version) for alias, version in model.aliases.items()} for model in models}


@dataclass
class Story:
    """One catalogue: today's run, a run of the past, late deliveries, the same date again."""

    fleet: SmallFleet
    before: tuple[Any, Any]
    after: tuple[Any, Any]
    first: Made
    second: Made
    summaries: list[dict[str, Any]]


@pytest.fixture(scope="module")
def story() -> Story:
    fleet = open_fleet()
    before = shared_objects(fleet), aliases(fleet)
    runs = [fleet.new_run(as_of=PAST)]
    summaries = [fleet.do_all(runs[0])]
    after = shared_objects(fleet), aliases(fleet)
    corrections: list[Row] = [("A", "S1", day(number), 77) for number in range(30, 50)]
    fleet.deliver([*corrections, *same("LATE", 5), ("B", "S1", CLOSED, 3)], "late.csv")
    fleet.do_all(fleet.new_run())
    runs.append(fleet.new_run(as_of=PAST))
    summaries.append(fleet.do_all(runs[1]))
    return Story(fleet, before, after, collect(fleet, runs[0]), collect(fleet, runs[1]), summaries)


def assert_identical(one: Made, other: Made) -> None:
    pd.testing.assert_frame_equal(one.results, other.results, check_exact=True)
    pd.testing.assert_frame_equal(one.backtest, other.backtest, check_exact=True)
    pd.testing.assert_frame_equal(one.forecasts, other.forecasts, check_exact=True)
    assert one.departments == other.departments
    assert one.artifacts == other.artifacts
    assert set(one.artifacts) == {"A", "B", "C"}


def test_a_future_a_thousand_times_as_large_changes_no_bit_of_the_past(story: Story) -> None:
    poisoned = open_fleet(factor=1000)
    run = poisoned.new_run(as_of=PAST)
    poisoned.do_all(run)
    assert_identical(collect(poisoned, run), story.first)
    assert set(story.first.results["outcome"]) == {"trained", "skipped"}
    assert len(story.first.forecasts) == 4 * poisoned.catalogue.horizon


def test_what_was_delivered_later_is_not_seen(story: Story) -> None:
    assert_identical(story.second, story.first)
    late = story.fleet.results(story.fleet.runs[3])["LATE"]
    assert (late["outcome"], late["reason"]) == ("skipped", "in the catalogue, but never sold up to as_of")


def test_a_day_on_which_all_rows_came_later_was_no_day_of_trade(story: Story) -> None:
    dates = story.fleet.store.get_frame(story.second.plan["ingested"]["dates_key"])["date"]
    assert pd.Timestamp(CLOSED) not in set(dates)
    assert dates.max() == pd.Timestamp(PAST)
    newest = story.fleet.store.get_frame(story.second.plan["ingested"]["newest"]["dates_key"])["date"]
    assert pd.Timestamp(CLOSED) in set(newest)


def test_the_report_says_how_much_came_later(story: Story) -> None:
    late = 20 + (DAYS - 20) + 1  # of LATE the days up to PAST; the correction; the day without trade
    assert story.second.plan["ingested"]["late_rows"] == late == story.summaries[1]["late_rows"]
    assert story.first.plan["ingested"]["late_rows"] == 0
    sentence = f"{late} rows of days up to {PAST} were delivered later"
    assert sentence in story.summaries[1]["markdown"]
    assert sentence in story.fleet.store.get(story.fleet.runs[-1].report_key).decode()
    assert "were delivered later" not in story.summaries[0]["markdown"]


def test_the_fingerprint_of_a_past_date_is_that_of_what_was_known(story: Story) -> None:
    first, second = (story.fleet.results(story.fleet.runs[number]) for number in (1, 3))
    assert {sku: row["fingerprint"] for sku, row in first.items()} == {
        sku: row["fingerprint"] for sku, row in second.items()
    }


def test_what_serves_today_is_left_as_it_is(story: Story) -> None:
    objects, names = story.after
    assert objects == story.before[0]
    for model, known in story.before[1].items():
        assert names[model] == known
    past = story.fleet.results(story.fleet.runs[1])
    assert {sku: row["version"] for sku, row in past.items()} == {"A": 2, "B": 2, "C": 2, "LATE": 0}
    versions = mlflow.MlflowClient(server_uri(), server_uri()).get_model_version(past["A"]["registered_name"], "2")
    assert versions.tags["as_of"] == PAST.isoformat()
    assert set(story.first.forecasts["served_by"]) == {"archived"}


def test_a_version_of_a_later_date_is_neither_tried_nor_beaten(story: Story) -> None:
    """Its recipe was chosen by days that the run must not know."""
    past = story.fleet.results(story.fleet.runs[1])
    assert {row["champion_version"] for row in past.values()} == {0}
    assert past["A"]["gate"] == "passed"
    decisions = story.fleet.store.get_frame(story.fleet.runs[1].decisions_key)
    assert set(decisions["rule"]) == {"newer"}


def test_a_run_of_today_sees_every_delivery_and_reads_no_table_to_plan() -> None:
    fleet = SmallFleet.open(**SETTINGS)
    fleet.list_skus(DEPARTMENTS)
    fleet.deliver(history())
    fleet.ingest()
    fleet.deliver(same("LATE", 5), "late.csv")
    run = fleet.new_run(as_of=datetime.now(UTC).date())
    fleet.plan(run)
    plan = fleet.store.get_json(run.plan_key)
    assert plan["ingested"]["known"] == {"history": None, "prices": None}
    assert "newest" not in plan["ingested"]
    assert plan["counts"]["planned"] == 4
    assert not fleet.store.exists(run.known_series_key)


def test_the_scorecard_holds_the_forecasts_against_what_was_then_sold(story: Story) -> None:
    cards = list_scorecards(story.fleet.store, story.fleet.runs[0])
    assert [card.as_of for card in cards] == [PAST]
    card = cards[0]
    assert card.run_id == story.fleet.runs[3].run_id
    assert (card.known, card.horizon) == (7, 7)
    sold = pd.DataFrame(history(), columns=["sku", "store", "date", "units"]).astype({"date": "datetime64[s]"})
    joined = story.second.forecasts.merge(sold, on=["sku", "store", "date"])
    assert card.fleet.actuals == len(joined) == 28
    error = (joined["y_hat"] - joined["units"]).abs().sum() / joined["units"].sum()
    assert card.fleet.wape == pytest.approx(error, abs=1e-6)
    before = sold.assign(date=sold["date"] + pd.Timedelta(days=7))
    naive = joined.merge(before, on=["sku", "store", "date"], suffixes=("", "_naive"))
    apart = (naive["units_naive"] - naive["units"]).abs().sum() / naive["units"].sum()
    assert card.fleet.baseline_wape == pytest.approx(apart, abs=1e-6)
    assert {score.group: score.actuals for score in card.departments} == {"Drinks": 7, "Food": 21}
    inside = joined["units"].between(joined["lower_80"], joined["upper_80"]).mean()
    assert card.fleet.coverage[80] == pytest.approx(inside, abs=1e-6)
    assert story.summaries[1]["scorecard"] == card.to_json()
    assert "**Scorecard**: on 7 of 7 days since then" in story.summaries[1]["markdown"]
    assert 'id="scorecard"' in story.fleet.store.get(story.fleet.runs[3].report_key).decode()
    assert draw_file(cards).startswith('<svg xmlns="http://www.w3.org/2000/svg"')


def test_before_the_first_row_nothing_was_known(story: Story) -> None:
    run = story.fleet.new_run(as_of=day(0) - timedelta(days=1))
    with pytest.raises(PlanError, match=r"is before the first sale of catalogue 'shop_\w+' \(.*\), or before"):
        story.fleet.plan(run)


def test_the_weeks_of_a_scorecard_are_those_that_were_not_over_then() -> None:
    """The date is a Tuesday: the first week of the horizon is the one that it lies in."""
    fleet = SmallFleet.open(frequency="W", season_length=4, horizon=2, backtest={"windows": 1})
    fleet.deliver(weekly("A"))
    tuesday = END - timedelta(days=21)
    summary = fleet.do_all(fleet.new_run(as_of=tuesday))
    card = list_scorecards(fleet.store, fleet.runs[0])[0]
    monday = tuesday - timedelta(days=1)
    sold = sum(row[3] for row in weekly("A") if monday <= row[2] < monday + timedelta(days=14))  # type: ignore[operator,misc]
    assert (card.known, card.horizon, card.fleet.actuals, card.fleet.units) == (2, 2, 2, sold)
    assert card.fleet.wape == card.fleet.baseline_wape  # too young for a model: the fallback is the seasonal naive
    assert "on 2 of 2 weeks since then" in summary["markdown"]


def test_a_run_that_is_done_again_counts_no_forecast_twice_and_loses_none() -> None:
    """Airflow clears the run: its second plan has nothing new to train, and takes its own forecasts over."""
    fleet = SmallFleet.open()
    fleet.deliver(weekly("A"))
    today, run = fleet.new_run(), fleet.new_run(as_of=PAST)
    fleet.do_all(today)
    first = fleet.do_all(run)["scorecard"]
    again = fleet.do_all(run)["scorecard"]
    assert again == first
    assert first["fleet"]["actuals"] == 7
    assert not fleet.forecasts(run).duplicated(["sku", "store", "date"]).any()
