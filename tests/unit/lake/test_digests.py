"""A series' digest: blind to the order and the batches of deliveries, and to nothing else."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_shop import Shop

from include.skufleet.lake.delta import require_table
from include.skufleet.lake.digests import add_hashes, hash_rows
from include.skufleet.lake.index import Index, index_rows, merge_indexes, read_series_index, rebuild_index

VALUES = st.floats(0, 9) | st.just(math.nan)
ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("st"), st.integers(0, 9), st.integers(0, 5), VALUES, VALUES),
    min_size=1,
    max_size=30,
)


def index_of(rows: list) -> Index:
    sku, store, day, seq, units, price = (list(column) for column in zip(*rows, strict=True))
    return index_rows(
        pa.table(
            {
                "bucket": pa.array([0] * len(rows), pa.int32()),
                "sku": pa.chunked_array([pa.array(sku, pa.string()).dictionary_encode()]),
                "store": pa.chunked_array([pa.array(store, pa.string()).dictionary_encode()]),
                "date": pa.array(day, pa.int32()).cast(pa.date32()),
                "seq": pa.array(seq, pa.int64()),
                "units": pa.array(units, pa.float64()),
                "price": pa.array(price, pa.float64()),
            }
        )
    )


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_neither_the_order_nor_the_batches_matter(rows: list, shuffle, cut: int) -> None:
    whole = index_of(rows)
    shuffle.shuffle(rows)
    parts = [index_of(part) for part in (rows[:cut], rows[cut:]) if part]
    pd.testing.assert_frame_equal(merge_indexes(parts).series, whole.series)


@given(ROWS, st.data())
def test_any_change_of_a_row_changes_the_digest_of_its_series_alone(rows: list, data) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from([2, 3, 4, 5]))
    changed = list(rows[position])
    changed[field] = 7.5 if math.isnan(changed[field]) else changed[field] + 1
    before = index_of(rows).series.set_index(["sku", "store"])["digest"]
    after = index_of([*rows[:position], tuple(changed), *rows[position + 1 :]]).series.set_index(["sku", "store"])
    differs = before[before != after["digest"]].index
    assert list(differs) == [rows[position][:2]]


def test_not_known_is_one_value_and_so_is_zero() -> None:
    odd_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    hashes = [hash_rows([np.array([1]), values])[0] for values in (np.array([math.nan]), odd_nan)]
    assert hashes[0] == hashes[1]
    assert hash_rows([np.array([0.0])])[0] == hash_rows([np.array([-0.0])])[0]
    assert hash_rows([np.array([1]), np.array([2])])[0] != hash_rows([np.array([2]), np.array([1])])[0]


def test_sums_wrap_around_and_are_stored_as_signed_numbers() -> None:
    hashes = np.array([2**64 - 1, 3, 5], dtype=np.uint64)
    assert add_hashes(hashes, np.array([0, 2])).tolist() == [2, 5]
    assert add_hashes(hashes, np.array([0, 1])).tolist() == [-1, 8]


def test_the_last_sale_is_the_last_day_that_sold_anything(shop: Shop) -> None:
    days = [date(2024, 1, 1) + timedelta(days=offset) for offset in range(4)]
    shop.drop(
        "1.csv", *(f"a,s,{day},{units}" for day, units in zip(days, (1, 2, 0, 0), strict=True)), f"b,s,{days[0]},0"
    )
    series = read_series_index(shop.store, shop.ingest().index_key).set_index("sku")
    assert series.loc["a", "last_sale"] == pd.Timestamp(days[1])
    assert series.loc["a", "last_date"] == pd.Timestamp(days[3])
    assert pd.isna(series.loc["b", "last_sale"])


def test_the_index_of_several_ingestions_is_the_one_that_reading_the_table_gives(shop: Shop) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1", "b,s,2024-01-01,2")
    first = shop.ingest()
    shop.drop("2.csv", "a,s,2024-01-01,3", "a,t,2024-01-02,4")
    second = shop.ingest()
    kept = read_series_index(shop.store, second.index_key)
    table = require_table(shop.store, "lake/shop/history", second.table_version)
    pd.testing.assert_frame_equal(rebuild_index(shop.store, table, 4).series, kept)
    before = read_series_index(shop.store, first.index_key).set_index(["sku", "store"])["digest"]
    after = kept.set_index(["sku", "store"])["digest"]
    assert before["b", "s"] == after["b", "s"]
    assert before["a", "s"] != after["a", "s"]


@pytest.mark.parametrize("column", ["digest", "last_sale"])
def test_an_index_of_an_earlier_version_of_the_code_is_made_anew(shop: Shop, column: str) -> None:
    shop.drop("1.csv", "a,s,2024-01-01,1")
    summary = shop.ingest()
    right = read_series_index(shop.store, summary.index_key)
    shop.store.put_frame(summary.index_key, right.drop(columns=column))
    pd.testing.assert_frame_equal(read_series_index(shop.store, shop.ingest().index_key), right)
