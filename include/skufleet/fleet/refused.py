"""Versions that were rolled back, on S3: their data are not promoted again until they change."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.publishing import update_frame
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.records import RegisteredVersion

_COLUMNS = ["sku", "version", "fingerprint", "reason"]


def read_refused(store: ObjectStore, run: RunKeys) -> dict[str, str]:
    """Fingerprint of the data -> why their version was rolled back."""
    if not store.exists(run.rolled_back_key):
        return {}
    rows = store.get_frame(run.rolled_back_key)
    return {str(mark): str(reason) for mark, reason in zip(rows["fingerprint"], rows["reason"], strict=True) if mark}


def put_refused(store: ObjectStore, run: RunKeys, versions: Iterable[RegisteredVersion], reason: str) -> None:
    """Note versions that are rolled back. Safe to repeat."""
    rows = [(item.sku, item.version, item.fingerprint, reason) for item in versions]
    if rows:
        fresh = _frame(rows)
        update_frame(
            store,
            run.rolled_back_key,
            lambda now: pd.concat([_frame([]) if now is None else now, fresh], ignore_index=True).drop_duplicates(
                ["sku", "version"], keep="last", ignore_index=True
            ),
        )


def forget_refused(store: ObjectStore, run: RunKeys, versions: Iterable[RegisteredVersion]) -> None:
    """Strike versions off that a person wants in production again. Safe to repeat."""
    wanted = {(item.sku, item.version) for item in versions}
    if not store.exists(run.rolled_back_key):
        return

    def strike(now: pd.DataFrame | None) -> pd.DataFrame:
        rows = _frame([]) if now is None else now
        gone = [key in wanted for key in zip(rows["sku"], rows["version"], strict=True)]
        return rows[~pd.Series(gone, index=rows.index, dtype=bool)].reset_index(drop=True)

    update_frame(store, run.rolled_back_key, strike)


def _frame(rows: list[tuple[str, int, str, str]]) -> pd.DataFrame:
    kinds = {"sku": "str", "version": "int64", "fingerprint": "str", "reason": "str"}
    return pd.DataFrame(rows, columns=_COLUMNS).astype(kinds)
