"""The other tools, each as its documentation advises; run by ``.venv-rivals/bin/python``, so nothing of ours is here.

    .venv-rivals/bin/python -m benchmarks.rivals.contenders FOLDER...

For each folder that ``exchange`` wrote: forecasts of every contender to ``rivals.parquet`` (``series, date`` and one
column each) and what it took to ``rivals.json``. CPU seconds are those of this one process from the long frame to the
forecasts; imports and compilation are done before, on a warm-up of a few series. All tools are given one thread.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEASON, HORIZON = 7, 28
RECENT = 728
LAGS = (28, 35, 42)

Forecast = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], pd.Series]


def stats_forecast(name: str, **settings: Any) -> Forecast:
    """A model of StatsForecast, one fit per series on all of its history."""

    def _forecast(history: pd.DataFrame, future: pd.DataFrame, series: pd.DataFrame) -> pd.Series:  # noqa: ARG001
        from statsforecast import StatsForecast, models  # type: ignore[import-not-found]

        model = getattr(models, name)(**settings)
        frame = history[["series", "date", "y"]].rename(columns={"series": "unique_id", "date": "ds"})
        done = StatsForecast(models=[model], freq="D", n_jobs=1).forecast(df=frame, h=HORIZON)
        values: pd.Series = done.set_index(["unique_id", "ds"]).iloc[:, 0]
        return values

    return _forecast


def global_lightgbm(history: pd.DataFrame, future: pd.DataFrame, series: pd.DataFrame) -> pd.Series:
    """MLForecast: one LightGBM for all series, Tweedie loss, lags, rolling means, calendar, price and events.

    Recursive, as MLForecast forecasts by default. The last two years are trained on; days that were filled are not.
    """
    import lightgbm  # type: ignore[import-not-found]
    from mlforecast import MLForecast  # type: ignore[import-not-found]
    from mlforecast.lag_transforms import (  # type: ignore[import-not-found]
        ExponentiallyWeightedMean,
        RollingMean,
    )

    static = series.assign(**{name: series[name].astype("category") for name in ("sku", "store", "department")})
    names = {"series": "unique_id", "date": "ds"}
    frame = history.merge(static.drop(columns="slow"), on="series").rename(columns=names)
    ahead = future.rename(columns=names)
    model = lightgbm.LGBMRegressor(
        objective="tweedie",
        tweedie_variance_power=1.4,
        n_estimators=600,
        learning_rate=0.05,
        num_leaves=64,
        min_child_samples=100,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.8,
        n_jobs=1,
        random_state=0,
        verbosity=-1,
    )
    forecaster = MLForecast(
        models=[model],
        freq="D",
        lags=[1, 7, 14, 21, 28],
        lag_transforms={
            1: [RollingMean(7), RollingMean(28), RollingMean(91), ExponentiallyWeightedMean(0.05)],
            7: [RollingMean(7)],
        },
        date_features=["dayofweek", "day", "month", "dayofyear"],
    )
    keys = ["unique_id", "ds"]
    shaped = forecaster.preprocess(frame.drop(columns="filled"), static_features=["sku", "store", "department"])
    recent = shaped["ds"] > shaped["ds"].max() - pd.Timedelta(days=RECENT)
    made_up = pd.MultiIndex.from_frame(shaped[keys]).isin(pd.MultiIndex.from_frame(frame.loc[frame["filled"], keys]))
    kept = shaped[recent & ~made_up]
    forecaster.fit_models(kept.drop(columns=[*keys, "y"]), kept["y"].to_numpy())
    done = forecaster.predict(HORIZON, X_df=ahead)
    values: pd.Series = done.set_index(keys).iloc[:, 0]
    return values


def forest_per_sku(history: pd.DataFrame, future: pd.DataFrame, series: pd.DataFrame) -> pd.Series:
    """The tutorials' random forest: one per SKU over its stores, 100 trees, lags, rolling means and the calendar.

    No lag is shorter than the horizon, so that nothing that is forecast is looked at. The last two years are used.
    """
    from sklearn.ensemble import RandomForestRegressor

    whole = pd.concat([history, future], ignore_index=True).merge(series[["series", "sku"]], on="series")
    whole = whole.sort_values(["series", "date"], ignore_index=True)
    by_series = whole.groupby("series", sort=False)["y"]
    for lag in LAGS:
        whole[f"lag_{lag}"] = by_series.shift(lag)
    for width in (7, 28):
        means = by_series.transform(lambda y, width=width: y.shift(HORIZON).rolling(width).mean())
        whole[f"mean_{width}"] = means
    dates = whole["date"].dt
    whole = whole.assign(weekday=dates.day_of_week, day=dates.day, month=dates.month, year=dates.year)
    features = [name for name in whole.columns if name not in ("y", "filled", "date", "sku")]
    whole[features] = whole[features].fillna(-1)
    first = whole["date"].max() - pd.Timedelta(days=RECENT + HORIZON)
    parts = []
    for _, rows in whole.groupby("sku", sort=False):
        known = rows["y"].notna() & ~rows["filled"].eq(True) & (rows["date"] > first)
        ahead = rows[rows["y"].isna()]
        forest = RandomForestRegressor(n_estimators=100, random_state=0, n_jobs=1)
        forest.fit(rows.loc[known, features].to_numpy(), rows.loc[known, "y"].to_numpy())
        index = pd.MultiIndex.from_arrays([ahead["series"], ahead["date"]])
        parts.append(pd.Series(forest.predict(ahead[features].to_numpy()), index=index))
    return pd.concat(parts)


CONTENDERS: dict[str, Forecast] = {
    "SeasonalNaive": stats_forecast("SeasonalNaive", season_length=SEASON),
    "SES": stats_forecast("SimpleExponentialSmoothingOptimized"),
    "Theta": stats_forecast("Theta", season_length=SEASON),
    "OptimizedTheta": stats_forecast("OptimizedTheta", season_length=SEASON),
    "AutoETS": stats_forecast("AutoETS", season_length=SEASON),
    "LightGBM": global_lightgbm,
    "RandomForest": forest_per_sku,
}
SLOW = ("OptimizedTheta", "AutoETS", "RandomForest")
PACKAGES = ("statsforecast", "mlforecast", "lightgbm", "scikit-learn")


def forecast_folder(folder: Path, names: Sequence[str]) -> None:
    """Run the contenders on one origin."""
    history, future, series = (pd.read_parquet(folder / f"{part}.parquet") for part in ("history", "future", "series"))
    columns, taken = {}, {}
    for name in names:
        chosen = series[series["slow"]] if name in SLOW else series
        inputs = [part[part["series"].isin(chosen["series"])].reset_index(drop=True) for part in (history, future)]
        started = time.process_time()
        values = CONTENDERS[name](inputs[0], inputs[1], chosen.reset_index(drop=True))
        seconds = time.process_time() - started
        taken[name] = {"cpu_seconds": seconds, "series": len(chosen), "skus": int(chosen["sku"].nunique())}
        columns[name] = values.clip(lower=0.0).rename_axis(["series", "date"])
        print(f"{folder.parent.name} {folder.name} {name}: {seconds:.1f} CPU s", file=sys.stderr, flush=True)  # noqa: T201
    pd.DataFrame(columns).reset_index().to_parquet(folder / "rivals.parquet")
    versions = {name: version(name) for name in PACKAGES}
    (folder / "rivals.json").write_text(json.dumps({"taken": taken, "versions": versions}))


def warm_up(names: Sequence[str]) -> None:
    """Import and compile: every contender once, on three made-up series."""
    days = pd.date_range("2020-01-01", periods=400)
    rng = np.random.default_rng(0)
    history = pd.DataFrame(
        {
            "series": np.repeat([0, 1, 2], 400),
            "y": rng.poisson(5.0, 1200).astype(float),
            "filled": False,
            "date": np.tile(days, 3),
            "event": np.tile(np.arange(400) % 50 == 0, 3).astype("int32"),
        }
    )
    ahead = pd.date_range(days[-1] + pd.Timedelta(days=1), periods=HORIZON)
    future = pd.DataFrame({"series": np.repeat([0, 1, 2], HORIZON), "date": np.tile(ahead, 3), "event": np.int32(0)})
    series = pd.DataFrame({"series": [0, 1, 2], "sku": ["a", "a", "b"], "store": ["x", "y", "x"], "department": "d"})
    for name in names:
        CONTENDERS[name](history, future, series.assign(slow=True))


def main(arguments: Sequence[str]) -> None:
    """Warm up, then each folder in turn."""
    warnings.simplefilter("ignore", FutureWarning)
    names = list(CONTENDERS)
    warm_up(names)
    for folder in arguments:
        forecast_folder(Path(folder), names)


if __name__ == "__main__":
    main(sys.argv[1:])
