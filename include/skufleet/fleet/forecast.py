"""Put the forecasts of all chunks together, each series answered by what is in production, and publish in one step.

The chunks have forecast already, by the version that the gate let serve. Where production turned out otherwise (a
version was deleted, an alias moved by hand, a chunk was lost), this stage makes the answers that are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.chunk_data import load_part
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.components import EMPTY, choose_explanations, explain
from include.skufleet.fleet.report.pick import rank_to_explain
from include.skufleet.fleet.run import Run, RunKeys
from include.skufleet.fleet.serving import (
    Serving,
    forecast_columns,
    forecast_sku,
    join_forecasts,
    load_artifacts,
    serve_own,
    serve_production,
)
from include.skufleet.lake.publishing import update_published
from include.skufleet.lake.store import ObjectStore


def forecast_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """See that every active series has a forecast with its bounds, and who made it, and publish.

    The columns are ``sku, store, date, y_hat``, the bounds (see ``bound_columns``), ``model_name, model_version,
    served_by``. The latter says who answers: ``production``; ``archived``, the run's own version, where the run is of
    the past and what is in production knows days that the run must not; or ``fallback``, where no trained model can
    serve a series: there the seasonal naive (or zero demand) answers, so that every active series ends with a forecast.
    A bound is NaN where the answering model has no interval of that level: it was trained when the catalogue named
    other levels, or without any.

    The forecasts are published, by moving the catalogue's pointer, unless those of a later ``as_of`` already are. What
    is published of SKUs that no chunk was about (not asked for, or unchanged since) is taken over.

    For one SKU of each demand class it is written down, for the report, how its forecasts come about.

    Returns:
        Small JSON: series, rows, how many are served by what, and where the forecasts are.
    """
    plan = clients.store.get_json(run.plan_key)
    results = clients.store.get_frame(run.results_key)
    release = clients.store.get_frame(run.release_key)
    work = _Forecasting(clients, catalogue, run, plan["edition"], choose_versions(run, results, release))
    keys = [work.complete_chunk(chunk["chunk"], chunk["skus"]) for chunk in plan["chunks"]]
    work.explain(plan["chunks"], rank_to_explain(results))
    published = _publish(clients, catalogue, run, plan, keys)
    return {
        "series": work.served.total(),
        "rows": work.served.total() * catalogue.horizon,
        "served_by": dict(work.served),
        "published": published,
        "forecasts": clients.store.uri(run.forecast_folder),
    }


def choose_versions(run: Run, results: pd.DataFrame, release: pd.DataFrame) -> dict[str, Serving]:
    """SKU -> the version that answers: production, unless it was trained after the run's date."""
    made = results[results["version"] > 0].to_dict("records")
    known_then = release[release["as_of"] <= run.as_of.isoformat()].to_dict("records")
    own = {str(row["sku"]): serve_own(row, promoted=False) for row in made}
    in_production = {str(row["sku"]): serve_production(row) for row in known_then}
    return own | in_production


