"""Small objects through the bulk client, against a real server and against broken ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.skufleet.errors import ConfigError, DataError, ServiceUnavailableError
from include.skufleet.lake.bulk import SmallObjects
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.store import ObjectStore
from tests.unit.lake.broken_server import broken_server

KEY = "mlflow/1/a run/artifacts/demo-A~2F1%20ü/model.json"


def test_both_clients_mean_the_same_object(store: ObjectStore) -> None:
    bulk = SmallObjects(store)
    bulk.put(KEY, b"content")
    assert store.get(KEY) == bulk.get(KEY) == b"content"
    assert [item.key for item in store.list("mlflow/")] == [KEY]
    store.put(KEY, b"other")
    assert bulk.get(KEY) == b"other"
    bulk.put(KEY, b"")
    assert store.get(KEY) == bulk.get(KEY) == b""


def test_many_threads_share_one(store: ObjectStore) -> None:
    bulk, keys = SmallObjects(store), [f"many/{number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: bulk.put(key, key.encode()), keys))
        assert list(pool.map(bulk.get, keys)) == [key.encode() for key in keys]


def test_what_is_missing_is_named(store: ObjectStore) -> None:
    with pytest.raises(DataError, match=f"s3://{store.bucket}/no/such: there is no such object"):
        SmallObjects(store).get("no/such")


def test_a_key_that_no_object_can_have_is_refused(store: ObjectStore) -> None:
    with pytest.raises(DataError, match=r"a//b: S3 cannot be asked for this: .*empty path segment"):
        SmallObjects(store).put("a//b", b"")


def test_a_wrong_secret_is_a_matter_of_configuration(s3: dict[str, str], store: ObjectStore) -> None:
    wrong = SmallObjects(open_store(store.bucket, {**s3, "AWS_SECRET_ACCESS_KEY": "wrong"}))
    with pytest.raises(ConfigError, match="x: S3 refuses access") as refused:
        wrong.put("x", b"")
    assert "\n" not in str(refused.value)


def test_a_server_that_is_down_is_transient(s3: dict[str, str]) -> None:
    down = SmallObjects(open_store("some-bucket", {**s3, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}))
    with pytest.raises(ServiceUnavailableError, match="some-bucket/x: S3 does not answer: ") as said:
        down.put("x", b"")
    assert "\n" not in str(said.value)


def test_slow_down_is_retried_and_then_transient() -> None:
    body = b"<Error><Code>SlowDown</Code></Error>"
    with (
        broken_server(503, body, len(body)) as (environ, asked),
        pytest.raises(ServiceUnavailableError, match=r"some-bucket/x: S3 does not answer: .*503"),
    ):
        SmallObjects(open_store("some-bucket", environ)).get("x")
    assert len(asked) == 5


def test_an_answer_cut_in_half_is_no_answer() -> None:
    with (
        broken_server(200, b"half", 8) as (environ, _),
        pytest.raises(ServiceUnavailableError, match=r"some-bucket/x: S3 does not answer: .*body error"),
    ):
        SmallObjects(open_store("some-bucket", environ)).get("x")


def test_no_secret_is_shown(s3: dict[str, str], store: ObjectStore) -> None:
    bulk = SmallObjects(store)
    bulk.put("x", b"")
    assert s3["AWS_SECRET_ACCESS_KEY"] not in repr(bulk)
