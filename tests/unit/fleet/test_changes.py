"""What a run leaves untrained: SKUs with nothing new, as the runs before left them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest

from include.skufleet.fleet.changes import Before, Changes, find_changes
from include.skufleet.fleet.outcomes import SkuOutcome, to_frame
from include.skufleet.registry.records import RegisteredVersion
from tests.unit.fleet.small_fleet import DAYS, END, SmallFleet, make_catalogue, same, weekly

CATALOGUE = make_catalogue("shop", fleet={"buckets": 4, "max_age": 10})
YESTERDAY = END - timedelta(days=1)


def version(sku: str, number: int = 3) -> RegisteredVersion:
    tags = {"sku": sku, "candidate": "tsb", "outcome": "trained", "as_of": YESTERDAY.isoformat()}
    return RegisteredVersion.from_tags(f"shop-{sku}", number, "r", "s3://a", tags)


def before(outcome: Any = "trained", as_of: date = YESTERDAY, **changes: Any) -> Before:
    """One SKU, trained yesterday with the fingerprint ``f``, in production and published."""
    row = SkuOutcome(sku="A", department="Food", outcome=outcome, reason="why", fingerprint="f", seconds=1.5)
    known = Before(
        standing=to_frame([row]).assign(run_id="r", as_of=as_of.isoformat()),
        production={"A": version("A")},
        served={"A": 3},
        published_as_of=END.isoformat(),
        published_horizon=CATALOGUE.horizon,
        last_sales={"A": pd.Timestamp(YESTERDAY)},
        newest=END,
    )
    return replace(known, **changes)


def find(known: Before, fingerprint: str = "f", as_of: date = END) -> Changes:
    return find_changes(["A"], {"A": fingerprint}, known, CATALOGUE, as_of)


def test_a_sku_with_nothing_new_is_left_alone_and_says_since_when() -> None:
    found = find(before())
    assert (found.train, found.forecast) == ([], {})
    row = found.carried["A"]
    assert (row.outcome, row.unchanged_since, row.cpu_seconds_saved) == ("skipped", YESTERDAY.isoformat(), 1.5)
    assert row.reason == f"nothing new since {YESTERDAY}: what is in production goes on serving"
    assert (row.champion_version, row.champion_candidate) == (3, "tsb")


@pytest.mark.parametrize(
    "known",
    [
        before(outcome="failed"),
        before(as_of=END - timedelta(days=11)),
        before(as_of=END + timedelta(days=1)),
        before(production={}),
        before(last_sales={"A": pd.Timestamp(END - timedelta(days=CATALOGUE.validation.inactive_after + 1))}),
        before(standing=to_frame(()).assign(run_id="", as_of="")),
    ],
    ids=["failed", "too old", "of the future", "nothing in production", "fell silent", "never looked at"],
)
def test_what_no_longer_holds_is_trained(known: Before) -> None:
    assert find(known).train == ["A"]


def test_a_sku_that_is_as_silent_as_allowed_is_left_alone() -> None:
    longest = timedelta(days=CATALOGUE.validation.inactive_after)
    assert find(before(last_sales={"A": pd.Timestamp(END - longest)})).train == []


def test_new_data_or_settings_are_trained() -> None:
    assert find(before(), fingerprint="other").train == ["A"]


@pytest.mark.parametrize(
    "known",
    [
        before(published_as_of=YESTERDAY.isoformat()),
        before(published_horizon=99),
        before(served={"A": 2}),
        before(published_as_of=""),
    ],
    ids=["of another date", "of another horizon", "by another version", "never"],
)
def test_where_the_published_forecasts_do_not_hold_only_they_are_made_anew(known: Before) -> None:
    found = find(known)
    assert (found.train, list(found.forecast), found.carried) == ([], ["A"], {})


def test_a_retired_sku_needs_neither_model_nor_forecast() -> None:
    found = find(before(outcome="skipped", production={}, served={}, published_as_of=""))
    assert found.carried["A"].reason == "why"
    assert found.carried["A"].outcome == "skipped"


def test_a_quarantined_sku_stays_quarantined() -> None:
    assert find(before(outcome="quarantined")).carried["A"].outcome == "quarantined"


@pytest.fixture
def fleet() -> SmallFleet:
    opened = SmallFleet.open()
    opened.deliver([*weekly("A"), *weekly("B"), *weekly("C", days=range(DAYS - 10, DAYS)), *same("D", -1)])
    return opened


def test_the_same_data_again_trains_nothing_and_publishes_the_same(fleet: SmallFleet) -> None:
    first = fleet.do_all(fleet.new_run())
    published, results = fleet.published(), fleet.results(fleet.runs[-1])
    second = fleet.again().do_all(run := fleet.new_run())
    assert second["complete"]
    assert second["chunks"] == 0
    assert (first["unchanged"], second["unchanged"]) == (0, len(results))
    assert second["unchanged_seconds_saved"] > 0
    assert second["promoted"] == 0
    assert {row["unchanged_since"] for row in fleet.results(run).values()} == {END.isoformat()}
    order = ["sku", "store", "date"]
    pd.testing.assert_frame_equal(
        fleet.published().sort_values(order, ignore_index=True), published.sort_values(order, ignore_index=True)
    )
    assert all(numbers == [1] for numbers in fleet.versions().values())


def test_a_third_run_still_knows_what_the_first_found(fleet: SmallFleet) -> None:
    for _ in range(2):
        fleet.do_all(fleet.new_run())
    assert fleet.do_all(fleet.new_run())["chunks"] == 0


def test_one_new_day_of_one_sku_trains_that_one(fleet: SmallFleet) -> None:
    fleet.do_all(fleet.new_run(as_of=YESTERDAY))
    fleet.do_all(fleet.new_run())
    fleet.deliver([("A", "S1", END, 7)], "correction.csv")
    summary = fleet.do_all(run := fleet.new_run())
    rows = fleet.results(run)
    assert rows["A"]["outcome"] == "trained"
    assert {sku for sku, row in rows.items() if row["unchanged_since"]} == {"B", "C", "D"}
    assert summary["complete"]
    assert not fleet.published().duplicated(["sku", "store", "date"]).any()
    assert set(fleet.published()["sku"]) == {"A", "B", "C"}


def test_force_trains_what_has_nothing_new(fleet: SmallFleet) -> None:
    fleet.do_all(fleet.new_run())
    fleet.do_all(run := fleet.new_run(force=True))
    assert {row["unchanged_since"] for row in fleet.results(run).values()} == {""}
    assert fleet.versions()["A"] == [1, 2]


def test_another_setting_trains_everything(fleet: SmallFleet) -> None:
    fleet.do_all(fleet.new_run())
    other = fleet.catalogue.model_copy(update={"candidates": ("seasonal_naive", "tsb")})
    changed = SmallFleet(other, fleet.clients, fleet.runs)
    changed.do_all(run := changed.new_run())
    assert {row["unchanged_since"] for row in changed.results(run).values()} == {""}


def test_a_day_later_without_new_data_the_models_stay_and_the_forecasts_move_on(fleet: SmallFleet) -> None:
    fleet.do_all(fleet.new_run(as_of=END))
    later = END + timedelta(days=1)
    summary = fleet.do_all(run := fleet.new_run(as_of=later))
    assert summary["complete"]
    assert fleet.versions()["A"] == [1]
    published = fleet.published()
    assert set(published["date"]) == {pd.Timestamp(later + timedelta(days=step + 1)) for step in range(7)}
    assert set(published.loc[published["sku"].isin(["A", "B"]), "model_version"]) == {1}
    assert fleet.results(run)["A"]["unchanged_since"] == END.isoformat()
    assert fleet.results(run)["A"]["outcome"] == "skipped"


def test_a_version_put_into_production_by_hand_is_asked_for_new_forecasts(fleet: SmallFleet) -> None:
    fleet.do_all(fleet.new_run(as_of=YESTERDAY))
    fleet.do_all(run := fleet.new_run(force=True))
    state = fleet.clients.registry.states(fleet.catalogue.name)["A"]
    assert state.aliases["production"] == 2
    fleet.clients.registry.set_production(state, 1)
    fleet.again().do_all(run := fleet.new_run())
    published = fleet.published()
    assert set(published.loc[published["sku"] == "A", "model_version"]) == {1}
    assert fleet.results(run)["A"]["outcome"] == "skipped"
