"""Checkpoints of a chunk: which SKUs are finished, so that a retry redoes the others only, and a bar can count.

Each checkpoint is an object of its own, named by its position and size: ``parts/00050-25.parquet``. Written once,
never changed; what a killed task wrote stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from include.skufleet.fleet.outcomes import SkuOutcome, to_frame
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore

_PART = re.compile(r"/parts/\d{5}-(\d+)\.parquet$")

_BACKTEST = {name: pd.Series(dtype="str") for name in ("sku", "store")} | {
    **{name: pd.Series(dtype="datetime64[s]") for name in ("date", "cutoff")},
    **{name: pd.Series(dtype="float64") for name in ("y", "y_hat", "baseline")},
}


def count_finished_skus(store: ObjectStore, run: RunKeys) -> int:
    """How many SKUs of the run are finished, by the names of the checkpoints alone."""
    found = (_PART.search(item.key) for item in store.list(f"{run.folder}/chunks/"))
    return sum(int(match.group(1)) for match in found if match)


def join_backtests(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Backtest rows (``sku, store, date, cutoff, y, y_hat, baseline``) of several SKUs; typed even without a row."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(_BACKTEST)


def read_checkpoints(store: ObjectStore, folder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Outcomes and backtest rows of the SKUs that earlier tries of a chunk finished; both empty at first."""
    names = [item.key.rsplit("/", 1)[1] for item in store.list(f"{folder}/parts/")]
    outcomes = [store.get_frame(f"{folder}/parts/{name}") for name in names]
    backtests = [store.get_frame(f"{folder}/backtests/{name}") for name in names]
    return pd.concat([to_frame(()), *outcomes], ignore_index=True), join_backtests(backtests)


def write_checkpoint(
    store: ObjectStore, folder: str, position: int, outcomes: Sequence[SkuOutcome], backtest: pd.DataFrame
) -> None:
    """Write what was finished since the last checkpoint; the outcomes last, since they make it count."""
    name = f"{position:05d}-{len(outcomes)}.parquet"
    store.put_frame(f"{folder}/backtests/{name}", backtest)
    store.put_frame(f"{folder}/parts/{name}", to_frame(outcomes))
