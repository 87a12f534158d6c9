"""The SKUs that a run is about: those that were sold by its date or are listed, narrowed to what it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import PlanError
from include.skufleet.fleet.chunks import PlannedSku
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.outcomes import Outcome, SkuOutcome
from include.skufleet.fleet.run import Run
from include.skufleet.lake.index import read_series_index

UNKNOWN_DEPARTMENT = "(none)"


@dataclass(frozen=True)
class Selection:
    """The SKUs that a run is about.

    Attributes:
        planned: those that can be trained.
        left_out: those that cannot, and why.
        groups: SKU -> its department and hierarchy, for SKUs that the catalogue lists.
        series: the series index of the history: a row per SKU and store.
    """

    planned: Sequence[PlannedSku]
    left_out: Sequence[SkuOutcome]
    groups: Mapping[str, Mapping[str, str]]
    series: pd.DataFrame

    def describe(self, sku: str) -> dict[str, Any]:
        """The department and the hierarchy of a SKU."""
        hierarchy = dict(self.groups.get(sku, {}))
        return {"department": hierarchy.pop("department", UNKNOWN_DEPARTMENT), "hierarchy": hierarchy}


def find_skus(clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any]) -> Selection:
    """The SKUs that were sold up to the run's date or are listed, narrowed to those that the run asks for.

    Raises:
        PlanError: ``skus`` selects nothing.
    """
    index = read_series_index(clients.store, ingested["index_key"])
    groups = _read_groups(clients, catalogue, ingested)
    known = _sizes(index, run.as_of)
    every = sorted(set(known.index) | set(() if groups is None else groups.index))
    selected = select_skus(every, run.skus, catalogue.name)
    planned, left_out = _sort_out(selected, known, groups)
    named = {} if groups is None else groups.to_dict("index")
    texts = {str(sku): {str(name): str(value) for name, value in row.items()} for sku, row in named.items()}
    return Selection(planned, left_out, texts, index)


def find_departments(clients: Clients, catalogue: Catalogue, ingested: Mapping[str, Any]) -> dict[str, str]:
    """SKU -> its department, for every SKU that the catalogue lists; empty where it has no attributes."""
    groups = _read_groups(clients, catalogue, ingested)
    return {} if groups is None else {str(sku): str(name) for sku, name in groups["department"].items()}


def select_skus(known: Sequence[str], wanted: Iterable[str], catalogue: str) -> list[str]:
    """The SKUs that the codes and shell patterns select, in the catalogue's order; all where none is given.

    A code that exists is taken as it is, even if it reads like a pattern.

    Raises:
        PlanError: one of them matches nothing; the message names it and shows what codes look like.
    """
    wanted = [item.strip() for item in wanted if item.strip()]
    if not wanted:
        return list(known)
    codes, chosen = set(known), set()
    for item in wanted:
        found = {item} if item in codes else {sku for sku in known if fnmatchcase(sku, item)}
        if not found:
            examples = ", ".join(known[:3]) or "none at all"
            raise PlanError(
                f"skus: {item!r} matches none of the {len(known)} SKUs of catalogue {catalogue!r} (they look like: "
                f"{examples}); give codes or shell patterns, for example {known[0][:3] + '*' if known else '*'}"
            )
        chosen |= found
    return [sku for sku in known if sku in chosen]


def _read_groups(clients: Clients, catalogue: Catalogue, ingested: Mapping[str, Any]) -> pd.DataFrame | None:
    """The department and the hierarchy of every SKU that the catalogue lists, as text by SKU.

    The department is the attribute of that name, else the first of the hierarchy. ``None``: there are no attributes.
    """
    key = ingested.get("attributes_key")
    if not key:
        return None
    attributes = clients.store.get_frame(key)
    groups = pd.DataFrame(index=pd.Index(attributes["sku"].astype("str"), name="sku"))
    source = next((name for name in ("department", *catalogue.hierarchy) if name in attributes.columns), None)
    for name, column in (("department", source), *((name, name) for name in catalogue.hierarchy)):
        known = attributes[column].astype("str") if column else pd.Series("", index=attributes.index)
        groups[name] = known.where(known.notna() & (known != ""), UNKNOWN_DEPARTMENT).to_numpy()
    return groups


def _sizes(index: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Bucket and rows (days of all its series up to ``as_of``) of every SKU that was sold by then."""
    end = pd.Timestamp(as_of)
    sold = index[pd.to_datetime(index["first_date"]) <= end]
    last = pd.to_datetime(sold["last_date"])
    rows = (last.where(last <= end, end) - pd.to_datetime(sold["first_date"])).dt.days + 1
    frame = pd.DataFrame({"sku": sold["sku"], "bucket": sold["bucket"], "rows": rows})
    return frame.groupby("sku", observed=True).agg(bucket=("bucket", "first"), rows=("rows", "sum"))


def _sort_out(
    selected: Sequence[str], known: pd.DataFrame, groups: pd.DataFrame | None
) -> tuple[list[PlannedSku], list[SkuOutcome]]:
    """Who is trained; who is in the sales but not in the catalogue, and the reverse."""
    sizes = dict(zip(known.index, zip(known["bucket"], known["rows"], strict=True), strict=True))
    departments = None if groups is None else groups["department"].to_dict()
    planned, left_out = [], []
    for sku in selected:
        if sku not in sizes:
            reason = "in the catalogue, but never sold up to as_of"
            left_out.append(_leave_out(sku, (departments or {})[sku], "skipped", reason))
        elif departments is not None and sku not in departments:
            reason = "sold, but not in the catalogue's attributes; its sales are kept and count once it is listed there"
            left_out.append(_leave_out(sku, UNKNOWN_DEPARTMENT, "quarantined", reason))
        else:
            bucket, rows = sizes[sku]
            planned.append(PlannedSku(sku, int(bucket), int(rows)))
    return planned, left_out


def _leave_out(sku: str, department: str, outcome: Outcome, reason: str) -> SkuOutcome:
    return SkuOutcome(sku=sku, department=department, outcome=outcome, reason=reason)
