"""One chunk's history in, one verdict out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.skufleet.config import Validation
from include.skufleet.quality.records import BAD_ROW_COLUMNS, SkuVerdict, Verdict
from include.skufleet.quality.rows import RowOutcome, check_rows
from include.skufleet.quality.schema import check_schema
from include.skufleet.quality.skus import Clock, Frequency, Gaps, check_skus

if TYPE_CHECKING:
    from numpy.typing import NDArray

SKU_EXPECTATION = "few_bad_rows"


def validate_chunk(
    history: pd.DataFrame,
    *,
    limits: Validation,
    as_of: date,
    planned: Sequence[str],
    newest: date | None = None,
    frequency: Frequency = "D",
    gaps: Gaps = "missing",
) -> Verdict:
    """Validate the history of one chunk's SKUs; set bad rows and bad SKUs aside with their reasons.

    Args:
        history: ``sku, store, date, units, price``; more columns are passed through. A row without units is a bad row.
            Rows of SKUs that are not planned are left out; a row without a SKU is set aside. Never changed.
        limits: the catalogue's limits; periods are days or weeks, see ``frequency``.
        as_of: nothing may be dated after it.
        planned: the chunk's SKUs; each gets exactly one verdict.
        newest: the newest date of the whole catalogue's data, which freshness and silence are measured from; at most
            ``as_of``. Without it, the newest good row of this chunk. It is not ``as_of`` itself, as then a feed that
            pauses for a month would make every SKU stale, and a replay of old data would make every SKU inactive.
        frequency: ``D`` counts days, ``W`` weeks from Monday to Sunday.
        gaps: whether a period without a row, between a SKU's first and last one, is a known ``zero`` and so counts as
            history.

    Raises:
        DataError: a column is missing or of the wrong kind: nothing of the chunk can be validated.
    """
    start = time.perf_counter()
    schema = check_schema(history, limits)
    history = _keep_planned(history, planned)
    rows = check_rows(history, limits, as_of)
    clock = Clock(frequency, gaps, _find_newest(history, rows, newest, as_of))
    skus, sku_results = check_skus(history, rows, planned, limits, clock)
    quarantined = [sku for sku, verdict in skus.items() if verdict.status == "quarantined"]
    keep = ~rows.bad & ~history["sku"].isin(quarantined).to_numpy(dtype=bool) if quarantined else ~rows.bad
    return Verdict(
        clean=_take(history, keep),
        bad_rows=_list_bad(history, rows, {sku: skus[sku] for sku in quarantined}),
        skus=skus,
        expectations=(*schema, *rows.results, *sku_results),
        seconds=time.perf_counter() - start,
    )


def _keep_planned(history: pd.DataFrame, planned: Sequence[str]) -> pd.DataFrame:
    """The rows of planned SKUs and those without a SKU, index from 0."""
    sku = history["sku"]
    return _take(history, (sku.isin(list(planned)) | sku.isna()).to_numpy(dtype=bool))


def _take(frame: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    """The rows of a mask, index from 0; without a copy of the values where all are kept."""
    return (frame if keep.all() else frame[keep]).reset_index(drop=True)


def _find_newest(history: pd.DataFrame, rows: RowOutcome, newest: date | None, as_of: date) -> pd.Timestamp:
    """The date that freshness is measured from; ``as_of`` where the chunk has no good row."""
    limit = pd.Timestamp(as_of)
    if newest is not None:
        return min(pd.Timestamp(newest), limit)
    last = pd.to_datetime(history["date"])[~rows.bad].max()
    return limit if pd.isna(last) else min(pd.Timestamp(last), limit)


def _list_bad(history: pd.DataFrame, rows: RowOutcome, quarantined: dict[str, SkuVerdict]) -> pd.DataFrame:
    """The bad rows, then the SKUs quarantined as a whole; columns as in ``Verdict.bad_rows``."""
    bad = history.loc[rows.bad]
    sku = [*bad["sku"].astype(object).where(bad["sku"].notna(), None), *quarantined]
    store = [*bad["store"].astype(object).where(bad["store"].notna(), None), *(None for _ in quarantined)]
    date_ = [*pd.to_datetime(bad["date"]), *(pd.NaT for _ in quarantined)]
    units = [*bad["units"].to_numpy(dtype="float64", na_value=np.nan), *(np.nan for _ in quarantined)]
    listed = pd.DataFrame(
        {
            "sku": pd.array(sku, dtype="str"),
            "store": pd.array(store, dtype="str"),
            "date": pd.array(date_, dtype="datetime64[us]"),
            "units": np.array(units, dtype="float64"),
            "scope": pd.array(["row"] * len(bad) + ["sku"] * len(quarantined), dtype="str"),
            "reason": pd.array([*rows.reason, *(verdict.reason for verdict in quarantined.values())], dtype="str"),
            "expectation": pd.array([*rows.expectation, *([SKU_EXPECTATION] * len(quarantined))], dtype="str"),
        }
    )
    return listed[list(BAD_ROW_COLUMNS)]
