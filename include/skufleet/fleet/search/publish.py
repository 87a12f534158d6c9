"""Bring a search to its end: the proposal, the ranking, the report, and the last figures in MLflow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from include.skufleet.errors import PermanentError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.local_copy import keep_local_copy
from include.skufleet.fleet.search.planned import CURRENT, SearchPlan
from include.skufleet.fleet.search.proposal import Proposal, propose
from include.skufleet.fleet.search.report import SearchReport, rank_all, render_html, render_markdown, say_verdict
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.fleet.search.rungs import Rung, log_rung, read_rungs
from include.skufleet.fleet.search.timings import read_timings


def publish_search(clients: Clients, run: SearchRun, links: Mapping[str, str]) -> dict[str, Any]:
    """Write proposal, ranking, report and summary to S3 and the outcome to MLflow.

    Returns:
        The summary: verdict, changes, gain and its noise, times, where everything is, the Markdown text.

    Raises:
        PermanentError: the search has no plan, since ingestion or planning failed: there is nothing to report.
    """
    if not clients.store.exists(run.plan_key):
        raise PermanentError(f"search {run.run_id} has no plan: ingest or plan failed, their logs in Airflow say why")
    plan = SearchPlan.read(clients.store, run)
    rungs = read_rungs(clients, run, plan, plan.rungs)
    proposal = propose(plan, rungs)
    timings, total, began = read_timings(clients.store, run, plan.rungs)
    now = datetime.now(UTC)
    report = SearchReport(
        run_id=run.run_id,
        as_of=run.as_of,
        plan=plan,
        rungs=rungs,
        proposal=proposal,
        timings=timings,
        total=total,
        started=began or now,
        finished=now,
        report_uri=clients.store.uri(run.report_key),
        proposal_uri=clients.store.uri(run.proposal_key) if proposal.changes else "",
        links=links,
    )
    summary = _write(clients, run, report)
    _log(clients, report)
    return summary


def raise_if_undecided(summary: Mapping[str, Any]) -> None:
    """Turn the run red where the last rung could not compare the file's own configuration with any other.

    The report is already written by then.

    Raises:
        PermanentError: with the trials that failed, and what to do.
    """
    if not summary["complete"]:
        failed = ", ".join(summary["failed_trials"]) or "none"
        raise PermanentError(
            f"search {summary['run_id']}: its last rung has no scores of both the file's own configuration ({CURRENT}) "
            f"and another; trials without scores: {failed}. See the logs of what failed, then clear it together with "
            "what follows"
        )


def _write(clients: Clients, run: SearchRun, report: SearchReport) -> dict[str, Any]:
    """The objects of the search; the summary last."""
    store, html = clients.store, render_html(report).encode()
    _write_proposal(clients, run, report)
    ranked = [asdict(item) | {"rung": rung} for rung, item in rank_all(report.rungs)]
    changes = [report.plan.describe(row["trial"]) for row in ranked]
    store.put_frame(run.ranking_key, pd.DataFrame(ranked).assign(changes=changes))
    store.put(run.report_key, html)
    local = keep_local_copy(clients.settings.local_dir, run.catalogue, f"search-{run.key}", html)
    summary = _summarise(report) | {
        "report": report.report_uri,
        "local_report": str(local) if local else "",
        "proposal": report.proposal_uri,
        "ranking": store.uri(run.ranking_key),
        "markdown": render_markdown(report),
    }
    store.put_json(run.summary_key, summary)
    return summary


def _write_proposal(clients: Clients, run: SearchRun, report: SearchReport) -> None:
    """The changed keys as YAML and as a diff; an earlier report's are taken away where there are none."""
    proposal, diff_key = report.proposal, run.proposal_key.replace(".yaml", ".diff")
    if not proposal.changes:
        clients.store.delete(run.proposal_key)
        clients.store.delete(diff_key)
        return
    comment = f"# Search {run.run_id} of catalogue {run.catalogue}, as of {run.as_of}.\n# {say_verdict(report)}\n"
    clients.store.put(run.proposal_key, (comment + proposal.yaml).encode())
    clients.store.put(diff_key, f"{proposal.diff}\n".encode())


def _summarise(report: SearchReport) -> dict[str, Any]:
    proposal, last = report.proposal, report.rungs[-1] if report.rungs else None
    first = proposal.gains[0] if proposal.gains else None
    return {
        "catalogue": report.catalogue,
        "run_id": report.run_id,
        "as_of": report.as_of.isoformat(),
        "metric": report.plan.metric,
        "complete": last is not None and last.decides,
        "verdict": proposal.verdict,
        "verdict_text": say_verdict(report),
        "winner": proposal.trial,
        "changes": dict(proposal.changes),
        "diff": proposal.diff,
        "gain": _json_number(first.gain) if first else None,
        "noise": _json_number(first.noise) if first else None,
        "trials": len(report.plan.trials),
        "failed_trials": sorted(report.failed),
        "rungs": [{"rung": rung.number, "trials": len(rung.ranked), "skus": rung.skus} for rung in report.rungs],
        "skus": last.skus if last else 0,
        "sequential_seconds": round(report.total.seconds, 2),
        "parallel_seconds": round(report.total.wall, 2),
        "cpu_seconds": round(report.cpu_seconds, 2),
        "seconds": round((report.finished - report.started).total_seconds(), 1),
    }


def _log(clients: Clients, report: SearchReport) -> None:
    """Close every MLflow run of the search, with what became of it."""
    plan, proposal = report.plan, report.proposal
    for rung in report.rungs[-1:]:
        log_rung(clients, plan, rung, [])
    ended = {item.trial for _, item in rank_all(report.rungs)} | set(report.failed)
    for trial in sorted(set(plan.trials) - ended):
        clients.registry.log_trial(plan.runs[trial], {}, {"outcome": "never ran"})
        clients.registry.close_trial(plan.runs[trial], "FAILED")
    if proposal.trial:
        clients.registry.log_trial(plan.runs[proposal.trial], {}, {"outcome": _title(proposal)})
    clients.registry.log_trial(
        plan.parent,
        _parent_figures(report.rungs, proposal)
        | {"sequential_seconds": report.total.seconds}
        | {"parallel_seconds": report.total.wall, "cpu_seconds": report.cpu_seconds, "trials": len(plan.trials)},
        {"verdict": proposal.verdict, "winner": proposal.trial, "proposal": proposal.diff or "none"},
    )
    clients.registry.close_trial(plan.parent, "FAILED" if proposal.verdict == "unknown" else "FINISHED")


def _title(proposal: Proposal) -> str:
    return {
        "change": "winner: proposed as a change",
        "noise": "came first, within the noise",
        "keep": "came first: the file stays as it is",
    }[proposal.verdict]


def _parent_figures(rungs: Sequence[Rung], proposal: Proposal) -> dict[str, float]:
    """The winner's and the file's figures in the last rung, and the gain."""
    figures: dict[str, float] = {}
    for item in rungs[-1].ranked if rungs else ():
        for prefix, trial in (("", proposal.trial), ("file_", CURRENT)):
            if item.trial == trial:
                figures |= {f"{prefix}{name}": getattr(item, name) for name in ("wape", "rmsse", "bias")}
    if proposal.gains:
        figures |= {"gain": proposal.gains[0].gain, "gain_noise": proposal.gains[0].noise}
    return figures


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
