"""A reader sees the old publication or the new one."""

from __future__ import annotations

import pytest

from include.skufleet.errors import DataError
from include.skufleet.lake.publishing import publish, read_published
from include.skufleet.lake.store import ObjectStore

POINTER = "forecasts/shop/current.json"


def test_the_pointer_moves_from_one_publication_to_the_next(store: ObjectStore) -> None:
    assert read_published(store, POINTER) is None
    for run in ("one", "two"):
        keys = [f"forecasts/shop/{run}/part-{part}.parquet" for part in range(3)]
        store.put_many([(key, b"rows") for key in keys])
        publish(store, POINTER, {"run": run, "keys": keys})
        assert read_published(store, POINTER) == {"run": run, "keys": keys}


def test_a_publication_with_a_hole_is_refused_and_the_old_one_stays(store: ObjectStore) -> None:
    store.put("forecasts/shop/one/part-0.parquet", b"rows")
    content = {"keys": ["forecasts/shop/one/part-0.parquet"]}
    publish(store, POINTER, content)
    with pytest.raises(DataError, match=r"for 1 of 2 objects that it would name do not exist, for example .*part-1"):
        publish(store, POINTER, {"keys": [*content["keys"], "forecasts/shop/one/part-1.parquet"]})
    assert read_published(store, POINTER) == content
