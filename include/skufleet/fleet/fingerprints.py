"""Tell by a hash whether a SKU has anything new to be trained on: its data, its settings, the code.

The lake keeps a digest of each series' deliveries, so no row is read for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.skufleet.config import Catalogue

_SETTINGS = {"frequency", "horizon", "season_length", "known_future", "candidates", "backtest", "validation"} | {
    "settings",
    "budget",
    "intervals",
    "gate",
}
_CODE = (
    "forecasting",
    "quality",
    *(f"fleet/{name}.py" for name in ("train", "gating", "chunk_data", "layout")),
    *(f"lifecycle/{name}.py" for name in ("gate", "evidence", "guards", "trials")),
)
_ODD = np.uint64(0x9E3779B97F4A7C15)  # spreads sums of digests over all 64 bits


@cache
def digest_code() -> str:
    """A hash of the sources that decide what a model of given data becomes."""
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for part in _CODE:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def fingerprint_skus(
    series: pd.DataFrame,
    prices: pd.DataFrame | None,
    groups: Mapping[str, Mapping[str, str]],
    shared: str,
) -> dict[str, str]:
    """SKU -> its fingerprint, 32 hexadecimal digits.

    Args:
        series: ``sku, store, digest`` of each series of the history.
        prices: the same of the price table; ``None`` where the catalogue has none.
        groups: SKU -> its department and hierarchy.
        shared: what ``digest_shared`` says.
    """
    sums = _add_up(series)
    priced = {} if prices is None else _add_up(prices)
    found = {}
    for sku, own in sums.items():
        parts = [shared, own, priced.get(sku, ""), sorted(groups.get(sku, {}).items())]
        found[sku] = hashlib.sha256(json.dumps([sku, *parts]).encode()).hexdigest()[:32]
    return found


def digest_shared(catalogue: Catalogue, calendar: pd.DataFrame | None, as_of: date, newest: date) -> str:
    """A hash of what all SKUs of a run have in common.

    A department's profile is left out: it moves a little with every day that any SKU of the department sells, so that
    no SKU would ever count as unchanged. On the demo and M5, a day later it changes the forecasts by 0.4 per mille.

    Args:
        catalogue: the settings that a model depends on.
        calendar: its days up to ``newest`` count; later ones matter to forecasts, which are made anew all the same.
        as_of: counts for weeks, which count once they are over. Days up to it are what the digests describe.
        newest: the last day of trade known on that date. Counts where a day without a row means that nothing was sold.
    """
    settings = catalogue.model_dump(mode="json", include=_SETTINGS | {"landing"})
    named: list[Any] = [digest_code(), settings, _digest_calendar(calendar, newest)]
    if catalogue.landing.sales.gaps == "zero":
        named.append(newest.isoformat())
    if catalogue.frequency == "W":
        named.append(as_of.isoformat())
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def _digest_calendar(calendar: pd.DataFrame | None, newest: date) -> str:
    if calendar is None:
        return ""
    past = calendar[pd.to_datetime(calendar["date"]) <= pd.Timestamp(newest)]
    hashed = pd.util.hash_pandas_object(past, index=False)
    return hashlib.sha256(np.ascontiguousarray(hashed.to_numpy()).tobytes()).hexdigest()


def _add_up(series: pd.DataFrame) -> dict[str, str]:
    """SKU -> the digests of its series in one number, each bound to its store."""
    stores: npt.NDArray[np.uint64] = pd.util.hash_array(series["store"].to_numpy(dtype=object))
    own = series["digest"].to_numpy().astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        bound = (own ^ stores) * _ODD
        bound ^= bound >> np.uint64(29)
    codes, skus = pd.factorize(series["sku"].to_numpy(dtype=object))
    sums = np.zeros(len(skus), dtype=np.uint64)
    np.add.at(sums, codes, bound)
    return {str(sku): f"{int(value):016x}" for sku, value in zip(skus, sums, strict=True)}
