"""What the pointer of a catalogue's forecasts names, run after run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import pytest

from include.skufleet.fleet.forecast import list_forecasts
from tests.unit.fleet.small_fleet import DAYS, END, HORIZON, SmallFleet, weekly

ORDER = ["sku", "store", "date"]


def serve(fleet: SmallFleet, **params: object) -> dict:
    """A whole run but for its report; what ``forecast_run`` returned."""
    run = fleet.new_run(**params)
    for chunk in fleet.plan(run):
        fleet.retrain(run, chunk)
    fleet.promote(run)
    return fleet.forecast(run)


def of(frame: pd.DataFrame, *skus: str) -> pd.DataFrame:
    return frame[frame["sku"].isin(skus)].sort_values(ORDER, ignore_index=True)


@pytest.fixture
def fleet() -> SmallFleet:
    opened = SmallFleet.open()
    opened.deliver([row for sku in ("A", "B", "C") for row in weekly(sku, days=range(DAYS - 1))])
    return opened


def test_a_run_of_some_skus_leaves_the_others_published(fleet: SmallFleet) -> None:
    serve(fleet, as_of=END - timedelta(days=1))
    before = fleet.published()
    fleet.deliver([row for sku in ("A", "B", "C") for row in weekly(sku, days=[DAYS - 1])], "second.csv")
    answer = serve(fleet, skus=("B",))
    after = fleet.published()
    assert answer["series"] == 1
    assert answer["rows"] == HORIZON
    pd.testing.assert_frame_equal(of(after, "A", "C"), of(before, "A", "C"))
    assert of(after, "B")["date"].min() == pd.Timestamp(END + timedelta(days=1))
    assert not after.duplicated(ORDER).any()
    serve(fleet, skus=("C",))
    third = fleet.published()
    pd.testing.assert_frame_equal(of(third, "A"), of(before, "A"))
    pd.testing.assert_frame_equal(of(third, "B"), of(after, "B"))
    assert not third.duplicated(ORDER).any()


def test_publishing_a_run_of_some_skus_twice_changes_nothing(fleet: SmallFleet) -> None:
    serve(fleet)
    serve(fleet, skus=("B",))
    before = fleet.published()
    fleet.forecast(fleet.runs[-1])
    pd.testing.assert_frame_equal(fleet.published(), before)


def test_a_run_of_all_skus_publishes_its_own_forecasts_only(fleet: SmallFleet) -> None:
    serve(fleet, skus=("B",))
    assert set(fleet.published()["sku"]) == {"B"}
    serve(fleet)
    assert len(fleet.published()) == 3 * HORIZON


def test_forecasts_have_the_bounds_of_the_catalogues_levels(fleet: SmallFleet) -> None:
    serve(fleet)
    found = fleet.published()
    bounds = ["lower_80", "upper_80", "lower_95", "upper_95"]
    assert list(found.columns) == ["sku", "store", "date", "y_hat", *bounds, "model_name", "model_version", "served_by"]
    assert found["y_hat"].notna().all()


def test_bounds_that_older_forecasts_lack_are_unknown_when_they_are_taken_over(fleet: SmallFleet) -> None:
    serve(fleet)
    run = fleet.runs[-1]
    for key in list_forecasts(fleet.store, run):
        old = fleet.store.get_frame(key)
        fleet.store.put_frame(key, old[[name for name in old if not name.startswith(("lower_", "upper_"))]])
    before = of(fleet.published(), "A", "C")
    serve(fleet, skus=("B",))
    after = of(fleet.published(), "A", "C")
    assert after["upper_95"].isna().all()
    pd.testing.assert_frame_equal(after[before.columns], before)


def test_it_is_written_down_how_the_forecasts_of_a_sku_per_demand_class_come_about(fleet: SmallFleet) -> None:
    serve(fleet)
    run = fleet.runs[-1]
    found = fleet.store.get_frame(run.components_key)
    results = fleet.results(run)
    classes = {results[sku]["demand_class"] for sku in found["sku"].unique()}
    assert classes == {row["demand_class"] for row in results.values()}
    assert found["sku"].nunique() == len(classes)
    made = found.groupby(["sku", "date"])["value"].prod()
    forecasts = fleet.published().groupby(["sku", "date"])["y_hat"].sum()
    assert made.to_numpy() == pytest.approx(forecasts[made.index].to_numpy())


def test_a_run_of_the_past_publishes_nothing_and_serves_its_own_versions(fleet: SmallFleet) -> None:
    serve(fleet)
    before = fleet.store.get_json(f"forecasts/{fleet.catalogue.name}/current.json")
    answer = serve(fleet, as_of=END - timedelta(days=20))
    assert answer["published"] is False
    assert answer["served_by"] == {"production": 0, "archived": 3, "fallback": 0}
    assert fleet.store.get_json(f"forecasts/{fleet.catalogue.name}/current.json") == before
    own = fleet.forecasts(fleet.runs[-1])
    assert own["date"].min() == pd.Timestamp(END - timedelta(days=19))
    assert set(own["model_version"]) == {2}


def broken(_artifact: bytes) -> bytes:
    return b"broken"


def of_another_format(artifact: bytes) -> bytes:
    return artifact.replace(b'"format":2', b'"format":1').replace(b'"format": 2', b'"format": 1')


@pytest.mark.parametrize("spoil", [broken, of_another_format])
def test_a_model_that_cannot_be_used_leaves_its_series_to_the_fallback(
    fleet: SmallFleet, spoil: Callable[[bytes], bytes]
) -> None:
    serve(fleet)
    run = fleet.runs[-1]
    row = fleet.results(run)["B"]
    uri = row["artifact_uri"].removeprefix(fleet.store.uri(""))
    for item in fleet.store.list(uri):
        before = fleet.store.get(item.key)
        fleet.store.put(item.key, spoil(before))
    for chunk in fleet.store.get_json(run.plan_key)["chunks"]:
        fleet.store.delete(f"{run.chunk_folder(chunk['chunk'])}/forecast.parquet")
    answer = fleet.forecast(run)
    assert answer["served_by"] == {"production": 2, "archived": 0, "fallback": 1}
    assert set(of(fleet.published(), "B")["served_by"]) == {"fallback"}
    assert (of(fleet.published(), "B")["y_hat"] > 0).all()


def test_a_chunk_that_kept_no_question_is_not_explained(fleet: SmallFleet) -> None:
    serve(fleet)
    run = fleet.runs[-1]
    for chunk in fleet.store.get_json(run.plan_key)["chunks"]:
        fleet.store.put_frame(f"{run.chunk_folder(chunk['chunk'])}/inputs.parquet", pd.DataFrame({"sku": []}))
    assert fleet.forecast(run)["series"] == 3
    assert fleet.store.get_frame(run.components_key).empty
