"""The order in which SKUs join the sample: every beginning of it is a sample of the catalogue in proportion.

Pure: no I/O. What does not belong here: which of the SKUs can be trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.forecasting.selection import ADI_LIMIT, CV2_LIMIT

GROWTH = 3
"""How many times as many SKUs the next rung has, and the share of trials that go on to it."""


def order_sample(strata: Mapping[str, str], seed: int) -> list[str]:
    """All SKUs, so that any first n of them hold each stratum in proportion, to within one SKU per stratum.

    Within a stratum the order is random, by a hash of seed and SKU, so a new SKU changes no other's place among the
    rest. The strata are then interleaved: the k-th of n SKUs of a stratum stands at (k - u) / n, with one u in [0, 1)
    per stratum, as in systematic sampling.

    Args:
        strata: SKU -> its stratum.
        seed: another seed, another sample.

    >>> order_sample({"a": "x", "b": "x", "c": "x", "d": "x", "e": "y", "f": "y"}, seed=0)[:3]
    ['c', 'b', 'f']
    """
    by_stratum: dict[str, list[str]] = {}
    for sku in sorted(strata, key=lambda sku: (_hash(seed, sku), sku)):
        by_stratum.setdefault(strata[sku], []).append(sku)
    placed = [
        ((place + 1 - _hash(seed, f"stratum {name}")) / len(skus), _hash(seed, sku), sku)
        for name, skus in by_stratum.items()
        for place, sku in enumerate(skus)
    ]
    return [sku for *_, sku in sorted(placed)]


def _hash(seed: int, text: str) -> float:
    """A number in [0, 1) that depends on nothing else."""
    digest = hashlib.sha256(f"{seed}/{text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def name_strata(departments: Mapping[str, str], demand: pd.DataFrame, periods: Mapping[str, float]) -> dict[str, str]:
    """SKU -> ``department · demand class`` (Syntetos, Boylan, Croston 2005), by the sums of its whole history.

    ``forecasting.classify_demand`` says it more exactly of a panel; for strata the sums, which cost one read of two
    columns, are near enough.

    Args:
        departments: of every SKU that may be sampled.
        demand: what ``lake.demand.read_demand`` gives.
        periods: SKU -> periods of all its series; 0 where only those with a row are known.
    """
    sums = {str(row["sku"]): row for row in demand.to_dict("records")}
    return {sku: f"{department} · {_classify(sums.get(sku), periods[sku])}" for sku, department in departments.items()}


def _classify(row: Mapping[Hashable, Any] | None, periods: float) -> str:
    sales = float(row["sales"]) if row else 0.0
    if row is None or not sales:
        return "no_demand"
    mean = float(row["units"]) / sales
    spread = float(row["squares"]) / sales / mean**2 - 1
    often, steady = max(periods, float(row["rows"])) / sales < ADI_LIMIT, spread < CV2_LIMIT
    if often:
        return "smooth" if steady else "erratic"
    return "intermittent" if steady else "lumpy"


def rung_sizes(first: int, rungs: int, available: int) -> list[int]:
    """SKUs of each rung: three times as many each time, until all that there are take part.

    >>> rung_sizes(40, 3, 1000), rung_sizes(40, 3, 100), rung_sizes(40, 3, 7), rung_sizes(40, 3, 0)
    ([40, 120, 360], [40, 100], [7], [])
    """
    wanted = [min(first * GROWTH**rung, available) for rung in range(rungs)]
    return sorted({size for size in wanted if size})


def cut_pieces(skus: Sequence[str], sizes: Sequence[int], start: int, most: int) -> list[tuple[int, list[str]]]:
    """Cut consecutive SKUs of the sample where a rung ends and where a piece has ``most``; each with its rung from 1.

    Args:
        skus: SKUs that join the sample one after the other.
        sizes: SKUs of each rung, earlier ones included.
        start: how many joined before them.
        most: SKUs of a piece.

    >>> cut_pieces(["a", "b", "c", "d"], sizes=[3, 9], start=1, most=2)
    [(1, ['a', 'b']), (2, ['c', 'd'])]
    """
    rungs = np.searchsorted(np.array(sizes), start + np.arange(len(skus)), side="right") + 1
    pieces: list[tuple[int, list[str]]] = []
    for sku, rung in zip(skus, rungs.tolist(), strict=True):
        if rung > len(sizes):
            break
        if not pieces or pieces[-1][0] != rung or len(pieces[-1][1]) == most:
            pieces.append((rung, []))
        pieces[-1][1].append(sku)
    return pieces
