"""Carry out what was decided: move the aliases, write down who served when and why, and put the release in force."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from include.skufleet import VERSION
from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.moving import Plan, Work, begin, change_stages, name_promotion
from include.skufleet.fleet.progress import join_trials
from include.skufleet.fleet.releases import Release, describe_row, list_releases, version_of
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.standing import put_standing
from include.skufleet.fleet.trials import put_trials, put_verdicts
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lifecycle.fleet_gate import Verdict
from include.skufleet.lifecycle.moves import KEEP, Move, to_frame
from include.skufleet.lifecycle.promotion import hold_back


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person said of the release.

    Attributes:
        approved: whether it may go on.
        by: who; empty where nobody answered in time.
        at: when, ISO 8601.
    """

    approved: bool
    by: str = ""
    at: str = ""

    @property
    def sentence(self) -> str:
        """What it means for a version that waited."""
        if self.approved:
            return f"Approved by {self.by}."
        return f"Rejected by {self.by}." if self.by else "Rejected: nobody approved in time."


def promote_run(
    clients: Clients, catalogue: Catalogue, run: Run, approval: Approval | None = None, actor: str = ""
) -> dict[str, Any]:
    """Move what was decided, unless the fleet gate or a person stopped it; then production stays as it is.

    Safe to repeat: a version that is in production already stays there. What is stopped keeps its version and its
    reason, and is not tried again before the SKU's data change.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        run: the run; ``decide_run`` has been called.
        approval: what a person said; ``None``: nobody had to be asked.
        actor: who started the run; empty: its schedule.

    Returns:
        Small JSON: versions promoted and held, conflicts, whether the release was stopped and why, its address.
    """
    store = clients.store
    results, decisions = store.get_frame(run.results_key), store.get_frame(run.decisions_key)
    told = store.get_json(run.verdict_key)
    verdict = Verdict.parse(told)
    stopped = _stop_reason(verdict, approval)
    if stopped:
        decisions = hold_back(decisions, *stopped)
    started = actor or f"run {run.run_id}"
    who = f"{started}, approved by {approval.by}" if approval and approval.approved else started
    work = begin("run", run.run_id, name_promotion(run), who)

    def describe(work: Work, frame: pd.DataFrame, moved: int) -> Release:
        return _describe(clients, catalogue, run, work, frame, moved, told["reason"] if not stopped else stopped[1])

    done = change_stages(clients, catalogue.name, work, lambda _: _plan(run, results, decisions), describe)
    decisions = _note_conflicts(decisions, done.moves)
    store.put_frame(run.decisions_key, decisions)
    _correct_tags(clients, results, decisions)
    answer = asdict(approval) if approval else None
    store.put_json(run.verdict_key, told | {"stopped": stopped[1] if stopped else "", "approval": answer})
    _put_trials(store, catalogue, run, results, decisions, stopped=bool(stopped))
    put_standing(store, run, results)
    promoted = int(decisions["promoted"].sum())
    return {
        "promoted": promoted,
        "held": len(decisions) - promoted,
        "moved": done.moved,
        "conflicts": int((done.moves["error"] != "").sum()),
        "stopped": stopped[1] if stopped else "",
        "release": store.uri(run.release_key),
    }


def _stop_reason(verdict: Verdict, approval: Approval | None) -> tuple[str, str] | None:
    """Rule and reason why nothing of the run goes to production; ``None``: it does."""
    if not verdict.passed:
        return "fleet", f"The fleet gate stopped the release. {verdict.reason}"
    if approval is not None and not approval.approved:
        return "approval", approval.sentence
    return None


def _plan(run: Run, results: pd.DataFrame, decisions: pd.DataFrame) -> Plan:
    """The moves, and what the release is to say of each version that comes."""
    rows = {str(row["sku"]): row for row in results[results["version"] > 0].to_dict("records")}
    moves, details, versions = [], {}, {}
    for decision in decisions.to_dict("records"):
        sku, version = str(decision["sku"]), int(decision["version"])
        if not decision["promoted"]:
            continue
        row, staging = rows[sku], int(decision["staging"])
        before = version if decision["rule"] == "already" else int(decision["previous_version"])
        if before != version or staging != KEEP:
            name, waiting = str(decision["registered_name"]), int(decision["waiting"])
            told = str(decision["rule"]), str(decision["reason"])
            moves.append(Move(sku, name, before, version, staging, waiting, *told))
        details[sku] = describe_row(row) | {"rule": decision["rule"], "reason": decision["reason"]}
        versions[sku] = version_of(row, run.as_of.isoformat())
    return Plan(to_frame(moves), details, versions)


def _describe(
    clients: Clients, catalogue: Catalogue, run: Run, work: Work, frame: pd.DataFrame, moved: int, reason: str
) -> Release:
    """The manifest of the run's release. A run of the past that moves something does not make the release older."""
    dates = [item.as_of for item in list_releases(clients.store, run) if item.name != run.key] if moved else []
    plan = clients.store.get_json(run.plan_key)
    return Release(
        name=run.key,
        key=run.release_key,
        run_id=run.run_id,
        as_of=max([run.as_of.isoformat(), *dates[-1:]]),
        made_at=work.moment,
        kind="run",
        actor=work.actor,
        reason=reason,
        skus=len(frame),
        promoted=moved,
        forecasts=run.forecast_list_key,
        table_version=int(plan["ingested"]["table_version"]),
        code_version=VERSION,
        settings={"gate": catalogue.gate.model_dump(), "release": catalogue.release.model_dump()},
    )


def _note_conflicts(decisions: pd.DataFrame, moves: pd.DataFrame) -> pd.DataFrame:
    """A version whose alias could not be moved was not promoted."""
    failed = dict(zip(moves["sku"], moves["error"], strict=True))
    errors = decisions["sku"].map(lambda sku: failed.get(sku, ""))
    wrong = decisions["promoted"] & (errors != "")
    return decisions.assign(
        promoted=decisions["promoted"] & ~wrong,
        rule=decisions["rule"].mask(wrong, "error"),
        reason=decisions["reason"].mask(wrong, errors),
    )


def _correct_tags(clients: Clients, results: pd.DataFrame, decisions: pd.DataFrame) -> None:
    """Let the tags of a version that does not serve say why, where they say otherwise."""
    gates = dict(zip(results["sku"], results["gate"], strict=True))
    held = decisions[~decisions["promoted"] & (decisions["rule"] != "error")]
    wrong = held[held["sku"].map(gates) == "passed"]
    tags = [
        (str(name), int(version), {"gate": "held", "reason": str(reason)})
        for name, version, reason in zip(wrong["registered_name"], wrong["version"], wrong["reason"], strict=True)
    ]
    clients.registry.tag_versions(tags)


def _put_trials(
    store: ObjectStore, catalogue: Catalogue, run: Run, results: pd.DataFrame, decisions: pd.DataFrame, *, stopped: bool
) -> None:
    """Note which trials began and ended, of SKUs that were promoted; and what the canaries showed."""
    put_verdicts(store, run, results, catalogue.gate.canary_days)
    if stopped:
        return
    promoted = set(decisions.loc[decisions["promoted"], "sku"])
    begun = results[(results["trial"] == "begun") & results["sku"].isin(promoted)]
    frames = [
        rows[rows["sku"].isin(set(begun["sku"]))]
        for chunk in sorted(set(begun["chunk"]))
        if store.exists(key := f"{run.chunk_folder(chunk)}/trials.parquet")
        for rows in [store.get_frame(key)]
    ]
    ended = set(results.loc[results["trial"] == "ended", "sku"]) & promoted
    put_trials(store, run, join_trials(frames), ended)
