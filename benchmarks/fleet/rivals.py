"""The loops that people write: one forest per SKU, logged and registered by ``mlflow.sklearn.log_model``.

**naive** is the tutorials' loop, with defaults and what MLflow 3.17 makes everybody add. **tuned** gives it what an
expert would: requirements, pickling by cloudpickle and a signature that are known beforehand. Neither validates,
backtests, chooses, gates or forecasts anything: they fit once and register, one SKU after the other.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import pandas as pd

Kind = Literal["naive", "tuned"]
LAGS = (1, 7, 14, 28)
ONE_FOREST = {"n_estimators": 100, "random_state": 0}


def make_features(units: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Lags, rolling means and the calendar of a daily series, and the units to learn."""
    frame = pd.DataFrame({f"lag_{lag}": units.shift(lag) for lag in LAGS})
    for days in (7, 28):
        frame[f"mean_{days}"] = units.shift(1).rolling(days).mean()
    index = pd.DatetimeIndex(units.index)
    frame["weekday"], frame["month"] = index.dayofweek.astype(float), index.month.astype(float)
    known = frame.notna().all(axis=1) & units.notna()
    return frame[known], units[known]


def time_rival(kind: Kind, series: dict[str, pd.Series], prefix: str) -> float:
    """Seconds per SKU of one loop over the SKUs; the first SKU warms up and is not counted.

    Args:
        kind: which loop.
        series: SKU -> its units by day.
        prefix: of the registered models' names.
    """
    import mlflow
    from sklearn.ensemble import RandomForestRegressor

    mlflow.set_experiment(f"rivals/{prefix}")
    client, started = mlflow.MlflowClient(), time.perf_counter()
    for number, (sku, units) in enumerate(series.items()):
        if number == 1:
            started = time.perf_counter()
        features, target = make_features(units)
        model = RandomForestRegressor(**ONE_FOREST).fit(features, target)
        error = float(np.abs(model.predict(features) - target).sum() / max(1.0, target.sum()))
        name = f"{prefix}-{''.join(character if character.isalnum() else '_' for character in sku)}"
        with mlflow.start_run():
            mlflow.log_metrics({"wape": error})
            logged = mlflow.sklearn.log_model(
                model, name="model", registered_model_name=name, **_options(kind, features, model)
            )
        client.set_registered_model_alias(name, "production", logged.registered_model_version)
    return (time.perf_counter() - started) / max(1, len(series) - 1)


def time_pair(series: dict[str, pd.Series], prefix: str) -> float:
    """Seconds per SKU of two tuned loops side by side, each with half of the SKUs."""
    halves = [dict(list(series.items())[part::2]) for part in range(2)]
    with ProcessPoolExecutor(2) as pool:
        each = list(pool.map(time_rival, ["tuned"] * 2, halves, [f"{prefix}{part}" for part in range(2)]))
    return sum(each) / len(each) / 2


def _options(kind: Kind, features: pd.DataFrame, model: Any) -> dict[str, Any]:
    if kind == "naive":
        return {"skops_trusted_types": ["sklearn.tree._tree.Tree"]}
    from mlflow.models import infer_signature

    return {
        "pip_requirements": [f"scikit-learn=={version('scikit-learn')}"],
        "serialization_format": "cloudpickle",
        "signature": infer_signature(features.head(5), model.predict(features.head(5))),
    }
