"""Packing SKUs into chunks: nothing lost, nothing doubled, costs alike."""

from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.fleet.chunks import PlannedSku, balance, pack_chunks

fleets = st.lists(
    st.tuples(st.text(min_size=1, max_size=8), st.integers(0, 15), st.floats(0, 5_000)),
    max_size=120,
    unique_by=lambda item: item[0],
).map(lambda items: [PlannedSku(*item) for item in items])


@given(fleets, st.integers(1, 40), st.integers(1, 30))
def test_every_sku_is_in_exactly_one_chunk(planned: list[PlannedSku], size: int, limit: int) -> None:
    chunks = pack_chunks(planned, skus_per_chunk=size, max_chunks=limit)
    assert sorted(sku for chunk in chunks for sku in chunk.skus) == sorted(item.sku for item in planned)
    assert len(chunks) <= limit
    assert all(chunk.skus for chunk in chunks)


@given(fleets, st.randoms(use_true_random=False))
def test_the_order_of_the_catalogue_does_not_matter(planned: list[PlannedSku], random) -> None:
    shuffled = random.sample(planned, len(planned))
    one = pack_chunks(planned, skus_per_chunk=7, max_chunks=20)
    other = pack_chunks(shuffled, skus_per_chunk=7, max_chunks=20)
    assert [(chunk.name, chunk.skus, chunk.buckets) for chunk in one] == [
        (chunk.name, chunk.skus, chunk.buckets) for chunk in other
    ]


@given(fleets)
def test_a_chunk_names_every_bucket_that_its_skus_are_in(planned: list[PlannedSku]) -> None:
    bucket_of = {item.sku: item.bucket for item in planned}
    for chunk in pack_chunks(planned, skus_per_chunk=5, max_chunks=50):
        assert set(chunk.buckets) == {bucket_of[sku] for sku in chunk.skus}


def test_costs_are_balanced_although_skus_differ_a_hundredfold() -> None:
    planned = [PlannedSku(f"S{n:04d}", n % 16, 10.0 + 990.0 * (n % 37 == 0)) for n in range(2_000)]
    chunks = pack_chunks(planned, skus_per_chunk=100, max_chunks=200)
    assert len(chunks) == 20
    assert balance(chunks)["max_over_mean"] <= 1.3


def test_skus_of_one_bucket_stay_together_so_that_a_chunk_reads_little() -> None:
    planned = [PlannedSku(f"S{n:04d}", n % 16, 1.0) for n in range(1_600)]
    chunks = pack_chunks(planned, skus_per_chunk=400, max_chunks=200)
    assert [len(chunk.buckets) for chunk in chunks] == [4, 4, 4, 4]


def test_a_dear_sku_gets_a_chunk_of_its_own() -> None:
    planned = [PlannedSku("dear", 0, 1_000.0), *(PlannedSku(f"S{n}", 0, 1.0) for n in range(99))]
    chunks = pack_chunks(planned, skus_per_chunk=50, max_chunks=10)
    assert sorted(len(chunk.skus) for chunk in chunks) == [1, 99]


def test_no_sku_makes_no_chunk() -> None:
    assert pack_chunks([], skus_per_chunk=10, max_chunks=10) == ()
    assert balance(()) == {"max_over_mean": 1.0}


def test_the_label_names_the_chunk_its_size_and_its_first_sku() -> None:
    (chunk,) = pack_chunks([PlannedSku("B", 3, 1.0), PlannedSku("A" * 300, 1, 1.0)], skus_per_chunk=9, max_chunks=9)
    assert chunk.label == "c000 · 2 SKUs · " + "A" * 23 + "…"
    assert chunk.buckets == (1, 3)
