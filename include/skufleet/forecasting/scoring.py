"""Predict from a model's artifact. Stand-alone: this file travels, word for word, with every registered model.

It needs numpy and pandas and imports nothing of the repository. An artifact is a dict that JSON can hold::

    {"format": 2, "kind": "...", "sku": "...", "stores": ["..."], "as_of": "2024-05-31", "frequency": "D",
     "horizon": 28, "season_length": 7, "parameters": {...}, "intervals": None}

``as_of`` is the last period that the model was fitted on: a day, or the Monday of a week. ``predict`` takes a frame
with ``store`` and ``date`` and, where known, ``price``, ``events`` (names separated by ``|``), ``closed`` and one
column per flag. What is absent or empty counts as: the last known price, no event, open, flag 0.

A forecast is a product of factors: the first is in units, the others are ratios. ``KINDS`` says which factors a kind
of model has, ``components`` shows them row by row. ``intervals`` may be absent: then there are point forecasts only.
It holds ``levels, unit, whole, shift, slope, dispersion, one_tail, two_tails``: see ``count_bounds``.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Json = Mapping[str, Any]
Array = np.ndarray[Any, Any]
Named = Mapping[str, Array]
Factors = dict[str, Array]

FORMAT = 2
KEYS = ("format", "kind", "sku", "stores", "as_of", "frequency", "horizon", "season_length", "parameters")
DAYS = {"D": 1, "W": 7}
EPOCH = np.datetime64("1970-01-05")  # a Monday: position 0 of every season
SEPARATOR = "|"
FEATURE_DECIMALS = 4  # of the trees' features: thresholds lie between values so rounded
ROWS_AT_ONCE = 4096
RESERVED = ("price", "cap", "closed")  # components that an event or flag of that name must not hide


class Inputs:
    """What one prediction is made from: arrays that broadcast against each other, one element per forecast.

    Attributes:
        store: positions in the artifact's stores.
        date: datetime64[D].
        price: NaN where unknown; ``None`` without prices.
        events: event name -> 0/1.
        flags: flag name -> 0 to 1.
        closed: true where no store is open; ``None``: never.
        step: periods after ``as_of``, the first is 1.
        lead: step over the model's ``horizon``, at most 1.
        position: of the period in its season, 0 to ``season`` - 1.
    """

    def __init__(
        self,
        artifact: Json,
        store: Array,
        date: Array,
        price: Array | None = None,
        events: Named | None = None,
        flags: Named | None = None,
        closed: Array | None = None,
    ) -> None:
        days, season = DAYS[artifact["frequency"]], artifact["season_length"]
        self.store, self.date, self.price, self.closed = store, date, price, closed
        self.events, self.flags, self.frequency, self.season = events or {}, flags or {}, artifact["frequency"], season
        self.step = (date - np.datetime64(artifact["as_of"], "D")).astype(np.int64) // days
        self.position = ((date - EPOCH).astype(np.int64) // days) % season
        self.horizon = artifact["horizon"]
        self.lead = np.minimum(self.step / self.horizon, 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the forecasts."""
        return np.broadcast_shapes(self.store.shape, self.step.shape)

    @property
    def season_name(self) -> str:
        """What people call the season's positions."""
        return "weekday" if (self.frequency, self.season) == ("D", 7) else "season"


def _at(values: Any, *where: Any) -> Array:
    """The parameters at each forecast's store (and position)."""
    taken: Array = np.asarray(values, dtype=float)[where]
    return taken


def _season_at(table: Any, inputs: Inputs) -> Array:
    """Season factors (stores or 1, positions or 1) at each forecast's store and position."""
    return _at(table, inputs.store if len(table) > 1 else 0, inputs.position % len(table[0]))


def _zero_demand(parameters: Json, inputs: Inputs) -> Factors:  # noqa: ARG001
    return {"zero": np.zeros(inputs.shape)}


def _seasonal_naive(parameters: Json, inputs: Inputs) -> Factors:
    return {"last season": _at(parameters["last"], inputs.store, (inputs.step - 1) % inputs.season)}


def _smoothing(parameters: Json, inputs: Inputs) -> Factors:
    return {
        "level": _at(parameters["level"], inputs.store),
        inputs.season_name: _season_at(parameters["season"], inputs),
    }


