"""The changes of stages on S3: one object per run or command, put together by tidying."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore, frame_to_parquet
from include.skufleet.lifecycle.transitions import TYPES, Served, find_served, no_transitions

SMALL = 30
"""So many objects are put together into one."""


def put_transitions(store: ObjectStore, run: RunKeys, moment: datetime, rows: pd.DataFrame) -> None:
    """Write what one run or command changed. Safe to repeat: the name depends on the moment and on who it was."""
    if len(rows):
        store.put_frame(f"{run.transitions_folder}{moment:%Y%m%dT%H%M%S%f}-{run.key}.parquet", rows)


def read_transitions(store: ObjectStore, run: RunKeys) -> pd.DataFrame:
    """All changes of stages of a catalogue (``lifecycle.transitions.TYPES``), the oldest first."""
    keys = [item.key for item in store.list(run.transitions_folder)]
    frames = [store.parse_frame(key, data) for key, data in zip(keys, store.get_many(keys), strict=True)]
    every = pd.concat([no_transitions(), *frames], ignore_index=True).astype(TYPES)
    unique = every.drop_duplicates(["time", "run_id", "sku", "version", "to_stage"])
    return unique.sort_values(["time", "sku"], kind="stable", ignore_index=True)


def served_on(store: ObjectStore, run: RunKeys, sku: str, day: date) -> Served:
    """Which version served a SKU at the end of a day (UTC), and why."""
    return find_served(read_transitions(store, run), sku, day)


def compact_transitions(store: ObjectStore, run: RunKeys) -> int:
    """Put many small objects together; how many there were. Read in between, rows count once all the same."""
    found = store.list(run.transitions_folder)
    if len(found) < SMALL:
        return 0
    rows = read_transitions(store, run)
    newest = max(item.key.removeprefix(run.transitions_folder) for item in found)
    whole = f"{run.transitions_folder}{newest.split('-')[0]}-all-{len(found)}.parquet"
    store.put(whole, frame_to_parquet(rows))
    store.delete_many(item.key for item in found if item.key != whole)
    return len(found)
