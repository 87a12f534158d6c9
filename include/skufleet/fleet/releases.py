"""The releases of a catalogue on S3: which are kept, which is in force, and how a person names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from include.skufleet.errors import DataError, PlanError
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.publishing import read_published, update_json
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lifecycle.fleet_gate import FIGURES
from include.skufleet.lifecycle.promotion import to_outcome
from include.skufleet.lifecycle.release import complete, thaw_release
from include.skufleet.registry.records import RegisteredVersion


@dataclass(frozen=True, slots=True)
class Release:
    """One release, by its manifest.

    Attributes:
        name: what people and commands call it.
        key: of the frame (``lifecycle.release.TYPES``).
        run_id: the Airflow run, or the command, that made it.
        as_of: ISO date of the newest run whose versions it has.
        made_at: ISO 8601, UTC.
        kind: ``run``, ``rollback`` or ``promotion``.
        actor: who.
        reason: one sentence: what the fleet gate said, or why it was rolled back.
        skus: that it names.
        promoted: SKUs whose version is another than in the release before.
        forecasts: the object that lists the forecasts that were made with it; empty where none were.
        table_version: of the history; 0 for a command.
        code_version: of Skufleet.
        settings: the SKU gate's and the fleet gate's, as they were.
    """

    name: str
    key: str
    run_id: str
    as_of: str
    made_at: str
    kind: str
    actor: str
    reason: str
    skus: int
    promoted: int
    forecasts: str = ""
    table_version: int = 0
    code_version: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_release(store: ObjectStore, run: RunKeys) -> list[RegisteredVersion]:
    """The versions of the catalogue's release in force; none before the first.

    What MLflow's aliases say decides; a release saves asking MLflow for the details of each version.
    """
    return list(thaw_release(read_release_frame(store, run)))


def read_release_frame(store: ObjectStore, run: RunKeys) -> pd.DataFrame:
    """The release in force (``lifecycle.release.TYPES``); no row before the first."""
    pointer = read_published(store, run.release_pointer)
    frame = store.get_frame(pointer["keys"][0]) if pointer and store.exists(pointer["keys"][0]) else pd.DataFrame()
    return complete(frame)


def read_release_at(store: ObjectStore, key: str) -> list[RegisteredVersion]:
    """The versions of the release at a key; none where it was pruned."""
    return list(thaw_release(store.get_frame(key))) if store.exists(key) else []


def list_releases(store: ObjectStore, run: RunKeys) -> list[Release]:
    """Those that are kept, in the order in which they were made: the last is in force."""
    return [Release(**item) for item in store.find_json(run.releases_key) or ()]


def put_release(store: ObjectStore, run: RunKeys, frame: pd.DataFrame, release: Release) -> None:
    """Freeze a release, note it among the others, and put it in force: the pointer moves last, in one step.

    Safe to repeat; to be called by whoever holds the catalogue's lease.
    """
    store.put_frame(release.key, frame)

    def add(current: Any | None) -> list[Any]:
        others = [item for item in current or () if item["name"] != release.name]
        return [*others, asdict(release)]

    update_json(store, run.releases_key, add)
    content = {"run_id": release.run_id, "as_of": release.as_of, "release": release.name, "keys": [release.key]}
    update_json(store, run.release_pointer, lambda _: content)


def drop_releases(store: ObjectStore, run: RunKeys, keep: int) -> list[str]:
    """Forget all but the newest releases; the keys that are needed no more."""
    dropped: list[str] = []

    def cut(current: Any | None) -> list[Any] | None:
        known = current or []
        dropped[:] = [item["key"] for item in known[:-keep]]
        return known[-keep:] if dropped else None

    update_json(store, run.releases_key, cut)
    return dropped


def find_release(store: ObjectStore, run: RunKeys, wanted: str) -> Release:
    """The release that a person names: its name or the beginning of it, ``current``, ``previous``, or an ISO date.

    Of several of one date the newest is meant.

    Raises:
        PlanError: there is none, or there are several of that name; the message lists those that there are.
    """
    known = list_releases(store, run)
    names = ", ".join(item.name for item in known[-5:]) or "none yet"
    if wanted in ("current", "previous"):
        place = -1 if wanted == "current" else -2
        if len(known) < -place:
            raise PlanError(f"catalogue {run.catalogue!r} has no {wanted} release; there are: {names}")
        return known[place]
    exact = [item for item in known if wanted in (item.name, item.run_id)]
    dated = [item for item in known if item.as_of == wanted][-1:]
    found = exact or dated or [item for item in known if item.name.startswith(wanted)]
    if not wanted or not found:
        raise PlanError(
            f"catalogue {run.catalogue!r} has no release {wanted!r}; expected a name, the beginning of one, a date "
            f"such as 2026-01-31, current or previous; the newest are: {names}. `releases` lists all"
        )
    if len(found) > 1:
        several = ", ".join(item.name for item in found[-5:])
        raise PlanError(f"catalogue {run.catalogue!r}: {wanted!r} could be {several}; give more of the name")
    return found[-1]


def open_release(store: ObjectStore, release: Release) -> pd.DataFrame:
    """The frame of a release.

    Raises:
        DataError: its object is gone, or cannot be read; nothing was changed.
    """
    if not store.exists(release.key):
        raise DataError(f"release {release.name}: {store.uri(release.key)} is gone; choose another, see `releases`")
    try:
        frame = store.get_frame(release.key)
    except DataError as error:
        raise DataError(f"release {release.name} cannot be read, nothing was changed: {error}") from error
    if missing := {"sku", "name", "version"} - set(frame):
        raise DataError(f"release {release.name}: {store.uri(release.key)} lacks the columns {sorted(missing)}")
    if len(frame) != release.skus:
        raise DataError(
            f"release {release.name}: {store.uri(release.key)} has {len(frame)} SKUs, its manifest says "
            f"{release.skus}; nothing was changed, choose another release"
        )
    return complete(frame)


def describe_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What a release says of a version that a run made, from its row of the results."""
    return {
        "department": row["department"],
        "metric": row["metric"],
        "error": row["challenger_metric"],
        "baseline_error": row["baseline_metric"],
        **{name: row[name] for name in FIGURES},
    }


def version_of(row: Mapping[Any, Any], as_of: str) -> RegisteredVersion:
    """The version that a run made, from its row of the results."""
    return RegisteredVersion(
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
        recipe_since=str(row["recipe_since"]),
    )
