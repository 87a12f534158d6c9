"""Forecast every active series with the model in production, and publish in one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.chunk_data import load_chunk
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.inputs import forecast_inputs
from include.skufleet.fleet.run import Run
from include.skufleet.forecasting.scoring import predict
from include.skufleet.lake.publishing import publish, read_published
from include.skufleet.registry.client import load_parameters
from include.skufleet.registry.records import RegisteredVersion

COLUMNS = ["sku", "store", "date", "y_hat", "model_name", "model_version", "served_by"]


def forecast_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """Write ``sku, store, date, y_hat, model_name, model_version, served_by`` for every active series and the horizon.

    ``served_by`` is ``production``, or ``fallback`` where no model in production can serve a series: there the
    seasonal naive (or zero demand) answers, so that every active series ends with a forecast.

    The forecasts are published, by moving the catalogue's pointer, unless newer ones already are.

    Returns:
        Small JSON: series, rows, how many are served by what, and where the forecasts are.
    """
    plan = clients.store.get_json(run.plan_key)
    production = clients.registry.production(catalogue.name)
    keys, served, series = [], {"production": 0, "fallback": 0}, 0
    for chunk in plan["chunks"]:
        asked = _read_inputs(clients, catalogue, run, chunk["chunk"])
        frame = _forecast_chunk(clients, asked, {sku: production[sku] for sku in chunk["skus"] if sku in production})
        key = f"{run.forecast_folder}/part-{chunk['chunk']}.parquet"
        clients.store.put_frame(key, frame)
        keys.append(key)
        one_per_series = frame.drop_duplicates(["sku", "store"])
        series += len(one_per_series)
        for name, number in one_per_series["served_by"].value_counts().items():
            served[str(name)] += int(number)
    published = _publish(clients, catalogue, run, keys)
    return {
        "series": series,
        "rows": series * catalogue.horizon,
        "served_by": served,
        "published": published,
        "forecasts": clients.store.uri(run.forecast_folder),
    }


def _read_inputs(clients: Clients, catalogue: Catalogue, run: Run, chunk: str) -> pd.DataFrame:
    """What the chunk's models are asked; made again where the chunk was lost before it wrote it."""
    key = f"{run.chunk_folder(chunk)}/inputs.parquet"
    if clients.store.exists(key):
        return clients.store.get_frame(key)
    return forecast_inputs(load_chunk(clients, catalogue, run, chunk), catalogue)


def _forecast_chunk(clients: Clients, asked: pd.DataFrame, production: Mapping[str, RegisteredVersion]) -> pd.DataFrame:
    """Every row of ``asked`` with a forecast."""
    artifacts = load_parameters(production.values(), clients.get_artifact)
    frames = [
        _forecast_sku(str(sku), rows, production.get(str(sku)), artifacts.get(str(sku)))
        for sku, rows in asked.groupby("sku", sort=True)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _forecast_sku(
    sku: str, asked: pd.DataFrame, version: RegisteredVersion | None, artifact: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The model in production where it knows the store, the fallback elsewhere."""
    out = pd.DataFrame(
        {
            "sku": sku,
            "store": asked["store"].astype("str").to_numpy(),
            "date": asked["date"].to_numpy(),
            "y_hat": asked["fallback"].to_numpy(dtype=float),
            "model_name": "",
            "model_version": 0,
            "served_by": "fallback",
        }
    )
    if version is None or artifact is None:
        return out
    known = out["store"].isin(artifact["stores"]).to_numpy()
    if known.any():
        answer = predict(artifact, asked[known].drop(columns=["fallback"]))
        out.loc[known, "y_hat"] = answer["y_hat"].to_numpy()
        out.loc[known, "model_name"] = version.name
        out.loc[known, "model_version"] = int(version.version)
        if version.outcome == "trained":
            out.loc[known, "served_by"] = "production"
    return out


def _publish(clients: Clients, catalogue: Catalogue, run: Run, keys: list[str]) -> bool:
    """Move the pointer to these forecasts, unless it points to a later ``as_of``; whether it was moved."""
    pointer = f"forecasts/{catalogue.name}/current.json"
    current = read_published(clients.store, pointer)
    if current is not None and current["as_of"] > run.as_of.isoformat():
        return False
    content = {"run_id": run.run_id, "as_of": run.as_of.isoformat(), "horizon": catalogue.horizon, "keys": keys}
    publish(clients.store, pointer, content)
    return True
