"""A retailer small enough to compute by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.lake.history import read_history
from include.skufleet.lake.ingest import IngestSummary, ingest
from include.skufleet.lake.store import ObjectStore

TODAY = date(2026, 6, 30)


@dataclass
class Shop:
    """A small retailer: a catalogue, and its landing in an empty bucket."""

    store: ObjectStore
    catalogue: Catalogue

    def drop(self, name: str, *rows: str, header: str = "sku,store,date,units", folder: str = "sales") -> None:
        """Deliver a CSV file."""
        self.put(name, "\n".join([header, *rows]) + "\n", folder)

    def put(self, name: str, content: str | bytes, folder: str = "sales") -> None:
        """Deliver a file."""
        data = content.encode() if isinstance(content, str) else content
        self.store.put(f"landing/shop/{folder}/{name}", data)

    def ingest(self, today: date = TODAY) -> IngestSummary:
        return ingest(self.store, self.catalogue, today)

    def history(self, version: int, as_of: date = TODAY, **selection: Any) -> pd.DataFrame:
        buckets = range(self.catalogue.fleet.buckets)
        return read_history(
            self.store, self.catalogue, version=version, as_of=as_of, **({"buckets": buckets} | selection)
        )

    def units(self, version: int, as_of: date = TODAY) -> dict[tuple[str, str, str], float]:
        """(sku, store, date) -> units."""
        frame = self.history(version, as_of)
        days = frame["date"].dt.strftime("%Y-%m-%d")
        return dict(zip(zip(frame["sku"], frame["store"], days, strict=True), frame["units"], strict=True))

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Name of the object -> its record."""
        records = [self.store.get_json(item.key) for item in self.store.list("lake/shop/ledger/")]
        return {record["key"].rsplit("/", 1)[-1]: record for record in records}

    def with_sales(self, **sales: Any) -> Shop:
        """The same landing under other settings of ``landing.sales``."""
        return Shop(self.store, make_catalogue(**sales))


def make_catalogue(landing: dict[str, Any] | None = None, **sales: Any) -> Catalogue:
    """A catalogue file as small as can be."""
    columns = {"sku": "sku", "store": "store", "date": "date", "units": "units"}
    return Catalogue.model_validate(
        {
            "name": "shop",
            "landing": {"prefix": "landing/shop", "sales": {"columns": columns} | sales, **(landing or {})},
            "fleet": {"buckets": 4},
        }
    )
