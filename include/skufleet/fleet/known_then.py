"""What a run of the past may know of the lake: an index of its own, of the rows that were there on its date.

The newest index knows the future: when a series was last sold, on which days the chain traded, what was corrected. What
comes after the plan reads what ``ingested`` names, and need not know of which date its run is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from include.skufleet.config import Catalogue
from include.skufleet.errors import PlanError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.run import Run
from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.delta import require_table
from include.skufleet.lake.files import EVERYTHING, Selection
from include.skufleet.lake.index import Index, index_as_known
from include.skufleet.lake.keys import table_key

_VERSIONS = {"history": "table_version", "prices": "prices_version"}


def limit_to_known(clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any]) -> dict[str, Any]:
    """The ingestion's summary as a run may know it; the same, and nothing is read, for a run of today.

    For a run of the past, before the newest day of the history or before the last delivery, the table is read once, and
    the summary names an index and trading dates of the run's own. ``known`` says which deliveries count (see
    ``find_known``), ``late_rows`` how many of days up to the run's date came too late, and ``newest`` keeps what was
    replaced.

    Raises:
        PlanError: nothing was known on the run's date.
    """
    known = {kind: find_known(catalogue, ingested, run.as_of, kind) for kind in _VERSIONS}
    limited: dict[str, Any] = {**ingested, "late_rows": 0}
    limited["known"] = {kind: None if limit is None else limit.to_json() for kind, limit in known.items()}
    if run.as_of < date.fromisoformat(ingested["last_date"]) or known["history"]:
        index, late = _read(clients, catalogue, limited, "history", Selection(last=run.as_of))
        if index.series.empty:
            raise PlanError(_nothing_known(catalogue, run, ingested))
        clients.store.put_frame(run.known_series_key, index.series)
        clients.store.put_frame(run.known_dates_key, index.dates)
        own = {"index_key": run.known_series_key, "dates_key": run.known_dates_key}
        own |= {f"{end}_date": found.date().isoformat() for end, found in _span(index)}
        limited |= {"late_rows": late, "newest": {name: ingested[name] for name in own}} | own
    if known["prices"]:
        prices, _ = _read(clients, catalogue, limited, "prices", EVERYTHING)
        clients.store.put_frame(run.known_prices_key, prices.series)
        limited["prices_index_key"] = run.known_prices_key
    return limited


def find_known(catalogue: Catalogue, ingested: Mapping[str, Any], as_of: date, kind: str) -> Known | None:
    """The deliveries of a table that were known at the end of a date; ``None``: all that there are.

    Args:
        catalogue: says whether the moment of delivery counts (``known_from``).
        ingested: the JSON of the ingestion's summary.
        as_of: the date.
        kind: ``history`` or ``prices``.
    """
    source = catalogue.landing.sales if kind == "history" else catalogue.landing.prices
    if source is None or source.known_from == "date":
        return None
    moments = ingested["deliveries"][kind]
    known = Known.at_the_end_of(as_of, int(moments["backlog"]))
    return known if known.misses(int(moments["last"])) else None


def parse_known(ingested: Mapping[str, Any], kind: str = "history") -> Known | None:
    """The deliveries of a table that count for a run, as its plan says; ``None``: all."""
    return Known.parse(ingested.get("known", {}).get(kind))


def _read(
    clients: Clients, catalogue: Catalogue, ingested: Mapping[str, Any], kind: str, selection: Selection
) -> tuple[Index, int]:
    table = require_table(clients.store, table_key(catalogue.name, kind), ingested[_VERSIONS[kind]])
    return index_as_known(clients.store, table, catalogue.fleet.buckets, selection, parse_known(ingested, kind))


def _span(index: Index) -> list[tuple[str, Any]]:
    dates = index.dates["date"]
    return [("first", dates.min()), ("last", dates.max())]


def _nothing_known(catalogue: Catalogue, run: Run, ingested: Mapping[str, Any]) -> str:
    first = ingested["first_date"]
    return (
        f"as_of {run.as_of} is before the first sale of catalogue {catalogue.name!r} ({first}), or before its first "
        f"delivery: nothing was known then; choose a date from {first} on"
    )
