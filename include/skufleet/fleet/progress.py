"""Checkpoints of a chunk: which SKUs are finished, so that a retry redoes the others only, and a bar can count.

Each checkpoint is a few objects, named by its position and size: ``parts/00050-50.parquet``, and under the same name
its backtest rows and forecasts. Written once, never changed; what a killed task wrote stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from include.skufleet.fleet.outcomes import to_frame
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lifecycle.trials import no_trials

_PART = re.compile(r"/parts/(\d{5}-(\d+)\.parquet)$")

_BACKTEST = {name: pd.Series(dtype="str") for name in ("sku", "store")} | {
    **{name: pd.Series(dtype="datetime64[s]") for name in ("date", "cutoff")},
    **{name: pd.Series(dtype="float64") for name in ("y", "y_hat", "baseline")},
}


@dataclass(frozen=True)
class Checkpoint:
    """What is known of some finished SKUs.

    Attributes:
        outcomes: a row each: ``outcomes.SkuOutcome``.
        backtest: ``sku, store, date, cutoff, y, y_hat, baseline``, and bounds.
        forecasts: ``serving.forecast_columns``.
        trials: of recipes that begin, ``lifecycle.trials.COLUMNS``.
    """

    outcomes: pd.DataFrame
    backtest: pd.DataFrame
    forecasts: pd.DataFrame
    trials: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Part:
    """One checkpoint, by its name alone.

    Attributes:
        name: of its objects.
        skus: how many it is about.
    """

    name: str
    skus: int


def count_finished_skus(store: ObjectStore, run: RunKeys) -> int:
    """How many SKUs of the run are finished, by the names of the checkpoints alone."""
    return sum(part.skus for part in list_parts(store, f"{run.folder}/chunks"))


def count_written(store: ObjectStore, folder: str) -> int:
    """How many SKUs all checkpoints of a chunk are about: the position of the next one."""
    return sum(part.skus for part in list_parts(store, folder))


def list_parts(store: ObjectStore, folder: str) -> list[Part]:
    """The checkpoints below a folder, in the order of their keys."""
    found = (_PART.search(item.key) for item in store.list(f"{folder}/"))
    return [Part(match.group(1), int(match.group(2))) for match in found if match]


def join_backtests(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Backtest rows (``sku, store, date, cutoff, y, y_hat, baseline``) of several SKUs; typed even without a row."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(_BACKTEST)


def join_trials(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Trials of several SKUs; typed even without a row."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else no_trials()


def read_outcomes(store: ObjectStore, folder: str, fingerprints: Mapping[str, str]) -> pd.DataFrame:
    """Outcomes of the SKUs that earlier tries of a chunk finished; empty at first.

    Args:
        store: the lake.
        folder: the chunk's folder.
        fingerprints: SKU -> what the plan says it is to be trained from. What was made of anything else, before a run
            was cleared and planned anew, is no more than history.
    """
    frames = [_only_valid(frame, fingerprints) for frame in _read_parts(store, folder)]
    return pd.concat([to_frame(()), *frames], ignore_index=True)


def read_checkpoints(store: ObjectStore, folder: str, fingerprints: Mapping[str, str]) -> Checkpoint:
    """What earlier tries of a chunk finished, likewise; empty frames at first."""
    backtests: list[pd.DataFrame] = []
    forecasts: list[pd.DataFrame] = []
    trials: list[pd.DataFrame] = []
    kinds = (("backtests", backtests), ("forecasts", forecasts), ("trials", trials))
    for part, outcomes in zip(list_parts(store, folder), _read_parts(store, folder), strict=True):
        valid = _only_valid(outcomes, fingerprints)["sku"]
        for kind, frames in kinds:
            if kind != "trials" or (outcomes["trial"] == "begun").any():
                frame = store.get_frame(f"{folder}/{kind}/{part.name}")
                frames.append(frame[frame["sku"].isin(valid)])
    empty = pd.DataFrame({"sku": pd.Series(dtype="str")})
    return Checkpoint(
        outcomes=read_outcomes(store, folder, fingerprints),
        backtest=join_backtests(backtests),
        forecasts=pd.concat(forecasts, ignore_index=True) if forecasts else empty,
        trials=join_trials(trials),
    )


def _read_parts(store: ObjectStore, folder: str) -> list[pd.DataFrame]:
    return [store.get_frame(f"{folder}/parts/{part.name}") for part in list_parts(store, folder)]


def _only_valid(outcomes: pd.DataFrame, fingerprints: Mapping[str, str]) -> pd.DataFrame:
    return outcomes[outcomes["fingerprint"] == outcomes["sku"].map(fingerprints)]


def write_checkpoint(store: ObjectStore, folder: str, position: int, part: Checkpoint) -> None:
    """Write what was finished since the last checkpoint; the outcomes last, since they make it count."""
    name = f"{position:05d}-{len(part.outcomes)}.parquet"
    store.put_frame(f"{folder}/backtests/{name}", part.backtest)
    store.put_frame(f"{folder}/forecasts/{name}", part.forecasts)
    if len(part.trials):
        store.put_frame(f"{folder}/trials/{name}", part.trials)
    store.put_frame(f"{folder}/parts/{name}", part.outcomes)
