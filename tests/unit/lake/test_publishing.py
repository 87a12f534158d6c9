"""A reader sees the old publication or the new one, and of two writers none undoes the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pandas as pd
import pytest

from include.skufleet.errors import DataError
from include.skufleet.lake.publishing import (
    publish_latest,
    read_published,
    update_frame,
    update_json,
    update_published,
)
from include.skufleet.lake.store import ObjectStore

POINTER = "forecasts/shop/current.json"


def test_the_pointer_moves_from_one_publication_to_the_next(store: ObjectStore) -> None:
    assert read_published(store, POINTER) is None
    for run in ("one", "two"):
        keys = [f"forecasts/shop/{run}/part-{part}.parquet" for part in range(3)]
        store.put_many([(key, b"rows") for key in keys])
        content = {"run": run, "as_of": "2026-03-31", "keys": keys}
        assert publish_latest(store, POINTER, content)
        assert read_published(store, POINTER) == content


def test_a_publication_with_a_hole_is_refused_and_the_old_one_stays(store: ObjectStore) -> None:
    store.put("forecasts/shop/one/part-0.parquet", b"rows")
    content = {"as_of": "2026-03-31", "keys": ["forecasts/shop/one/part-0.parquet"]}
    publish_latest(store, POINTER, content)
    holed = content | {"keys": [*content["keys"], "forecasts/shop/one/part-1.parquet"]}
    with pytest.raises(DataError, match=r"for 1 of 2 objects that it would name do not exist, for example .*part-1"):
        publish_latest(store, POINTER, holed)
    assert read_published(store, POINTER) == content


def test_the_pointer_never_moves_to_an_earlier_date(store: ObjectStore) -> None:
    later = {"as_of": "2026-03-31", "keys": []}
    assert publish_latest(store, POINTER, later)
    assert not publish_latest(store, POINTER, {"as_of": "2026-03-30", "keys": []})
    assert read_published(store, POINTER) == later


def test_of_two_runs_that_publish_at_once_the_later_date_stands(store: ObjectStore) -> None:
    """The earlier date has read the pointer when the later one moves it: its own put must fail, not win."""
    interrupted = []

    def take_over(current: Any) -> dict[str, Any]:
        if not interrupted:
            interrupted.append(current)
            assert publish_latest(store, POINTER, {"as_of": "2026-03-31", "keys": []})
        return {"as_of": "2026-03-01", "keys": []}

    assert not update_published(store, POINTER, "2026-03-01", take_over)
    assert interrupted == [None]
    assert read_published(store, POINTER)["as_of"] == "2026-03-31"


def test_what_two_writers_add_at_once_is_there_twice(store: ObjectStore) -> None:
    both_have_read = Barrier(2)

    def write(name: str) -> list[int]:
        calls = []

        def add(current: Any) -> dict[str, Any]:
            calls.append(len(calls))
            if len(calls) == 1:
                both_have_read.wait(timeout=30)
            return (current or {}) | {name: True}

        assert update_json(store, "standing/shop.json", add)
        return calls

    with ThreadPoolExecutor(2) as pool:
        tries = sorted(len(calls) for calls in pool.map(write, ["one", "two"]))
    assert store.get_json("standing/shop.json") == {"one": True, "two": True}
    assert tries == [1, 2]


def test_a_frame_that_many_writers_extend_at_once_loses_no_row(store: ObjectStore) -> None:
    def write(number: int) -> None:
        row = pd.DataFrame({"run": [number]})
        update_frame(
            store, "standing/shop.parquet", lambda now: row if now is None else pd.concat([now, row], ignore_index=True)
        )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert sorted(store.get_frame("standing/shop.parquet")["run"]) == list(range(6))


def test_an_object_that_is_left_is_not_written(store: ObjectStore) -> None:
    assert not update_json(store, "standing/shop.json", lambda _: None)
    assert not store.exists("standing/shop.json")


def test_a_put_over_an_object_that_has_changed_or_gone_is_refused(store: ObjectStore) -> None:
    assert store.put_if_unchanged("a", b"1", None)
    assert not store.put_if_unchanged("a", b"2", None)
    data, etag = store.find_with_etag("a")
    assert data == b"1"
    assert store.put_if_unchanged("a", b"2", etag)
    assert not store.put_if_unchanged("a", b"3", etag)
    store.delete("a")
    assert not store.put_if_unchanged("a", b"3", etag)
    assert store.find_with_etag("a") == (None, None)
