"""A network that hangs, resets, refuses and cuts off, between each of the three S3 clients and a real server.

Whatever happens is over after the clients' own tries, here two, and ends in an error that says
that trying again may help.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.config import Config

from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.lake import bulk
from include.skufleet.lake.bulk import SmallObjects
from include.skufleet.lake.connecting import client_config, store_from_client
from include.skufleet.lake.delta import commit, ensure_table, has_drop, open_table
from include.skufleet.lake.store import ObjectStore
from include.skufleet.local.beside import find_free_ports
from tests.chaos.proxy import Proxy, Trouble
from tests.unit.s3_server import open_bucket, server_environment

SCHEMA = pa.schema([("sku", pa.string()), ("bucket", pa.int32())])
TROUBLES = {
    "hang": Trouble(hang=True),
    "reset": Trouble(reset=True),
    "503": Trouble(code="SlowDown"),
    "half": Trouble(cut=True),
    "stall": Trouble(stall=True),
    "lost": Trouble(lost=True),
}
FAULTS = ["hang", "reset", "503", "half", "stall"]
LOST = ["hang", "reset", "503", "lost"]
TRIES = 2


@contextmanager
def faulty_s3(fault: str, only: str, times: float = math.inf) -> Iterator[Proxy]:
    """The real S3 server behind a proxy that breaks the answers to the requests of a pattern."""
    with Proxy(find_free_ports(1)[0], server_environment()["AWS_ENDPOINT_URL_S3"]) as proxy:
        proxy.make(replace(TROUBLES[fault], only=only, times=times))
        yield proxy


def hasty(proxy: Proxy, bucket: str) -> ObjectStore:
    """A store as a task has it, with two tries, and little patience where that is what ends a request."""
    assert proxy.trouble is not None
    seconds = 1.0 if proxy.trouble.hang or proxy.trouble.stall else 10.0
    environ, retries = server_environment(), {"mode": "standard", "total_max_attempts": TRIES}
    config = client_config().merge(Config(connect_timeout=1, read_timeout=seconds, retries=retries))
    session = boto3.session.Session(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    endpoint = f"http://127.0.0.1:{proxy.port}"
    client = session.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
    keys = session.get_credentials().get_frozen_credentials()
    made = store_from_client(client, bucket, credentials=keys, endpoint=endpoint, region=None)
    patience = {"timeout": f"{seconds}s", "max_retries": str(TRIES - 1), "retry_timeout": "5s"}
    return replace(made, storage_options={**made.storage_options, **patience})


@pytest.fixture(autouse=True)
def hasty_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"max_retries": TRIES - 1, "retry_timeout": timedelta(seconds=5)}
    monkeypatch.setattr(bulk, "_RETRIES", {**bulk._RETRIES, **short})


@pytest.fixture(scope="module")
def lake() -> ObjectStore:
    """A bucket with an object and a table, which no test changes."""
    made = open_bucket(f"bucket-{uuid.uuid4().hex[:12]}")
    made.put("k/one", b"x" * 1000)
    ensure_table(made, "table", SCHEMA, 2, backlog=0)
    return made


def get(store: ObjectStore) -> Any:
    return store.get("k/one")


def list_keys(store: ObjectStore) -> Any:
    return store.list("k/")


def delete_many(store: ObjectStore) -> Any:
    return store.delete_many(["k/none"])


def get_small(store: ObjectStore) -> Any:
    return SmallObjects(store).get("k/one")


def read_log(store: ObjectStore) -> Any:
    return open_table(store, "table")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("read", "broken"),
    [
        (get, "GET .*/k/one"),
        (list_keys, "GET .*list-type=2"),
        (delete_many, r"POST .*\?delete"),
        (get_small, "GET .*/k/one"),
        (read_log, "GET .*_delta_log/0"),
        (read_log, "GET .*list-type=2(?!.*max-keys)"),  # delta-rs's listing, not boto3's
    ],
    ids=["boto3-get", "boto3-list", "boto3-delete", "obstore-get", "delta-log", "delta-list"],
)
def test_an_answer_that_does_not_come_whole_is_transient_and_given_up_after_its_tries(
    lake: ObjectStore, read: Callable[[ObjectStore], Any], broken: str, fault: Any
) -> None:
    with faulty_s3(fault, broken) as proxy:
        with pytest.raises(ServiceUnavailableError) as caught:
            read(hasty(proxy, lake.bucket))
        assert 1 <= proxy.struck <= 3
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("write", [ObjectStore.put, lambda store, *rest: SmallObjects(store).put(*rest)])
def test_a_write_whose_answer_is_lost_is_made_again_and_then_transient(
    lake: ObjectStore, write: Callable[[ObjectStore, str, bytes], None], fault: Any
) -> None:
    with faulty_s3(fault, "PUT ") as proxy:
        with pytest.raises(ServiceUnavailableError):
            write(hasty(proxy, lake.bucket), "k/two", b"1")
        assert proxy.struck == TRIES


@pytest.mark.parametrize("fault", ["reset", "503", "half"])
def test_one_bad_answer_is_not_noticed(lake: ObjectStore, fault: Any) -> None:
    for read, broken in ((get, "GET .*/k/one"), (get_small, "GET .*/k/one"), (read_log, "GET .*_delta_log/0")):
        with faulty_s3(fault, broken, times=1) as proxy:
            assert read(hasty(proxy, lake.bucket)) is not None
            assert proxy.struck == 1


@pytest.mark.parametrize("times", [1, math.inf], ids=["once", "always"])
def test_a_commit_whose_answer_is_lost_counts_once_and_the_next_look_sees_it(store: ObjectStore, times: float) -> None:
    """Where delta-rs sends it again, S3 refuses it: to ``commit`` that is another writer's."""
    ensure_table(store, "table", SCHEMA, 2, backlog=0)
    with faulty_s3("lost", "PUT .*_delta_log", times) as proxy:
        through = open_table(hasty(proxy, store.bucket), "table")
        with suppress(ServiceUnavailableError):
            assert not commit(through, added=[], removed=[], drops={"drop-1": 1})
        assert proxy.struck >= 1
    assert has_drop(open_table(store, "table"), "drop-1")
    assert open_table(store, "table").version() == 1
