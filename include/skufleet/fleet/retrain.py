"""Retrain one chunk, end to end: read, validate, backtest, train, register and forecast each of its SKUs.

One SKU that fails is recorded and the others go on. A service that is away stops the chunk, to be tried again: what
was finished by then is in the checkpoints and is not done twice. What kills the process is found by the next tries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from include.skufleet.config import Catalogue
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.attempts import Attempt
from include.skufleet.fleet.chunk_data import ChunkData, load_chunk
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.drafting import Drafting
from include.skufleet.fleet.inputs import active_stores, model_inputs
from include.skufleet.fleet.outcomes import SkuOutcome, count, to_frame
from include.skufleet.fleet.progress import (
    Checkpoint,
    count_written,
    join_backtests,
    join_trials,
    read_checkpoints,
    write_checkpoint,
)
from include.skufleet.fleet.recording import Recording, list_figures
from include.skufleet.fleet.report.pick import rank_to_explain
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.serving import Artifact, choose_serving, forecast_sku, join_forecasts, load_artifacts
from include.skufleet.fleet.stages import read_peak_memory
from include.skufleet.fleet.stockouts import list_stockouts
from include.skufleet.fleet.train import Draft, describe_error
from include.skufleet.registry.links import registry_search_url, run_url
from include.skufleet.registry.records import ChunkRun, RegisteredVersion
from include.skufleet.registry.register import Registered

CHECKPOINT_SKUS = 50
"""SKUs that are written down together: a killed task does at most so many again."""

log = logging.getLogger(__name__)


def retrain_chunk(clients: Clients, catalogue: Catalogue, run: Run, chunk: str) -> dict[str, Any]:
    """Retrain the SKUs of one chunk; write results, backtest, quarantine, stock-outs and forecasts to S3.

    Returns:
        Small JSON: counts of outcomes, seconds, peak memory of the process (MB), and links.

    Raises:
        TransientError: a service is away; a retry goes on from the last checkpoint.
        DataError: the chunk's history does not have the columns that it must have.
    """
    started, folder = time.perf_counter(), run.chunk_folder(chunk)
    attempt = Attempt.begin(clients.store, folder)
    data = load_chunk(clients, catalogue, run, chunk)
    mlflow_run = clients.registry.chunk_run(
        catalogue.name, run.run_id, chunk, run.as_of, {"table_version": str(data.table_version)}
    )
    with threadpool_limits(limits=1):
        drafting = Drafting(catalogue, data, chunk, run.force, attempt)
        work = _ChunkWork(clients, catalogue, run, chunk, data, drafting, mlflow_run)
        work.do_all()
    results = work.write()
    seconds = time.perf_counter() - started
    metrics = _fleet_metrics(results) | {"seconds": seconds}
    clients.registry.finish(mlflow_run, metrics=metrics, table=list_figures(results))
    summary = {
        "chunk": chunk,
        "counts": count(results),
        "seconds": round(seconds, 2),
        "peak_rss_mb": read_peak_memory(),
    }
    details = {"expectations": [asdict(item) for item in data.verdict.expectations], "mlflow_run": mlflow_run.run_id}
    clients.store.put_json(f"{folder}/summary.json", summary | details)
    attempt.end()
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
    drafting: Drafting
    mlflow_run: ChunkRun

    def __post_init__(self) -> None:
        self.folder = self.run.chunk_folder(self.chunk)
        self.recording = Recording.of(self.catalogue)
        # A run that is planned anew, from a cleared first task on, may give the chunk other SKUs or data than it had.
        fingerprints = {sku: known["fingerprint"] for sku, known in self.data.skus.items()}
        self.parts = [read_checkpoints(self.clients.store, self.folder, fingerprints)]
        self.written = count_written(self.clients.store, self.folder)

    def do_all(self) -> None:
        """Train, register and forecast what no checkpoint knows yet; a checkpoint after each ``CHECKPOINT_SKUS``."""
        to_do = sorted(set(self.data.skus) - set(self.parts[0].outcomes["sku"]))
        for start in range(0, len(to_do), CHECKPOINT_SKUS):
            drafts = self.drafting.draft_all(to_do[start : start + CHECKPOINT_SKUS])
            done = self._register(drafts)
            part = Checkpoint(
                outcomes=to_frame(done),
                backtest=join_backtests([draft.backtest for draft in drafts if draft.backtest is not None]),
                forecasts=self._forecast(done, {draft.row.sku: draft for draft in drafts}),
                trials=self._list_trials(done, drafts),
            )
            write_checkpoint(self.clients.store, self.folder, self.written, part)
            self.written += len(done)
            self.parts.append(part)
            finished = sum(len(each.outcomes) for each in self.parts)
            log.info("%s: %d of %d SKUs", self.chunk, finished, len(self.data.skus))

    def write(self) -> pd.DataFrame:
        """The chunk's objects; the results last, since they make the chunk count as done. Returns the results."""
        store, folder = self.clients.store, self.folder
        results = pd.concat([part.outcomes for part in self.parts], ignore_index=True)
        forecasts = join_forecasts([part.forecasts for part in self.parts], self.catalogue)
        store.put_frame(f"{folder}/backtest.parquet", join_backtests([part.backtest for part in self.parts]))
        store.put_frame(f"{folder}/quarantine.parquet", self.data.verdict.bad_rows)
        trained = results.loc[results["outcome"] == "trained", "sku"]
        masked = list_stockouts(self.data.panels[sku] for sku in trained if sku in self.data.panels)
        store.put_frame(f"{folder}/stockouts.parquet", masked)
        store.put_frame(f"{folder}/inputs.parquet", self._list_questions(results))
        store.put_frame(f"{folder}/forecast.parquet", forecasts)
        store.put_frame(f"{folder}/trials.parquet", join_trials([part.trials for part in self.parts]))
        store.put_frame(f"{folder}/results.parquet", results)
        return results

    def _register(self, drafts: Sequence[Draft]) -> list[SkuOutcome]:
        """One new version where there is a model to register; a SKU that MLflow refuses fails alone."""
        rows = {draft.row.sku: draft.row for draft in drafts}
        records, groups = [], {}
        for draft in drafts:
            if draft.artifact is not None:
                known = self.data.skus[draft.row.sku]
                rows[draft.row.sku], record = self.recording.record(draft, known)
                records.append(record)
                groups[known["name"]] = known["registered"]
        made = self.clients.registry.register(self.mlflow_run, records, groups)
        staged = self._register_shadows(drafts)
        return [self._note(row, made.get(sku), staged.get(sku)) for sku, row in rows.items()]

    def _register_shadows(self, drafts: Sequence[Draft]) -> Mapping[str, Registered]:
        """A second version of those SKUs whose challenger's shadow begins."""
        begun = [draft for draft in drafts if draft.shadow is not None]
        records = [self.recording.record_shadow(draft, self.data.skus[draft.row.sku]) for draft in begun]
        return self.clients.registry.register(self.mlflow_run, records) if records else {}

    def _list_trials(self, rows: Sequence[SkuOutcome], drafts: Sequence[Draft]) -> pd.DataFrame:
        """The trials that begin, of SKUs whose versions were registered."""
        begun = {row.sku: row for row in rows if row.trial == "begun"}
        frames = [
            draft.trial.assign(version=begun[draft.row.sku].staged_version or begun[draft.row.sku].version)
            for draft in drafts
            if draft.trial is not None and draft.row.sku in begun
        ]
        return join_trials(frames)

    def _note(self, row: SkuOutcome, made: Registered | None, staged: Registered | None = None) -> SkuOutcome:
        """The row with what became of its registration; a shadow whose version MLflow refuses does not begin."""
        if isinstance(staged, RegisteredVersion):
            row = replace(row, staged_version=staged.version, staged_uri=staged.artifact_uri)
        elif row.trial_kind == "shadow" and row.trial == "begun":
            row = replace(row, trial="", trial_kind="", trial_recipe="", verdict=f"{row.verdict} Not begun: {staged}")
        if made is None:
            return row
        if isinstance(made, PermanentError):
            log.warning("SKU %r could not be registered: %s", row.sku, made)
            reason = "could not be registered"
            row = replace(row, trial="", trial_kind="", trial_recipe="", gate="")
            return replace(row, outcome="failed", reason=reason, step="register", error=describe_error(made))
        return replace(
            row,
            registered_name=made.name,
            version=made.version,
            mlflow_run_id=self.mlflow_run.run_id,
            artifact_uri=made.artifact_uri,
            artifact_bytes=made.artifact_bytes,
        )

    def _forecast(self, rows: Sequence[SkuOutcome], drafts: Mapping[str, Draft]) -> pd.DataFrame:
        """The forecasts of those SKUs that are not retired, by the version that the gate lets serve."""
        serving = {row.sku: choose_serving(row, self.data.skus[row.sku]["serving"], self.run.as_of) for row in rows}
        own_serves = {row.sku for row in rows if (item := serving[row.sku]) and item.version == row.version}
        others = {sku: item for sku, item in serving.items() if item and sku not in own_serves}
        own: dict[str, Artifact] = {sku: drafts[sku].artifact or {} for sku in own_serves}
        artifacts = own | load_artifacts(self.clients, others)
        frames = []
        for row in rows:
            panel = self.data.panels.get(row.sku)
            if panel is not None and self.data.verdict.skus[row.sku].status != "inactive":
                answers = drafts[row.sku].answers if row.sku in own_serves else None
                frame = forecast_sku(panel, self.catalogue, serving[row.sku], artifacts.get(row.sku), answers)
                frames += [] if frame is None else [frame]
        return join_forecasts(frames, self.catalogue)

    def _list_questions(self, results: pd.DataFrame) -> pd.DataFrame:
        """What the models of those SKUs are asked that the report may explain: the chunk's first of each class."""
        frames = []
        for sku in (sku for skus in rank_to_explain(results).values() for sku in skus):
            panel = self.data.panels[sku]
            stores = active_stores(panel, self.catalogue.validation.inactive_after)
            frames += [model_inputs(panel, stores)] if stores else []
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"sku": pd.Series(dtype="str")})