def _tsb(parameters: Json, inputs: Inputs) -> Factors:
    return {
        "size of a sale": _at(parameters["size"], inputs.store),
        "chance of a sale": _at(parameters["probability"], inputs.store),
        inputs.season_name: _season_at(parameters["season"], inputs),
    }


def _theta(parameters: Json, inputs: Inputs) -> Factors:
    """Level x season x trend; the trend ends with the horizon."""
    trend = _at(parameters["trend"], inputs.store) * np.minimum(inputs.step, inputs.horizon)
    return {**_smoothing(parameters, inputs), "trend": np.maximum(1.0 + trend, 0.0)}


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
    known = np.isfinite(price) & np.isfinite(usual) & (price > 0) & (usual > 0)
    ratio = np.log(np.where(known, price, 1.0) / np.where(known, usual, 1.0))
    clipped: Array = ratio.clip(limits[0], limits[1])
    return clipped


def _price_ratio(parameters: Json, inputs: Inputs) -> Array:
    """``relative_price`` at each forecast: the last known price where the frame has none."""
    last = _at(parameters["last_price"], inputs.store)
    price = last if inputs.price is None else np.where(np.isfinite(inputs.price), inputs.price, last)
    return relative_price(price, _at(parameters["usual_price"], inputs.store), parameters["limits"])


def _ratio(linear: Any) -> Array:
    """Exponential of a part of the linear predictor, kept between e^-20 and e^20."""
    ratio: Array = np.exp(np.asarray(linear).clip(-20.0, 20.0))
    return ratio


def _free_name(factors: Factors, name: str) -> str:
    """The effect's name, in brackets where a factor is called so already or may be called so later."""
    while name in factors or name in RESERVED:
        name = f"({name})"
    return name


def _wave_ratios(weights: Json, inputs: Inputs) -> Factors:
    """The year's and the month's movement from the weights of ``harmonics``."""
    waves = harmonics(inputs.date, inputs.frequency) if weights else {}
    ratios: Factors = {}
    for part, name in (("year", "time of year"), ("month", "day of month")):
        if terms := [weight * waves[wave] for wave, weight in weights.items() if wave.startswith(part)]:
            ratios[name] = _ratio(sum(terms[1:], terms[0]))
    return ratios


def _regression(parameters: Json, inputs: Inputs) -> Factors:
    """Level x season x exp(each part of the linear predictor), at most the store's cap."""
    factors = _smoothing(parameters, inputs)
    factors["momentum"] = _ratio(_at(parameters["fade"], inputs.store) * inputs.lead)
    factors.update(_wave_ratios(parameters["waves"], inputs))
    for what, given in (("events", inputs.events), ("flags", inputs.flags)):
        for name, weight in parameters[what].items():
            if name in given:
                factors[_free_name(factors, name)] = _ratio(weight * given[name])
    if parameters["price"]:
        factors["price"] = _ratio(parameters["price"] * _price_ratio(parameters, inputs))
    return _cap(factors, _at(parameters["cap"], inputs.store))


def day_of_month(date: Array) -> Array:
    """Days since the first of the month."""
    day = date.astype("datetime64[D]")
    days: Array = (day - day.astype("datetime64[M]")).astype(np.int64)
    return days


def _features(parameters: Json, inputs: Inputs) -> Array:
    """What the trees ask for: (features, forecasts), rounded."""
    effects = parameters["events"].items()
    made: dict[str, Any] = {
        "position": inputs.position,
        "day of month": day_of_month(inputs.date),
        "lead": inputs.lead,
        "short": _at(parameters["short"], inputs.store),
        "long": _at(parameters["long"], inputs.store),
        "price": _price_ratio(parameters, inputs),
        "event": sum((effect * inputs.events[name] for name, effect in effects if name in inputs.events), np.zeros(1)),
        **{f"flag {name}": inputs.flags.get(name, 0.0) for name in parameters["flags"]},
    }
    rows = [np.broadcast_to(made[name], inputs.shape).ravel() for name in parameters["features"]]
    return np.round(np.array(rows, dtype=float), FEATURE_DECIMALS)


