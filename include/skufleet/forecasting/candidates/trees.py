"""Gradient boosting and a random forest per SKU (scikit-learn), kept as trees that plain numpy can score.

What does not belong here: scoring the trees (``scoring``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.candidates.contract import OFTEN_SOLD, Fitted, pack
from include.skufleet.forecasting.candidates.direct import (
    Past,
    find_events,
    find_momentum,
    fit_events,
    last_prices,
    look_back,
    name_effects,
)
from include.skufleet.forecasting.levels import LONGEST_STORE_SEASON
from include.skufleet.forecasting.panel import Floats, Panel, zero_unknown
from include.skufleet.forecasting.scoring import FEATURE_DECIMALS, day_of_month

MOST_ROWS = 12_000
FEWEST_ROWS = 50
MOST_BINS = 63
BASE_PSEUDO_UNITS = 1000.0  # times the dispersion: erratic demand teaches less


@dataclass(frozen=True, slots=True)
class Trees:
    """Binary trees, their nodes one after the other, a node's left child right behind it.

    Attributes:
        roots: index of each tree's first node.
        feature: per node the number of the feature asked for, -1 for a leaf.
        value: per node the threshold (at most this goes left), or what the leaf adds.
        right: per node the index of the right child, 0 for a leaf.
        base: what is added to the sum over the trees.
    """

    base: float
    roots: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    right: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree as scikit-learn has it, arrays over its nodes, the root first; ``feature`` is -1 in leaves."""

    left: Ints
    right: Ints
    feature: Ints
    value: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What trees are grown from: n rows, F features.

    Attributes:
        matrix: (n, F), rounded as they are in scoring.
        ratio: (n,) units over expected units.
        weight: (n,) expected units.
        dispersion: variance of the units over their expectation.
    """

    matrix: Floats
    ratio: Floats
    weight: Floats
    dispersion: float


def _teach(model: Any, lesson: Lesson) -> Any:
    """The model, fitted; scikit-learn's checks of every input take longer than small trees do."""
    from sklearn import config_context

    with config_context(assume_finite=True, skip_parameter_validation=True):
        return model.fit(lesson.matrix, lesson.ratio, sample_weight=lesson.weight)


