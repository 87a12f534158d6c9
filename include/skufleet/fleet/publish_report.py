"""Account for the whole run: gather what its stages wrote, render the report, and write the summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.collect import collect_results
from include.skufleet.fleet.known_then import parse_known
from include.skufleet.fleet.local_copy import keep_local_copy
from include.skufleet.fleet.outcomes import count, to_frame
from include.skufleet.fleet.promote import Approval
from include.skufleet.fleet.report import ReportData, pick_skus, render_html, render_markdown
from include.skufleet.fleet.report.figures import count_left_out, count_unchanged, pool, pool_levels
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.scorecard import score_run
from include.skufleet.fleet.scores import Scorecard, list_scorecards
from include.skufleet.fleet.stages import StageCost, read_stages
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.history import read_history
from include.skufleet.lake.set_aside import explain_reason
from include.skufleet.lifecycle.fleet_gate import Verdict
from include.skufleet.lifecycle.promotion import TYPES as DECISION_COLUMNS
from include.skufleet.quality.records import ExpectationResult, combine_expectations

PLOTS = 20
SHOWN_PERIODS = 120
NO_DECISIONS = pd.DataFrame(columns=list(DECISION_COLUMNS))


def publish_report(clients: Clients, catalogue: Catalogue, run: Run, links: dict[str, str]) -> dict[str, Any]:
    """Write the HTML report (to S3, and below the local folder where there is one) and the run's summary.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        run: the run.
        links: title -> address of pages that the report should lead to.

    Returns:
        The summary: counts, fleet accuracy, lost chunks, where the report is, the Markdown text.

    Raises:
        PermanentError: the run has no plan, since ingestion or planning failed: there is nothing to report.
    """
    plan = clients.store.find_json(run.plan_key)
    if plan is None:
        raise PermanentError(f"run {run.run_id} has no plan: ingest or plan failed, their logs in Airflow say why")
    data = gather(clients, catalogue, run, plan, links)
    html = render_html(data).encode()
    clients.store.put(run.report_key, html)
    local = keep_local_copy(clients.settings.local_dir, catalogue.name, run.key, html)
    summary = summarise(data, plan) | {
        "report": clients.store.uri(run.report_key),
        "local_report": str(local) if local else "",
        "markdown": render_markdown(data),
    }
    clients.store.put_json(run.summary_key, summary)
    return summary


def summarise(data: ReportData, plan: dict[str, Any]) -> dict[str, Any]:
    """The run in figures. ``complete``: every SKU has exactly one outcome, no chunk was lost and no stage failed."""
    fleet, results = pool(data.results), data.results
    accounted = len(results) == results["sku"].nunique() == plan["counts"]["skus"]
    needed = ("ingest", "plan") if data.dry_run else ("ingest", "plan", "decide", "promote", "forecast")
    missing = [stage for stage in needed if stage not in data.stages]
    return {
        "catalogue": data.catalogue,
        "run_id": data.run_id,
        "as_of": data.as_of.isoformat(),
        "skus": plan["counts"]["skus"],
        "planned": plan["counts"]["planned"],
        "chunks": plan["counts"]["chunks"],
        "outcomes": count(results) if len(results) else {},
        "unchanged": count_unchanged(results).skus,
        "unchanged_seconds_saved": round(count_unchanged(results).seconds, 3),
        "promoted": data.promoted,
        "held": len(data.decisions) - data.promoted,
        "recipes_changed": int(data.decisions["changed"].sum()),
        "rules": data.results.loc[data.results["version"] > 0, "rule"].value_counts().to_dict() if len(results) else {},
        "fleet_gate": data.verdict.reason if data.verdict else "",
        "stopped": data.stopped,
        "rejected_by": data.rejected_by,
        "moved_by_hand": len(data.moved_by_hand),
        "wape": _json_number(fleet.wape),
        "baseline_wape": _json_number(fleet.baseline_wape),
        "bias": _json_number(fleet.bias),
        **{name: _json_number(value) for name, value in mean_rmsse(results).items()},
        **{f"coverage_{level}": round(share, 6) for level, share in pool_levels(results).items()},
        "candidates_left_out": _json_number(count_left_out(results, len(data.candidates)).share),
        "stockout_periods": int(data.stockouts["periods"].sum()) if len(data.stockouts) else 0,
        "quarantined_rows": int((data.quarantine["scope"] == "row").sum()) if len(data.quarantine) else 0,
        "set_aside_at_ingestion": dict(plan["ingested"]["set_aside"]),
        "rejected_drops": dict(data.rejected_drops),
        "late_rows": data.late_rows,
        "scorecard": next((card.to_json() for card in data.scorecards if card.run_id == data.run_id), None),
        "lost_chunks": list(data.lost_chunks),
        "missing_stages": missing,
        "unpooled": data.unpooled,
        "dry_run": data.dry_run,
        "complete": not missing and (data.dry_run or (accounted and not data.lost_chunks)),
        "stage_seconds": {stage: round(cost.seconds, 1) for stage, cost in data.stages.items()},
        "stages": {stage: _describe_cost(cost) for stage, cost in data.stages.items()},
        "seconds": round(data.seconds, 1),
    }


def _describe_cost(cost: StageCost) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(cost).items()}


def mean_rmsse(results: pd.DataFrame) -> dict[str, float]:
    """Mean of the SKUs' RMSSE and of the baseline's, weighted by units sold in the windows; NaN without any.

    RMSSE is scaled by each SKU's own history, so it can be averaged over SKUs, but not pooled.
    """
    columns = ["rmsse", "baseline_rmsse", "units"]
    known = results[columns].dropna() if len(results) else pd.DataFrame(columns=columns, dtype=float)
    units = float(known["units"].sum())
    names = ("rmsse", "baseline_rmsse")
    return {name: float((known[name] * known["units"]).sum()) / units if units else math.nan for name in names}


def raise_if_incomplete(summary: dict[str, Any]) -> None:
    """Turn the run red where a SKU is unaccounted for, a chunk was lost, a stage failed, or the release was stopped.

    By the fleet gate, or because nobody answered in time; not where a person rejected it.

    The report is already written by then.

    Raises:
        PermanentError: with what is missing, and what to do.
    """
    if summary["complete"] and (not summary["stopped"] or summary["rejected_by"]):
        return  # a person said no: nothing is wrong
    if summary["complete"]:
        raise PermanentError(
            f"run {summary['run_id']}: nothing of it went to production. {summary['stopped']} What was in production "
            "goes on serving, and the forecasts are its. Look at the report; `python -m include.skufleet promote` "
            "overrules it"
        )
    lost, missing = ", ".join(summary["lost_chunks"]), " and ".join(summary["missing_stages"])
    parts = [
        f"{sum(summary['outcomes'].values())} of {summary['skus']} SKUs are accounted for",
        f"lost chunks: {lost}" if lost else "",
        f"{missing} did not come to an end" if missing else "",
    ]
    raise PermanentError(
        f"run {summary['run_id']}: {'; '.join(part for part in parts if part)}. See the logs of what failed, then "
        "clear it together with what follows: what was finished is not done again"
    )


def gather(clients: Clients, catalogue: Catalogue, run: Run, plan: dict[str, Any], links: dict[str, str]) -> ReportData:
    """Everything that the report shows, read from what the stages wrote."""
    store, chunks = clients.store, [chunk["chunk"] for chunk in plan["chunks"]]
    results, lost = _results(clients, run, plan)
    decisions = store.get_frame(run.decisions_key) if store.exists(run.decisions_key) else NO_DECISIONS
    components = store.get_frame(run.components_key) if store.exists(run.components_key) else pd.DataFrame()
    picked = pick_skus(results, PLOTS)
    shown = [*picked, *(components["sku"].unique() if len(components) else ())]
    shown_chunks = sorted(set(results.loc[results["sku"].isin(shown), "chunk"]))
    ingested, (stages, began) = plan["ingested"], read_stages(store, run)
    now = datetime.now(UTC)
    return ReportData(
        catalogue=catalogue.name,
        description=catalogue.description,
        run_id=run.run_id,
        as_of=run.as_of,
        horizon=catalogue.horizon,
        planned=plan["counts"]["skus"],
        results=results,
        decisions=decisions,
        backtest=_of_skus(clients, [f"{run.chunk_folder(name)}/backtest.parquet" for name in shown_chunks], shown),
        actuals=_recent_actuals(clients, catalogue, run, ingested, picked),
        forecast=_of_skus(clients, [run.forecast_key(plan["edition"], name) for name in shown_chunks], shown),
        components=components,
        stockouts=_of_skus(clients, [f"{run.chunk_folder(name)}/stockouts.parquet" for name in chunks], None),
        quarantine=_of_skus(clients, [f"{run.chunk_folder(name)}/quarantine.parquet" for name in chunks], None),
        started=began or now,
        finished=now,
        set_aside={explain_reason(reason): number for reason, number in ingested["set_aside"].items()},
        rejected_drops=dict(_split_rejection(text) for text in ingested["rejections"]),
        expectations=_expectations(clients, run, chunks),
        stages=stages,
        frequency=catalogue.frequency,
        season_length=catalogue.season_length,
        gaps=catalogue.landing.sales.gaps,
        candidates=catalogue.candidates,
        plots=PLOTS,
        table_version=ingested["table_version"],
        results_uri=store.uri(run.results_key),
        quarantine_uri=store.uri(f"{run.folder}/chunks/"),
        stockouts_uri=store.uri(f"{run.folder}/chunks/"),
        report_uri=store.uri(run.report_key),
        links=links,
        lost_chunks=lost,
        **_describe_release(clients, run),
        scorecards=_scorecards(clients, catalogue, run, plan, results),
        late_rows=int(plan["ingested"].get("late_rows", 0)),
        unpooled=catalogue.pools_departments and not run.dry_run and not store.exists(run.departments_key),
        dry_run=run.dry_run,
    )


def _describe_release(clients: Clients, run: Run) -> dict[str, Any]:
    """What fleet gate and approval said, as fields of ``ReportData``."""
    told = clients.store.find_json(run.verdict_key)
    if told is None:
        return {}
    approval = Approval(**told["approval"]) if told.get("approval") else None
    moved = {sku: (int(before), int(now)) for sku, (before, now) in told["moved_by_hand"].items()}
    return {
        "verdict": Verdict.parse(told),
        "stopped": told.get("stopped", ""),
        "approval": approval.sentence if approval else "",
        "rejected_by": approval.by if approval and not approval.approved else "",
        "moved_by_hand": moved,
    }


def _split_rejection(text: str) -> tuple[str, str]:
    """A rejection's sentence begins with the object it is about."""
    name, _, reason = text.partition(": ")
    return (name, reason) if reason else ("landing", text)