def sum_trees(parameters: Json, features: Array) -> Array:
    """Base + sum over the trees of the leaf that each column of ``features`` (features, n) ends in.

    A node's left child lies right behind it; ``right`` points to the other. ``feature`` is -1 in leaves.
    """
    roots = np.array(parameters["roots"], dtype=np.int64)[:, None]
    feature, right = np.array(parameters["feature"], dtype=np.int64), np.array(parameters["right"], dtype=np.int64)
    value = np.array(parameters["value"], dtype=float)
    total = np.full(features.shape[1], float(parameters["base"]))
    for start in range(0, total.size if roots.size else 0, ROWS_AT_ONCE):
        part = features[:, start : start + ROWS_AT_ONCE]
        columns, node = np.arange(part.shape[1]), np.repeat(roots, part.shape[1], axis=1)
        while (inner := feature[node] >= 0).any():
            left = part[feature[node], columns] <= value[node]
            node = np.where(inner, np.where(left, node + 1, right[node]), node)
        total[start : start + ROWS_AT_ONCE] += value[node].sum(axis=0)
    return total


def _level_and_trees(parameters: Json, inputs: Inputs, ratio: Callable[[Array], Array]) -> Factors:
    """Level x season x what the trees make of the features, at most the store's cap."""
    made = ratio(sum_trees(parameters, _features(parameters, inputs))).reshape(inputs.shape)
    return _cap({**_smoothing(parameters, inputs), "trees": made}, _at(parameters["cap"], inputs.store))


def _boosting(parameters: Json, inputs: Inputs) -> Factors:
    return _level_and_trees(parameters, inputs, _ratio)


def _forest(parameters: Json, inputs: Inputs) -> Factors:
    return _level_and_trees(parameters, inputs, np.asarray)


def is_weekend(date: Array) -> Array:
    """Saturdays and Sundays."""
    weekend: Array = (date.astype("datetime64[D]") - EPOCH).astype(np.int64) % 7 >= 5
    return weekend


def month_waves(date: Array, frequency: str) -> Array:
    """The day's place in its month as columns along a new last axis.

    Days: sines and cosines of the share of the month that is over (4 pairs), then flags for the first day, the second
    and third, and the 29th and later. Weeks: 2 pairs, by the week's Thursday.
    """
    day = date.astype("datetime64[D]") + np.timedelta64(3 if frequency == "W" else 0, "D")
    month = day.astype("datetime64[M]")
    number = (day - month.astype("datetime64[D]")).astype(np.int64)
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    phase = 2.0 * np.pi * number / length
    columns = [wave(k * phase) for k in range(1, 5 if frequency == "D" else 3) for wave in (np.sin, np.cos)]
    if frequency == "D":
        columns += [number == 0, (number == 1) | (number == 2), number >= 28]
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(float)


def _of_store(values: Any, store: Array) -> Array:
    """One value per store, or one for all of them, at each forecast's store."""
    return _at(values, store) if len(values) > 1 else np.asarray(values[0], dtype=float)


