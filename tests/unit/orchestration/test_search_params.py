"""What the trigger form of a search changes in the catalogue file's settings."""

from __future__ import annotations

import pytest

from include.skufleet.config.search import Search
from include.skufleet.errors import ConfigError
from include.skufleet.orchestration.params import join_settings

GRID = Search.model_validate({"method": "grid", "configurations": 4, "space": {"backtest.windows": [1, 2, 3, 4]}})


def test_the_form_wins_over_the_file_and_what_it_does_not_say_stays() -> None:
    joined = join_settings(Search(rungs=2, held_back=5), {"configurations": 7, "sample": None, "skus": ["A"]})
    assert joined == Search(rungs=2, held_back=5, configurations=7)


def test_a_space_survives_the_form() -> None:
    search = Search.model_validate({"space": {"backtest.simpler_within": {"low": 0.0, "high": 0.1}}})
    assert join_settings(search, {"seed": 3}).space == search.space


def test_a_grid_that_is_larger_than_the_form_allows_is_refused_for_good() -> None:
    with pytest.raises(
        ConfigError, match=r"the grid has 4 combinations, configurations allows 3; .*'configurations': 3"
    ):
        join_settings(GRID, {"configurations": 3})
