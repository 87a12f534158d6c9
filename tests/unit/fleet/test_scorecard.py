"""A scorecard adds up what its series add up to, and says what it cannot say."""

from __future__ import annotations

import doctest
import json
import math
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest

from include.skufleet.fleet import scorecard
from include.skufleet.fleet.report import words
from include.skufleet.fleet.report.scorecards import describe_scorecards, draw_file, draw_scorecards
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.scorecard import pool_scores
from include.skufleet.fleet.scores import Score, Scorecard, list_scorecards, scorecard_key
from tests.unit.s3_server import open_bucket

FIRST = date(2026, 3, 1)


def card(day: int = 0, wape: float = 0.4, run_id: str = "one") -> Scorecard:
    score = Score("(fleet)", 2, 14, 100.0, wape, 0.1, 0.9, 0.5, -0.2, 1.1, {80: 0.79, 95: math.nan})
    as_of = FIRST + timedelta(days=day)
    last = as_of + timedelta(days=7)
    return Scorecard("shop", run_id, as_of, 7, 7, "D", 3, last, score, (replace(score, group="Food"),))


def sums(**changed: list[float]) -> pd.DataFrame:
    sides = [f"{side}{kind}_error" for side in ("", "baseline_") for kind in ("abs", "signed", "squared")]
    columns = {name: [0.0, 0.0] for name in (*sides, "units", "scale")} | {"actuals": [7, 7]}
    return pd.DataFrame(columns | changed)


def test_the_formulas() -> None:
    for module in (scorecard, words):
        found = doctest.testmod(module, extraglobs={"date": date})
        assert found.attempted > 0
        assert found.failed == 0


def test_where_nothing_was_sold_and_nothing_forecast_there_is_no_error() -> None:
    score = pool_scores("Food", sums())
    assert (score.wape, score.bias, score.baseline_wape) == (0.0, 0.0, 0.0)
    assert math.isnan(score.rmsse)
    assert score.coverage == {}


def test_where_nothing_was_sold_an_error_has_no_scale() -> None:
    score = pool_scores("Food", sums(abs_error=[1.0, 0.0], signed_error=[1.0, 0.0]))
    assert math.isnan(score.wape)
    assert math.isnan(score.bias)


def test_a_sku_of_which_nothing_is_known_yet_does_not_count() -> None:
    score = pool_scores("Food", sums(actuals=[7, 0], units=[10.0, 0.0], abs_error=[5.0, 9.0]))
    assert (score.skus, score.actuals, score.wape) == (1, 7, 0.5)


def test_a_sku_without_a_scale_is_left_out_of_rmsse_alone() -> None:
    score = pool_scores("Food", sums(units=[10.0, 10.0], scale=[4.0, 0.0], squared_error=[4.0, 9.0]))
    assert score.rmsse == 1.0
    assert score.skus == 2


def test_a_scorecard_comes_back_from_json_as_it_was() -> None:
    raw = json.loads(json.dumps(card().to_json(), allow_nan=False))
    assert raw["fleet"]["coverage"] == {"80": 0.79, "95": None}
    again = Scorecard.parse(raw)
    assert again.to_json() == card().to_json()
    assert math.isnan(again.fleet.coverage[95])


def test_of_several_runs_of_a_date_the_one_written_last_counts() -> None:
    store = open_bucket("scorecards-of-a-shop")
    for number, (day, run_id) in enumerate([(7, "b"), (0, "one"), (0, "two")]):
        run = Run("shop", run_id, as_of=FIRST + timedelta(days=day))
        store.put_json(scorecard_key(run), card(day, 0.1 * number, run_id).to_json())
        if run_id == "one":
            wait_for_another_second()
    found = list_scorecards(store, Run("shop", "any", as_of=FIRST))
    assert [(item.as_of, item.run_id) for item in found] == [(FIRST, "two"), (FIRST + timedelta(days=7), "b")]


def wait_for_another_second() -> None:
    """Listings of S3 may tell moments by the second."""
    import time

    time.sleep(1.1)


@pytest.mark.parametrize("cards", [[card()], [card(), card(7)], [card(), card(7, math.nan), card(14)]])
def test_the_plot_shows_one_date_several_and_gaps(cards: list[Scorecard]) -> None:
    drawing = draw_scorecards(cards)
    assert drawing == draw_scorecards(cards)
    assert drawing.startswith("<svg")
    assert "nan" not in drawing
    assert ("circle" in drawing) == (len(cards) == 1 or math.isnan(cards[1].fleet.wape))
    assert "prefers-color-scheme: dark" in draw_file(cards)


def test_without_a_scorecard_nothing_is_drawn() -> None:
    assert draw_scorecards([]) == draw_file([]) == ""
    assert describe_scorecards([], None)["total"] == 0


def test_the_newest_date_comes_first_and_departments_by_units() -> None:
    big = replace(card().fleet, group="Big", units=500.0)
    own = replace(card(7), departments=(*card().departments, big))
    described = describe_scorecards([card(), own], own)
    assert [row["card"].as_of for row in described["rows"]] == [FIRST + timedelta(days=7), FIRST]
    assert [row["score"].group for row in described["departments"]] == ["Big", "Food"]
    assert described["rows"][0]["gain"] == pytest.approx(0.2)
