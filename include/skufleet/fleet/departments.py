"""The stage ``departments``: what the calendar does to each department's sales, for the chunks to shrink SKUs to.

The history is added up bucket by bucket; the profiles are one object, and a chunk without it trains its SKUs alone.
What does not belong here: the fit itself (``forecasting.departments``), which share of it a SKU takes over (a setting).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.known_then import parse_known
from include.skufleet.fleet.layout import Layout
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.selection import UNKNOWN_DEPARTMENT, find_departments
from include.skufleet.forecasting.departments import fit_priors
from include.skufleet.forecasting.panel import PERIOD_DAYS, Floats, Panel, Prior
from include.skufleet.forecasting.profile.fitting import HISTORY
from include.skufleet.lake.index import read_series_index
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lake.sums import sum_units

WHOLE_CATALOGUE = "(whole catalogue)"
"""What SKUs without a department are pooled with."""
MOST_CELLS = 20_000_000
"""Days of all stores of all departments that are held in memory at a time: 160 MB."""

Priors = Mapping[str, tuple[Prior, ...]]


def write_departments(clients: Clients, catalogue: Catalogue, run: RunKeys, as_of: date) -> dict[str, Any]:
    """Fit the profiles of the departments as known on the run's date and at the backtest's cutoffs, and write them.

    They are those of the whole catalogue in a run of some SKUs too: adding up M5 takes seconds. What an earlier try
    left is taken away first, so that a chunk never reads profiles of another plan.

    Returns:
        Small JSON: how many departments have a profile, and how many there are of all dates together.

    Raises:
        TransientError: a service is away; a retry does it all again.
        DataError: the history cannot be read.
    """
    clients.store.delete(run.departments_key)
    ingested = clients.store.get_json(run.plan_key)["ingested"]
    priors = fit_departments(clients, catalogue, as_of, ingested, list_cutoffs(catalogue))
    put_priors(clients.store, run, priors)
    return {"departments": len(priors), "profiles": sum(map(len, priors.values()))}


def list_cutoffs(catalogue: Catalogue, held_back: int = 0) -> list[int]:
    """Periods before the end of the data at which a profile is wanted: there, and before each backtest window.

    Args:
        catalogue: horizon, windows and their step.
        held_back: windows after which the same is wanted again, as a search does.
    """
    own = [0, *(catalogue.horizon + catalogue.step * window for window in range(catalogue.backtest.windows))]
    return sorted({catalogue.horizon * window + back for window in range(held_back + 1) for back in own})


def fit_departments(
    clients: Clients, catalogue: Catalogue, as_of: date, ingested: Mapping[str, Any], cutoffs: Sequence[int]
) -> dict[str, tuple[Prior, ...]]:
    """Department -> its profiles by date; a department too young for any is left out.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        as_of: nothing later is read.
        ingested: the JSON of the ingestion's summary: table versions and keys.
        cutoffs: periods before the end of the data, each gives a profile that knows nothing later.
    """
    layout = Layout.read(clients, catalogue, as_of, ingested)
    found: dict[str, tuple[Prior, ...]] = {}
    with threadpool_limits(limits=1):
        for department, panel in _panels(layout, _add_up(clients, layout, ingested, max(cutoffs))):
            known = sorted(panel.dates.size - back for back in cutoffs if back < panel.dates.size)
            if priors := fit_priors(panel, known):
                found[department] = priors
    return found


def put_priors(store: ObjectStore, run: RunKeys, priors: Priors) -> None:
    """Write the profiles of a run, in one step."""
    store.put_json(run.departments_key, {name: [asdict(prior) for prior in known] for name, known in priors.items()})


def read_priors(store: ObjectStore, run: RunKeys) -> Priors:
    """The profiles of a run by department; empty where its stage was not needed, or failed."""
    raw = store.find_json(run.departments_key) or {}
    return {name: tuple(Prior(**item) for item in known) for name, known in raw.items()}


def pool(panel: Panel, priors: Priors, department: str) -> Panel:
    """The panel with the profiles of its department; the same one where there are none."""
    return panel.with_priors(priors[department]) if department in priors else panel


@dataclass(frozen=True)
class _Sums:
    """Units (D, P, T) of departments by place and day from ``first``; a place is a store, or several with one name."""

    departments: Sequence[str]
    places: Sequence[str]
    first: date
    units: Floats


def _add_up(clients: Clients, layout: Layout, ingested: Mapping[str, Any], oldest: int) -> _Sums:
    """The sums of as many days as the oldest profile learns from."""
    catalogue, as_of = layout.catalogue, layout.as_of
    index = read_series_index(clients.store, ingested["index_key"])
    sold = index[pd.to_datetime(index["first_date"]) <= pd.Timestamp(as_of)]
    periods = HISTORY[catalogue.frequency] + oldest + 1  # the first week may be cut
    launch = pd.to_datetime(sold["first_date"]).min().date() if len(sold) else as_of
    first = max(launch, as_of - timedelta(days=PERIOD_DAYS[catalogue.frequency] * periods))
    known = find_departments(clients, catalogue, ingested)
    of_sku = {sku: known.get(sku, UNKNOWN_DEPARTMENT) for sku in map(str, sold["sku"].unique())}
    departments, group = _number(of_sku)
    stores = sorted(map(str, sold["store"].unique()))
    crowded = len(departments) * len(stores) * ((as_of - first).days + 1) > MOST_CELLS
    places, place = _number(_group_alike(stores, catalogue) if crowded else {store: store for store in stores})
    units = sum_units(
        clients.store,
        catalogue,
        version=ingested["table_version"],
        first=first,
        as_of=as_of,
        groups=group,
        places=place,
        known=parse_known(ingested),
    )
    return _Sums(departments, places, first, units)


def _number(named: Mapping[str, str]) -> tuple[list[str], dict[str, int]]:
    """The names in ascending order, and of each key its name's position."""
    names = sorted(set(named.values()))
    position = {name: number for number, name in enumerate(names)}
    return names, {key: position[name] for key, name in named.items()}


