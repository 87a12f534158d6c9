"""Forecast every active series with the model in production, and publish in one step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import ArtifactError, PermanentError
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.chunk_data import load_chunk
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.components import EMPTY, choose_explanations, explain
from include.skufleet.fleet.inputs import FALLBACK, drop_answers, forecast_inputs
from include.skufleet.fleet.report.pick import rank_to_explain
from include.skufleet.fleet.run import Run
from include.skufleet.forecasting.candidates import restore
from include.skufleet.forecasting.scoring import predict
from include.skufleet.lake.publishing import publish, read_published

log = logging.getLogger(__name__)

ServedBy = Literal["production", "archived", "fallback"]


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that answers for a SKU."""

    sku: str
    name: str
    version: int
    artifact_uri: str
    served_by: ServedBy


def forecast_columns(bounds: Sequence[str]) -> list[str]:
    """The columns of the forecasts, those of the intervals' bounds after the forecast that they belong to."""
    return ["sku", "store", "date", "y_hat", *bounds, "model_name", "model_version", "served_by"]


def forecast_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """Write a forecast with its bounds, and who made it, for every active series and period of the horizon.

    The columns are ``sku, store, date, y_hat``, the bounds (see ``bound_columns``), ``model_name, model_version,
    served_by``. The latter says who answers: ``production``; ``archived``, the run's own version, where the run is of
    the past and what is in production knows days that the run must not; or ``fallback``, where no trained model can
    serve a series: there the seasonal naive (or zero demand) answers, so that every active series ends with a forecast.
    A bound is NaN where the answering model has no interval of that level: it was trained when the catalogue named
    other levels, or without any.

    The forecasts are published, by moving the catalogue's pointer, unless those of a later ``as_of`` already are. A run
    of some SKUs only takes over what is published of the others, so that they keep theirs.

    For one SKU of each demand class it is written down, for the report, how its forecasts come about.

    Returns:
        Small JSON: series, rows, how many are served by what, and where the forecasts are.
    """
    plan = clients.store.get_json(run.plan_key)
    results = clients.store.get_frame(run.results_key)
    work = _Forecasting(
        clients=clients,
        bounds=bound_columns(catalogue),
        serving=_choose_versions(clients, catalogue, run, results),
        ranked=rank_to_explain(results),
    )
    keys, served = [], Counter({"production": 0, "archived": 0, "fallback": 0})
    for chunk in plan["chunks"]:
        frame = work.forecast_chunk(_read_inputs(clients, catalogue, run, chunk["chunk"]), chunk["skus"])
        key = f"{run.forecast_folder}/part-{chunk['chunk']}.parquet"
        clients.store.put_frame(key, frame)
        keys.append(key)
        served.update(frame.drop_duplicates(["sku", "store"])["served_by"])
    work.write_explanations(run)
    return {
        "series": served.total(),
        "rows": served.total() * catalogue.horizon,
        "served_by": dict(served),
        "published": _publish(clients, catalogue, run, plan, keys),
        "forecasts": clients.store.uri(run.forecast_folder),
    }


