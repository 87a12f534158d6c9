"""Cut the planned SKUs into chunks of like cost, one mapped task each.

A chunk reads whole buckets of the history, so SKUs of one bucket stay together as long as that leaves the chunks
balanced. Pure: no I/O.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PIECES_PER_CHUNK = 4
"""A bucket is cut into pieces of at most a quarter of a chunk: coarse enough to read little, fine enough to balance."""


@dataclass(frozen=True, slots=True)
class PlannedSku:
    """One SKU to train: its bucket in the history, and its cost (known values over its series)."""

    sku: str
    bucket: int
    cost: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """The SKUs of one mapped task, sorted; ``name`` sorts like its number, ``label`` is what the Airflow UI shows."""

    name: str
    skus: tuple[str, ...]
    buckets: tuple[int, ...]
    cost: float

    @property
    def label(self) -> str:
        """Readable in the grid: number, size, and the first SKU."""
        first = self.skus[0] if len(self.skus[0]) <= 24 else self.skus[0][:23] + "…"
        return f"{self.name} · {len(self.skus)} SKUs · {first}"


def pack_chunks(planned: Sequence[PlannedSku], *, skus_per_chunk: int, max_chunks: int) -> tuple[Chunk, ...]:
    """Pack SKUs into chunks: buckets are cut into pieces, pieces go to the cheapest chunk, dearest piece first.

    Longest-processing-time-first scheduling (Graham, 1969, "Bounds on multiprocessing timing anomalies").

    Args:
        planned: the SKUs; each appears once.
        skus_per_chunk: the size aimed at.
        max_chunks: the upper limit on the number of chunks.

    Returns:
        At most ``max_chunks`` chunks, none empty, every SKU in exactly one; the same for the same SKUs in any order.
    """
    if not planned:
        return ()
    count = min(max_chunks, math.ceil(len(planned) / skus_per_chunk))
    total = sum(item.cost for item in planned)
    pieces = _cut_buckets(planned, size=total / count / PIECES_PER_CHUNK)
    loads = [(0.0, index) for index in range(count)]
    assigned: list[list[PlannedSku]] = [[] for _ in range(count)]
    for piece in sorted(pieces, key=lambda items: (-sum(item.cost for item in items), items[0].sku)):
        load, index = heapq.heappop(loads)
        assigned[index].extend(piece)
        heapq.heappush(loads, (load + sum(item.cost for item in piece), index))
    filled = sorted((items for items in assigned if items), key=lambda items: min(item.sku for item in items))
    return tuple(_to_chunk(number, items) for number, items in enumerate(filled))


def _cut_buckets(planned: Sequence[PlannedSku], size: float) -> list[list[PlannedSku]]:
    """Each bucket's SKUs in order, cut wherever a piece would grow beyond ``size``."""
    by_bucket: dict[int, list[PlannedSku]] = {}
    for item in sorted(planned, key=lambda item: (item.bucket, item.sku)):
        by_bucket.setdefault(item.bucket, []).append(item)
    pieces: list[list[PlannedSku]] = []
    for items in by_bucket.values():
        load = math.inf
        for item in items:
            if load + item.cost > size:
                pieces.append([])
                load = 0.0
            pieces[-1].append(item)
            load += item.cost
    return pieces


def _to_chunk(number: int, items: Sequence[PlannedSku]) -> Chunk:
    return Chunk(
        name=f"c{number:03d}",
        skus=tuple(sorted(item.sku for item in items)),
        buckets=tuple(sorted({item.bucket for item in items})),
        cost=sum(item.cost for item in items),
    )


def balance(chunks: Sequence[Chunk]) -> Mapping[str, float]:
    """The dearest chunk's cost over the mean: 1 is perfect. Empty plans are balanced."""
    if not chunks:
        return {"max_over_mean": 1.0}
    costs = [chunk.cost for chunk in chunks]
    return {"max_over_mean": round(max(costs) / (sum(costs) / len(costs)), 3) if sum(costs) else 1.0}
