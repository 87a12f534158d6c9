"""Forecast every active series with the model in production, and publish in one step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.chunk_data import load_chunk
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.inputs import forecast_inputs
from include.skufleet.fleet.run import Run
from include.skufleet.forecasting.scoring import predict
from include.skufleet.lake.publishing import publish, read_published

log = logging.getLogger(__name__)

ServedBy = Literal["production", "archived", "fallback"]
COLUMNS = ["sku", "store", "date", "y_hat", "model_name", "model_version", "served_by"]


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that answers for a SKU."""

    sku: str
    name: str
    version: int
    artifact_uri: str
    served_by: ServedBy


def forecast_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """Write ``sku, store, date, y_hat, model_name, model_version, served_by`` for every active series and the horizon.

    ``served_by`` says who answers: ``production``; ``archived``, the run's own version, where the run is of the past
    and what is in production knows days that the run must not; or ``fallback``, where no trained model can serve a
    series: there the seasonal naive (or zero demand) answers, so that every active series ends with a forecast.

    The forecasts are published, by moving the catalogue's pointer, unless those of a later ``as_of`` already are. A run
    of some SKUs only takes over what is published of the others, so that they keep theirs.

    Returns:
        Small JSON: series, rows, how many are served by what, and where the forecasts are.
    """
    plan = clients.store.get_json(run.plan_key)
    serving = _choose_versions(clients, catalogue, run)
    keys, served = [], Counter({"production": 0, "archived": 0, "fallback": 0})
    for chunk in plan["chunks"]:
        asked = _read_inputs(clients, catalogue, run, chunk["chunk"])
        frame = _forecast_chunk(clients, asked, {sku: serving[sku] for sku in chunk["skus"] if sku in serving})
        key = f"{run.forecast_folder}/part-{chunk['chunk']}.parquet"
        clients.store.put_frame(key, frame)
        keys.append(key)
        served.update(frame.drop_duplicates(["sku", "store"])["served_by"])
    return {
        "series": served.total(),
        "rows": served.total() * catalogue.horizon,
        "served_by": dict(served),
        "published": _publish(clients, catalogue, run, plan, keys),
        "forecasts": clients.store.uri(run.forecast_folder),
    }


def _choose_versions(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Serving]:
    """SKU -> the version that answers: production, unless it was trained after the run's date."""
    own = {
        str(row["sku"]): Serving(
            sku=str(row["sku"]),
            name=str(row["registered_name"]),
            version=int(row["version"]),
            artifact_uri=str(row["artifact_uri"]),
            served_by="archived" if row["outcome"] == "trained" else "fallback",
        )
        for row in clients.store.get_frame(run.results_key).to_dict("records")
        if row["version"] > 0
    }
    in_production = {
        sku: Serving(
            sku=sku,
            name=item.name,
            version=item.version,
            artifact_uri=item.artifact_uri,
            served_by="production" if item.outcome == "trained" else "fallback",
        )
        for sku, item in clients.registry.production(catalogue.name).items()
        if item.as_of <= run.as_of.isoformat()
    }
    return own | in_production


def _read_inputs(clients: Clients, catalogue: Catalogue, run: Run, chunk: str) -> pd.DataFrame:
    """What the chunk's models are asked; made again where the chunk was lost before it wrote it."""
    key = f"{run.chunk_folder(chunk)}/inputs.parquet"
    if clients.store.exists(key):
        return clients.store.get_frame(key)
    return forecast_inputs(load_chunk(clients, catalogue, run, chunk), catalogue)


def _forecast_chunk(clients: Clients, asked: pd.DataFrame, serving: Mapping[str, Serving]) -> pd.DataFrame:
    """Every row of ``asked`` with a forecast."""
    artifacts = _load(clients, serving)
    frames = [
        _forecast_sku(str(sku), rows, serving.get(str(sku)), artifacts.get(str(sku)))
        for sku, rows in asked.groupby("sku", sort=True)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _load(clients: Clients, serving: Mapping[str, Serving]) -> dict[str, dict[str, Any]]:
    """The parameters of each model; one that cannot be read is left out, and its series get the fallback."""
    try:
        return clients.registry.load_parameters(serving.values(), clients.get_artifact)
    except PermanentError:
        found: dict[str, dict[str, Any]] = {}
        for sku, item in serving.items():
            try:
                found |= clients.registry.load_parameters([item], clients.get_artifact)
            except PermanentError:
                log.warning("SKU %r: version %d cannot be read: fallback", sku, item.version, exc_info=True)
        return found


def _forecast_sku(
    sku: str, asked: pd.DataFrame, serving: Serving | None, artifact: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The serving version where it knows the store, the fallback elsewhere."""
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
    if serving is None or artifact is None:
        return out
    known = out["store"].isin(artifact["stores"]).to_numpy()
    if known.any():
        answer = predict(artifact, asked[known].drop(columns=["fallback"]))
        out.loc[known, "y_hat"] = answer["y_hat"].to_numpy()
        out.loc[known, "model_name"] = serving.name
        out.loc[known, "model_version"] = serving.version
        out.loc[known, "served_by"] = serving.served_by
    return out


def _publish(clients: Clients, catalogue: Catalogue, run: Run, plan: Mapping[str, Any], keys: list[str]) -> bool:
    """Move the pointer to these forecasts, unless it points to a later ``as_of``; whether it was moved."""
    pointer = f"forecasts/{catalogue.name}/current.json"
    current = read_published(clients.store, pointer)
    if current is not None and current["as_of"] > run.as_of.isoformat():
        return False
    if run.skus and current is not None:
        keys = keys + _take_over_others(clients, run, plan, current["keys"])
    content = {"run_id": run.run_id, "as_of": run.as_of.isoformat(), "horizon": catalogue.horizon, "keys": keys}
    publish(clients.store, pointer, content)
    return True


def _take_over_others(clients: Clients, run: Run, plan: Mapping[str, Any], published: list[str]) -> list[str]:
    """Copy what is published of SKUs that the run was not asked for; the key of the copy, none where there is nothing.

    On a second try the pointer may name this run already: then the copy is read, and written again as it was.
    """
    asked = {sku for chunk in plan["chunks"] for sku in chunk["skus"]} | {item["sku"] for item in plan["not_planned"]}
    frames = [clients.store.get_frame(key) for key in published]
    others = [frame for frame in (frame[~frame["sku"].isin(asked)] for frame in frames) if len(frame)]
    if not others:
        return []
    key = f"{run.forecast_folder}/part-others.parquet"
    clients.store.put_frame(key, pd.concat(others, ignore_index=True))
    return [key]
