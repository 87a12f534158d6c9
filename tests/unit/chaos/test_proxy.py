"""The proxy that the chaos suite puts before S3 does to requests what it is told to, and the lake bears it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.store import ObjectStore
from include.skufleet.local.beside import find_free_ports
from tests.chaos.proxy import Proxy, Trouble
from tests.unit.s3_server import open_bucket, server_environment

BUCKET = f"proxied-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    open_bucket(BUCKET)
    with Proxy(find_free_ports(1)[0], server_environment()["AWS_ENDPOINT_URL_S3"], seed=3) as opened:
        yield opened


@pytest.fixture
def store(proxy: Proxy) -> Iterator[ObjectStore]:
    """The bucket as it is reached through the proxy."""
    yield open_store(BUCKET, server_environment() | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{proxy.port}"})
    proxy.calm()


def test_without_trouble_everything_passes_odd_keys_and_conditions_too(store: ObjectStore) -> None:
    store.put("a folder/ä+b%20c.json", b"[1]")
    assert store.get("a folder/ä+b%20c.json") == b"[1]"
    assert store.put_if_absent("once", b"1")
    assert not store.put_if_absent("once", b"2")
    assert [item.key for item in store.list("a folder/")] == ["a folder/ä+b%20c.json"]


@pytest.mark.parametrize(
    "trouble", [Trouble(share=0.3, reset=True), Trouble(share=0.1, cut=True)], ids=["reset", "cut"]
)
def test_connections_that_break_off_now_and_then_cost_a_retry_and_no_byte(
    proxy: Proxy, store: ObjectStore, trouble: Trouble
) -> None:
    proxy.make(trouble)
    content = bytes(range(256)) * 200
    for number in range(10):
        store.put(f"shaky/{number}", content)
        assert store.get(f"shaky/{number}") == content
    assert proxy.struck > 0


def test_a_server_that_refuses_everything_is_called_unavailable(proxy: Proxy, store: ObjectStore) -> None:
    proxy.make(Trouble(code="SlowDown"))
    with pytest.raises(ServiceUnavailableError, match="SlowDown"):
        store.get("once")


def test_a_clock_that_is_ahead_shows_in_the_listing_of_those_keys_alone(proxy: Proxy, store: ObjectStore) -> None:
    for name in ("early", "late"):
        store.put(f"clock/{name}", b"1")
    before = {item.key: item.last_modified for item in store.list("clock/")}
    proxy.clock_of, proxy.clock_ahead = "late", timedelta(days=1)
    try:
        after = {item.key: item.last_modified for item in store.list("clock/")}
    finally:
        proxy.clock_ahead = timedelta()
    assert after["clock/early"] == before["clock/early"]
    assert after["clock/late"] - before["clock/late"] == timedelta(days=1)
