"""The section ``search`` of a catalogue file: what can be searched, and with which values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from include.skufleet.config import load_catalogue
from include.skufleet.config.search import FIXED, Range, Search, change_keys, is_about, read_key
from include.skufleet.errors import CatalogueError
from tests.unit.test_config import SHORTEST


def load(folder: Path, search: object) -> Any:
    path = folder / "shop.yaml"
    path.write_text(SHORTEST + yaml.safe_dump({"search": search}, sort_keys=False), encoding="utf-8")
    return load_catalogue(path)


def test_a_file_without_the_section_has_a_search_of_eighteen_configurations(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(SHORTEST, encoding="utf-8")
    search = load_catalogue(path).search
    assert search is not None
    assert (search.method, search.configurations, search.rungs, search.space) == ("random", 18, 3, {})


def test_null_leaves_the_search_out(tmp_path: Path) -> None:
    assert load(tmp_path, None).search is None


def test_values_may_be_a_list_or_a_range(tmp_path: Path) -> None:
    space = {"backtest.windows": [2, 3], "backtest.simpler_within": {"low": 0.01, "high": 0.1, "log": True}}
    search = load(tmp_path, {"space": space}).search
    assert search.space["backtest.windows"] == (2, 3)
    assert search.space["backtest.simpler_within"] == Range(low=0.01, high=0.1, log=True)
    assert search.examples() == [
        ("backtest.windows", 2),
        ("backtest.windows", 3),
        ("backtest.simpler_within", 0.01),
        ("backtest.simpler_within", 0.1),
    ]


WRONG = [
    ({"backtest.windws": [3]}, "search.space.backtest.windws: unknown key; take it out or correct its spelling"),
    ({"backtes.windows": [3]}, "search.space.backtes: unknown key; take it out or correct its spelling"),
    ({"backtest.windows": [3, 99]}, "search.space.backtest.windows: Input should be less than or equal to 26 (got 99)"),
    ({"backtest.windows.x": [3]}, "search.space.backtest.windows: Input should be a valid integer (got {'x': 3})"),
    (
        {"backtest.simpler_within": {"low": 0.0, "high": 2.0}},
        "search.space.backtest.simpler_within: Input should be less than or equal to 1 (got 2.0)",
    ),
    ({"candidates": [["tsb"]]}, "search.space.candidates: must contain seasonal_naive"),
    ({"settings.tsb.alpha": [[0.1]]}, "search.space.settings.tsb.alpha: unknown key; take it out or correct"),
    ({"backtest.windows": 3}, "search.space.backtest.windows: expected a list of values to try, or a range with low"),
    ({"backtest.windows": []}, "search.space.backtest.windows.values: Tuple should have at least 1 item"),
    ({"backtest.windows": {"low": 5, "high": 2}}, "search.space.backtest.windows.range: low 5 is not below high 2"),
    (
        {"backtest.simpler_within": {"low": 0, "high": 0.1, "log": True}},
        "search.space.backtest.simpler_within.range: low 0: a logarithm needs numbers above 0",
    ),
    (
        {"backtest": [{"windows": 2}], "backtest.step": [7]},
        "search.space: backtest and a key below it are both named; name one of them",
    ),
]


@pytest.mark.parametrize(("space", "said"), WRONG, ids=[str(place) for place in range(len(WRONG))])
def test_a_wrong_key_or_value_of_the_space_is_refused_like_any_other(tmp_path: Path, space: Any, said: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, {"space": space})
    assert str(caught.value).removeprefix("shop.yaml: ").removeprefix("file: ").startswith(said)


@pytest.mark.parametrize("key", sorted(FIXED))
def test_what_is_forecast_and_how_it_is_judged_cannot_be_searched(tmp_path: Path, key: str) -> None:
    with pytest.raises(CatalogueError, match=rf"search\.space: {key}\.x cannot be searched: .*; take it out"):
        load(tmp_path, {"space": {f"{key}.x": [1]}})


def test_every_wrong_value_of_the_space_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"search\.space\.backtest\.windows: .*search\.space\.backtest\.metric: "):
        load(tmp_path, {"space": {"backtest.windows": [0], "backtest.metric": ["mape"]}})


def test_a_grid_takes_no_range_and_is_no_larger_than_allowed(tmp_path: Path) -> None:
    windows = {"backtest.windows": [1, 2, 3, 4, 5], "backtest.simpler_within": [0.0, 0.01, 0.02, 0.05]}
    with pytest.raises(CatalogueError, match="the grid has 20 combinations, configurations allows 18; raise it"):
        load(tmp_path, {"method": "grid", "space": windows})
    assert load(tmp_path, {"method": "grid", "configurations": 20, "space": windows}).search.configurations == 20
    with pytest.raises(CatalogueError, match=r"backtest\.windows: a grid needs a list of values"):
        load(tmp_path, {"method": "grid", "space": {"backtest.windows": {"low": 1, "high": 3}}})


@pytest.mark.parametrize(
    ("key", "value"),
    [("configurations", 1), ("configurations", 901), ("sample", 0), ("rungs", 0), ("rungs", 7), ("held_back", 0)],
)
def test_numbers_are_within_what_airflow_and_a_history_bear(tmp_path: Path, key: str, value: int) -> None:
    with pytest.raises(CatalogueError, match=rf"search\.{key}: Input should be"):
        load(tmp_path, {key: value})


def test_changing_a_key_leaves_the_original_and_everything_beside_it_alone() -> None:
    raw = {"backtest": {"windows": 3, "metric": "wape"}, "settings": None}
    changed = change_keys(raw, {"backtest.windows": 5, "settings.tsb.alphas": [0.1]})
    assert changed == {"backtest": {"windows": 5, "metric": "wape"}, "settings": {"tsb": {"alphas": [0.1]}}}
    assert raw == {"backtest": {"windows": 3, "metric": "wape"}, "settings": None}
    assert read_key(changed, "settings.tsb.alphas") == [0.1]
    assert read_key(changed, "settings.theta.alphas") is None


def test_a_complaint_about_other_keys_waits_until_a_configuration_is_drawn() -> None:
    raw = {"backtest": {"windows": 3}}
    assert is_about("backtest.windows", "backtest.windows", raw)
    assert is_about("candidates", "candidates.1", raw)
    assert is_about("no.such.key", "no", raw)
    assert not is_about("backtest.windows", "backtest.step", raw)
    assert not is_about("backtest.windows", "backtest", raw)
    assert not is_about("backtest.windows", "file", raw)


def test_a_search_is_the_same_after_a_trip_through_json() -> None:
    search = Search(space={"backtest.windows": [2], "backtest.simpler_within": {"low": 0, "high": 0.5}})
    assert Search.model_validate(search.model_dump(mode="json")) == search