def _choose_versions(clients: Clients, catalogue: Catalogue, run: Run, results: pd.DataFrame) -> dict[str, Serving]:
    """SKU -> the version that answers: production, unless it was trained after the run's date."""
    own = {
        str(row["sku"]): Serving(
            sku=str(row["sku"]),
            name=str(row["registered_name"]),
            version=int(row["version"]),
            artifact_uri=str(row["artifact_uri"]),
            served_by="archived" if row["outcome"] == "trained" else "fallback",
        )
        for row in results.to_dict("records")
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


@dataclass(frozen=True)
class _Forecasting:
    """The forecasts of one run, chunk by chunk, and the explanations that are found on the way.

    Attributes:
        clients: the services.
        bounds: columns of the intervals' bounds.
        serving: SKU -> the version that answers for it.
        ranked: demand class -> SKUs that may be explained, the one to prefer first.
        explanations: SKU -> how its forecasts come about.
    """

    clients: Clients
    bounds: Sequence[str]
    serving: Mapping[str, Serving]
    ranked: Mapping[str, Sequence[str]]
    explanations: dict[str, pd.DataFrame] = field(default_factory=dict)

    def forecast_chunk(self, asked: pd.DataFrame, skus: Sequence[str]) -> pd.DataFrame:
        """Every row of ``asked`` with a forecast."""
        serving = {sku: self.serving[sku] for sku in skus if sku in self.serving}
        artifacts = _load(self.clients, serving)
        frames = []
        for name, rows in asked.groupby("sku", sort=True):
            sku = str(name)
            frames.append(_forecast_sku(sku, rows, serving.get(sku), artifacts.get(sku), self.bounds))
            if sku in artifacts and serving[sku].served_by != "fallback":
                self._explain(sku, rows, artifacts[sku])
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=forecast_columns(self.bounds))

    def _explain(self, sku: str, asked: pd.DataFrame, artifact: Mapping[str, Any]) -> None:
        """Keep how the forecasts of this SKU come about, if it is one that may be explained."""
        known = asked[asked["store"].isin(artifact["stores"])]
        if len(known) and any(sku in skus for skus in self.ranked.values()):
            self.explanations[sku] = explain(artifact, drop_answers(known))

    def write_explanations(self, run: Run) -> None:
        """One SKU per demand class."""
        chosen = choose_explanations(self.ranked, self.explanations)
        self.clients.store.put_frame(run.components_key, pd.concat(chosen, ignore_index=True) if chosen else EMPTY)


def _load(clients: Clients, serving: Mapping[str, Serving]) -> dict[str, Mapping[str, Any]]:
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
    usable: dict[str, Mapping[str, Any]] = {}
    for sku, artifact in found.items():
        try:
            usable[sku] = restore(artifact).artifact
        except ArtifactError:
            log.warning("SKU %r: version %d cannot be used: fallback", sku, serving[sku].version, exc_info=True)
    return usable


def _forecast_sku(
    sku: str,
    asked: pd.DataFrame,
    serving: Serving | None,
    artifact: Mapping[str, Any] | None,
    bounds: Sequence[str],
) -> pd.DataFrame:
    """The serving version where it knows the store, the fallback elsewhere."""
    out = pd.DataFrame(
        {
            "sku": sku,
            "store": asked["store"].astype("str").to_numpy(),
            "date": asked["date"].to_numpy(),
            **{name: asked[FALLBACK + name].to_numpy(dtype=float) for name in ("y_hat", *bounds)},
            "model_name": "",
            "model_version": 0,
            "served_by": "fallback",
        }
    )
    if serving is None or artifact is None:
        return out
    known = out["store"].isin(artifact["stores"]).to_numpy()
    if known.any():
        answer = predict(artifact, drop_answers(asked[known]))
        for name in ("y_hat", *bounds):
            out.loc[known, name] = answer[name].to_numpy() if name in answer else np.nan
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
        keys = keys + _take_over_others(clients, run, plan, current["keys"], forecast_columns(bound_columns(catalogue)))
    content = {"run_id": run.run_id, "as_of": run.as_of.isoformat(), "horizon": catalogue.horizon, "keys": keys}
    publish(clients.store, pointer, content)
    return True


def _take_over_others(
    clients: Clients, run: Run, plan: Mapping[str, Any], published: list[str], columns: list[str]
) -> list[str]:
    """Copy what is published of SKUs that the run was not asked for; the key of the copy, none where there is nothing.

    The copy has this run's columns: a bound of a level that those forecasts do not have is NaN. On a second try the
    pointer may name this run already: then the copy is read, and written again as it was.
    """
    asked = {sku for chunk in plan["chunks"] for sku in chunk["skus"]} | {item["sku"] for item in plan["not_planned"]}
    frames = [clients.store.get_frame(key) for key in published]
    others = [frame for frame in (frame[~frame["sku"].isin(asked)] for frame in frames) if len(frame)]
    if not others:
        return []
    key = f"{run.forecast_folder}/part-others.parquet"
    clients.store.put_frame(key, pd.concat(others, ignore_index=True).reindex(columns=columns))
    return [key]
