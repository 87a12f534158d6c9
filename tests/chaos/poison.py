"""SKUs that no catalogue should have and every catalogue has: odd figures, odd gaps, odd names."""

from __future__ import annotations

import io
from datetime import date, timedelta

import pandas as pd

from include.skufleet.config import Landing
from include.skufleet.lake.store import ObjectStore

NAMES = ("a/b", "a:b", "100%", "it's", 'say "x"', "..", "two\nlines", "🧀 brie", "x" * 300, "[/red]", "{{ label }}")
DAYS = 120


def land_poison(store: ObjectStore, landing: Landing, end: date) -> list[str]:
    """Deliver the poison SKUs, and list them among the catalogue's own; their codes.

    The catalogue is the simulated chain, whose first delivery has been landed.
    """
    figures: dict[str, dict[int, object]] = {
        "POISON NAN": {day: "nan" if day % 2 else 3 for day in range(DAYS)},
        "POISON INFINITE": {day: "inf" if day % 3 == 0 else 3 for day in range(DAYS)},
        "POISON ONE ROW": {0: 4},
        "POISON ALL ZEROS": dict.fromkeys(range(DAYS), 0),
        "POISON CONSTANT": dict.fromkeys(range(DAYS), 5),
        "POISON TEN YEARS": dict.fromkeys([*range(40), *range(3650, 3690)], 2),
        "POISON ABSURD": {day: 1e12 if day < 60 else 3 for day in range(DAYS)},
        **{f"POISON {name}": {day: day % 7 for day in range(DAYS)} for name in NAMES},
    }
    rows = [(end - timedelta(days=ago), sku, sold) for sku, days in figures.items() for ago, sold in days.items()]
    rows += [(end - timedelta(days=ago), "POISON TWICE", sold) for ago in range(DAYS) for sold in (2, 9)]
    codes = [*figures, "POISON TWICE"]
    sales = pd.DataFrame(rows, columns=["day", "article", "sold"]).assign(store=_first_store(store, landing))
    store.put(f"{landing.prefix}/sales/poison.csv", sales.to_csv(index=False).encode())
    _list_among(store, landing, codes)
    return codes


def _first_store(store: ObjectStore, landing: Landing) -> str:
    key = next(item.key for item in store.list(f"{landing.prefix}/sales/") if item.key.endswith(".parquet"))
    return str(store.get_frame(key, ["store"])["store"].iloc[0])


def _list_among(store: ObjectStore, landing: Landing, codes: list[str]) -> None:
    key = next(item.key for item in store.list(f"{landing.prefix}/attributes/"))
    listed = pd.read_csv(io.BytesIO(store.get(key)), dtype=str, keep_default_na=False)
    more = pd.DataFrame(dict.fromkeys(listed.columns, "POISON") | {"article": codes}, index=range(len(codes)))
    store.put(key, pd.concat([listed, more]).to_csv(index=False).encode())