def _profile(parameters: Json, inputs: Inputs) -> Factors:
    """Level x calendar profile (of the SKU, the store's region and the store) x price x movement of the year before."""
    store, region = inputs.store, _of_store(parameters["regions"], inputs.store).astype(np.int64)
    factors = {"level": _of_store(parameters["level"], store)}
    for length, weights in parameters["season"].items():
        position = ((inputs.date - EPOCH).astype(np.int64) // DAYS[inputs.frequency]) % int(length)
        ratio = _ratio(_at(weights, position))
        own = parameters["store_weekday"] if length == "7" else None
        factors["weekday" if length == "7" and inputs.frequency == "D" else "season"] = (
            ratio if own is None else ratio * _at(own, store, position)
        )
    # Added up column by column, so that the sums do not depend on how many rows are asked for at once.
    waves = np.moveaxis(month_waves(inputs.date, inputs.frequency), -1, 0)
    linear = sum((weight * wave for weight, wave in zip(parameters["month"], waves, strict=True)), np.zeros(1))
    for wave, weights in zip(waves, zip(*(parameters["regional_month"] or ()), strict=True), strict=False):
        linear = linear + _at(weights, region) * wave
    factors["day of month" if inputs.frequency == "D" else "week of month"] = _ratio(linear)
    for name, effect in parameters["flags"].items():
        if name in inputs.flags:
            flag = inputs.flags[name]
            size = _of_store(effect["region"], region) + effect["weekend"] * is_weekend(inputs.date)
            factors[_free_name(factors, name)] = _ratio(size * flag) * _of_store(effect["store"], store) ** flag
    for name, weight in _flatten(parameters["events"]).items():
        if name in inputs.events:
            factors[_free_name(factors, name)] = _ratio(weight * inputs.events[name])
    if parameters["price"]:
        last = _of_store(parameters["last_price"], store)
        price = last if inputs.price is None else np.where(np.isfinite(inputs.price), inputs.price, last)
        relative = relative_price(price, _of_store(parameters["usual_price"], store), parameters["limits"])
        factors["price"] = _ratio(parameters["price"] * relative)
    block = np.minimum((inputs.step - 1) // parameters["year_block"], len(parameters["year"]) - 1)
    factors["year ago"] = _at(parameters["year"], block)
    if parameters["outage"]:
        factors["back on sale"] = _return_after_outage(parameters["outage"], inputs)
    return _cap(factors, _of_store(parameters["cap"], store))


def _flatten(effects: Json) -> dict[str, float]:
    """Name -> effect, where an event's own day (``""``) and the days around it may be kept together."""
    flat: dict[str, float] = {}
    for name, effect in effects.items():
        around = effect if isinstance(effect, Mapping) else {"": effect}
        flat |= {f"{name} {days}".rstrip(): value for days, value in around.items()}
    return flat


def _return_after_outage(outage: Json, inputs: Inputs) -> Array:
    """Share of the level that is expected of a store that may have run out: at most 1, more the later."""
    chance, gain, rate = (_of_store(outage[name], inputs.store) for name in ("chance", "gain", "rate"))
    share: Array = 1.0 - chance + chance * np.minimum(gain * (1.0 - np.exp(-rate * inputs.step)), 1.0)
    return share


def _cap(factors: Factors, most: Array) -> Factors:
    """The factors and, where their product exceeds ``most``, one that brings it back to it."""
    expected = multiply(factors)
    return {**factors, "cap": np.where(expected > most, most / np.where(expected > most, expected, 1.0), 1.0)}


def _ensemble(parameters: Json, inputs: Inputs) -> Factors:
    """Weighted mean of the members' forecasts; ``components`` shows the members."""
    weights, forecasts = zip(*_member_forecasts(parameters, inputs).values(), strict=True)
    total = sum(weight * forecast for weight, forecast in zip(weights, forecasts, strict=True))
    return {"ensemble": np.asarray(total) / sum(weights)}


def _member_forecasts(parameters: Json, inputs: Inputs) -> dict[str, tuple[float, Array]]:
    """Kind of each member -> its weight and its forecasts."""
    return {
        member["kind"]: (float(member["weight"]), _clip(multiply(KINDS[member["kind"]](member["parameters"], inputs))))
        for member in parameters["members"]
    }


# Kind -> its factors in order: the first in units, the others ratios; their product is the expected units.
KINDS: dict[str, Callable[[Json, Inputs], Factors]] = {
    "zero_demand": _zero_demand,
    "seasonal_naive": _seasonal_naive,
    "weekday_mean": _smoothing,
    "exponential_smoothing": _smoothing,
    "theta": _theta,
    "tsb": _tsb,
    "poisson_regression": _regression,
    "profile": _profile,
    "hist_gradient_boosting": _boosting,
    "random_forest": _forest,
    "ensemble": _ensemble,
}


def multiply(factors: Factors) -> Array:
    """Product of the factors, in their order."""
    product: Any = 1.0
    for factor in factors.values():
        product = product * factor
    return np.asarray(product)


def _clip(expected: Array) -> Array:
    """Finite and >= 0."""
    clipped: Array = np.where(np.isfinite(expected), np.maximum(expected, 0.0), 0.0)
    return clipped


def check(artifact: Json) -> None:
    """Raise ValueError unless the artifact is one that this file can predict from."""
    missing = [key for key in KEYS if key not in artifact]
    if missing:
        raise ValueError(f"artifact: keys {missing} are missing; it has {sorted(artifact)}")
    got = {key: artifact[key] for key in ("format", "kind", "frequency")}
    if artifact["format"] != FORMAT:
        raise ValueError(f"artifact: got {got}, expected format {FORMAT}; retrain the SKU")
    if artifact["kind"] not in KINDS or artifact["frequency"] not in DAYS:
        raise ValueError(f"artifact: got {got}, expected a kind of {sorted(KINDS)}, frequency D or W")
    if artifact["kind"] == "ensemble":
        kinds = [member["kind"] for member in artifact["parameters"]["members"]]
        if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(KINDS) - {"ensemble"}:
            raise ValueError(f"artifact: an ensemble of {kinds}, expected different kinds of {sorted(KINDS)}")


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
    return expect(artifact, Inputs(artifact, store, date, price, events, flags, closed))


def expect(artifact: Json, inputs: Inputs) -> Array:
    """Expected units of the inputs' shape: what ``forecast`` gives."""
    expected = _clip(multiply(KINDS[artifact["kind"]](artifact["parameters"], inputs)))
    if inputs.closed is not None:
        expected = np.where(inputs.closed, 0.0, expected)
    return expected if expected.shape == inputs.shape else np.broadcast_to(expected, inputs.shape)


def intervals(artifact: Json, expected: Array, inputs: Inputs) -> dict[str, Array]:
    """Bounds by column name, in the order of the output's columns; none without ``artifact["intervals"]``.

    ``0 <= lower_95 <= lower_80 <= y_hat <= upper_80 <= upper_95``; all 0 on closed days.
    """
    given, bounds = artifact.get("intervals"), {}
    if not given:
        return {}
    for level, (lower, upper) in zip(given["levels"], count_bounds(given, expected), strict=True):
        for side, values in (("lower", lower), ("upper", upper)):
            bounds[f"{side}_{round(100 * level)}"] = values if inputs.closed is None else values * ~inputs.closed
    return bounds


def count_bounds(given: Json, expected: Array) -> list[tuple[Array, Array]]:
    """Lower and upper bound for each level, the narrowest first, around ``expected``.

    Sales are taken for multiples of ``unit``, as many as a count with mean m, m times the unit being ``shift`` +
    ``slope`` x expected, and with variance m + ``dispersion`` m^2. ``two_tails`` holds each level's normal quantile
    with half of the rest in either tail, ``one_tail`` the one with all of it above: where zero sales are likely
    nothing is left to cut off below. Bounds are whole multiples of the unit if ``whole``.
    """
    unit = given["unit"]
    mean, bounds = (given["shift"] + given["slope"] * expected) / unit, []
    for one, two in zip(given["one_tail"], given["two_tails"], strict=True):
        lower, upper = count_range(mean, given["dispersion"], one, two)
        if given["whole"]:
            lower, upper = np.ceil(lower - 1e-9) + 0.0, np.floor(upper + 1e-9)
        bounds.append((np.minimum(lower * unit, expected), np.maximum(upper * unit, expected)))
    return bounds


def count_range(mean: Array, dispersion: float, one: Any, two: Any) -> tuple[Array, Array]:
    """Where counts lie within the normal quantiles ``one`` (all cut above) and ``two`` (either side); not rounded."""
    root, centre = cube_root(mean, dispersion)
    least = -score_count(0.0, mean, root, centre)  # with the upper bound here, as much is above as zero has below
    size, tails = mean + 0.5, (-two, np.clip(least, one, two))
    below, above = (size * np.maximum(centre + tail / root, 0.0) ** 3 for tail in tails)
    return np.maximum(below - 1.0, 0.0), above


def cube_root(mean: Array, dispersion: float) -> tuple[Array, Array]:
    """Wilson and Hilferty (1931, PNAS 17): the cube root of a gamma variable is all but normal.

    Here of counts plus one half; returns one over the standard deviation, and the mean, of the cube root of their
    ratio to their mean.
    """
    variance = np.maximum(mean, 1e-3) + dispersion * mean**2
    root = 3.0 * (mean + 0.5) / np.sqrt(variance)
    return root, 1.0 - 1.0 / root**2


def score_count(count: Any, mean: Array, root: Array, centre: Array) -> Array:
    """The normal quantile of the chance to sell ``count`` or fewer, with what ``cube_root`` gives."""
    score: Array = root * (np.cbrt((count + 1.0) / (mean + 0.5)) - centre)
    return score


def predict(artifact: Json, frame: pd.DataFrame) -> pd.DataFrame:
    """Forecast each row of ``frame``: ``sku, store, date, y_hat`` and the bounds of ``intervals``, in its order.

    Raises:
        ValueError: a column is missing, a store is not one of the model's, or a date is unreadable, not after the
            model's ``as_of`` or, for weeks, not a Monday.
    """
    check(artifact)
    inputs = _read(artifact, frame)
    expected = expect(artifact, inputs)
    bounds = intervals(artifact, expected, inputs)
    return pd.DataFrame({**_identify(artifact, inputs), "y_hat": expected, **bounds})


def components(artifact: Json, frame: pd.DataFrame) -> pd.DataFrame:
    """What each row's forecast is made of: a long frame ``sku, store, date, component, value``, component by component.

    The first component is in units, the others are ratios, and their product is the row's ``y_hat``. One that is 1 in
    every row is left out; with a closed day in the frame, ``closed`` is 0 there and 1 on other days. For an ensemble,
    ``member <kind>`` is a member's forecast in units and ``weight <kind>`` its share: ``y_hat`` is the sum over the
    members of weight x forecast (x ``closed``).

    Raises:
        ValueError: as ``predict``.
    """
    check(artifact)
    inputs = _read(artifact, frame)
    parameters, rows = artifact["parameters"], inputs.shape
    if artifact["kind"] == "ensemble":
        members = _member_forecasts(parameters, inputs)
        total = sum(weight for weight, _ in members.values())
        parts = {f"member {kind}": made for kind, (_, made) in members.items()}
        parts |= {f"weight {kind}": np.full(rows, weight / total) for kind, (weight, _) in members.items()}
        kept = list(parts)
    else:
        parts = KINDS[artifact["kind"]](parameters, inputs)
        kept = [name for row, name in enumerate(parts) if row == 0 or np.any(parts[name] != 1.0)]
    if inputs.closed is not None and inputs.closed.any():
        parts["closed"] = np.where(inputs.closed, 0.0, 1.0)
        kept.append("closed")
    who = pd.DataFrame(_identify(artifact, inputs))
    shown = [who.assign(component=name, value=np.broadcast_to(parts[name], rows)) for name in kept]
    return pd.concat(shown, ignore_index=True)


def _identify(artifact: Json, inputs: Inputs) -> dict[str, Any]:
    """Columns that say what a row of the output is about."""
    names = np.array(artifact["stores"], dtype=object)[inputs.store]
    return {"sku": artifact["sku"], "store": names, "date": inputs.date.astype("datetime64[s]")}


def _read(artifact: Json, frame: pd.DataFrame) -> Inputs:
    """The rows of a frame, checked."""
    if not isinstance(frame, pd.DataFrame) or not {"store", "date"} <= set(frame.columns):
        got = sorted(map(str, frame.columns)) if isinstance(frame, pd.DataFrame) else type(frame).__name__
        raise ValueError(f"SKU {artifact['sku']!r}: expected a DataFrame with columns store and date, got {got}")
    names = frame["store"].astype(str).to_numpy()
    store = pd.Index(artifact["stores"]).get_indexer(pd.Index(names))
    if (store < 0).any():
        unknown = sorted(set(names[store < 0]))
        raise ValueError(f"SKU {artifact['sku']!r}: no store {unknown[:5]}; the model knows {artifact['stores'][:20]}")
    flags = {name: _numbers(frame, name, 0.0) for name in _effects(artifact["parameters"], "flags") if name in frame}
    return Inputs(
        artifact,
        store,
        _read_dates(artifact, frame["date"]),
        _numbers(frame, "price", np.nan) if "price" in frame else None,
        _read_events(artifact, frame["events"]) if "events" in frame else {},
        flags,
        _numbers(frame, "closed", 0.0) > 0 if "closed" in frame else None,
    )


def _effects(parameters: Json, what: str) -> list[str]:
    """Names of the events or flags that the model, or a member of it, has an effect of."""
    models = (parameters, *(member["parameters"] for member in parameters.get("members", ())))
    effects = (model.get(what, {}) for model in models)
    return list(dict.fromkeys(name for found in effects for name in (_flatten(found) if what == "events" else found)))


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
    """Event name -> 0/1 per row, for the events in the column that the model has an effect of."""
    codes, cells = pd.factorize(column)  # -1 where empty, which is the last row of ``held``
    parts = [{part.strip() for part in cell.split(SEPARATOR)} if isinstance(cell, str) else set() for cell in cells]
    known = [name for name in _effects(artifact["parameters"], "events") if any(name in names for names in parts)]
    return {name: np.array([*(float(name in names) for names in parts), 0.0])[codes] for name in known}


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
