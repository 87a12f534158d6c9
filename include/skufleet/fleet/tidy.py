"""Keep the past at a constant size: old versions with their files, and what old runs wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients, artifact_key
from include.skufleet.fleet.releases import drop_releases, list_releases
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.transitions import compact_transitions
from include.skufleet.lake.publishing import read_published, update_frame
from include.skufleet.lake.store import ObjectStore, StoredObject
from include.skufleet.lifecycle.retention import choose_versions_to_prune
from include.skufleet.registry.package import artifact_files
from include.skufleet.registry.states import ModelState

BACKLOG = 3
"""Versions pruned in one run at the most, for each model that there is: one is the daily measure."""
UNFINISHED = timedelta(days=1)
"""For so long after its last object a run without a report counts as still at work."""
_COLUMNS = {"name": "str", "version": "int64", "artifact_uri": "str"}


def tidy_run(clients: Clients, catalogue: Catalogue, run: Run) -> dict[str, Any]:
    """Delete what the catalogue's section ``retention`` does not keep. Safe to repeat, and to break off anywhere.

    A version is deleted before its files, and struck off the list of versions last: what was broken off in between
    is found by the next run, and nobody can find a version without its files.

    Returns:
        Small JSON: versions that are kept and that were pruned, runs that were pruned, objects deleted.
    """
    pruned, kept = _prune_versions(clients, catalogue, run)
    compact_transitions(clients.store, run)
    runs, objects = _prune_runs(clients.store, catalogue, run)
    return {
        "versions_kept": kept,
        "versions_pruned": pruned,
        "runs_pruned": runs,
        "objects_deleted": objects + 4 * pruned,
    }


def _prune_versions(clients: Clients, catalogue: Catalogue, run: Run) -> tuple[int, int]:
    """How many versions were pruned, and how many are left."""
    states = clients.registry.states(catalogue.name)
    versions = _list_versions(clients, run, states)
    needed = {state.name: set(state.aliases.values()) for state in states.values()}
    for name, version in _list_released(clients.store, catalogue, run):
        needed.get(name, set()).add(version)
    old = choose_versions_to_prune(
        versions, needed, keep=catalogue.retention.versions, most=BACKLOG * max(1, len(needed))
    )
    if len(old):
        clients.registry.delete_versions(zip(old["name"], old["version"].astype(int), strict=True))
        store = clients.store
        store.delete_many(artifact_key(store, file) for uri in old["artifact_uri"] for file in artifact_files(uri))
    left = update_frame(clients.store, run.versions_key, lambda now: _strike_off(versions, now, old))
    return len(old), len(left)


def _list_released(store: ObjectStore, catalogue: Catalogue, run: Run) -> Iterator[tuple[str, int]]:
    """Name and number of every version that a kept release names; other releases are forgotten, and deleted."""
    store.delete_many(drop_releases(store, run, catalogue.retention.releases))
    for release in list_releases(store, run):
        if store.exists(release.key):
            frame = store.get_frame(release.key, ["name", "version"])
            yield from zip(frame["name"], frame["version"].astype(int), strict=True)


def _strike_off(versions: pd.DataFrame, now: pd.DataFrame | None, pruned: pd.DataFrame) -> pd.DataFrame:
    """The versions, and those that other runs have listed meanwhile, without those that were pruned."""
    every = versions if now is None else pd.concat([now, versions], ignore_index=True)
    every = every.drop_duplicates(["name", "version"], ignore_index=True)
    gone = pd.MultiIndex.from_frame(pruned[["name", "version"]])
    return every[~pd.MultiIndex.from_frame(every[["name", "version"]]).isin(gone)].reset_index(drop=True)


def _list_versions(clients: Clients, run: Run, states: Mapping[str, ModelState]) -> pd.DataFrame:
    """``name, version, artifact_uri`` of every version: the list of the run before, and what this one made.

    Where there is no list, MLflow is asked, which takes long for a large catalogue: once, and not at all by a run that
    made the first version of every model.
    """
    store = clients.store
    made = store.get_frame(run.results_key, ["registered_name", "version", "artifact_uri"])
    own = made[made["version"] > 0].rename(columns={"registered_name": "name"}).astype(_COLUMNS)
    if store.exists(run.versions_key):
        before = store.get_frame(run.versions_key)
    elif {state.name for state in states.values()} <= set(own.loc[own["version"] == 1, "name"]):
        return own
    else:
        rows = [(item.name, item.version, item.artifact_uri) for item in clients.registry.list_versions(run.catalogue)]
        before = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    return pd.concat([before, own], ignore_index=True).drop_duplicates(["name", "version"], ignore_index=True)


def _prune_runs(store: ObjectStore, catalogue: Catalogue, run: Run) -> tuple[int, int]:
    """Delete what runs beyond the newest wrote, unless it is in force; how many runs, and how many objects."""
    folder = f"runs/{catalogue.name}/"
    by_run: dict[str, list[StoredObject]] = {}
    for item in store.list(folder):
        by_run.setdefault(item.key.removeprefix(folder).split("/")[0], []).append(item)
    newest_first = sorted(by_run, key=lambda key: max(item.last_modified for item in by_run[key]), reverse=True)
    kept = _list_in_force(store, run) | _list_at_work(folder, by_run) | {run.key}
    old = [key for key in newest_first[catalogue.retention.runs :] if key not in kept]
    keys = [item.key for key in old for item in by_run[key]]
    for key in old:
        keys += [item.key for item in store.list(f"forecasts/{catalogue.name}/{key}/")]
        keys.append(f"reports/{catalogue.name}/{key}.html")
    store.delete_many(keys)
    return len(old), len(keys)


def _list_at_work(folder: str, by_run: Mapping[str, list[StoredObject]]) -> set[str]:
    """Runs that have not come to their report and wrote something lately: the days of a backfill run side by side."""
    since = datetime.now(UTC) - UNFINISHED
    return {
        key
        for key, items in by_run.items()
        if max(item.last_modified for item in items) > since
        and f"{folder}{key}/summary.json" not in {item.key for item in items}
    }


def _list_in_force(store: ObjectStore, run: Run) -> set[str]:
    """The runs whose release is kept or whose forecasts are in force, by the parts of the keys that are named."""
    pointers = (read_published(store, pointer) or {} for pointer in (run.release_pointer, run.forecast_pointer))
    named = [release.key for release in list_releases(store, run)]
    named += [key for content in pointers for key in (*content.get("keys", ()), content.get("release", ""))]
    return {part.removesuffix(".parquet") for key in named for part in key.split("/")[2:3]}
