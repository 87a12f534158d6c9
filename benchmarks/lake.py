"""Time the lake alone: a first ingestion, thirty days one by one, days without news, and the reading of one chunk.

    .venv/bin/python -m include.skufleet.local env .venv/bin/python -m benchmarks.lake --skus 10000

On the S3 of the environment, in a bucket of its own that is emptied again. Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.machine import describe_machine
from include.skufleet.config import Catalogue
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.history import read_history
from include.skufleet.lake.ingest import ingest
from include.skufleet.lake.store import ObjectStore, to_parquet
from include.skufleet.lake.sums import sum_units

FIRST, TODAY = date(2024, 1, 1), date(2026, 6, 30)
MONTH = 30
CHUNKS = 16
_Daily = list[dict[str, Any]]


def measure(skus: int, days: int, daily: int) -> dict[str, Any]:
    """Land a catalogue, ingest it, land and ingest day after day, and read one chunk; empties the bucket."""
    bucket = f"bench-lake-{uuid.uuid4().hex[:8]}"
    store = open_store(bucket)
    store.ensure_bucket()
    try:
        land_history(store, skus, days)
        first = apart(_ingest, bucket)
        runs: _Daily = []
        for day in range(daily):
            land_day(store, skus, days + day)
            runs.append(apart(_ingest, bucket))
        idle = apart(_ingest, bucket)
        version = idle["version"]
        return {
            "benchmark": "lake",
            "skus": skus,
            "days": days,
            "daily": daily,
            "ingest_seconds": first["seconds"],
            "ingest_rss_mb": first["rss_mb"],
            "day_2_seconds": round(float(np.median([run["seconds"] for run in runs[1:4]])), 2),
            f"day_{daily}_seconds": round(float(np.median([run["seconds"] for run in runs[-3:]])), 2),
            "slowest_day_seconds": max(run["seconds"] for run in runs),
            "day_rss_mb": max(run["rss_mb"] for run in runs),
            "idle_seconds": idle["seconds"],
            **count_files(store, skus * (days + daily)),
            "chunk": apart(_read_chunk, bucket, version, skus, own=True),
            "chunk_of_all_buckets": apart(_read_chunk, bucket, version, skus, own=False),
            "sums": apart(_sum, bucket, version, skus),
            "machine": describe_machine(),
        }
    finally:
        for stored in store.list(""):
            store.delete(stored.key)


def apart(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Run in a process of its own, so that its peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **options).result()


def make_catalogue() -> Catalogue:
    """One store, 16 buckets, as the catalogue files have it."""
    columns = {"sku": "sku", "store": "store", "date": "date", "units": "units", "price": "price"}
    return Catalogue.model_validate(
        {"name": "bench", "landing": {"prefix": "landing/bench", "sales": {"columns": columns}}}
    )


def land_history(store: ObjectStore, skus: int, days: int) -> None:
    """One Parquet drop a month."""
    for begin in range(0, days, MONTH):
        rows = make_rows(skus, begin, min(MONTH, days - begin))
        store.put(f"landing/bench/sales/m{begin:05}.parquet", to_parquet(rows))


def land_day(store: ObjectStore, skus: int, day: int) -> None:
    """One CSV drop."""
    columns = make_rows(skus, day, 1).to_pydict()
    lines = ["sku,store,date,units,price", *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    store.put(f"landing/bench/sales/n{day:05}.csv", ("\n".join(lines) + "\n").encode())


def make_rows(skus: int, begin: int, days: int) -> Any:
    """A row for every SKU and day; a quarter of the days sell nothing."""
    random = np.random.default_rng(begin)
    count = skus * days
    dates = np.datetime64(FIRST, "D") + begin + np.tile(np.arange(days), skus)
    return pa.table(
        {
            "sku": np.repeat(np.array(name_skus(skus)), days),
            "store": ["store-1"] * count,
            "date": pa.array(dates),
            "units": random.poisson(np.repeat(random.gamma(1.0, 3.0, skus), days)).astype(float),
            "price": np.repeat(np.round(random.gamma(4.0, 2.0, skus) + 0.5, 2), days),
        }
    )


def name_skus(skus: int) -> list[str]:
    """The codes of the catalogue."""
    return [f"DEPT-{number % 20:02}-{number:06}" for number in range(skus)]


def count_files(store: ObjectStore, rows: int) -> dict[str, Any]:
    """What the table takes on S3: files that are there, and bytes of a row, superseded files included."""
    objects = store.list("lake/bench/")
    data = [item for item in objects if item.key.startswith("lake/bench/history/bucket=")]
    return {
        "objects": len(objects),
        "log_objects": sum("/_delta_log/" in item.key for item in objects),
        "files_per_bucket": round(len(data) / make_catalogue().fleet.buckets, 1),
        "bytes_per_row_stored": round(sum(item.size for item in data) / rows, 2),
    }


def _ingest(bucket: str) -> dict[str, Any]:
    store, catalogue, started = open_store(bucket), make_catalogue(), _now()
    summary = ingest(store, catalogue, TODAY)
    return {"version": summary.table_version, "rows": summary.rows, **_usage(started)}


def _read_chunk(bucket: str, version: int, skus: int, *, own: bool) -> dict[str, Any]:
    """A sixteenth of the SKUs: a quarter of four buckets, as chunks are packed; or spread over all buckets."""
    store, catalogue = open_store(bucket), make_catalogue()
    buckets = catalogue.fleet.buckets
    names = sorted(name_skus(skus), key=lambda name: (bucket_of(name, buckets), name))
    piece = max(1, skus // buckets // 4)
    wanted = [names[part * (skus // buckets) + index] for part in range(4) for index in range(piece)]
    if not own:
        wanted = names[::CHUNKS]
    chosen = sorted({bucket_of(name, buckets) for name in wanted})
    started = _now()
    as_of = FIRST + timedelta(days=10_000)
    frame = read_history(store, catalogue, version=version, as_of=as_of, buckets=chosen, skus=wanted)
    return {"skus": len(wanted), "rows": len(frame), "buckets": len(chosen), **_usage(started)}


def _sum(bucket: str, version: int, skus: int) -> dict[str, Any]:
    groups = {name: index % 20 for index, name in enumerate(name_skus(skus))}
    started = _now()
    sum_units(
        open_store(bucket),
        make_catalogue(),
        version=version,
        first=FIRST,
        as_of=TODAY,
        groups=groups,
        places={"store-1": 0},
    )
    return _usage(started)


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _usage(started: tuple[float, float]) -> dict[str, Any]:
    """Seconds since then; the peak of memory is that of the whole process, its imports included."""
    wall, cpu = _now()
    return {
        "seconds": round(wall - started[0], 2),
        "cpu_seconds": round(cpu - started[1], 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--daily", type=int, default=30)
    options = parser.parse_args()
    print(json.dumps(measure(options.skus, options.days, options.daily)))  # noqa: T201 -- the result
