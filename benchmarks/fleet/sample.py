"""Some of the fleet's trained SKUs, as the run saw them, for what is timed beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.chunk_data import load_skus
from include.skufleet.fleet.clients import Clients
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.ingest import ingest

Item = TypeVar("Item")

LEAST_DAYS = 120
"""Shorter series leave a loop with lags of four weeks and a test of four weeks next to nothing to learn from."""


@dataclass(frozen=True, eq=False)
class Sample:
    """SKUs with a model in production, evenly spread over the catalogue.

    Attributes:
        panels: SKU -> its panel.
        series: SKU -> its units by day in its first store, of the SKUs that are known for long enough.
    """

    panels: Mapping[str, Panel]
    series: Mapping[str, pd.Series]


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly spread over them, in their order.

    >>> spread("abcdefgh", 3)
    ['a', 'c', 'f']
    """
    wanted = min(most, len(items))
    return [items[number * len(items) // wanted] for number in range(wanted)]


def draw_sample(clients: Clients, catalogue: Catalogue, as_of: date, skus: int) -> Sample:
    """So many SKUs, or all there are.

    Raises:
        PermanentError: no SKU has a trained model in production.
    """
    production = clients.registry.production(catalogue.name)
    trained = sorted(sku for sku, version in production.items() if version.outcome == "trained")
    if not trained:
        raise PermanentError(f"{catalogue.name}: no SKU has a trained model in production: there is nothing to compare")
    wanted = spread(trained, skus)
    known: dict[str, dict[str, Any]] = {sku: {"department": "", "hierarchy": {}} for sku in wanted}
    buckets = sorted({bucket_of(sku, catalogue.fleet.buckets) for sku in wanted})
    # Everything is ingested: this only says which version of the table is the current one.
    panels = load_skus(
        clients, catalogue, as_of, ingest(clients.store, catalogue, as_of).to_json(), known, buckets
    ).panels
    series = {
        sku: pd.Series(panel.units[0], index=panel.dates.astype("datetime64[ns]"))
        for sku, panel in panels.items()
        if panel.dates.size >= LEAST_DAYS
    }
    return Sample(dict(panels), series)