@dataclass(frozen=True)
class _Forecasting:
    """The forecasts of one run, chunk by chunk.

    Attributes:
        clients: the services.
        catalogue: the catalogue's settings.
        run: the run.
        edition: of the run's plan.
        serving: SKU -> the version that answers for it.
        served: how many series each kind of version serves.
    """

    clients: Clients
    catalogue: Catalogue
    run: Run
    edition: str
    serving: Mapping[str, Serving]
    served: Counter[str] = field(default_factory=lambda: Counter({"production": 0, "archived": 0, "fallback": 0}))

    def complete_chunk(self, chunk: str, skus: Sequence[str]) -> str:
        """Write the chunk's answers, with those of the versions that serve in place of others; the object's key."""
        store, key = self.clients.store, self.run.forecast_key(self.edition, chunk)
        own = f"{self.run.chunk_folder(chunk)}/forecast.parquet"
        made = store.get_frame(own) if store.exists(own) else None
        frame = join_forecasts([], self.catalogue) if made is None else made[made["sku"].isin(skus)]
        wrong = list(skus) if made is None else self._find_wrong(frame)
        if wrong:
            frame = join_forecasts([frame[~frame["sku"].isin(wrong)], *self._answer(chunk, wrong)], self.catalogue)
        store.put_frame(key, frame)
        self.served.update(frame.drop_duplicates(["sku", "store"])["served_by"])
        return key

    def _find_wrong(self, frame: pd.DataFrame) -> list[str]:
        """SKUs that another version answers for than the one that serves."""
        answered = frame[frame["model_version"] > 0].drop_duplicates("sku")
        by_model = {
            str(sku): (int(version), str(by))
            for sku, version, by in zip(answered["sku"], answered["model_version"], answered["served_by"], strict=True)
        }
        expected = {
            sku: (self.serving[sku].version, self.serving[sku].served_by)
            for sku in map(str, frame["sku"].unique())
            if sku in self.serving
        }
        # A SKU that only the fallback answers for may be one whose model could not be read: it is asked once more.
        return [sku for sku in map(str, frame["sku"].unique()) if by_model.get(sku) != expected.get(sku)]

    def _answer(self, chunk: str, skus: Sequence[str]) -> list[pd.DataFrame]:
        """Forecasts of some SKUs of a chunk, from their data; retired ones are not asked for."""
        if not skus:
            return []
        data = load_part(self.clients, self.catalogue, self.run, chunk, skus)
        asked = {sku: panel for sku, panel in data.panels.items() if data.verdict.skus[sku].status != "inactive"}
        artifacts = load_artifacts(self.clients, {sku: self.serving[sku] for sku in asked if sku in self.serving})
        frames = (
            forecast_sku(panel, self.catalogue, self.serving.get(sku), artifacts.get(sku))
            for sku, panel in asked.items()
        )
        return [frame for frame in frames if frame is not None]

    def explain(self, chunks: Sequence[Mapping[str, Any]], ranked: Mapping[str, Sequence[str]]) -> None:
        """Write how the forecasts of one SKU per demand class come about, from the questions that its chunk kept."""
        wanted = {sku for skus in ranked.values() for sku in skus if self._is_model(sku)}
        found: dict[str, pd.DataFrame] = {}
        for chunk in chunks:
            found |= self._explain_some(chunk["chunk"], wanted & set(chunk["skus"]))
        chosen = choose_explanations(ranked, found)
        self.clients.store.put_frame(self.run.components_key, pd.concat(chosen, ignore_index=True) if chosen else EMPTY)

    def _is_model(self, sku: str) -> bool:
        return sku in self.serving and self.serving[sku].served_by != "fallback"

    def _explain_some(self, chunk: str, skus: Collection[str]) -> dict[str, pd.DataFrame]:
        key = f"{self.run.chunk_folder(chunk)}/inputs.parquet"
        if not skus or not self.clients.store.exists(key):
            return {}
        questions = self.clients.store.get_frame(key)
        if questions.empty:
            return {}
        artifacts = load_artifacts(self.clients, {sku: self.serving[sku] for sku in skus})
        asked = {
            sku: questions[(questions["sku"] == sku) & questions["store"].isin(artifact["stores"])]
            for sku, artifact in artifacts.items()
        }
        return {sku: explain(artifacts[sku], rows) for sku, rows in asked.items() if len(rows)}


def _publish(clients: Clients, catalogue: Catalogue, run: Run, plan: Mapping[str, Any], keys: list[str]) -> bool:
    """Move the pointer to these forecasts, unless it points to a later ``as_of``; whether it was moved."""
    as_of = run.as_of.isoformat()
    every = list(keys)

    def add_others(current: Any | None) -> dict[str, Any]:
        others = _take_over_others(clients, run, plan, current["keys"], catalogue) if current is not None else []
        content = {"run_id": run.run_id, "as_of": as_of, "horizon": catalogue.horizon, "release": run.release_key}
        every[:] = keys + others
        return content | {"keys": every}

    published = update_published(clients.store, run.forecast_pointer, as_of, add_others)
    if not published:  # a run of the past that is done again: what it need not make anew is in its own list
        every[:] = keys + _take_over_others(clients, run, plan, list_forecasts(clients.store, run), catalogue)
    clients.store.put_json(run.forecast_list_key, {"edition": plan["edition"], "keys": every})
    return published


def list_forecasts(store: ObjectStore, run: RunKeys) -> list[str]:
    """The objects that hold a run's forecasts, published or not; none before they are complete."""
    listed = store.find_json(run.forecast_list_key)
    return [] if listed is None else list(listed["keys"])


def _take_over_others(
    clients: Clients, run: Run, plan: Mapping[str, Any], published: list[str], catalogue: Catalogue
) -> list[str]:
    """Copy what is published of SKUs that the run is not about; the key of the copy, none where there is nothing.

    The copy has this run's columns: a bound of a level that those forecasts do not have is NaN. On a second try the
    pointer may name this run already: then the copy is read, and written again as it was.
    """
    asked = {sku for chunk in plan["chunks"] for sku in chunk["skus"]}
    left_out = clients.store.get_frame(run.not_planned_key, ["sku", "unchanged_since"])
    asked |= set(left_out.loc[left_out["unchanged_since"] == "", "sku"])
    frames = [clients.store.get_frame(key) for key in published]
    others = [frame[~frame["sku"].isin(asked)] for frame in frames]
    if not run.skus:
        unchanged = set(left_out["sku"])
        others = [frame[frame["sku"].isin(unchanged)] for frame in others]
    if not any(len(frame) for frame in others):
        return []
    key = run.forecast_key(plan["edition"], "others")
    clients.store.put_frame(key, pd.concat(others, ignore_index=True).reindex(columns=forecast_columns(catalogue)))
    return [key]
