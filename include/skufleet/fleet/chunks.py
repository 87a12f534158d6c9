"""Cut the planned SKUs into chunks of like cost, one mapped task each.

A chunk reads whole buckets of the history, so SKUs of one bucket stay together as long as that leaves the chunks
balanced. Pure: no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

PIECES_PER_CHUNK = 4
"""A bucket is cut into pieces of at most a quarter of a chunk: coarse enough to read little, fine enough to balance."""
ROOM = 1 + 1 / PIECES_PER_CHUNK
"""How far above the rows that it should have at the most a chunk may get, so that pieces go where time is left."""
SECONDS_PER_SKU, SECONDS_PER_1000_ROWS = 0.03, 0.008
"""What the training of a SKU takes, where none was ever measured: about that of the simulated chain on one core."""
SECONDS_PER_CHUNK = 240.0
"""No chunk is to take longer, so that a straggler, or one that is tried again at the end, holds nobody up for long."""
LEAST_SECONDS = 1.5
"""Shorter chunks are not worth a process of their own, which costs about one second."""
ROUND_SECONDS = 10.0
"""Each slot gets two chunks where they take so long: the second round evens out what the first one left uneven."""
FORECAST_SECONDS = 0.005
"""What a SKU takes that is not trained again, only asked for forecasts of another date."""
REGISTRATION_SECONDS = 0.03
"""Per SKU that is trained, for its registration and its forecasts, on top of what its training was measured to take."""


@dataclass(frozen=True, slots=True)
class PlannedSku:
    """One SKU of the plan.

    Attributes:
        sku: its code.
        bucket: where it is in the history.
        rows: periods of all its series: what its data take in memory.
        seconds: what it is expected to take; NaN before ``estimate_seconds``.
    """

    sku: str
    bucket: int
    rows: int
    seconds: float = math.nan


@dataclass(frozen=True, slots=True)
class Chunk:
    """The SKUs of one mapped task, sorted; ``name`` sorts like its number, ``label`` is what the Airflow UI shows."""

    name: str
    skus: tuple[str, ...]
    seconds: float
    rows: int

    @property
    def label(self) -> str:
        """Readable in the grid: number, size, and the first SKU."""
        first = self.skus[0] if len(self.skus[0]) <= 24 else self.skus[0][:23] + "…"
        return f"{self.name} · {len(self.skus)} SKUs · {first}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the chunks of a run are cut by.

    Attributes:
        slots: tasks that can run at the same time.
        chunks: the largest number of chunks.
        rows: the most rows that chunks have on average, which bounds the memory of their tasks: none has more than a
            quarter above, but for a single SKU.
        skus: SKUs aimed at; ``None``: decided by slots and time.
    """

    slots: int
    chunks: int
    rows: int
    skus: int | None = None


def estimate_seconds(
    planned: Sequence[PlannedSku], measured: Mapping[str, float], unchanged: Collection[str] = ()
) -> list[PlannedSku]:
    """The SKUs with what each is expected to take: what it took last time, else by its rows like the others.

    Args:
        planned: the SKUs.
        measured: SKU -> seconds that its last training took; what is missing, zero or not finite is not known.
        unchanged: those that are not trained again, only asked for forecasts.
    """
    known = {sku: seconds for sku, seconds in measured.items() if math.isfinite(seconds) and seconds > 0}
    nominal = {item.sku: SECONDS_PER_SKU + SECONDS_PER_1000_ROWS * item.rows / 1000 for item in planned}
    ratios = [known[sku] / seconds for sku, seconds in nominal.items() if sku in known]
    rate = median(ratios) if ratios else 1.0
    trained = {sku: known.get(sku, seconds * rate) + REGISTRATION_SECONDS for sku, seconds in nominal.items()}
    return [replace(item, seconds=FORECAST_SECONDS if item.sku in unchanged else trained[item.sku]) for item in planned]


def count_chunks(planned: Sequence[PlannedSku], limits: Limits) -> int:
    """How many chunks: a multiple of the slots, so that none idles while the last are done.

    As few as keep each below ``SECONDS_PER_CHUNK`` and ``limits.rows``; no more than are worth a process of their own.
    """
    if limits.skus is not None:
        return min(limits.chunks, math.ceil(len(planned) / limits.skus))
    seconds, rows = sum(item.seconds for item in planned), sum(item.rows for item in planned)
    needed = max(math.ceil(seconds / SECONDS_PER_CHUNK), math.ceil(rows / limits.rows))
    worth = max(1, math.floor(seconds / LEAST_SECONDS))
    rounds = max(math.ceil(needed / limits.slots), 2 if seconds >= 2 * limits.slots * ROUND_SECONDS else 1)
    wanted = rounds * limits.slots if worth >= limits.slots else max(needed, worth)
    return min(limits.chunks, wanted, len(planned))


