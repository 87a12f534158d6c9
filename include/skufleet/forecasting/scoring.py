"""Predict from a model's artifact. Stand-alone: this file travels, word for word, with every registered model.

It needs numpy and pandas and imports nothing of the repository. An artifact is a dict that JSON can hold::

    {"format": 1, "kind": "...", "sku": "...", "stores": ["..."], "as_of": "2024-05-31", "frequency": "D",
     "horizon": 28, "season_length": 7, "parameters": {...}}

``as_of`` is the last period that the model was fitted on: a day, or the Monday of a week. ``predict`` takes a frame
with ``store`` and ``date`` and, where known, ``price``, ``events`` (names separated by ``|``), ``closed`` and one
column per flag. What is absent or empty counts as: the last known price, no event, open, flag 0.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Json = Mapping[str, Any]
Array = np.ndarray[Any, Any]
Named = Mapping[str, Array]

FORMAT = 1
KEYS = ("format", "kind", "sku", "stores", "as_of", "frequency", "horizon", "season_length", "parameters")
DAYS = {"D": 1, "W": 7}
EPOCH = np.datetime64("1970-01-05")  # a Monday: position 0 of every season
SEPARATOR = "|"
STORE_PARAMETERS = ("level", "fade", "cap", "usual_price", "last_price")  # of the regression


class Inputs:
    """What one prediction is made from: arrays that broadcast against each other, one element per forecast."""

    def __init__(
        self, artifact: Json, store: Array, date: Array, price: Array | None, events: Named | None, flags: Named | None
    ) -> None:
        days, season = DAYS[artifact["frequency"]], artifact["season_length"]
        self.store, self.date, self.price, self.frequency = store, date, price, artifact["frequency"]
        self.events, self.flags = events or {}, flags or {}
        self.step = (date - np.datetime64(artifact["as_of"], "D")).astype(np.int64) // days
        self.position = ((date - EPOCH).astype(np.int64) // days) % season
        self.season, self.lead = season, np.minimum(self.step / artifact["horizon"], 1.0)


def _at(values: Any, *where: Any) -> Array:
    """The parameters at each forecast's store (and position)."""
    taken: Array = np.asarray(values, dtype=float)[where]
    return taken


def _season_at(table: Any, inputs: Inputs) -> Array:
    """Season factors (stores or 1, positions) at each forecast's store and position."""
    return _at(table, inputs.store if len(table) > 1 else 0, inputs.position)


def _predict_zero(parameters: Json, inputs: Inputs) -> Array:  # noqa: ARG001
    return np.zeros(np.broadcast_shapes(inputs.store.shape, inputs.step.shape))


def _predict_seasonal_naive(parameters: Json, inputs: Inputs) -> Array:
    return _at(parameters["last"], inputs.store, (inputs.step - 1) % inputs.season)


def _predict_smoothing(parameters: Json, inputs: Inputs) -> Array:
    return _at(parameters["level"], inputs.store) * _season_at(parameters["season"], inputs)


def _predict_tsb(parameters: Json, inputs: Inputs) -> Array:
    expected = _at(parameters["probability"], inputs.store) * _at(parameters["size"], inputs.store)
    return np.broadcast_to(expected, np.broadcast_shapes(expected.shape, inputs.step.shape))


def harmonics(date: Array, frequency: str) -> dict[str, Array]:
    """Sines and cosines of the year (2 pairs) and, for days, of the month (2 pairs): name -> values like ``date``."""
    day = date.astype("datetime64[D]")
    parts = {"year": (day - day.astype("datetime64[Y]")).astype(np.int64) / 365.25}
    if frequency == "D":
        parts["month"] = (day - day.astype("datetime64[M]")).astype(np.int64) / 30.4375
    waves = {"sin": np.sin, "cos": np.cos}
    return {
        f"{part}_{name}{k}": wave(2 * np.pi * k * phase)
        for part, phase in parts.items()
        for k in (1, 2)
        for name, wave in waves.items()
    }


def relative_price(price: Array, usual: Array, limits: Any) -> Array:
    """Log of price over usual price, kept within the range seen in training; 0 where either is unknown."""
    known = np.isfinite(price) & np.isfinite(usual) & (np.nan_to_num(price) > 0) & (np.nan_to_num(usual) > 0)
    ratio = np.log(np.where(known, price, 1.0) / np.where(known, usual, 1.0))
    return np.clip(ratio, limits[0], limits[1])


def _predict_regression(parameters: Json, inputs: Inputs) -> Array:
    """Level x season x exp(linear predictor), at most the store's cap."""
    take = {name: _at(parameters[name], inputs.store) for name in STORE_PARAMETERS}
    linear = take["fade"] * inputs.lead
    waves = harmonics(inputs.date, inputs.frequency)
    for name, weight in parameters["waves"].items():
        linear = linear + weight * waves[name]
    for given, weights in ((inputs.events, parameters["events"]), (inputs.flags, parameters["flags"])):
        for name, weight in weights.items():
            if name in given:
                linear = linear + weight * given[name]
    if parameters["price"]:
        price = take["last_price"] if inputs.price is None else inputs.price
        price = np.where(np.isfinite(price), price, take["last_price"])
        linear = linear + parameters["price"] * relative_price(price, take["usual_price"], parameters["limits"])
    expected = take["level"] * _season_at(parameters["season"], inputs) * np.exp(np.clip(linear, -20.0, 20.0))
    capped: Array = np.minimum(expected, take["cap"])
    return capped


KINDS = {
    "zero_demand": _predict_zero,
    "seasonal_naive": _predict_seasonal_naive,
    "exponential_smoothing": _predict_smoothing,
    "tsb": _predict_tsb,
    "poisson_regression": _predict_regression,
}


