"""Which configurations a search draws."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.config import Catalogue, catalogue_files, find_catalogue
from include.skufleet.config.search import Search
from include.skufleet.errors import CatalogueError, PlanError
from include.skufleet.fleet.search.space import (
    SETTINGS,
    Configuration,
    default_space,
    describe_changes,
    draw_configurations,
)
from include.skufleet.forecasting.candidates import CANDIDATES
from tests.unit.fleet.small_fleet import make_catalogue

THREE = ["seasonal_naive", "exponential_smoothing", "tsb"]
EVERY = [name for name in CANDIDATES if name != "zero_demand"]


def draw(catalogue: Catalogue, space: dict[str, Any], **other: Any) -> tuple[Configuration, ...]:
    return draw_configurations(catalogue, Search.model_validate({"space": space} | other))


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    return make_catalogue("shop")


def test_the_files_own_configuration_is_always_the_first_trial(shop: Catalogue) -> None:
    first, *others = draw(shop, {"backtest.windows": [2, 3, 4]})
    assert (first.trial, first.changes, first.catalogue) == ("t000", {}, shop)
    assert sorted(item.changes["backtest.windows"] for item in others) == [3, 4]
    assert [item.trial for item in others] == ["t001", "t002"]
    assert all(item.catalogue.backtest.windows == item.changes["backtest.windows"] for item in others)


def test_a_grid_holds_every_combination_once_and_the_file_beside_it(shop: Catalogue) -> None:
    space = {"backtest.windows": [3, 4], "backtest.simpler_within": [0.01, 0.02, 0.03]}
    drawn = draw(shop, space, method="grid", configurations=6)
    assert len(drawn) == 7
    combinations = {(item.catalogue.backtest.windows, item.catalogue.backtest.simpler_within) for item in drawn[1:]}
    assert combinations == {(windows, share) for windows in (3, 4) for share in (0.01, 0.02, 0.03)}


def test_a_random_search_draws_as_many_as_asked_for_none_twice_and_the_same_for_the_same_seed(shop: Catalogue) -> None:
    space = {"backtest.windows": {"low": 1, "high": 26}, "backtest.simpler_within": {"low": 0.0, "high": 1.0}}
    drawn = draw(shop, space, configurations=12, seed=3)
    assert len(drawn) == 12
    assert len({str(item.changes) for item in drawn}) == 12
    assert [item.changes for item in drawn] == [i.changes for i in draw(shop, space, configurations=12, seed=3)]
    assert [item.changes for item in drawn] != [i.changes for i in draw(shop, space, configurations=12, seed=4)]


def test_a_small_space_is_tried_whole_however_many_were_asked_for(shop: Catalogue) -> None:
    assert len(draw(shop, {"backtest.windows": [2, 3]}, configurations=500)) == 2


def test_a_space_of_the_files_own_values_only_is_refused(shop: Catalogue) -> None:
    with pytest.raises(
        PlanError, match=r"search.space of shop.yaml holds nothing but the file's own .*backtest\.windows"
    ):
        draw(shop, {"backtest.windows": [2], "backtest.simpler_within": [shop.backtest.simpler_within]})


def test_settings_of_a_candidate_that_is_not_tried_make_no_new_configuration(shop: Catalogue) -> None:
    without = ["seasonal_naive", "exponential_smoothing"]
    space = {"candidates": [THREE, without], "settings.tsb.alphas": [[0.2], [0.3]]}
    drawn = draw(shop, space, method="grid", configurations=4)
    assert [item.changes for item in drawn[1:]] == [
        {"settings.tsb.alphas": [0.2]},
        {"settings.tsb.alphas": [0.3]},
        {"candidates": without},
    ]


def test_a_combination_that_is_no_possible_file_is_refused_before_anything_runs(shop: Catalogue) -> None:
    # Each value is fine by itself; together they name a source that the file does not have.
    with pytest.raises(CatalogueError, match=r"shop.yaml: search.space: known_future=price is not a possible conf"):
        draw(shop, {"known_future": [["price"]]})


def test_a_range_stays_within_its_ends_and_its_kind_of_number(shop: Catalogue) -> None:
    space = {
        "backtest.windows": {"low": 2, "high": 6},
        "backtest.simpler_within": {"low": 0.001, "high": 0.1, "log": True},
    }
    drawn = [item.catalogue.backtest for item in draw(shop, space, configurations=60)[1:]]
    assert {item.windows for item in drawn} == {2, 3, 4, 5, 6}
    assert all(0.001 <= item.simpler_within <= 0.1 for item in drawn)
    # Evenly in the logarithm: half of the draws are below the geometric middle, 0.01.
    assert 15 <= sum(item.simpler_within < 0.01 for item in drawn) <= 45


@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from("DW"))
@settings(max_examples=30)
def test_every_draw_of_the_default_space_is_a_possible_file(seed: int, configurations: int, frequency: str) -> None:
    """Of a catalogue with every candidate there is, so that every setting of the default space comes by."""
    catalogue = make_catalogue("shop", candidates=EVERY, frequency=frequency)
    drawn = draw(catalogue, {}, seed=seed, configurations=configurations)
    assert len(drawn) == configurations
    for item in drawn:
        assert Catalogue.model_validate(item.catalogue.model_dump(mode="json")) == item.catalogue


@pytest.mark.parametrize("name", sorted(catalogue_files()))
def test_the_default_space_works_for_every_catalogue_of_the_repository(name: str) -> None:
    catalogue = find_catalogue(name)
    assert catalogue.search is not None
    assert len(draw_configurations(catalogue, catalogue.search)) == 18
    assert {key.split(".")[0] for key in default_space(catalogue)} <= {"backtest", "candidates", "settings"}


@pytest.mark.parametrize("frequency", ["D", "W"])
def test_the_default_space_leaves_out_one_candidate_or_adds_one_that_there_is(frequency: str) -> None:
    catalogue = make_catalogue("shop", frequency=frequency)
    lists = default_space(catalogue)["candidates"]
    for names in lists:
        assert len(set(names) ^ set(catalogue.candidates)) <= 1
        assert set(names) <= set(CANDIDATES) - {"zero_demand"}
    assert list(catalogue.candidates) in lists


def test_every_value_of_the_default_space_is_one_that_its_key_takes() -> None:
    for frequency in ("D", "W"):
        catalogue = make_catalogue("shop", candidates=EVERY, frequency=frequency)
        space = default_space(catalogue)
        make_catalogue("shop", candidates=EVERY, search={"space": space, "configurations": 2})
        assert {key.split(".")[1] for key in space if key.startswith("settings.")} == set(SETTINGS[frequency])


def test_draws_of_the_default_space_keep_the_files_value_about_half_of_the_time() -> None:
    catalogue = find_catalogue("demo")
    drawn = draw(catalogue, {}, configurations=200)[1:]
    kept = sum("backtest.windows" not in item.changes for item in drawn)
    assert 70 <= kept <= 130


def test_a_catalogue_of_the_baseline_alone_can_be_searched_too() -> None:
    alone = make_catalogue("shop", candidates=["seasonal_naive"])
    drawn = draw(alone, {}, configurations=10)
    assert len(drawn) == 10
    assert all("seasonal_naive" in item.catalogue.candidates for item in drawn)


def test_changes_are_told_in_a_line() -> None:
    assert describe_changes({"candidates": ["seasonal_naive"]}) == "candidates=seasonal_naive"
    assert describe_changes({"a.b": [28.0, 0.05]}) == "b=28+0.05"
    assert describe_changes({"a.b": True, "c": None, "d": {"x": 1}}) == 'b=true, c=null, d={"x": 1}'


def test_candidates_are_told_by_what_comes_and_goes_where_that_is_little() -> None:
    file = {"candidates": THREE}
    assert describe_changes({"candidates": THREE[:2]}, file) == "candidates without tsb"
    assert describe_changes({"candidates": [*THREE, "theta"]}, file) == "candidates with theta"
    other = ["seasonal_naive", "theta", "weekday_mean"]
    assert describe_changes({"candidates": other}, file) == "candidates=theta+weekday_mean"