def pack_chunks(planned: Sequence[PlannedSku], limits: Limits) -> tuple[Chunk, ...]:
    """Pack SKUs into chunks: buckets are cut into pieces, pieces go to the cheapest chunk, dearest piece first.

    Longest-processing-time-first scheduling (Graham, 1969, "Bounds on multiprocessing timing anomalies"), with room for
    so many rows in each chunk: SKUs that take little time may have as many rows as others. What has no room anywhere
    gets a chunk of its own, or, at the limit on chunks, goes where the fewest rows are.

    Args:
        planned: the SKUs with their seconds; each appears once.
        limits: how many chunks, and how large.

    Returns:
        None empty, every SKU in exactly one, the longest first; the same for the same SKUs in any order.
    """
    if not planned:
        return ()
    count = count_chunks(planned, limits)
    seconds = sum(item.seconds for item in planned) / count / PIECES_PER_CHUNK
    pieces = _cut_buckets(planned, seconds, limits.rows / PIECES_PER_CHUNK)
    assigned = _assign(pieces, count, limits)
    # The longest first: what begins last, and keeps everybody waiting, is then short.
    filled = sorted(filter(None, assigned), key=_longest_first)
    return tuple(_to_chunk(number, items) for number, items in enumerate(filled))


def _cut_buckets(planned: Sequence[PlannedSku], seconds: float, rows: float) -> list[list[PlannedSku]]:
    """Each bucket's SKUs in order, cut wherever a piece would grow beyond so many seconds or rows."""
    by_bucket: dict[int, list[PlannedSku]] = {}
    for item in sorted(planned, key=lambda item: (item.bucket, item.sku)):
        by_bucket.setdefault(item.bucket, []).append(item)
    pieces: list[list[PlannedSku]] = []
    for items in by_bucket.values():
        load, size = math.inf, 0
        for item in items:
            if load + item.seconds > seconds or size + item.rows > rows:
                pieces.append([])
                load, size = 0.0, 0
            pieces[-1].append(item)
            load, size = load + item.seconds, size + item.rows
    return pieces


def _longest_first(items: Sequence[PlannedSku]) -> tuple[float, str]:
    return -sum(item.seconds for item in items), items[0].sku


def _assign(pieces: Sequence[list[PlannedSku]], count: int, limits: Limits) -> list[list[PlannedSku]]:
    """Each piece, the longest first, to the chunk with the fewest seconds that has room for its rows."""
    assigned: list[list[PlannedSku]] = [[] for _ in range(count)]
    seconds, rows = [0.0] * count, [0] * count
    for piece in sorted(pieces, key=_longest_first):
        size = sum(item.rows for item in piece)
        fits = [index for index in range(len(rows)) if not assigned[index] or rows[index] + size <= ROOM * limits.rows]
        if not fits and len(assigned) < limits.chunks:
            fits = [len(assigned)]
            assigned.append([])
            seconds.append(0.0)
            rows.append(0)
        index = min(fits, key=seconds.__getitem__) if fits else min(range(len(rows)), key=rows.__getitem__)
        assigned[index].extend(piece)
        seconds[index] += sum(item.seconds for item in piece)
        rows[index] += size
    return assigned


def _to_chunk(number: int, items: Sequence[PlannedSku]) -> Chunk:
    return Chunk(
        name=f"c{number:03d}",
        skus=tuple(sorted(item.sku for item in items)),
        seconds=sum(item.seconds for item in items),
        rows=sum(item.rows for item in items),
    )


def balance(chunks: Sequence[Chunk]) -> Mapping[str, float]:
    """The dearest chunk's expected seconds over the mean: 1 is perfect. Empty plans are balanced."""
    if not chunks:
        return {"max_over_mean": 1.0}
    costs = [chunk.seconds for chunk in chunks]
    return {"max_over_mean": round(max(costs) / (sum(costs) / len(costs)), 3) if sum(costs) else 1.0}
