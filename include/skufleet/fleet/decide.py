"""Decide what a run releases: every new version by its SKU's gate, all of them together by the fleet gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.collect import collect_results
from include.skufleet.fleet.moving import name_promotion, settle_broken
from include.skufleet.fleet.outcomes import count
from include.skufleet.fleet.refused import read_refused
from include.skufleet.fleet.releases import read_release, read_release_frame
from include.skufleet.fleet.rescue import rescue_chunks
from include.skufleet.fleet.run import Run
from include.skufleet.lifecycle.fleet_gate import FIGURES, Counts, Verdict, judge_release
from include.skufleet.lifecycle.promotion import Known, decide_versions, find_moved_by_hand
from include.skufleet.registry.states import ModelState

SHOWN = 20


def decide_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """Collect the outcomes of all chunks and decide; nothing is moved. Writes results, decisions and the verdict.

    A chunk whose task the orchestrator dropped is retrained first. Safe to repeat.

    Returns:
        Small JSON: counts, what the fleet gate says, and ``markdown``, what a person is shown who has to approve.
    """
    store = clients.store
    plan = store.get_json(run.plan_key)
    rescued = rescue_chunks(clients, catalogue, run, plan)
    results, lost = collect_results(clients, run, plan)
    store.put_frame(run.results_key, results)
    settle_broken(clients, catalogue.name, unless=name_promotion(run))
    states = clients.registry.states(catalogue.name, read_release(store, run))
    released = read_release_frame(store, run)
    versions = {str(sku): int(number) for sku, number in zip(released["sku"], released["version"], strict=True)}
    by_people = set(released.loc[released["kind"].isin(["rollback", "promotion"]), "sku"])
    known = Known(versions, by_people, read_refused(store, run))
    decisions = decide_versions(results, states, known, catalogue.gate, as_of=run.as_of)
    store.put_frame(run.decisions_key, decisions)
    after = anticipate(released, results, decisions)
    verdict = judge_release(released, after, _count(results, states, decisions), catalogue.release)
    moved = {sku: list(pair) for sku, pair in find_moved_by_hand(states, versions).items()}
    promoted = int(decisions["promoted"].sum())
    moving = int((decisions["promoted"] & (decisions["rule"] != "already")).sum())
    store.put_json(run.verdict_key, verdict.to_json() | {"moved_by_hand": moved})
    return {
        "outcomes": count(results),
        "promoted": promoted,
        "held": len(decisions) - promoted,
        "to_move": moving,
        "fleet_gate": {"passed": verdict.passed, "reason": verdict.reason},
        "moved_by_hand": len(moved),
        "rescued_chunks": rescued,
        "lost_chunks": lost,
        "markdown": render_question(run, catalogue, results, decisions, verdict),
    }


def anticipate(released: pd.DataFrame, results: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """What the release would be measured at: ``sku, department`` and ``fleet_gate.FIGURES`` of each version in it."""
    columns = ["sku", "department", *FIGURES]
    coming = results[results["sku"].isin(decisions.loc[decisions["promoted"], "sku"])]
    staying = released[~released["sku"].isin(coming["sku"])]
    return pd.concat([staying[columns], coming[columns]], ignore_index=True)


def _count(results: pd.DataFrame, states: Mapping[str, ModelState], decisions: pd.DataFrame) -> Counts:
    in_production = {sku for sku, state in states.items() if state.production}
    trained = {sku for sku, state in states.items() if state.production and state.production.outcome == "trained"}
    promoted = set(decisions.loc[decisions["promoted"], "sku"])
    retired = set(results.loc[(results["outcome"] == "skipped") & (results["unchanged_since"] == ""), "sku"])
    alive = (set(results["sku"]) | set(states)) - (retired - in_production)
    return Counts(
        skus=len(alive),
        champions=len(trained),
        changed=int((decisions["promoted"] & decisions["changed"]).sum()),
        served=len((in_production | promoted) & alive),
        quarantined=int((results["outcome"] == "quarantined").sum()),
    )


def render_question(
    run: Run, catalogue: Catalogue, results: pd.DataFrame, decisions: pd.DataFrame, verdict: Verdict
) -> str:
    """Markdown for the person who has to approve: what would change, by department, and the recipes that would."""
    going = decisions[decisions["promoted"] & (decisions["rule"] != "already")]
    about = going.merge(results[["sku", "department", "candidate", "champion_candidate", "gain"]], on="sku", how="left")
    others, held = int(going["changed"].sum()), len(decisions) - int(decisions["promoted"].sum())
    asked = (
        f"**{catalogue.name}**, as of {run.as_of}: {len(going)} new versions would go to production, {others} of them "
        f"with another recipe; {held} are held back."
    )
    lines = [
        asked,
        "",
        f"Fleet gate: {verdict.reason}",
        "",
        "| department | versions | other recipe | WAPE now | WAPE then | bias now | bias then |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rows in [("all", about), *about.groupby("department", sort=True)]:
        key = "the fleet" if name == "all" else str(name)
        old, new = verdict.before.get(key), verdict.after.get(key)
        figures = [_figure(old, "wape"), _figure(new, "wape"), _figure(old, "bias"), _figure(new, "bias")]
        shown = _escape(str(name) or "(none)")
        lines.append(f"| {shown} | {len(rows)} | {int(rows['changed'].sum())} | {' | '.join(figures)} |")
    changed = about[about["changed"]].sort_values("gain", ascending=False)
    if len(changed):
        lines += ["", "Other recipes, the largest gains first:", "", "| SKU | from | to | gain |", "|---|---|---|---:|"]
        for row in changed.head(SHOWN).to_dict("records"):
            gain = "" if math.isnan(row["gain"]) else f"{row['gain']:.1%}"
            lines.append(f"| {_escape(row['sku'])} | {row['champion_candidate']} | {row['candidate']} | {gain} |")
        if len(changed) > SHOWN:
            lines += ["", f"and {len(changed) - SHOWN} more."]
    return "\n".join(lines)


def _figure(figures: Any, name: str) -> str:
    value = math.nan if figures is None else getattr(figures, name)
    if math.isnan(value):
        return ""
    return f"{value:+.1%}" if name == "bias" else f"{value:.3f}"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
