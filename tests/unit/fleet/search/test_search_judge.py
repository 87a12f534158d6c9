"""Ranking, survivors, gains and their noise, by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.fleet.search.judge import (
    Standing,
    choose_survivors,
    compare,
    empty_scores,
    rank_trials,
)


def scores(errors: Mapping[str, float], units: float = 10.0, **columns: object) -> pd.DataFrame:
    """One window per SKU: its absolute error; squared errors are the absolute ones squared, scales are 4."""
    rows = [
        {
            "sku": sku,
            "outcome": "trained",
            "window": 1.0,
            "units": units,
            "abs_error": error,
            "signed_error": -error,
            "squared_error": error**2,
            "squared_scale": 4.0,
            "periods": 7.0,
            "cpu_seconds": 0.5,
            **columns,
        }
        for sku, error in errors.items()
    ]
    return pd.DataFrame(rows, columns=list(empty_scores().columns))


def standing(trial: str, wape: float = 0.5) -> Standing:
    return Standing(trial, 10, wape, wape, 0.0, 0.0, 0.0, 1.0, 0)


def test_figures_are_pooled_over_the_skus() -> None:
    """Errors 4 and 6 on 10 units each: WAPE 10/20; RMSSE of each SKU 4/2 and 6/2, of equal weight 2.5; all too low."""
    (item,) = rank_trials({"t00": scores({"a": 4.0, "b": 6.0})}, "wape", "t00")
    assert (item.skus, item.wape, item.rmsse, item.bias) == (2, 0.5, 2.5, -0.5)
    assert (item.gain, item.noise, item.cpu_seconds, item.failed) == (0.0, 0.0, 1.0, 0)


def test_the_gain_is_paired_by_sku() -> None:
    """Each SKU 10 % better: the gain is 10 % without any noise, although the SKUs differ a hundredfold."""
    own, better = scores({"a": 1.0, "b": 100.0}), scores({"a": 0.9, "b": 90.0})
    gain, noise = compare(better, own, "wape")
    assert gain == pytest.approx(0.1)
    assert noise == pytest.approx(0.0, abs=1e-12)


def test_the_noise_is_that_of_a_ratio_over_skus() -> None:
    """Errors 10 and 10 against 8 and 10: gain 0.1, what is left 1 and -1, noise sqrt(2/1 x 2) / 20."""
    gain, noise = compare(scores({"a": 8.0, "b": 10.0}), scores({"a": 10.0, "b": 10.0}), "wape")
    assert gain == pytest.approx(0.1)
    assert noise == pytest.approx(math.sqrt(2 * 2) / 20)


def test_the_noise_agrees_with_drawing_the_skus_again_and_again() -> None:
    rng = np.random.default_rng(0)
    own = {f"s{number}": float(value) for number, value in enumerate(rng.lognormal(3, 1, 200))}
    theirs = {sku: value * rng.normal(0.97, 0.1) for sku, value in own.items()}
    _, noise = compare(scores(theirs), scores(own), "wape")
    a, b = np.array(list(theirs.values())), np.array(list(own.values()))
    picks = rng.integers(0, 200, (4000, 200))
    assert noise == pytest.approx(np.std(1 - a[picks].sum(1) / b[picks].sum(1)), rel=0.1)


def test_one_sku_has_a_gain_and_no_known_noise_so_it_is_never_clear() -> None:
    own, better = scores({"a": 10.0}), scores({"a": 5.0})
    ranked = rank_trials({"t00": own, "t01": better}, "wape", "t00")
    assert (ranked[0].trial, ranked[0].gain) == ("t01", 0.5)
    assert math.isnan(ranked[0].noise)
    assert not ranked[0].clear


def test_skus_without_a_scale_do_not_count_for_rmsse() -> None:
    both = pd.concat([scores({"a": 4.0}), scores({"b": 100.0}, squared_scale=0.0)])
    (item,) = rank_trials({"t00": both}, "rmsse", "t00")
    assert item.rmsse == 2.0


def test_windows_of_a_sku_are_pooled_before_its_root_is_taken() -> None:
    """Squared errors 16 and 0 over scales 4 and 4: the root of 2, not the mean of the roots 2 and 0."""
    both = pd.concat([scores({"a": 4.0}), scores({"a": 0.0}, window=2.0)])
    (item,) = rank_trials({"t00": both}, "rmsse", "t00")
    assert item.rmsse == pytest.approx(math.sqrt(2))


def test_trials_without_a_defined_metric_come_last_and_equal_ones_by_name() -> None:
    nothing_sold = scores({"a": 1.0}, units=0.0)
    ranked = rank_trials({"t02": scores({"a": 1.0}), "t01": scores({"a": 1.0}), "t00": nothing_sold}, "wape", "t00")
    assert [item.trial for item in ranked] == ["t01", "t02", "t00"]


def test_a_perfect_file_cannot_be_beaten() -> None:
    assert compare(scores({"a": 0.0}), scores({"a": 0.0}), "wape") == (0.0, 0.0)
    assert math.isnan(compare(scores({"a": 1.0}), scores({"a": 0.0}), "wape")[0])


def test_without_the_files_scores_trials_are_ranked_and_no_gain_is_known() -> None:
    ranked = rank_trials({"t01": scores({"a": 2.0}), "t02": scores({"a": 1.0})}, "wape", "t00")
    assert [item.trial for item in ranked] == ["t02", "t01"]
    assert all(math.isnan(item.gain) for item in ranked)


def test_trials_of_different_skus_are_never_compared() -> None:
    with pytest.raises(ValueError, match="must have the same"):
        compare(scores({"a": 1.0, "b": 1.0}), scores({"a": 1.0}), "wape")


def test_the_best_third_of_the_challengers_goes_on_with_the_file() -> None:
    ranked = [standing(f"t{number:02d}", number / 100) for number in (5, 3, 9, 0, 1, 2, 4)]
    assert choose_survivors(ranked, "t00") == ["t05", "t03", "t00"]


def test_eighteen_trials_become_seven_then_three() -> None:
    ranked = [standing(f"t{number:02d}") for number in range(18)]
    survivors = choose_survivors(ranked, "t00")
    assert len(survivors) == 7
    assert len(choose_survivors([standing(trial) for trial in survivors], "t00")) == 3


@pytest.mark.parametrize(
    ("trials", "going"),
    [
        (["t00"], []),
        ([], []),
        (["t01", "t00"], ["t01", "t00"]),
        (["t00", "t01"], ["t00", "t01"]),
        (["t01"], ["t01"]),
    ],
)
def test_one_challenger_goes_on_as_long_as_there_is_one(trials: list[str], going: list[str]) -> None:
    assert choose_survivors([standing(trial) for trial in trials], "t00") == going


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.1, 100), min_size=2), st.floats(0.1, 10))
def test_the_gain_does_not_depend_on_the_unit_of_sales(errors: dict[str, float], factor: float) -> None:
    worse = {sku: value * 1.5 for sku, value in errors.items()}
    scaled = {sku: value * factor for sku, value in errors.items()}
    gain, noise = compare(scores(errors), scores(worse), "wape")
    assert gain == pytest.approx(1 / 3)
    same, _ = compare(scores(scaled), scores({sku: value * factor for sku, value in worse.items()}), "wape")
    assert same == pytest.approx(gain)
    assert noise == pytest.approx(0.0, abs=1e-9)
