"""A small M5 in Kaggle's layout: the same files, the same columns, made-up sales of a few items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

STORES = ("CA_1", "TX_1", "WI_1")
ITEMS = {
    "FOODS_1_001": "FOODS_1",
    "FOODS_1_002": "FOODS_1",
    "HOBBIES_1_001": "HOBBIES_1",
    "HOUSEHOLD_1_001": "HOUSEHOLD_1",
}
DAYS, AHEAD = 420, 28
FIRST = "2014-10-04"


@dataclass
class FakeM5:
    """The tables before they are written, for a test to change.

    Attributes:
        units: (items, stores, DAYS).
        calendar: DAYS + AHEAD rows.
        prices: ``store_id, item_id, wm_yr_wk, sell_price``; the price of one week in a few is left out.
    """

    units: NDArray[np.int64]
    calendar: pd.DataFrame
    prices: pd.DataFrame

    def write(self, folder: Path) -> Path:
        """Lay the three files down."""
        folder.mkdir(parents=True)
        rows = []
        # As Kaggle has it: store by store, item by item.
        for s, store in enumerate(STORES):
            for i, (item, department) in enumerate(ITEMS.items()):
                ids = [f"{item}_{store}_evaluation", item, department, department[:-2], store, store[:2]]
                rows.append([*ids, *self.units[i, s].tolist()])
        columns = ["id", "item_id", "dept_id", "cat_id", "store_id", "state_id"]
        days = [f"d_{number}" for number in range(1, self.units.shape[2] + 1)]
        pd.DataFrame(rows, columns=[*columns, *days]).to_csv(folder / "sales_train_evaluation.csv", index=False)
        self.calendar.to_csv(folder / "calendar.csv", index=False)
        self.prices.to_csv(folder / "sell_prices.csv", index=False)
        return folder


def make_fake() -> FakeM5:
    """Weekly rhythm, two launches within the year, one store that never lists an item, one Christmas."""
    rng = np.random.default_rng(11)
    dates = pd.date_range(FIRST, periods=DAYS + AHEAD)
    week = np.arange(dates.size) // 7
    # By item and store, the first listed week: within the first year, near the end, and beyond all sales.
    launch = {(1, 0): 20, (2, 1): 57, (3, 2): 400}
    rhythm = 4.0 + 3.0 * (dates[:DAYS].day_of_week >= 5).astype(float)
    units = rng.poisson(np.broadcast_to(rhythm, (len(ITEMS), len(STORES), DAYS)))
    units[:, :, (dates[:DAYS].month == 12) & (dates[:DAYS].day == 25)] = 0
    prices = []
    for i, item in enumerate(ITEMS):
        for s, store in enumerate(STORES):
            first = launch.get((i, s), 0)
            units[i, s, : min(7 * first, DAYS)] = 0
            for number in range(first, week[-1] + 1):
                if (number + i) % 9 != 5 or number == first:
                    prices.append((store, item, 11500 + number, round(2.0 + i + 0.25 * (number // 13 % 2), 2)))
    calendar = pd.DataFrame(
        {
            "date": dates.strftime("%Y-%m-%d"),
            "wm_yr_wk": 11500 + week,
            "weekday": dates.day_name(),
            "d": [f"d_{number}" for number in range(1, dates.size + 1)],
            "event_name_1": np.where((dates.month == 12) & (dates.day == 25), "Christmas", None),
            "event_type_1": np.where((dates.month == 12) & (dates.day == 25), "National", None),
            "event_name_2": np.where((dates.month == 2) & (dates.day == 14), "ValentinesDay", None),
            "event_type_2": np.where((dates.month == 2) & (dates.day == 14), "Cultural", None),
            "snap_CA": (dates.day <= 10).astype(int),
            "snap_TX": (dates.day % 3 == 0).astype(int),
            "snap_WI": (dates.day % 4 == 1).astype(int),
        }
    )
    return FakeM5(units, calendar, pd.DataFrame(prices, columns=["store_id", "item_id", "wm_yr_wk", "sell_price"]))