def _results(clients: Clients, run: Run, plan: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
    """The outcomes; collected here where promotion, which normally does it, did not come to it."""
    if run.dry_run:
        return to_frame(()), []
    results, lost = collect_results(clients, run, plan)
    if not clients.store.exists(run.results_key):
        clients.store.put_frame(run.results_key, results)
    return results, lost


def _scorecards(
    clients: Clients, catalogue: Catalogue, run: Run, plan: dict[str, Any], results: pd.DataFrame
) -> list[Scorecard]:
    """This run's, written anew where it is of the past, and those of all other dates."""
    score_run(clients, catalogue, run, plan, results)
    return list_scorecards(clients.store, run)


def _of_skus(clients: Clients, keys: Sequence[str], skus: Sequence[str] | None) -> pd.DataFrame:
    """The rows of these SKUs (``None``: all) from those objects that exist."""
    frames = [clients.store.get_frame(key) for key in keys if clients.store.exists(key)]
    frames = [frame if skus is None else frame[frame["sku"].isin(skus)] for frame in frames]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _recent_actuals(
    clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any], skus: Sequence[str]
) -> pd.DataFrame:
    """The last periods of the plotted SKUs, from what the run trained on."""
    if not skus:
        return pd.DataFrame(columns=["sku", "store", "date", "units"])
    buckets = sorted({bucket_of(sku, catalogue.fleet.buckets) for sku in skus})
    history = read_history(
        clients.store,
        catalogue,
        version=ingested["table_version"],
        as_of=run.as_of,
        buckets=buckets,
        skus=skus,
        known=parse_known(ingested),
    )
    days = SHOWN_PERIODS * (7 if catalogue.frequency == "W" else 1)
    recent = history[history["date"] > pd.Timestamp(run.as_of - timedelta(days=days))]
    return recent[recent["units"].between(0, catalogue.validation.max_units)]


def _expectations(clients: Clients, run: Run, chunks: Sequence[str]) -> tuple[ExpectationResult, ...]:
    """How the suites fared over all chunks that came to their end."""
    found = (clients.store.find_json(f"{run.chunk_folder(name)}/summary.json") for name in chunks)
    return combine_expectations(
        [ExpectationResult(**item) for item in summary["expectations"]] for summary in found if summary
    )


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
