"""Recipes on trial: a shadow's forecasts are written and not served, a canary's serve a few SKUs first. Pure.

A trial keeps two forecasts of the same day: what the challenger forecast and what production's recipe did. Once the
days have passed, what was sold says which was nearer. A shadow decides for its SKU. A canary decides for the others:
the errors of all canaries of a recipe are added up, and only where they are no larger than what production's recipes
would have made does the recipe go to the rest of the catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

COLUMNS = {
    "sku": "str",
    "kind": "str",
    "recipe": "str",
    "rival": "str",
    "version": "int64",
    "since": "str",
    "store": "str",
    "date": "datetime64[s]",
    "y_hat": "float64",
    "rival_y_hat": "float64",
}
"""Of the open trials: a row per SKU, store and day forecast."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a SKU stands: its own trial, and what is known of the recipe that it might take.

    Attributes:
        kind: of the open trial; empty without one.
        recipe: the one on trial.
        rival: the one that it is held against: production's when the trial began.
        elapsed: days since it began.
        error: sum of absolute errors of the one on trial over what is known by now, in units.
        rival_error: the same of the rival.
        periods: SKU-store days (or weeks) that are known of both.
        canary: whether the SKU is one of those in which recipes are tried first.
        verdicts: recipe -> whether it did no worse in the canaries; of the others nothing is known yet.
        possible: recipes that can be refit today.
    """

    kind: Literal["", "shadow", "canary"] = ""
    recipe: str = ""
    rival: str = ""
    elapsed: int = 0
    error: float = 0.0
    rival_error: float = 0.0
    periods: int = 0
    canary: bool = False
    verdicts: Mapping[str, bool] = field(default_factory=dict)
    possible: frozenset[str] = frozenset()


def is_canary(sku: str, share: float) -> bool:
    """Whether a SKU is among the canaries: the same ones every night, of a larger share all those of a smaller one.

    >>> [is_canary(sku, 0.3) for sku in "ABCDEF"] == [is_canary(sku, 0.3) for sku in "ABCDEF"]
    True
    """
    return int.from_bytes(hashlib.sha256(f"canary\0{sku}".encode()).digest()[:8], "big") < share * 2**64


def compare_trial(trial: pd.DataFrame, actuals: pd.DataFrame) -> tuple[float, float, int]:
    """Absolute errors of the one on trial and of its rival over the periods that are known, and how many these are.

    Args:
        trial: rows of one SKU: ``store, date, y_hat, rival_y_hat``.
        actuals: ``store, date, units``; NaN where not known.
    """
    known = trial.merge(actuals, on=["store", "date"], how="inner").dropna(subset=["units", "y_hat", "rival_y_hat"])
    units = known["units"].to_numpy(dtype=np.float64)
    own = float(np.abs(known["y_hat"].to_numpy() - units).sum())
    rival = float(np.abs(known["rival_y_hat"].to_numpy() - units).sum())
    return own, rival, len(known)


def clear_recipes(canaries: pd.DataFrame) -> dict[str, bool]:
    """Recipe -> whether its canaries did no worse than production's recipes would have; a recipe without any is absent.

    Args:
        canaries: a row per canary that has come to its end: ``recipe, error, rival_error``, in units.
    """
    groups = canaries.groupby("recipe", sort=True)
    return {str(name): bool(rows["error"].sum() <= rows["rival_error"].sum()) for name, rows in groups}


def change_trials(open_trials: pd.DataFrame, begun: pd.DataFrame, ended: Collection[str]) -> pd.DataFrame:
    """The open trials after a run: without those that ended, with those that begun; a SKU has one at the most."""
    gone = {*ended, *begun["sku"]}
    kept = open_trials[~open_trials["sku"].isin(gone)]
    return pd.concat([kept, begun], ignore_index=True)[list(COLUMNS)].astype(COLUMNS)


def no_trials() -> pd.DataFrame:
    """A frame of open trials without a row."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
