"""Trees: kept as lists, scored without scikit-learn as scikit-learn scores them, and what they learn."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forecasting_data import make_panel, rich_panel, simulate

from include.skufleet.forecasting import scoring
from include.skufleet.forecasting.candidates import fit_candidate
from include.skufleet.forecasting.candidates.direct import find_events, fit_events, look_back
from include.skufleet.forecasting.candidates.trees import (
    HistGradientBoosting,
    RandomForest,
    Tree,
    join_trees,
    lay_out_features,
    make_lesson,
    read_boosting,
    read_forest,
)

NAMES = ("hist_gradient_boosting", "random_forest")
ROOT = Path(__file__).parents[3]


def lesson_of(panel):
    past = look_back(panel, most_rows=12_000)
    _, indicators = find_events(panel, past)
    effects = fit_events(past, indicators, past.offset)
    return make_lesson(past, lay_out_features(panel, past, effects @ indicators)[0])


@pytest.mark.parametrize(
    ("candidate", "read", "link"),
    [
        (HistGradientBoosting(trees=40, leaves=12, ridge=1.0), read_boosting, np.exp),
        (RandomForest(trees=25, depth=8, leaf_units=5.0), read_forest, np.asarray),
    ],
)
def test_numpy_scores_the_kept_trees_as_scikit_learn_does(candidate, read, link):
    lesson = lesson_of(rich_panel(stores=4, periods=700))
    model = candidate.grow(lesson)
    kept = json.loads(json.dumps(dataclasses.asdict(read(model))))
    assert len(kept["feature"]) > 100
    for features in (lesson.matrix, np.random.default_rng(0).normal(0, 10, (5000, lesson.matrix.shape[1])).round(4)):
        ours = link(scoring.sum_trees(kept, features.T))
        np.testing.assert_allclose(ours, model.predict(features), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_rounded_artifact_scores_as_scikit_learn_does_on_what_it_is_asked(name, monkeypatch):
    panel = rich_panel(stores=4, periods=700, horizon=60)
    models = []
    family = {"hist_gradient_boosting": HistGradientBoosting, "random_forest": RandomForest}[name]
    grow = family.grow
    monkeypatch.setattr(family, "grow", lambda self, lesson: models.append(grow(self, lesson)) or models[-1])
    artifact = fit_candidate(name, panel).to_artifact()
    future = panel.future
    inputs = scoring.Inputs(
        artifact,
        np.arange(4)[:, None],
        future.dates[None, :],
        future.price,
        {"fair": future.indicators[0][None, :]},
        future.flags,
    )
    factors = scoring.KINDS[name](artifact["parameters"], inputs)
    asked = scoring._features(artifact["parameters"], inputs)
    np.testing.assert_allclose(factors["trees"].ravel(), models[0].predict(asked.T), rtol=2e-6)
    assert np.ptp(factors["trees"]) > 1.0
    whole = factors["level"] * factors["weekday"] * factors["trees"] * factors["cap"]
    np.testing.assert_allclose(
        np.where(future.closed, 0, whole), fit_candidate(name, panel).predict(future), rtol=1e-12
    )


def test_event_effects_by_hand():
    panel = rich_panel(stores=2, periods=300)
    past = dataclasses.replace(look_back(panel, most_rows=12_000), dispersion=0.05)  # 5 pseudo-units
    expected = np.ones_like(past.offset)
    days = np.zeros((2, past.offset.shape[1]))
    days[0, [3, 7]] = days[1, [7]] = 1.0
    sold = np.where(past.used, past.actual, 0.0)
    none = fit_events(past, days[:1] * 0, expected)
    assert none.tolist() == [0.0]
    alone = fit_events(past, days[:1], expected)
    known = past.used[:, [3, 7]].sum()
    assert alone[0] == pytest.approx(np.log((sold[:, [3, 7]].sum() + 5.0) / (known + 5.0)), abs=1e-4)
    second = np.log((sold[:, 7].sum() + 5.0) / (past.used[:, 7].sum() + 5.0))
    together = fit_events(past, days, expected).sum()
    assert max(alone[0], second) < together < alone[0] + second  # what day 7 sells is not counted twice
    small = fit_events(past, days[:1], expected, ridge=1e4)
    assert small.tolist() == [0.0]


def test_a_tree_by_hand():
    # x0 <= 1.5 ? (x1 <= 0.5 ? 1 : 2) : 4, the nodes in another order than the kept one; and a tree of one leaf
    tree = Tree(
        left=np.array([2, -1, 4, -1, -1]),
        right=np.array([1, -1, 3, -1, -1]),
        feature=np.array([0, -1, 1, -1, -1]),
        value=np.array([1.5, 4.0, 0.5, 2.0, 1.0]),
    )
    alone = Tree(left=np.array([-1]), right=np.array([-1]), feature=np.array([-1]), value=np.array([100.0]))
    kept = dataclasses.asdict(join_trees([alone, tree, tree], base=10.0))
    assert kept["roots"] == [0, 5]
    assert kept["base"] == 110.0
    asked = np.array([[1.5, 1.0, 2.0], [0.0, 1.0, 0.0]])
    assert scoring.sum_trees(kept, asked).tolist() == [112.0, 114.0, 118.0]


def test_more_rows_than_are_scored_at_once_are_scored_alike():
    lesson = lesson_of(rich_panel(stores=2, periods=300))
    kept = dataclasses.asdict(read_forest(RandomForest(leaf_units=5.0).grow(lesson)))
    features = np.tile(lesson.matrix.T, (1, 2 + 2 * scoring.ROWS_AT_ONCE // len(lesson.matrix)))
    once = scoring.sum_trees(kept, lesson.matrix.T)
    assert features.shape[1] > 2 * scoring.ROWS_AT_ONCE
    np.testing.assert_array_equal(scoring.sum_trees(kept, features), np.resize(once, features.shape[1]))


@pytest.mark.parametrize("name", NAMES)
def test_trees_learn_price_event_and_flag(name):
    panel = rich_panel(stores=6, periods=900, horizon=60)
    forecast, future = fit_candidate(name, panel).predict(panel.future)[0], panel.future
    dear, quiet, off = future.price[0] > 3, future.indicators[0] == 0, future.flags["benefit"][0] == 0
    usual = forecast[dear & quiet & off & ~future.closed].mean()
    assert forecast[~dear & quiet & off].mean() / usual > 1.8
    assert forecast[dear & quiet & ~off].mean() / usual > 1.1
    assert forecast[~quiet].mean() / usual > 1.8


@pytest.mark.parametrize("name", NAMES)
def test_trees_of_a_short_or_quiet_history_change_nothing(name):
    panel = make_panel(simulate(1, 30), horizon=7)
    parameters = fit_candidate(name, panel).artifact["parameters"]
    assert parameters["roots"] == []
    level = np.array(parameters["level"])[:, None] * np.array(parameters["season"])
    assert fit_candidate(name, panel).predict(panel.future)[0, 0] == pytest.approx(level[0, 30 % 7])


def test_scikit_learn_is_not_loaded_before_something_is_fitted():
    code = (
        "import sys, include.skufleet.forecasting.candidates as candidates\n"
        "for name in candidates.CANDIDATES: candidates.find_candidate(name)\n"
        "print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