def _group_alike(stores: Sequence[str], catalogue: Catalogue) -> dict[str, str]:
    """Store -> the first store whose flags come from the same columns: the regression sees only their sum anyway."""
    calendar = catalogue.landing.calendar if "flags" in catalogue.known_future else None
    first: dict[tuple[str, ...], str] = {}
    found = {}
    for store in stores:
        groups = calendar.flags.values() if calendar else ()
        columns = tuple(
            next((flag.column for flag in group if fnmatchcase(store, flag.stores)), "") for group in groups
        )
        found[store] = first.setdefault(columns, store)
    return found


def _panels(layout: Layout, sums: _Sums) -> Iterator[tuple[str, Panel]]:
    """Each department with the panel of its sums; SKUs without one get that of the whole catalogue."""
    for number, name in enumerate(sums.departments):
        own, title = sums.units[number], name
        if name == UNKNOWN_DEPARTMENT:
            own, title = _total(sums.units), WHOLE_CATALOGUE
        panels = layout.build(_to_rows(title, own, sums))
        if title in panels:
            yield name, panels[title]


def _total(units: Floats) -> Floats:
    """The sum over the first axis; NaN where nothing is known."""
    known = ~np.isnan(units).all(axis=0)
    return np.where(known, np.nansum(units, axis=0), np.nan)


def _to_rows(name: str, units: Floats, sums: _Sums) -> pd.DataFrame:
    """Units (P, T) as a long frame, the department in place of a SKU."""
    place, day = np.nonzero(~np.isnan(units))
    return pd.DataFrame(
        {
            "sku": np.full(place.size, name, dtype=object),
            "store": np.array(sums.places, dtype=object)[place],
            "date": np.datetime64(sums.first, "D") + day,
            "units": units[place, day],
        }
    )
