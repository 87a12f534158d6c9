"""One retraining run through Airflow's scheduler, timed from trigger to end, with what the run says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.cli.retrain import watch
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore

SAID = (
    *("wape", "baseline_wape", "rmsse", "baseline_rmsse", "bias", "quarantined_rows"),
    *("held", "recipes_changed", "rules", "fleet_gate", "stopped"),
)


def time_run(api: AirflowApi, store: ObjectStore, catalogue: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Trigger ``retrain_<catalogue>``, show a bar on stderr until it is over, and put its figures together.

    Returns:
        ``catalogue, as_of, state, complete`` and what ``describe_run`` gives; ``seconds`` are those from the trigger to
        the end that the scheduler noted.

    Raises:
        PermanentError: the run ended without a summary.
    """
    dag_id = f"retrain_{catalogue}"
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    started = datetime.now(UTC)
    keys = RunKeys(catalogue, api.trigger(dag_id, conf))
    state = watch(api, store, dag_id, keys, Console(stderr=True))
    ended, summary = api.run_ended(dag_id, keys.run_id) or datetime.now(UTC), store.find_json(keys.summary_key)
    if summary is None:
        raise PermanentError(f"run {keys.run_id} of {dag_id} ended as {state!r} without a summary: see its task logs")
    said = {"catalogue": catalogue, "as_of": summary["as_of"], "state": state, "complete": summary["complete"]}
    return said | describe_run(summary, read_chunks(store, keys), (ended - started).total_seconds())


def describe_run(summary: Mapping[str, Any], chunks: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, Any]:
    """Figures of a run.

    Args:
        summary: the run's own.
        chunks: what each chunk says of its time and memory; may be empty.
        seconds: what the whole run took.

    Returns:
        ``models`` counts the SKUs that were trained in this run, a fallback counting as well; ``seconds_per_model`` is
        ``None`` without any. ``seconds_per_sku`` divides by all SKUs, those set aside or unchanged included. Figures of
        chunks are ``None`` where there was none.
    """
    outcomes, times = summary["outcomes"], [chunk["seconds"] for chunk in chunks]
    models = outcomes.get("trained", 0) + outcomes.get("fallback", 0)
    return {
        "seconds": round(seconds, 1),
        "stage_seconds": summary["stage_seconds"],
        "skus": summary["skus"],
        "outcomes": outcomes,
        "unchanged": summary.get("unchanged") or 0,
        "models": models,
        "seconds_per_sku": round(seconds / summary["skus"], 4) if summary["skus"] else None,
        "seconds_per_model": round(seconds / models, 4) if models else None,
        "promoted": summary["promoted"],
        "chunks": len(chunks),
        "slowest_chunk_over_mean": round(max(times) * len(times) / sum(times), 2) if sum(times) else None,
        "peak_chunk_rss_mb": max((chunk["peak_rss_mb"] for chunk in chunks), default=None),
        **{name: summary.get(name) for name in SAID},
    }


def read_chunks(store: ObjectStore, keys: RunKeys) -> list[dict[str, Any]]:
    """What each chunk says of its own time and memory."""
    found = [item.key for item in store.list(f"{keys.folder}/chunks/") if item.key.endswith("/summary.json")]
    return [store.get_json(key) for key in found]