@dataclass(frozen=True, slots=True)
class HistGradientBoosting:
    """Level x season factor x exp(sum of small trees), grown by gradient boosting of the Poisson deviance.

    What is learned is the ratio of the units to the level that was known one horizon before (module ``direct``), so
    that all stores teach the same trees. Pseudo-units hold each leaf at no effect, as they do the coefficients of
    ``poisson_regression``. A forecast is at most ``guard`` times the store's largest known value.

    Attributes:
        trees: how many.
        leaves: of a tree, at most.
        learning_rate: by which each tree's effect is multiplied.
        ridge: pseudo-units, times the dispersion, with which each leaf is held at 0.
        guard: multiple of the largest known value that no forecast exceeds.
    """

    name: ClassVar[str] = "hist_gradient_boosting"
    cost: ClassVar[float] = 3.0
    classes: ClassVar = OFTEN_SOLD

    trees: int = 10
    leaves: int = 6
    learning_rate: float = 0.2
    ridge: float = 300.0
    guard: float = 3.0

    def fit(self, panel: Panel) -> Fitted:
        """Fit on the last two years or so; too little history leaves level and season factors alone."""
        return fit_trees(self.name, panel, lambda lesson: read_boosting(self.grow(lesson)), Trees(base=0.0), self.guard)

    def grow(self, lesson: Lesson) -> Any:
        """The fitted ``HistGradientBoostingRegressor``."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=self.learning_rate,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            l2_regularization=self.ridge * lesson.dispersion,
            max_bins=MOST_BINS,
            early_stopping=False,
            random_state=0,
        )
        return _teach(model, lesson)


@dataclass(frozen=True, slots=True)
class RandomForest:
    """Level x season factor x mean over trees: a random forest (Breiman 2001) of the ratio to the level.

    It learns from the same rows and features as ``hist_gradient_boosting``, each tree from a half of them drawn by
    expected units; splits are by Poisson deviance. A leaf holds as many units as make its ratio worth something.

    Attributes:
        trees: how many.
        depth: of a tree, at most.
        leaf_units: expected units, times the dispersion, that a leaf holds.
        guard: multiple of the largest known value that no forecast exceeds.
    """

    name: ClassVar[str] = "random_forest"
    cost: ClassVar[float] = 2.0
    classes: ClassVar = OFTEN_SOLD

    trees: int = 12
    depth: int = 5
    leaf_units: float = 200.0
    guard: float = 3.0

    def fit(self, panel: Panel) -> Fitted:
        """Fit on the last two years or so; too little history leaves level and season factors alone."""
        return fit_trees(self.name, panel, lambda lesson: read_forest(self.grow(lesson)), Trees(base=1.0), self.guard)

    def grow(self, lesson: Lesson) -> Any:
        """The fitted ``RandomForestRegressor``."""
        from sklearn.ensemble import RandomForestRegressor

        model = RandomForestRegressor(
            self.trees,
            criterion="poisson",
            max_depth=self.depth,
            min_weight_fraction_leaf=min(0.5, self.leaf_units * lesson.dispersion / float(lesson.weight.sum())),
            max_features=0.5,
            max_samples=max(1, lesson.ratio.size // 2),
            random_state=0,
            n_jobs=1,
        )
        return _teach(model, lesson)


def fit_trees(kind: str, panel: Panel, grow: Callable[[Lesson], Trees], none: Trees, guard: float) -> Fitted:
    """Lay out the features, grow trees where there is something to learn, and pack what scoring needs.

    Args:
        kind: of the artifact.
        panel: the data.
        grow: fits trees.
        none: trees that change nothing, for too little history.
        guard: multiple of the largest known value that no forecast exceeds.
    """
    past = look_back(panel, most_rows=MOST_ROWS)
    events, indicators = find_events(panel, past)
    effects = fit_events(past, indicators, past.offset)
    features, limits = lay_out_features(panel, past, effects @ indicators)
    trees = grow(make_lesson(past, features)) if past.teaches(FEWEST_ROWS) else none
    return pack(
        kind,
        panel,
        {
            "level": zero_unknown(past.levels[0, :, -1]),
            "season": past.season,
            "cap": guard * zero_unknown(panel.units).max(axis=1),
            **{name: np.round(ratio[:, -1], FEATURE_DECIMALS) for name, ratio in find_momentum(past.levels).items()},
            "events": name_effects(events, effects),
            "flags": list(panel.flags),
            "limits": limits,
            **last_prices(panel, past.usual_price),
            "features": list(features),
            **asdict(trees),
        },
    )


def lay_out_features(panel: Panel, past: Past, event: Floats) -> tuple[dict[str, Floats], tuple[float, float]]:
    """Feature name -> values over the targets, each broadcasting to (S, n), and the range of relative prices.

    The names are those that ``scoring`` knows; each is made there from what a forecast is asked for.

    Args:
        panel: the data.
        past: what is learned from.
        event: (n,) sum of the effects of each target's events.
    """
    targets, features = past.targets, dict[str, Floats]()
    if 1 < panel.season_length <= LONGEST_STORE_SEASON:
        features["position"] = past.positions[targets][None, :].astype(float)
    if panel.frequency == "D":
        features["day of month"] = day_of_month(panel.dates[targets])[None, :].astype(float)
    features["lead"] = past.lead[None, :]
    features.update({name: past.at_targets(ratio) for name, ratio in find_momentum(past.levels).items()})
    limits = (0.0, 0.0)
    if (relative := past.relative_price(panel)) is not None:
        limits = (float(relative.min(initial=0.0)), float(relative.max(initial=0.0)))
        features["price"] = relative
    if event.any():
        features["event"] = event[None, :]
    features.update({f"flag {name}": values[:, targets] for name, values in panel.flags.items()})
    return features, limits


def make_lesson(past: Past, features: dict[str, Floats]) -> Lesson:
    """The rows that are used; ratios are scaled so that their mean, too, is held at 1."""
    used = past.used
    matrix = np.empty((int(used.sum()), len(features)))
    for column, values in enumerate(features.values()):
        matrix[:, column] = np.broadcast_to(values, used.shape)[used]
    sold, expected = past.actual[used], past.offset[used]
    ridge = BASE_PSEUDO_UNITS * past.dispersion
    scale = (sold.sum() + ridge) / (expected.sum() + ridge) / (sold.sum() / expected.sum())
    return Lesson(np.round(matrix, FEATURE_DECIMALS), scale * sold / expected, expected, past.dispersion)


def read_boosting(model: Any) -> Trees:
    """The trees of a fitted ``HistGradientBoostingRegressor``; their sum is the log of the ratio."""
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    leaves = [tree["is_leaf"].astype(bool) for tree in nodes]
    grown = [
        Tree(
            left=tree["left"],
            right=tree["right"],
            feature=np.where(leaf, -1, tree["feature_idx"]),
            value=np.where(leaf, tree["value"], tree["num_threshold"]),
        )
        for tree, leaf in zip(nodes, leaves, strict=True)
    ]
    return join_trees(grown, base=float(model._baseline_prediction.item()))


def read_forest(model: Any) -> Trees:
    """The trees of a fitted ``RandomForestRegressor``; their sum is the ratio."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    grown = [
        Tree(
            left=tree.children_left,
            right=tree.children_right,
            feature=np.where(tree.children_left < 0, -1, tree.feature),
            value=np.where(tree.children_left < 0, tree.value[:, 0, 0] / len(trees), tree.threshold),
        )
        for tree in trees
    ]
    return join_trees(grown, base=0.0)


def join_trees(grown: Sequence[Tree], *, base: float) -> Trees:
    """Lay the trees out one after the other; one that is a single leaf becomes a part of the base."""
    base += sum(float(tree.value[0]) for tree in grown if tree.feature[0] < 0)
    trees = Trees(base=base)
    for tree in grown:
        if tree.feature[0] >= 0:
            _append(trees, tree)
    return trees


def _append(trees: Trees, tree: Tree) -> None:
    """Add a tree's nodes, the left child right behind its parent."""
    trees.roots.append(len(trees.feature))
    waiting: list[tuple[int, int | None]] = [(0, None)]  # a node, and the parent whose right child it is
    while waiting:
        node, parent = waiting.pop()
        here = len(trees.feature)
        if parent is not None:
            trees.right[parent] = here
        trees.feature.append(int(tree.feature[node]))
        trees.value.append(float(tree.value[node]))
        trees.right.append(0)
        if tree.feature[node] >= 0:
            waiting += [(int(tree.right[node]), here), (int(tree.left[node]), None)]