def check(artifact: Json) -> None:
    """Raise ValueError unless the artifact is one that this file can predict from."""
    missing = [key for key in KEYS if key not in artifact]
    if missing:
        raise ValueError(f"artifact: keys {missing} are missing; it has {sorted(artifact)}")
    if artifact["format"] != FORMAT or artifact["kind"] not in KINDS or artifact["frequency"] not in DAYS:
        got = {key: artifact[key] for key in ("format", "kind", "frequency")}
        raise ValueError(f"artifact: got {got}, expected format {FORMAT}, a kind of {sorted(KINDS)}, frequency D or W")


def forecast(
    artifact: Json,
    store: Array,
    date: Array,
    price: Array | None = None,
    events: Named | None = None,
    flags: Named | None = None,
    closed: Array | None = None,
) -> Array:
    """Expected units as an array, finite and >= 0; the arguments broadcast against each other.

    Args:
        artifact: as in this module's docstring.
        store: positions in ``artifact["stores"]``.
        date: datetime64[D], periods after ``as_of``.
        price: prices, NaN where unknown.
        events: event name -> 0/1.
        flags: flag name -> 0 to 1.
        closed: true where no store is open: the forecast is 0.
    """
    expected = KINDS[artifact["kind"]](artifact["parameters"], Inputs(artifact, store, date, price, events, flags))
    expected = np.maximum(np.nan_to_num(expected, nan=0.0, posinf=0.0, neginf=0.0), 0.0)
    return expected if closed is None else np.where(closed, 0.0, expected)


def predict(artifact: Json, frame: pd.DataFrame) -> pd.DataFrame:
    """Forecast each row of ``frame``: ``sku, store, date, y_hat`` in its order.

    Raises:
        ValueError: a column is missing, a store is not one of the model's, or a date is unreadable, not after the
            model's ``as_of`` or, for weeks, not a Monday.
    """
    check(artifact)
    if not isinstance(frame, pd.DataFrame) or not {"store", "date"} <= set(frame.columns):
        got = sorted(map(str, frame.columns)) if isinstance(frame, pd.DataFrame) else type(frame).__name__
        raise ValueError(f"SKU {artifact['sku']!r}: expected a DataFrame with columns store and date, got {got}")
    names = frame["store"].astype(str).to_numpy()
    store = pd.Index(artifact["stores"]).get_indexer(pd.Index(names))
    if (store < 0).any():
        unknown = sorted(set(names[store < 0]))
        raise ValueError(f"SKU {artifact['sku']!r}: no store {unknown[:5]}; the model knows {artifact['stores'][:20]}")
    date = _read_dates(artifact, frame["date"])
    flags = {name: _numbers(frame, name, 0.0) for name in artifact["parameters"].get("flags", {}) if name in frame}
    events = _read_events(artifact, frame["events"]) if "events" in frame else {}
    price = _numbers(frame, "price", np.nan) if "price" in frame else None
    closed = _numbers(frame, "closed", 0.0) > 0 if "closed" in frame else None
    expected = forecast(artifact, store, date, price, events, flags, closed)
    stamps = date.astype("datetime64[s]")
    return pd.DataFrame({"sku": artifact["sku"], "store": names, "date": stamps, "y_hat": expected})


def _read_dates(artifact: Json, column: Any) -> Array:
    """The dates as datetime64[D], checked."""
    as_of, sku = np.datetime64(artifact["as_of"], "D"), artifact["sku"]
    try:
        stamps = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise ValueError(f"SKU {sku!r}: column date cannot be read as dates: {error}") from error
    if stamps.isna().any():
        raise ValueError(f"SKU {sku!r}: column date has {int(stamps.isna().sum())} empty values")
    date: Array = stamps.to_numpy().astype("datetime64[D]")
    if date.size and date.min() <= as_of:
        raise ValueError(f"SKU {sku!r}: date {date.min()} is not after {as_of}, the last day the model was trained on")
    if artifact["frequency"] == "W" and ((date - as_of).astype(np.int64) % 7).any():
        raise ValueError(f"SKU {sku!r}: a weekly model; every date must be a Monday")
    return date


def _read_events(artifact: Json, column: Any) -> dict[str, Array]:
    """Event name -> 0/1 per row, for the events that the model has an effect of."""
    cells = [{part.strip() for part in cell.split(SEPARATOR)} if isinstance(cell, str) else set() for cell in column]
    known = artifact["parameters"].get("events", {})
    return {name: np.array([float(name in cell) for cell in cells]) for name in known}


def _numbers(frame: pd.DataFrame, name: str, default: float) -> Array:
    """A column as floats, ``default`` where it is empty."""
    try:
        values = pd.to_numeric(frame[name]).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {name} holds something that is not a number: {error}") from error
    return np.where(np.isfinite(values), values, default)


class Scorer:
    """The loaded model, as MLflow's pyfunc expects it: ``predict(frame)`` gives ``sku, store, date, y_hat``."""

    def __init__(self, artifact: Json) -> None:
        check(artifact)
        self.artifact = artifact

    def predict(self, model_input: pd.DataFrame, params: Json | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Forecast each row; ``params`` is in MLflow's contract, not used."""
        return predict(self.artifact, model_input)


def _load_pyfunc(path: str) -> Scorer:
    """MLflow's entry: ``path`` is ``model.json`` or the folder that holds it."""
    file = Path(path) / "model.json" if Path(path).is_dir() else Path(path)
    return Scorer(json.loads(file.read_text(encoding="utf-8")))
