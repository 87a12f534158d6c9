"""A network that hangs, resets, refuses and cuts off, between each of the three S3 clients and a real server.

Whatever happens is over after the clients' own patience, here a second or so, and ends in an error that says
that trying again may help.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.config import Config
from faulty_s3 import FaultyS3, faulty_s3

from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.lake import bulk
from include.skufleet.lake.bulk import SmallObjects
from include.skufleet.lake.delta import commit, ensure_table, has_drop, open_table
from include.skufleet.lake.store import ObjectStore, client_config, store_from_client
from tests.unit.s3_server import open_bucket

SCHEMA = pa.schema([("sku", pa.string()), ("bucket", pa.int32())])
FAULTS = ["hang", "reset", "503", "half", "stall"]
LOST = ["hang", "reset", "503", "lost"]
TRIES = 2


def hasty(proxy: FaultyS3, bucket: str) -> ObjectStore:
    """A store as a task has it, with two tries, and little patience where that is what ends a request."""
    seconds = 1.0 if proxy.fault in {"hang", "stall"} else 10.0
    environ, retries = proxy.environ, {"mode": "standard", "total_max_attempts": TRIES}
    config = client_config().merge(Config(connect_timeout=1, read_timeout=seconds, retries=retries))
    session = boto3.session.Session(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    endpoint = environ["AWS_ENDPOINT_URL_S3"]
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
def test_an_answer_that_does_not_come_whole_is_transient_and_soon_given_up(
    lake: ObjectStore, s3: dict[str, str], read: Callable[[ObjectStore], Any], broken: str, fault: Any
) -> None:
    with faulty_s3(s3, fault, broken) as proxy:
        began = time.monotonic()
        with pytest.raises(ServiceUnavailableError) as caught:
            read(hasty(proxy, lake.bucket))
        assert time.monotonic() - began < 20
        assert 1 <= len(proxy.asked) <= 3
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("write", [ObjectStore.put, lambda store, *rest: SmallObjects(store).put(*rest)])
def test_a_write_whose_answer_is_lost_is_made_again_and_then_transient(
    lake: ObjectStore, s3: dict[str, str], write: Callable[[ObjectStore, str, bytes], None], fault: Any
) -> None:
    with faulty_s3(s3, fault, "PUT ") as proxy:
        with pytest.raises(ServiceUnavailableError):
            write(hasty(proxy, lake.bucket), "k/two", b"1")
        assert len(proxy.asked) == TRIES


@pytest.mark.parametrize("fault", ["reset", "503", "half"])
def test_one_bad_answer_is_not_noticed(lake: ObjectStore, s3: dict[str, str], fault: Any) -> None:
    for read, broken in ((get, "GET .*/k/one"), (get_small, "GET .*/k/one"), (read_log, "GET .*_delta_log/0")):
        with faulty_s3(s3, fault, broken, times=1) as proxy:
            assert read(hasty(proxy, lake.bucket)) is not None
            assert len(proxy.asked) == 1


def test_a_commit_whose_answer_is_lost_is_not_made_again_and_the_next_try_sees_it(
    store: ObjectStore, s3: dict[str, str]
) -> None:
    ensure_table(store, "table", SCHEMA, 2, backlog=0)
    with faulty_s3(s3, "lost", "PUT .*_delta_log") as proxy:
        through = open_table(hasty(proxy, store.bucket), "table")
        with pytest.raises(ServiceUnavailableError):
            commit(through, added=[], removed=[], drops={"drop-1": 1})
        assert len(proxy.asked) == 1
    assert has_drop(open_table(store, "table"), "drop-1")
    assert open_table(store, "table").version() == 1
