"""Attributes and calendar: the newest readable object of a landing folder, normalised once and kept by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.skufleet.config import Attributes, Calendar, Catalogue
from include.skufleet.errors import DropError, LandingError
from include.skufleet.lake.convert import to_dates, to_numbers, to_text
from include.skufleet.lake.drops import Drop, list_drops, record_ingested, record_rejected, settings_digest
from include.skufleet.lake.grouping import nulls_of
from include.skufleet.lake.keys import ledger_key, quarantine_key, reference_key, reference_pointer_key
from include.skufleet.lake.set_aside import SetAside, count_reasons
from include.skufleet.lake.store import ObjectStore, to_parquet
from include.skufleet.lake.tables import read_rows

_YES = ["1", "true", "yes", "y", "t"]
_NO = ["", "0", "false", "no", "n", "f"]

Normalise = Callable[[str, bytes], tuple[pd.DataFrame, Any]]


def find_reference(
    store: ObjectStore, catalogue: Catalogue, kind: Literal["attributes", "calendar"]
) -> tuple[str | None, list[str]]:
    """The key of the normalised table and why newer objects were rejected; no key where the catalogue names no folder.

    When no object can be read (or the folder was emptied), the last good table goes on serving.

    Raises:
        LandingError: there is none, and never was a good one.
    """
    settings = getattr(catalogue.landing, kind)
    if settings is None:
        return None, []
    folder = f"{catalogue.landing.prefix}/{settings.path}"
    rejections = []
    for drop in reversed(list_drops(store, folder)):
        digest = hashlib.blake2b(f"{drop.id}{settings_digest(settings)}".encode(), digest_size=8).hexdigest()
        key = reference_key(catalogue.name, digest, kind)
        try:
            if not store.exists(key):
                _normalise_object(store, catalogue, kind, drop, key)
        except DropError as error:
            rejections.append(str(error))
            continue
        store.put_json(reference_pointer_key(catalogue.name, kind), {"key": key, "object": drop.stored.key})
        return key, rejections
    last_good = store.find_json(reference_pointer_key(catalogue.name, kind))
    if last_good is not None:
        reason = f"{store.uri(folder)}: nothing readable; {kind} of {last_good['object']} go on serving"
        return last_good["key"], [*rejections, reason]
    raise LandingError(
        rejections[0]
        if rejections
        else f"{store.uri(folder)}: holds no {kind} file, which landing.{kind} of {catalogue.name}.yaml asks for; land "
        f"one (make import CATALOGUE={catalogue.name} FROM=<folder or zip>), or take landing.{kind} out"
    )


def _normalise_object(store: ObjectStore, catalogue: Catalogue, kind: str, drop: Drop, key: str) -> None:
    """Write the normalised table of one object; its bad rows go to the quarantine, its fate to the ledger.

    Raises:
        DropError: it cannot be read, or was replaced while it was read.
    """
    settings = getattr(catalogue.landing, kind)
    where, digest = store.uri(drop.stored.key), settings_digest(settings)
    data = store.get_if_unchanged(drop.stored)
    if data is None:
        raise DropError(f"{where}: was replaced while it was read; the next ingestion takes the new one")
    try:
        frame, aside = (_clean_attributes if kind == "attributes" else _clean_calendar)(where, data, settings)
    except DropError as error:
        record = record_rejected(kind, drop, digest, str(error))
        store.put_json(ledger_key(catalogue.name, drop.id), record.to_json())
        raise
    record = record_ingested(kind, drop, digest, len(frame), count_reasons(aside))
    store.put_json(ledger_key(catalogue.name, drop.id), record.to_json())
    if aside.num_rows:
        store.put(quarantine_key(catalogue.name, drop.id), to_parquet(aside))
    store.put_frame(key, frame)


def _clean_attributes(where: str, data: bytes, settings: Attributes) -> tuple[pd.DataFrame, Any]:
    """One row per SKU under our names; all text, missing where empty. Of repeated SKUs the last row counts."""
    raw = read_rows(where, data, settings, list(settings.columns.values()))
    aside = SetAside(raw)
    columns = {ours: to_text(raw.table.column(theirs)) for ours, theirs in settings.columns.items()}
    aside.mark(nulls_of(columns["sku"]), "sku_missing", "the SKU is empty")
    aside.check_share(where)
    frame = pd.DataFrame({name: column.cast(pa.string()).to_pandas().astype("str") for name, column in columns.items()})
    aside.mark(
        frame["sku"].duplicated(keep="last").to_numpy(),
        "repeated",
        "a later row has the same SKU",
        settings.columns["sku"],
    )
    return frame[aside.kept].sort_values("sku", ignore_index=True), aside.to_table()


def _clean_calendar(where: str, data: bytes, settings: Calendar) -> tuple[pd.DataFrame, Any]:
    """One row per date: ``date``, event columns as text (missing on other days), flags and ``closed`` as 0.0 or 1.0."""
    flags = {flag.column for group in settings.flags.values() for flag in group}
    if settings.closed is not None:
        flags.add(settings.closed)
    raw = read_rows(where, data, settings, [settings.date, *settings.events, *sorted(flags)])
    aside = SetAside(raw)
    dates = to_dates(raw.table.column(settings.date), settings.date_format)
    aside.mark(nulls_of(dates), "date_unreadable", "date {value} is not a date of the configured form", settings.date)
    days = pd.Series(pd.to_datetime(dates.to_pandas())).astype("datetime64[us]")
    columns: dict[str, Any] = {"date": days}
    for name in settings.events:
        columns[name] = to_text(raw.table.column(name)).cast(pa.string()).to_pandas().astype("str")
    for name in sorted(flags):
        columns[name] = _to_flags(raw.table.column(name))
        aside.mark(np.isnan(columns[name]), "flag_unreadable", f"{name} {{value}} is neither 0 nor 1", name)
    aside.check_share(where)
    frame = pd.DataFrame(columns)
    aside.mark(frame["date"].duplicated(keep="last").to_numpy(), "repeated", "a later row has the same date")
    return frame[aside.kept].sort_values("date", ignore_index=True), aside.to_table()


def _to_flags(column: Any) -> Any:
    """0.0 or 1.0 from numbers, booleans or words; an empty cell is 0, NaN where it is none of these."""
    values = column.combine_chunks()
    if pa.types.is_boolean(values.type):
        return pc.fill_null(values, False).to_numpy(zero_copy_only=False).astype(float)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_dictionary(values.type):
        words = pd.Series(to_text(values).cast(pa.string()).to_pandas()).fillna("").str.lower()
        known = np.where(words.isin(_YES), 1.0, np.where(words.isin(_NO), 0.0, np.nan))
        numbers = to_numbers(pa.array(words.to_list(), pa.string()), ".").to_numpy(zero_copy_only=False)
        return np.where(np.isnan(known), np.where(np.isfinite(numbers), (numbers != 0).astype(float), np.nan), known)
    numbers = to_numbers(pc.fill_null(values, 0), ".").to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), (numbers != 0).astype(float), np.nan)
