"""Retrain one chunk, end to end: read, validate, backtest, train and register each of its SKUs.

One SKU that fails is recorded and the others go on. A service that is away stops the chunk, to be tried again: what
was finished by then is in the checkpoints and is not done twice.
"""

from __future__ import annotations

import inspect
import logging
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from include.skufleet.config import Catalogue
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.chunk_data import ChunkData, load_chunk
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.inputs import forecast_inputs
from include.skufleet.fleet.outcomes import SkuOutcome, count, to_frame
from include.skufleet.fleet.progress import join_backtests, read_checkpoints, write_checkpoint
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.stockouts import list_stockouts
from include.skufleet.fleet.train import Draft, describe_error, draft_sku
from include.skufleet.forecasting import scoring
from include.skufleet.registry.links import registry_search_url, run_url
from include.skufleet.registry.package import ModelPackage, demand_signature, pinned
from include.skufleet.registry.records import ChunkRun, ModelRecord

CHECKPOINT_SKUS = 25
"""SKUs that are written down together: a killed task does at most so many again."""

log = logging.getLogger(__name__)


def retrain_chunk(clients: Clients, catalogue: Catalogue, run: Run, chunk: str) -> dict[str, Any]:
    """Retrain the SKUs of one chunk and write its results, backtest, quarantine, stock-outs and forecast inputs to S3.

    Returns:
        Small JSON: counts of outcomes, seconds, peak memory of the process (MB), and links.

    Raises:
        TransientError: a service is away; a retry goes on from the last checkpoint.
        DataError: the chunk's history does not have the columns that it must have.
    """
    started, folder = time.perf_counter(), run.chunk_folder(chunk)
    data = load_chunk(clients, catalogue, run, chunk)
    mlflow_run = clients.registry.chunk_run(
        catalogue.name, run.run_id, chunk, run.as_of, {"table_version": str(data.table_version)}
    )
    with threadpool_limits(limits=1):
        work = _ChunkWork(clients, catalogue, run, chunk, data, mlflow_run)
        work.do_all()
    results = work.write()
    seconds = time.perf_counter() - started
    clients.registry.finish(mlflow_run, metrics=_fleet_metrics(results) | {"seconds": seconds})
    summary = {
        "chunk": chunk,
        "counts": count(results),
        "seconds": round(seconds, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    details = {"expectations": [asdict(item) for item in data.verdict.expectations], "mlflow_run": mlflow_run.run_id}
    clients.store.put_json(f"{folder}/summary.json", summary | details)
    names = [name for name in results["registered_name"] if name]
    return summary | {"links": _links(clients.settings.mlflow_ui_url, catalogue, mlflow_run, names)}


def _links(mlflow_ui: str, catalogue: Catalogue, mlflow_run: ChunkRun, names: Sequence[str]) -> dict[str, str]:
    """The chunk's MLflow run, and the registry filtered to its SKUs."""
    if not mlflow_ui:
        return {}
    return {
        "mlflow_run": run_url(mlflow_ui, mlflow_run.experiment_id, mlflow_run.run_id),
        "registry": registry_search_url(mlflow_ui, catalogue.name, names=names),
    }


def _fleet_metrics(results: pd.DataFrame) -> dict[str, float]:
    """The chunk's own figures, pooled over its SKUs: what its MLflow run shows."""
    judged = results[results["units"] > 0]
    units = float(judged["units"].sum())
    pooled = {"wape": "abs_error", "baseline_wape": "baseline_abs_error", "bias": "signed_error"}
    figures = {name: float(judged[column].sum()) / units for name, column in pooled.items()} if units else {}
    return figures | {f"skus_{outcome}": float(number) for outcome, number in count(results).items()}


@dataclass
class _ChunkWork:
    """The SKUs of a chunk: those that earlier tries finished, and those that are still to do."""

    clients: Clients
    catalogue: Catalogue
    run: Run
    chunk: str
    data: ChunkData
    mlflow_run: ChunkRun

    def __post_init__(self) -> None:
        self.folder = self.run.chunk_folder(self.chunk)
        flags = self.catalogue.landing.calendar.flags if self.catalogue.landing.calendar else {}
        signature = demand_signature(flags, bound_columns(self.catalogue))
        self.package = ModelPackage(inspect.getsource(scoring), signature, pinned())
        # A run that is planned anew, from a cleared first task on, may give the chunk other SKUs than it had.
        finished, backtest = read_checkpoints(self.clients.store, self.folder)
        self.written = len(finished)
        self.finished = finished[finished["sku"].isin(list(self.data.skus))]
        self.backtests = [backtest[backtest["sku"].isin(list(self.data.skus))]]

    def do_all(self) -> None:
        """Train and register what no checkpoint knows yet; a checkpoint after each ``CHECKPOINT_SKUS``."""
        to_do = sorted(set(self.data.skus) - set(self.finished["sku"]))
        self.clients.registry.prepare(self.mlflow_run, to_do)
        for start in range(0, len(to_do), CHECKPOINT_SKUS):
            drafts = [self._draft(sku) for sku in to_do[start : start + CHECKPOINT_SKUS]]
            outcomes = [self._register(draft) for draft in drafts]
            self.clients.registry.flush(self.mlflow_run)
            self._write_down(outcomes, drafts)
            log.info("%s: %d of %d SKUs", self.chunk, len(self.finished), len(self.data.skus))

    def write(self) -> pd.DataFrame:
        """The chunk's objects; the results last, since they make the chunk count as done. Returns the results."""
        store = self.clients.store
        store.put_frame(f"{self.folder}/backtest.parquet", join_backtests(self.backtests))
        store.put_frame(f"{self.folder}/quarantine.parquet", self.data.verdict.bad_rows)
        trained = self.finished.loc[self.finished["outcome"] == "trained", "sku"]
        masked = list_stockouts(self.data.panels[sku] for sku in trained if sku in self.data.panels)
        store.put_frame(f"{self.folder}/stockouts.parquet", masked)
        store.put_frame(f"{self.folder}/inputs.parquet", forecast_inputs(self.data, self.catalogue))
        store.put_frame(f"{self.folder}/results.parquet", self.finished)
        return self.finished

    def _draft(self, sku: str) -> Draft:
        started, known = time.perf_counter(), self.data.skus[sku]
        draft = draft_sku(
            sku,
            self.data.panels.get(sku),
            self.data.verdict.skus[sku],
            self.catalogue,
            department=known["department"],
            champion=known["production"],
            force=self.run.force,
        )
        seconds = round(time.perf_counter() - started, 4)
        return replace(draft, row=replace(draft.row, chunk=self.chunk, seconds=seconds))

    def _register(self, draft: Draft) -> SkuOutcome:
        """One new version where there is a model to register; a SKU that MLflow refuses fails alone."""
        row = draft.row
        if draft.artifact is None:
            return row
        try:
            version = self.clients.registry.register(self.mlflow_run, self._record(draft))
        except PermanentError as error:
            log.warning("SKU %r could not be registered", row.sku, exc_info=True)
            text = describe_error(error)
            return replace(row, outcome="failed", reason="could not be registered", step="register", error=text)
        return replace(
            row,
            registered_name=version.name,
            version=version.version,
            model_id=version.model_id,
            mlflow_run_id=self.mlflow_run.run_id,
            artifact_uri=version.artifact_uri,
            artifact_bytes=version.artifact_bytes,
        )

    def _record(self, draft: Draft) -> ModelRecord:
        """What MLflow shows of the model."""
        row = draft.row
        figures = ("wape", "bias", "rmsse", "mase", "mae", "rmse", "baseline_wape", "baseline_rmsse")
        shown = {name: f"{getattr(row, name):.4f}" for name in ("wape", "bias", "rmsse", "baseline_wape")}
        return ModelRecord(
            sku=row.sku,
            department=row.department,
            package=self.package,
            parameters=draft.artifact or {},
            params={"candidate": row.candidate, "horizon": self.catalogue.horizon, "stores": row.stores},
            metrics={name: getattr(row, name) for name in figures},
            tags={
                **self.data.skus[row.sku]["hierarchy"],
                "candidate": row.candidate,
                "outcome": "trained" if row.outcome == "trained" else "fallback",
                "fingerprint": row.fingerprint,
                "demand_class": row.demand_class,
                "chosen_because": row.reason,
                **{name: text for name, text in shown.items() if not math.isnan(getattr(row, name))},
            },
        )

    def _write_down(self, outcomes: Sequence[SkuOutcome], drafts: Sequence[Draft]) -> None:
        backtest = join_backtests([draft.backtest for draft in drafts if draft.backtest is not None])
        write_checkpoint(self.clients.store, self.folder, self.written, outcomes, backtest)
        self.written += len(outcomes)
        self.finished = pd.concat([self.finished, to_frame(outcomes)], ignore_index=True)
        self.backtests.append(backtest)
