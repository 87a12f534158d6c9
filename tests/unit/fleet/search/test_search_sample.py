"""The order in which SKUs join the sample of a search."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.fleet.search.sample import cut_pieces, name_strata, order_sample, rung_sizes

STRATA = st.dictionaries(st.text(min_size=1, max_size=8), st.sampled_from("abcd"), min_size=1, max_size=60)


@given(STRATA, st.integers(0, 99))
def test_every_sku_joins_once_whatever_order_the_catalogue_has(strata: dict[str, str], seed: int) -> None:
    order = order_sample(strata, seed)
    assert sorted(order) == sorted(strata)
    assert order == order_sample(dict(reversed(strata.items())), seed)


@given(STRATA, st.integers(0, 99), st.data())
def test_every_beginning_holds_each_stratum_in_proportion(
    strata: dict[str, str], seed: int, data: st.DataObject
) -> None:
    order = order_sample(strata, seed)
    count = data.draw(st.integers(1, len(order)))
    sizes, taken = Counter(strata.values()), Counter(strata[sku] for sku in order[:count])
    for name, size in sizes.items():
        # Interleaving strata one by one cannot come closer than the number of strata.
        assert abs(taken[name] - size * count / len(order)) <= len(sizes)


def test_two_strata_of_equal_size_take_turns() -> None:
    order = order_sample({f"{name}{number}": name for name in "ab" for number in range(50)}, seed=1)
    assert all({first[0], second[0]} == {"a", "b"} for first, second in zip(order[::2], order[1::2], strict=True))


def test_another_seed_takes_other_skus_and_a_new_sku_leaves_the_order_of_the_others() -> None:
    strata = {f"sku {number}": "x" for number in range(100)}
    order = order_sample(strata, seed=0)
    assert order_sample(strata, seed=1)[:20] != order[:20]
    more = order_sample(strata | {"new": "x"}, seed=0)
    assert [sku for sku in more if sku != "new"] == order


@given(st.integers(1, 50), st.integers(1, 6), st.integers(0, 500))
def test_rungs_grow_threefold_until_all_take_part(first: int, rungs: int, available: int) -> None:
    sizes = rung_sizes(first, rungs, available)
    assert sizes == sorted(set(sizes))
    assert all(size <= available for size in sizes)
    for before, after in pairwise(sizes):
        assert after == min(3 * before, available)
    assert (sizes == []) == (available == 0)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 60), st.integers(1, 7), st.data())
def test_pieces_hold_every_sku_of_the_sample_once_and_none_spans_two_rungs(
    first: int, rungs: int, count: int, most: int, data: st.DataObject
) -> None:
    """However the SKUs come in, batch by batch."""
    sizes, skus = rung_sizes(first, rungs, 10_000), [f"s{number:03d}" for number in range(count)]
    pieces, start = [], 0
    while start < count:
        batch = skus[start : start + data.draw(st.integers(1, 20))]
        pieces += cut_pieces(batch, sizes, start, most)
        start += len(batch)
    assert [sku for _, piece in pieces for sku in piece] == skus[: sizes[-1]]
    assert all(1 <= len(piece) <= most for _, piece in pieces)
    place = 0
    for rung, piece in pieces:
        place += len(piece)
        assert ([0, *sizes][rung - 1] < place <= sizes[rung - 1]) or place == 0


def test_strata_are_department_and_demand_class() -> None:
    """Ten days each: A sells 2 every day, B 1 and 9 in turns, C 3 every fifth day, D 1 or 30 twice, E never."""
    demand = pd.DataFrame(
        {
            "sku": ["A", "B", "C", "D", "E"],
            "rows": [10.0] * 5,
            "sales": [10.0, 10.0, 2.0, 2.0, 0.0],
            "units": [20.0, 50.0, 6.0, 31.0, 0.0],
            "squares": [40.0, 410.0, 18.0, 901.0, 0.0],
        }
    )
    periods = dict.fromkeys("ABCDEF", 10.0)
    assert name_strata(dict.fromkeys("ABCDEF", "food"), demand, periods) == {
        "A": "food · smooth",
        "B": "food · erratic",
        "C": "food · intermittent",
        "D": "food · lumpy",
        "E": "food · no_demand",
        "F": "food · no_demand",
    }
