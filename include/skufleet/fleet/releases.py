"""The release of a run on S3: written by promotion, read by whoever asks which version serves."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from include.skufleet.fleet.run import Run, RunKeys
from include.skufleet.lake.publishing import publish_latest, read_published
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lifecycle.promotion import to_outcome
from include.skufleet.lifecycle.release import follow_decisions, freeze_release, thaw_release
from include.skufleet.registry.records import RegisteredVersion
from include.skufleet.registry.states import ModelState


def read_release(store: ObjectStore, run: RunKeys) -> list[RegisteredVersion]:
    """The versions of the catalogue's release in force; none before the first.

    What MLflow's aliases say decides; a release saves asking MLflow for the details of each version.
    """
    pointer = read_published(store, run.release_pointer)
    return [] if pointer is None else read_release_at(store, pointer["keys"][0])


def read_release_at(store: ObjectStore, key: str) -> list[RegisteredVersion]:
    """The versions of the release at a key; none where it was pruned."""
    return list(thaw_release(store.get_frame(key))) if store.exists(key) else []


def follow(
    states: Mapping[str, ModelState], results: pd.DataFrame, decisions: pd.DataFrame, as_of: str
) -> dict[str, RegisteredVersion]:
    """SKU -> its version in production, from what MLflow said before the promotion and what the promotion did."""
    before = {sku: state.production for sku, state in states.items() if state.production}
    made = {
        str(row["sku"]): RegisteredVersion(
            sku=str(row["sku"]),
            name=str(row["registered_name"]),
            version=int(row["version"]),
            candidate=str(row["candidate"]),
            outcome=to_outcome(row["outcome"]),
            as_of=as_of,
            fingerprint=str(row["fingerprint"]),
            run_id=str(row["mlflow_run_id"]),
            artifact_uri=str(row["artifact_uri"]),
            artifact_bytes=int(row["artifact_bytes"]),
        )
        for row in results[results["version"] > 0].to_dict("records")
    }
    return follow_decisions(before, decisions, made)


def put_release(store: ObjectStore, run: Run, production: Mapping[str, RegisteredVersion]) -> None:
    """Freeze the release of a run, and put it in force, unless one of a later date is."""
    store.put_frame(run.release_key, freeze_release(production))
    publish_latest(
        store, run.release_pointer, {"run_id": run.run_id, "as_of": run.as_of.isoformat(), "keys": [run.release_key]}
    )
