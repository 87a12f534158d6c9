"""Move to production what passes the gate, and freeze the release of the run."""

from __future__ import annotations

from typing import Any

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.collect import collect_results
from include.skufleet.fleet.outcomes import count
from include.skufleet.fleet.releases import follow, put_release, read_release
from include.skufleet.fleet.rescue import rescue_chunks
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.standing import put_standing
from include.skufleet.lifecycle.promotion import promote

THREADS = 4
"""Enough to keep a registry server with two workers busy."""


def promote_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """Collect the outcomes of all chunks, apply the gate to each new version, and write results, decisions and release.

    A chunk whose task the orchestrator dropped is retrained first. Safe to repeat: a version that is in production
    already stays there.

    Returns:
        Small JSON: counts of outcomes, of versions promoted and kept in staging, chunks rescued and lost.
    """
    plan = clients.store.get_json(run.plan_key)
    rescued = rescue_chunks(clients, catalogue, run, plan)
    results, lost = collect_results(clients, run, plan)
    clients.store.put_frame(run.results_key, results)
    known = read_release(clients.store, run)
    states = clients.registry.states(catalogue.name, known)
    decisions = promote(clients.registry, results, states, catalogue.gate, as_of=run.as_of, threads=THREADS)
    clients.store.put_frame(run.decisions_key, decisions)
    put_standing(clients.store, run, results)
    put_release(clients.store, run, follow(states, results, decisions, run.as_of.isoformat()))
    promoted = int(decisions["promoted"].sum())
    return {
        "outcomes": count(results),
        "promoted": promoted,
        "kept_in_staging": len(decisions) - promoted,
        "rescued_chunks": rescued,
        "lost_chunks": lost,
        "release": clients.store.uri(run.release_key),
    }
