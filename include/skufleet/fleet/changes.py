"""Which of the planned SKUs have anything new, and what becomes of the others: nothing, or a new forecast only.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.outcomes import SkuOutcome
from include.skufleet.registry.records import RegisteredVersion

MODELLED = ("trained", "fallback")
NOTHING_NEW = "nothing new since {}: what is in production goes on serving"


@dataclass(frozen=True)
class Before:
    """What the runs before know.

    Attributes:
        standing: ``standing.read_standing``.
        production: SKU -> its version in production.
        served: SKU -> the version in production when the published forecasts were made.
        published_as_of: ISO date of the published forecasts, empty where there are none.
        published_horizon: their horizon.
        last_sales: SKU -> the last day on which it sold, ``NaT`` if never.
        newest: the last day of trade of the catalogue.
    """

    standing: pd.DataFrame
    production: Mapping[str, RegisteredVersion]
    served: Mapping[str, int]
    published_as_of: str
    published_horizon: int
    last_sales: Mapping[str, pd.Timestamp]
    newest: date


@dataclass(frozen=True)
class Changes:
    """What is to be done with each planned SKU.

    Attributes:
        train: SKUs with something new, or of whom too little is known.
        forecast: SKU -> its outcome: nothing new, but its published forecasts are not of this date.
        carried: SKU -> its outcome: nothing new, and its published forecasts hold.
    """

    train: list[str] = field(default_factory=list)
    forecast: dict[str, SkuOutcome] = field(default_factory=dict)
    carried: dict[str, SkuOutcome] = field(default_factory=dict)


def find_changes(
    skus: Sequence[str], fingerprints: Mapping[str, str], before: Before, catalogue: Catalogue, as_of: date
) -> Changes:
    """Sort the SKUs by what is new.

    A SKU is left untrained where its fingerprint is what it was when a run last looked at it, no more than
    ``fleet.max_age`` days ago, and what that run found still holds: nothing failed, a model serves, and the SKU has not
    fallen silent for good since.
    """
    rows = {str(row["sku"]): row for row in before.standing.to_dict("records")}
    found = Changes()
    for sku in skus:
        row = rows.get(sku)
        if row is None or row["fingerprint"] != fingerprints[sku] or not _still_holds(row, before, catalogue, as_of):
            found.train.append(sku)
            continue
        outcome = _leave(row, before.production.get(sku))
        if row["outcome"] == "skipped" or _is_published(sku, before, catalogue, as_of):
            found.carried[sku] = outcome
        else:
            found.forecast[sku] = outcome
    return found


def _still_holds(row: Mapping[Any, Any], before: Before, catalogue: Catalogue, as_of: date) -> bool:
    looked_at = date.fromisoformat(row["as_of"])
    if row["outcome"] == "failed" or not timedelta() <= as_of - looked_at <= timedelta(days=catalogue.fleet.max_age):
        return False
    if row["outcome"] == "skipped":
        return True
    in_use = row["sku"] in before.production or row["outcome"] not in MODELLED
    return in_use and not _fell_silent(before.last_sales.get(row["sku"]), before.newest, catalogue)


def _fell_silent(last_sale: pd.Timestamp | None, newest: date, catalogue: Catalogue) -> bool:
    """Whether the SKU may have to be retired by now; one that never sold is judged as it was."""
    if last_sale is None or pd.isna(last_sale):
        return False
    days = (newest - last_sale.date()).days
    return days > catalogue.validation.inactive_after * (7 if catalogue.frequency == "W" else 1)


def _is_published(sku: str, before: Before, catalogue: Catalogue, as_of: date) -> bool:
    """Whether the published forecasts of the SKU are those that this run would make."""
    if before.published_as_of != as_of.isoformat() or before.published_horizon != catalogue.horizon:
        return False
    serving = before.production.get(sku)
    return before.served.get(sku, 0) == (serving.version if serving else 0)


def _leave(row: Mapping[Any, Any], serving: RegisteredVersion | None) -> SkuOutcome:
    """The outcome of a SKU that is left as it is."""
    modelled = row["outcome"] in MODELLED
    return SkuOutcome(
        sku=str(row["sku"]),
        department=str(row["department"]),
        outcome="skipped" if modelled else row["outcome"],
        reason=NOTHING_NEW.format(row["as_of"]) if modelled else str(row["reason"]),
        demand_class=str(row["demand_class"]),
        fingerprint=str(row["fingerprint"]),
        champion_candidate=serving.candidate if serving else "",
        champion_version=serving.version if serving else 0,
        unchanged_since=str(row["as_of"]),
        cpu_seconds_saved=float(row["seconds"]),
    )
