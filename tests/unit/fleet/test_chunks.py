"""Packing SKUs into chunks: nothing lost, nothing doubled, costs alike, slots in use."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.fleet.chunks import (
    FORECAST_SECONDS,
    REGISTRATION_SECONDS,
    SECONDS_PER_CHUNK,
    Limits,
    PlannedSku,
    balance,
    count_chunks,
    estimate_seconds,
    pack_chunks,
)

fleets = st.lists(
    st.tuples(st.text(min_size=1, max_size=8), st.integers(0, 15), st.integers(1, 9_000), st.floats(0, 50)),
    max_size=120,
    unique_by=lambda item: item[0],
).map(lambda items: [PlannedSku(*item) for item in items])
limits = st.builds(
    Limits,
    slots=st.integers(1, 16),
    chunks=st.integers(1, 30),
    rows=st.integers(1, 100_000),
    skus=st.none() | st.integers(1, 40),
)


def alike(count: int, seconds: float, rows: int = 730) -> list[PlannedSku]:
    return [PlannedSku(f"S{n:05d}", n % 16, rows, seconds) for n in range(count)]


def limit(slots: int = 2, chunks: int = 200, rows: int = 1_500_000, skus: int | None = None) -> Limits:
    return Limits(slots, chunks, rows, skus)


@given(fleets, limits)
def test_every_sku_is_in_exactly_one_chunk(planned: list[PlannedSku], limits: Limits) -> None:
    chunks = pack_chunks(planned, limits)
    assert sorted(sku for chunk in chunks for sku in chunk.skus) == sorted(item.sku for item in planned)
    assert len(chunks) <= limits.chunks
    assert all(chunk.skus for chunk in chunks)
    assert sum(chunk.rows for chunk in chunks) == sum(item.rows for item in planned)


@given(fleets, limits, st.randoms(use_true_random=False))
def test_the_order_of_the_catalogue_does_not_matter(planned: list[PlannedSku], limits: Limits, random) -> None:
    shuffled = random.sample(planned, len(planned))
    assert [chunk.skus for chunk in pack_chunks(planned, limits)] == [
        chunk.skus for chunk in pack_chunks(shuffled, limits)
    ]


@given(fleets, limits)
def test_the_longest_chunk_comes_first(planned: list[PlannedSku], limits: Limits) -> None:
    seconds = [chunk.seconds for chunk in pack_chunks(planned, limits)]
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize(
    ("count", "seconds", "slots", "expected"),
    [
        (20, 0.06, 2, 1),  # 1.2 s: one more process would cost more than it saves
        (100, 0.06, 2, 2),
        (300, 0.06, 2, 2),  # 18 s: not worth two rounds
        (1_000, 0.06, 2, 4),  # 60 s: two rounds even stragglers out
        (10_000, 0.06, 2, 6),  # 7.3 million rows
        (30_000, 0.1, 2, 16),  # 21.9 million rows
        (30_000, 0.1, 3, 15),
        (10_000, 0.4, 2, 18),  # 4,000 s, each below four minutes
        (10_000, 0.015, 40, 40),
        (3, 100.0, 8, 3),
    ],
)
def test_there_are_as_many_chunks_as_slots_and_time_ask_for(
    count: int, seconds: float, slots: int, expected: int
) -> None:
    assert count_chunks(alike(count, seconds), limit(slots)) == expected
    chunks = pack_chunks(alike(count, seconds), limit(slots))
    assert len(chunks) == expected
    assert all(chunk.seconds <= SECONDS_PER_CHUNK for chunk in chunks) or expected == count


def test_the_rows_of_a_chunk_bound_its_memory() -> None:
    chunks = pack_chunks(alike(1_000, 0.06, rows=19_410), limit())
    assert len(chunks) == 14  # 13 would do, but two slots take them in pairs
    assert max(chunk.rows for chunk in chunks) <= 1_500_000


@given(fleets, limits)
def test_no_chunk_has_more_rows_than_allowed_unless_one_sku_has_or_there_may_be_no_more_chunks(
    planned: list[PlannedSku], limits: Limits
) -> None:
    chunks = pack_chunks(planned, limits)
    if len(chunks) < limits.chunks:
        assert all(chunk.rows <= 1.25 * limits.rows or len(chunk.skus) == 1 for chunk in chunks)


@given(fleets, st.integers(1, 16))
def test_no_chunk_is_more_than_a_quarter_longer_than_the_mean_unless_a_sku_is(
    planned: list[PlannedSku], slots: int
) -> None:
    """Longest first, no piece is longer than a quarter of the mean: the last one put on top cannot do more harm."""
    chunks = pack_chunks(planned, limit(slots, rows=10**9))
    if chunks:
        mean = sum(item.seconds for item in planned) / count_chunks(planned, limit(slots, rows=10**9))
        longest = max(item.seconds for item in planned)
        assert chunks[0].seconds <= mean + max(mean / 4, longest) + 1e-9


def test_skus_that_take_no_time_do_not_all_end_in_one_chunk() -> None:
    """A day on which nine SKUs in ten have nothing new: their rows take memory all the same."""
    planned = [PlannedSku(f"S{n:05d}", n % 16, 730, 0.06 if n % 10 == 0 else 0.005) for n in range(10_000)]
    chunks = pack_chunks(planned, limit())
    assert len(chunks) == 6
    assert max(chunk.rows for chunk in chunks) <= 1.25 * 1_500_000
    assert balance(chunks)["max_over_mean"] <= 1.3


def test_a_size_that_the_catalogue_asks_for_is_kept() -> None:
    assert len(pack_chunks(alike(1_000, 0.06), limit(skus=100))) == 10


def test_costs_are_balanced_although_skus_differ_a_hundredfold() -> None:
    planned = [PlannedSku(f"S{n:04d}", n % 16, 730, 1.0 + 99.0 * (n % 37 == 0)) for n in range(2_000)]
    chunks = pack_chunks(planned, limit(skus=100))
    assert len(chunks) == 20
    assert balance(chunks)["max_over_mean"] <= 1.3


def test_skus_of_one_bucket_stay_together_so_that_a_chunk_reads_little() -> None:
    chunks = pack_chunks(alike(1_600, 1.0), limit(skus=400))
    assert [len({int(sku[1:]) % 16 for sku in chunk.skus}) for chunk in chunks] == [4, 4, 4, 4]


def test_a_dear_sku_gets_a_chunk_of_its_own() -> None:
    planned = [PlannedSku("dear", 0, 1, 1_000.0), *(PlannedSku(f"S{n}", 0, 1, 1.0) for n in range(99))]
    assert [len(chunk.skus) for chunk in pack_chunks(planned, limit(skus=50))] == [1, 99]


def test_no_sku_makes_no_chunk() -> None:
    assert pack_chunks([], limit()) == ()
    assert balance(()) == {"max_over_mean": 1.0}


def test_what_was_not_measured_is_estimated_by_its_rows_and_the_pace_of_the_others() -> None:
    planned = [PlannedSku("A", 0, 10_000), PlannedSku("B", 0, 10_000), PlannedSku("C", 0, 20_000)]
    seconds = {item.sku: item.seconds for item in estimate_seconds(planned, {"A": 0.12, "B": math.nan, "C": 0.0})}
    nominal = 0.03 + 0.008 * 10
    assert seconds["A"] == pytest.approx(0.12 + REGISTRATION_SECONDS)
    assert seconds["B"] == pytest.approx(0.12 + REGISTRATION_SECONDS)
    assert seconds["C"] == pytest.approx((0.03 + 0.008 * 20) * 0.12 / nominal + REGISTRATION_SECONDS)
    (alone,) = estimate_seconds(planned[:1], {})
    assert alone.seconds == pytest.approx(nominal + REGISTRATION_SECONDS)


def test_a_sku_without_anything_new_costs_a_forecast_and_says_nothing_of_the_pace_of_the_others() -> None:
    planned = [PlannedSku("A", 0, 10_000), PlannedSku("B", 0, 10_000), PlannedSku("C", 0, 10_000)]
    seconds = {item.sku: item.seconds for item in estimate_seconds(planned, {"A": 0.12, "B": 0.12}, unchanged={"B"})}
    assert seconds["B"] == FORECAST_SECONDS
    assert seconds["A"] == seconds["C"] == pytest.approx(0.12 + REGISTRATION_SECONDS)


def test_the_label_names_the_chunk_its_size_and_its_first_sku() -> None:
    (chunk,) = pack_chunks([PlannedSku("B", 3, 1, 1.0), PlannedSku("A" * 300, 1, 1, 1.0)], limit(skus=9))
    assert chunk.label == "c000 · 2 SKUs · " + "A" * 23 + "…"
