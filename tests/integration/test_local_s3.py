"""The embedded S3 server answers as the clients of this project need it to, and loses nothing."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError
from deltalake import DeltaTable, write_deltalake

from include.skufleet.local import health, processes
from include.skufleet.local.beside import settings_beside
from include.skufleet.local.credentials import Credentials, load_credentials
from include.skufleet.local.environment import Endpoints, child_environment, s3_environment
from include.skufleet.local.services import binaries, command_of
from include.skufleet.local.settings import StackSettings

pytestmark = pytest.mark.integration


class Server:
    """The S3 server alone, with its own state."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.credentials: Credentials = load_credentials(settings.paths)
        self.url = Endpoints.on_loopback(settings).s3

    def start(self) -> processes.Started:
        environment = child_environment(os.environ, s3_environment(self.settings, self.credentials), str(binaries()))
        started = processes.start_process(
            self.settings.paths, "s3", command_of("s3", self.settings), environment, fingerprint=""
        )
        for _ in range(200):
            if health.is_healthy("s3", started, self.settings, self.credentials):
                return started
            time.sleep(0.05)
        pytest.fail(processes.last_log_line(self.settings.paths.log("s3")))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        processes.stop_service(self.settings.paths, "s3", number, patience=10)

    def client(self, key: str | None = None, secret: str | None = None) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key or self.credentials.s3_access_key,
            aws_secret_access_key=secret or self.credentials.s3_secret_key,
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(settings_beside(tmp_path_factory.mktemp("s3") / "local"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def bucket(server: Server) -> str:
    return server.settings.bucket


def refused(call: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as raised:
        call()
    answer = raised.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_ranged_read_is_answered_with_206_and_just_that_range(server: Server, bucket: str) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key="range", Body=b"0123456789")
    answer = client.get_object(Bucket=bucket, Key="range", Range="bytes=2-4")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == "bytes 2-4/10"
    assert answer["Body"].read() == b"234"


def test_a_conditional_write_on_an_existing_key_is_answered_with_412_and_changes_nothing(
    server: Server, bucket: str
) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key="once", Body=b"first", IfNoneMatch="*")
    again = refused(lambda: client.put_object(Bucket=bucket, Key="once", Body=b"second", IfNoneMatch="*"))
    assert again == ("PreconditionFailed", 412)
    assert client.get_object(Bucket=bucket, Key="once")["Body"].read() == b"first"


def test_of_many_conditional_writers_exactly_one_wins(server: Server, bucket: str) -> None:
    client = server.client()

    def write(number: int) -> bool:
        try:
            client.put_object(Bucket=bucket, Key="race", Body=str(number).encode(), IfNoneMatch="*")
        except client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                return False
            raise
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(32)))
    assert sum(won) == 1
    assert client.get_object(Bucket=bucket, Key="race")["Body"].read() == str(won.index(True)).encode()


@pytest.mark.parametrize("key", ["a b/c=1/ü+~*'()%20&x:y.json", "..", "a//b", "%2e%2e/secrets.json", "日本/語"])
def test_awkward_keys_come_back_as_they_went_in(server: Server, bucket: str, key: str) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key=f"keys/{key}", Body=key.encode())
    assert client.get_object(Bucket=bucket, Key=f"keys/{key}")["Body"].read() == key.encode()
    listed = client.list_objects_v2(Bucket=bucket, Prefix="keys/")["Contents"]
    assert f"keys/{key}" in {item["Key"] for item in listed}


def test_a_multipart_upload_is_put_together(server: Server, bucket: str) -> None:
    client = server.client()
    parts = [os.urandom(5 * 2**20), os.urandom(1000)]
    upload = client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    done = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate(parts, start=1)
    ]
    client.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": done})
    assert client.get_object(Bucket=bucket, Key="big")["Body"].read() == b"".join(parts)


def test_a_wrong_secret_a_wrong_key_and_no_signature_are_refused(server: Server, bucket: str) -> None:
    wrong_secret = server.client(secret="guess")  # noqa: S106 - wrong on purpose
    assert refused(lambda: wrong_secret.list_objects_v2(Bucket=bucket)) == ("SignatureDoesNotMatch", 403)
    assert refused(lambda: wrong_secret.put_object(Bucket=bucket, Key="x", Body=b"x"))[1] == 403
    assert refused(lambda: server.client(key="SKUOTHER").list_buckets()) == ("InvalidAccessKeyId", 403)
    for path in ("/", f"/{bucket}", f"/{bucket}/once", "/_ministack/health", "/_ministack/reset"):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(server.url + path, timeout=5)  # noqa: S310 - our own address
        assert raised.value.code == 403


def test_administrative_pages_are_closed_even_to_a_signed_request(server: Server, bucket: str) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key="stays", Body=b"x")
    assert refused(lambda: client.get_object(Bucket="_ministack", Key="reset"))[1] == 403
    assert client.head_object(Bucket=bucket, Key="stays")["ContentLength"] == 1


def test_delta_tables_are_written_and_appended(server: Server, bucket: str) -> None:
    options = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": server.credentials.s3_secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    rows = pa.table({"bucket": [1, 2], "sku": ["a b", "ü/1"]})
    for _ in range(2):
        write_deltalake(f"s3://{bucket}/table", rows, mode="append", partition_by=["bucket"], storage_options=options)
    table = DeltaTable(f"s3://{bucket}/table", storage_options=options)
    assert table.version() == 1
    assert sorted(table.to_pyarrow_table().column("sku").to_pylist()) == ["a b", "a b", "ü/1", "ü/1"]


def test_everything_survives_a_kill_and_a_restart(server: Server, bucket: str) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key="kept/a", Body=b"data", Metadata={"who": "me"}, ContentType="text/plain")
    before = client.head_object(Bucket=bucket, Key="kept/a")
    server.stop(signal.SIGKILL)
    server.start()
    after = server.client().head_object(Bucket=bucket, Key="kept/a")
    assert (after["ETag"], after["Metadata"], after["ContentType"]) == (before["ETag"], {"who": "me"}, "text/plain")
    again = refused(lambda: server.client().put_object(Bucket=bucket, Key="kept/a", Body=b"x", IfNoneMatch="*"))
    assert again == ("PreconditionFailed", 412)
    assert server.client().get_object(Bucket=bucket, Key="kept/a")["Body"].read() == b"data"


def test_nothing_but_loopback_is_listened_on(server: Server) -> None:
    import psutil

    started = processes.read_started(server.settings.paths, "s3")
    process = processes.find_process(started)
    assert process is not None
    listening = [found.laddr for found in process.net_connections() if found.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", server.settings.ports.s3)]


def test_no_secret_is_in_its_log(server: Server) -> None:
    log: Path = server.settings.paths.log("s3")
    assert server.credentials.s3_secret_key not in log.read_text()
