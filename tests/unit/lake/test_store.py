"""Keys, bytes and errors of one bucket, against a real server and against broken ones."""

from __future__ import annotations

import boto3
import pandas as pd
import pytest
from botocore.config import Config

from include.skufleet.errors import ConfigError, DataError, ServiceUnavailableError
from include.skufleet.lake.connecting import client_config, open_store, store_from_client
from include.skufleet.lake.store import ObjectStore
from tests.unit.lake.broken_server import broken_server

KEY = "a folder/ü & 50%.txt"


def test_bytes_come_back_under_any_key(store: ObjectStore) -> None:
    store.put(KEY, b"content")
    assert store.get(KEY) == b"content"
    assert store.exists(KEY)
    assert [item.key for item in store.list("a folder/")] == [KEY]
    store.delete(KEY)
    assert not store.exists(KEY)
    assert store.find(KEY) is None


def test_a_listing_is_complete_beyond_one_page(store: ObjectStore) -> None:
    keys = [f"many/{number:04}" for number in range(1005)]
    store.put_many([(key, b"") for key in reversed(keys)], threads=8)
    assert [item.key for item in store.list("many/")] == keys


def test_many_objects_come_back_in_the_order_asked_for(store: ObjectStore) -> None:
    store.put_many([(f"n/{number}", str(number).encode()) for number in range(20)])
    asked = [7, 3, 19, 0]
    assert store.get_many([f"n/{number}" for number in asked]) == [b"7", b"3", b"19", b"0"]
    assert store.get_many([]) == []


def test_put_if_absent_leaves_the_first_content(store: ObjectStore) -> None:
    assert store.put_if_absent("once", b"first")
    assert not store.put_if_absent("once", b"second")
    assert store.get("once") == b"first"


def test_an_object_replaced_since_the_listing_is_noticed(store: ObjectStore) -> None:
    store.put("x", b"old")
    (listed,) = store.list("x")
    assert store.get_if_unchanged(listed) == b"old"
    store.put("x", b"new")
    assert store.get_if_unchanged(listed) is None
    store.delete("x")
    assert store.get_if_unchanged(listed) is None


def test_json_and_frames_come_back(store: ObjectStore) -> None:
    store.put_json("v.json", {"b": [1, None], "a": "ü"})
    assert store.get("v.json") == '{"a": "ü", "b": [1, null]}'.encode()
    assert store.get_json("v.json") == {"a": "ü", "b": [1, None]}
    assert store.find_json("absent.json") is None
    frame = pd.DataFrame({"sku": ["007", "a/b"], "units": [1.5, float("nan")]})
    store.put_frame("f.parquet", frame)
    pd.testing.assert_frame_equal(store.get_frame("f.parquet"), frame)
    pd.testing.assert_frame_equal(store.get_frame("f.parquet", ["units"]), frame[["units"]])


def test_json_refuses_nan(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.put_json("v.json", float("nan"))


def test_what_is_missing_or_unreadable_is_named(store: ObjectStore) -> None:
    with pytest.raises(DataError, match=f"s3://{store.bucket}/no/such: there is no such object"):
        store.get("no/such")
    store.put("odd", b"neither")
    with pytest.raises(DataError, match="odd: expected JSON, got b'neither'"):
        store.get_json("odd")
    with pytest.raises(DataError, match="odd: is not the Parquet expected"):
        store.get_frame("odd")


def test_a_missing_bucket_is_a_matter_of_configuration(s3: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="there is no bucket 'absent-bucket'; create it or correct SKUFLEET_BUCKET"):
        open_store("absent-bucket", s3).list("x")


def test_a_wrong_secret_is_a_matter_of_configuration(s3: dict[str, str], store: ObjectStore) -> None:
    wrong = open_store(store.bucket, {**s3, "AWS_SECRET_ACCESS_KEY": "wrong"})
    with pytest.raises(ConfigError, match="S3 refuses access"):
        wrong.put("x", b"")


def test_half_a_key_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY is not set although its other half is"):
        open_store("some-bucket", {"AWS_ACCESS_KEY_ID": "me"})


def test_no_secret_is_shown(s3: dict[str, str], store: ObjectStore) -> None:
    assert s3["AWS_SECRET_ACCESS_KEY"] in store.storage_options.values()
    assert s3["AWS_SECRET_ACCESS_KEY"] not in repr(store)
    assert store.bucket in repr(store)


def test_a_client_made_elsewhere_serves_too(s3: dict[str, str], store: ObjectStore) -> None:
    session = boto3.session.Session(s3["AWS_ACCESS_KEY_ID"], s3["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    client = session.client("s3", endpoint_url=s3["AWS_ENDPOINT_URL_S3"])
    other = store_from_client(
        client,
        store.bucket,
        credentials=session.get_credentials().get_frozen_credentials(),
        endpoint=s3["AWS_ENDPOINT_URL_S3"],
        region=None,
    )
    store.put("x", b"1")
    assert other.get("x") == b"1"
    assert other.storage_options == store.storage_options


def impatient(environ: dict[str, str]) -> ObjectStore:
    """A store with our timeouts that tries only twice."""
    retries = {"mode": "standard", "total_max_attempts": 2}
    client = boto3.session.Session("a", "b", region_name="us-east-1").client(
        "s3", endpoint_url=environ["AWS_ENDPOINT_URL_S3"], config=client_config().merge(Config(retries=retries))
    )
    return store_from_client(client, "some-bucket", credentials=None, endpoint=None, region=None)


def test_slow_down_is_retried_and_then_transient() -> None:
    body = b"<Error><Code>SlowDown</Code></Error>"
    with (
        broken_server(503, body, len(body)) as (environ, asked),
        pytest.raises(ServiceUnavailableError, match=r"S3 is overloaded or broken \(503 SlowDown\)"),
    ):
        impatient(environ).get("x")
    assert len(asked) == 2


def test_an_answer_cut_in_half_is_read_again_and_then_transient() -> None:
    with (
        broken_server(200, b"half", 8) as (environ, asked),
        pytest.raises(ServiceUnavailableError, match="some-bucket/x: the answer was cut off"),
    ):
        open_store("some-bucket", environ).get("x")
    assert len(asked) == 3


def test_a_server_that_is_down_is_transient() -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    }
    with pytest.raises(ServiceUnavailableError, match=r"S3 does not answer.*is the server up"):
        open_store("some-bucket", environ).list("x")
