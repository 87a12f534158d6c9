"""What panels are laid out by: the catalogue's calendar and days of trade, as known on the run's date.

What does not belong here: which rows are laid out, validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.forecasting.building import build_catalogue_panels
from include.skufleet.forecasting.panel import Panel
from include.skufleet.lake.index import read_trading_dates


@dataclass(frozen=True)
class Layout:
    """Read once, used for any number of SKUs.

    Attributes:
        catalogue: the catalogue's settings.
        as_of: nothing later counts.
        calendar: one row per day; ``None`` where the catalogue has none.
        trading_dates: days up to ``as_of`` on which anything of the catalogue has a row.
    """

    catalogue: Catalogue
    as_of: date
    calendar: pd.DataFrame | None
    trading_dates: pd.Series

    @classmethod
    def read(cls, clients: Clients, catalogue: Catalogue, as_of: date, ingested: Mapping[str, Any]) -> Self:
        """Read the objects that the ingestion's summary names."""
        key = ingested.get("calendar_key")
        stamps = pd.to_datetime(read_trading_dates(clients.store, ingested["dates_key"]))
        return cls(
            catalogue=catalogue,
            as_of=as_of,
            calendar=clients.store.get_frame(key) if key else None,
            trading_dates=stamps[stamps <= pd.Timestamp(as_of)],
        )

    @property
    def newest(self) -> date | None:
        """The last day of trade; ``None`` where there was none."""
        return self.trading_dates.max().date() if len(self.trading_dates) else None

    def build(self, rows: pd.DataFrame, prices: pd.DataFrame | None = None) -> dict[str, Panel]:
        """One panel per SKU of ``sku, store, date, units`` and perhaps ``price``, with what is known ahead.

        Args:
            rows: one per SKU, store and date.
            prices: announced ones; see ``build_panels``.
        """
        return build_catalogue_panels(
            rows,
            self.catalogue,
            as_of=self.as_of,
            calendar=self.calendar,
            prices=prices,
            trading_dates=self.trading_dates,
            last_date=self.newest,
        )
