"""How every SKU of a catalogue stands: what the last run that looked at it found. One object, written by promotion.

It spares the plan a look at each SKU: whether there is anything new, and what its training takes. What is lost of it
is trained again, no more.
"""

from __future__ import annotations

import pandas as pd

from include.skufleet.fleet.outcomes import TYPES, to_frame
from include.skufleet.fleet.run import Run, RunKeys
from include.skufleet.lake.publishing import update_frame
from include.skufleet.lake.store import ObjectStore

_TYPES = {**TYPES, "run_id": "str", "as_of": "str"}


def read_standing(store: ObjectStore, run: RunKeys) -> pd.DataFrame:
    """One row per SKU that a run ever looked at: ``outcomes.SkuOutcome`` with the ``run_id`` and ``as_of`` of that run.

    What an earlier version of the code wrote is no longer understood, and left aside, where a column is missing.
    """
    return _understand(store.get_frame(run.standing_key) if store.exists(run.standing_key) else None)


def put_standing(store: ObjectStore, run: Run, results: pd.DataFrame) -> None:
    """Write down what a run found; what a run of a later date had found of a SKU stays.

    Safe to repeat, and beside other runs.
    """

    def add(current: pd.DataFrame | None) -> pd.DataFrame:
        before, as_of = _understand(current), run.as_of.isoformat()
        later = before.loc[before["as_of"] > as_of, "sku"]
        found = results[(results["unchanged_since"] == "") & ~results["sku"].isin(later)]
        kept = before[~before["sku"].isin(found["sku"])]
        now = pd.concat([kept, found.assign(run_id=run.run_id, as_of=as_of)[list(_TYPES)]], ignore_index=True)
        return now.sort_values("sku", ignore_index=True)

    update_frame(store, run.standing_key, add)


def _understand(frame: pd.DataFrame | None) -> pd.DataFrame:
    return frame[list(_TYPES)] if frame is not None and set(_TYPES) <= set(frame.columns) else _nothing()


def _nothing() -> pd.DataFrame:
    return to_frame(()).assign(run_id=pd.Series(dtype="str"), as_of=pd.Series(dtype="str"))
