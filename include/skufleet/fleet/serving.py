"""Which version answers for a SKU, and its answer: a forecast for every active series, whatever may be missing.

What does not belong here: promotion, publishing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.skufleet.config import Catalogue
from include.skufleet.errors import ArtifactError, PermanentError
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.inputs import active_stores
from include.skufleet.fleet.outcomes import SkuOutcome, to_dict
from include.skufleet.fleet.train import Answers
from include.skufleet.forecasting.candidates import forecast_panel, restore
from include.skufleet.forecasting.evaluation import fall_back
from include.skufleet.forecasting.panel import Floats, Panel

log = logging.getLogger(__name__)

ServedBy = Literal["production", "archived", "fallback"]
Artifact = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that answers for a SKU.

    Attributes:
        sku: the SKU's code.
        name: the registered model's name.
        version: its version.
        artifact_uri: the folder of its files.
        served_by: what the forecasts say of it: ``fallback`` for a version that was not trained.
    """

    sku: str
    name: str
    version: int
    artifact_uri: str
    served_by: ServedBy


def choose_serving(row: SkuOutcome, champion: Mapping[str, Any] | None, as_of: date) -> Serving | None:
    """The version that will answer for a SKU if promotion does what the gate says; ``None``: only the fallback can.

    Its new version, where the gate let it pass; else what is in production. A version in production that was trained
    after ``as_of`` knows days that the run must not: then the run's own version answers, and is kept for that alone.

    Args:
        row: what became of the SKU.
        champion: the version in production when the run was planned, as ``RegisteredVersion`` in JSON.
        as_of: the run's date.
    """
    usable = champion is not None and champion["as_of"] <= as_of.isoformat()
    if row.version and (row.gate == "passed" or not usable):
        promoted = row.gate == "passed" and (usable or champion is None)
        return serve_own(to_dict(row), promoted=promoted)
    return serve_production(champion) if champion and usable else None


def serve_own(row: Mapping[Any, Any], *, promoted: bool) -> Serving:
    """A run's own version, from its row of the results."""
    by: ServedBy = "fallback" if row["outcome"] != "trained" else "production" if promoted else "archived"
    return Serving(str(row["sku"]), str(row["registered_name"]), int(row["version"]), str(row["artifact_uri"]), by)


def serve_production(version: Mapping[Any, Any]) -> Serving:
    """The version in production: the fields of ``RegisteredVersion``."""
    by: ServedBy = "production" if version["outcome"] == "trained" else "fallback"
    return Serving(str(version["sku"]), str(version["name"]), int(version["version"]), str(version["artifact_uri"]), by)


def forecast_columns(catalogue: Catalogue) -> list[str]:
    """The columns of the forecasts, those of the intervals' bounds after the forecast that they belong to."""
    names = ["sku", "store", "date", "y_hat", *bound_columns(catalogue)]
    return [*names, "model_name", "model_version", "served_by"]


def join_forecasts(frames: Sequence[pd.DataFrame], catalogue: Catalogue) -> pd.DataFrame:
    """Forecasts of several SKUs; columns and types are there even without a row."""
    return pd.concat([_nothing(catalogue), *frames], ignore_index=True)


def _nothing(catalogue: Catalogue) -> pd.DataFrame:
    texts, numbers = ("sku", "store", "model_name", "served_by"), ("y_hat", *bound_columns(catalogue))
    types = {**dict.fromkeys(texts, "str"), **dict.fromkeys(numbers, "float64")}
    types |= {"date": "datetime64[s]", "model_version": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=types[name]) for name in forecast_columns(catalogue)})


def load_artifacts(clients: Clients, serving: Mapping[str, Serving]) -> dict[str, Artifact]:
    """The parameters of each model; one that cannot be read, or predicted from, is left out: the fallback serves."""
    try:
        found = clients.registry.load_parameters(serving.values(), clients.get_artifact)
    except PermanentError:
        found = {}
        for sku, item in serving.items():
            try:
                found |= clients.registry.load_parameters([item], clients.get_artifact)
            except PermanentError:
                log.warning("SKU %r: version %d cannot be read: fallback", sku, item.version, exc_info=True)
    usable: dict[str, Artifact] = {}
    for sku, artifact in found.items():
        try:
            usable[sku] = restore(artifact).artifact
        except ArtifactError:
            log.warning("SKU %r: version %d cannot be used: fallback", sku, serving[sku].version, exc_info=True)
    return usable


def forecast_sku(
    panel: Panel,
    catalogue: Catalogue,
    serving: Serving | None,
    artifact: Artifact | None,
    answers: Answers | None = None,
) -> pd.DataFrame | None:
    """The horizon of every active series of a SKU: by the serving version where it knows the store, else the fallback.

    Args:
        panel: the SKU's data.
        catalogue: horizon, levels of the intervals, when a series is retired.
        serving: the version that answers; ``None``: the fallback answers.
        artifact: its parameters; ``None`` where they cannot be read.
        answers: what it forecast already, when it was made.

    Returns:
        The columns of ``forecast_columns``; a bound is NaN where the answering model has no interval of that level.
        ``None`` where no series is active.
    """
    stores = active_stores(panel, catalogue.validation.inactive_after)
    if not stores:
        return None
    known = set() if serving is None or artifact is None else set(artifact["stores"])
    by_model = [position for position in stores if panel.stores[position] in known]
    others = [position for position in stores if panel.stores[position] not in known]
    values = {name: np.full((len(stores), panel.horizon), np.nan) for name in ("y_hat", *bound_columns(catalogue))}
    answered = np.isin(stores, by_model)
    if answers is not None and answers.stores == tuple(by_model):
        _fill(values, answered, answers.y_hat, answers.bounds)
    elif by_model and artifact is not None:
        _fill(values, answered, *forecast_panel(artifact, panel, by_model))
    if others:
        _fill(values, ~answered, *_fall_back(panel, catalogue, others))
    name, version, by = (serving.name, serving.version, serving.served_by) if serving else ("", 0, "fallback")
    repeated = np.repeat(answered, panel.horizon)
    return pd.DataFrame(
        {
            "sku": panel.sku,
            "store": np.repeat([panel.stores[position] for position in stores], panel.horizon),
            "date": np.tile(panel.future.dates.astype("datetime64[s]"), len(stores)),
            **{column: forecast.reshape(-1) for column, forecast in values.items()},
            "model_name": np.where(repeated, name, ""),
            "model_version": np.where(repeated, version, 0),
            "served_by": np.where(repeated, by, "fallback"),
        }
    )


def _fill(values: Mapping[str, Floats], rows: NDArray[np.bool_], y_hat: Floats, bounds: Mapping[str, Floats]) -> None:
    """Write the answers for some stores; a bound of a level that the model does not have stays unknown."""
    for name, forecast in {"y_hat": y_hat, **bounds}.items():
        if name in values:
            values[name][rows] = forecast


def _fall_back(panel: Panel, catalogue: Catalogue, stores: Sequence[int]) -> tuple[Floats, Mapping[str, Floats]]:
    """The fallback's answer; zero without bounds where even that fails: the chunk must go on."""
    try:
        return forecast_panel(fall_back(panel, catalogue).artifact, panel, stores)
    except Exception:
        log.warning("SKU %r: the fallback failed, its forecast is zero", panel.sku, exc_info=True)
        return np.zeros((len(stores), panel.horizon)), {}
