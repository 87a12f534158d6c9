"""The loops that people write: one forest per SKU, logged and registered by ``mlflow.sklearn.log_model``.

**naive** is the tutorials' loop, with defaults and what MLflow 3.17 makes everybody add. **tuned** gives it what an
expert would: requirements, pickling by cloudpickle and a signature that are known beforehand. Both look at the last
horizon for a figure to log. Neither validates, backtests, chooses, gates or forecasts anything: they fit once and
register, one SKU after the other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks.fleet.side_by_side import time_side_by_side

Kind = Literal["naive", "tuned"]
HORIZON = 28
LAGS = (28, 35, 42)
FOREST = {"n_estimators": 100, "random_state": 0}
EXPERIMENT = "rivals"


@dataclass(frozen=True)
class Loop:
    """A loop over some SKUs.

    Attributes:
        kind: which loop.
        series: SKU -> its units by day; the first SKU of a process warms it up and is not counted.
        prefix: of the registered models' names.
        tick: called after each SKU.
    """

    kind: Kind
    series: Mapping[str, pd.Series] = field(repr=False)
    prefix: str
    tick: Callable[[], None] = field(default=lambda: None, repr=False)


def make_features(units: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Features of a daily series, and the units to learn.

    Args:
        units: by day, NaN where a day is not known.

    Returns:
        Lags and means that are known a horizon ahead, weekday and month; and the units: days on which all are known.
    """
    frame = pd.DataFrame({f"lag_{lag}": units.shift(lag) for lag in LAGS})
    for days in (7, 28):
        frame[f"mean_{days}"] = units.shift(HORIZON).rolling(days, min_periods=1).mean()
    index = pd.DatetimeIndex(units.index)
    frame["weekday"], frame["month"] = index.day_of_week.astype(float), index.month.astype(float)
    known = frame.notna().all(axis=1) & units.notna()
    return frame[known], units[known]


def prepare_experiment(uri: str) -> None:
    """Give the loops an experiment with a folder of its own, so that their files can be told from the fleet's."""
    import mlflow

    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=uri)


def time_loop(loop: Loop) -> float:
    """Wall seconds per SKU of one process; needs two SKUs or more."""
    began: list[float] = []
    made = run_loop(loop, lambda: began.append(time.perf_counter()))
    return (time.perf_counter() - began[0]) / made


def time_pair(loop: Loop) -> float:
    """Wall seconds per SKU of two such loops side by side, each with half of the SKUs; needs four SKUs or more."""
    items = list(loop.series.items())
    parts = [(loop.kind, dict(items[part::2]), f"{loop.prefix}-{part}") for part in range(2)]
    return time_side_by_side(_run_part, parts)


def _run_part(part: tuple[Kind, Mapping[str, pd.Series], str], begin: Callable[[], None]) -> int:
    return run_loop(Loop(*part), begin)


def run_loop(loop: Loop, begin: Callable[[], None]) -> int:
    """Do the loop, calling ``begin`` after the SKU that warms up; returns how many SKUs came after it."""
    import mlflow
    import mlflow.sklearn  # switches logging on again where it comes later
    from mlflow.utils.logging_utils import disable_logging

    # Three lines for each SKU on stderr, and a bar for each upload, would drown the benchmark's own.
    disable_logging()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    mlflow.set_experiment(EXPERIMENT)
    client = mlflow.MlflowClient()
    for number, (sku, units) in enumerate(loop.series.items()):
        if number == 1:
            begin()
        name = f"{loop.prefix}-{''.join(letter if letter.isalnum() else '_' for letter in sku)}"
        _train_and_register(loop.kind, units, name, client)
        loop.tick()
    return len(loop.series) - 1


def _train_and_register(kind: Kind, units: pd.Series, name: str, client: Any) -> None:
    import mlflow
    from sklearn.ensemble import RandomForestRegressor

    features, target = make_features(units)
    model = RandomForestRegressor(**FOREST).fit(features[:-HORIZON], target[:-HORIZON])
    actual = target[-HORIZON:]
    missed = float(np.abs(model.predict(features[-HORIZON:]) - actual).sum())
    with mlflow.start_run():
        mlflow.log_params(FOREST)
        mlflow.log_metrics({"mae": missed / len(actual), "wape": missed / max(1.0, actual.sum())})
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=name, **_options(kind, features, model)
        )
    client.set_registered_model_alias(name, "production", logged.registered_model_version)


def _options(kind: Kind, features: pd.DataFrame, model: Any) -> dict[str, Any]:
    if kind == "naive":
        return {"skops_trusted_types": ["sklearn.tree._tree.Tree"]}
    from mlflow.models import infer_signature

    return {
        "pip_requirements": [f"scikit-learn=={version('scikit-learn')}"],
        "serialization_format": "cloudpickle",
        "signature": infer_signature(features.head(5), model.predict(features.head(5))),
    }
