from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.local import s3_server
from include.skufleet.local.s3_server import (
    Message,
    Receive,
    Scope,
    Send,
    Signature,
    SignedOnly,
    expected_digest,
    read_signature,
    refusal,
)

KEY, SECRET = "SKUKEY", "secret"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def signature(**changes: object) -> Signature:
    usual = Signature(
        KEY, "20261120", "us-east-1", "s3", ("host",), "0" * 64, "20261120T120000Z", EMPTY, timedelta(minutes=15), False
    )
    return usual._replace(**changes)  # type: ignore[arg-type]


def test_the_example_of_the_s3_documentation_gives_the_published_digest() -> None:
    """Amazon S3 API reference, "Signature calculations for the authorization header", example GET Object."""
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": EMPTY,
        "x-amz-date": "20130524T000000Z",
        "authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
    }
    found = read_signature(headers, "")
    assert found is not None
    digest = expected_digest(found, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "GET", "/test.txt", "", headers)
    assert digest == found.digest == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


@given(
    key=st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30),
    prefix=st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=10),
)
def test_whatever_botocore_signs_is_recognised(key: str, prefix: str) -> None:
    url = boto_url(key, prefix)
    request = AWSRequest("GET", url, headers={"Host": "127.0.0.1:19000"})
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    split = urlsplit(url)
    found = read_signature(headers, split.query)
    assert found is not None
    assert expected_digest(found, SECRET, "GET", split.path, split.query, headers) == found.digest
    assert expected_digest(found, "other", "GET", split.path, split.query, headers) != found.digest
    assert expected_digest(found, SECRET, "PUT", split.path, split.query, headers) != found.digest


def boto_url(key: str, prefix: str) -> str:
    return f"http://127.0.0.1:19000/bucket/{percent_encode(key, safe='/~')}?prefix={percent_encode(prefix, safe='~')}"


def test_a_presigned_address_is_recognised_until_it_expires() -> None:
    request = AWSRequest("GET", "http://127.0.0.1:19000/bucket/key", headers={"Host": "127.0.0.1:19000"})
    S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", "us-east-1", expires=60).add_auth(request)
    split = urlsplit(request.url)
    found = read_signature({"host": "127.0.0.1:19000"}, split.query)
    assert found is not None
    assert found.presigned
    assert expected_digest(found, SECRET, "GET", split.path, split.query, {"host": "127.0.0.1:19000"}) == found.digest
    signed_at = datetime.strptime(found.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert refusal(found, KEY, signed_at + timedelta(seconds=60)) is None
    assert refusal(found, KEY, signed_at + timedelta(seconds=61)) == "AccessDenied"


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic YTpi", "AWS SKUKEY:abc=", "AWS4-HMAC-SHA256 Credential=SKUKEY", "AWS4-HMAC-SHA256 " + "x" * 5000],
)
def test_a_request_without_a_well_formed_signature_carries_none(authorization: str) -> None:
    assert read_signature({"authorization": authorization}, "list-type=2") is None
    assert refusal(None, KEY, datetime.now(UTC)) == "AccessDenied"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, None),
        ({"access_key": "OTHER"}, "InvalidAccessKeyId"),
        ({"service": "iam"}, "AuthorizationHeaderMalformed"),
        ({"signed_headers": ("x-amz-date",)}, "AuthorizationHeaderMalformed"),
        ({"timestamp": "yesterday"}, "AuthorizationHeaderMalformed"),
        ({"date": "20261119"}, "AuthorizationHeaderMalformed"),
        ({"timestamp": "20261120T114459Z"}, "RequestTimeTooSkewed"),
        ({"timestamp": "20261120T121501Z"}, "RequestTimeTooSkewed"),
    ],
)
def test_a_claim_that_cannot_hold_is_refused_before_its_digest_is_looked_at(
    changed: dict[str, object], code: str | None
) -> None:
    assert refusal(signature(**changed), KEY, datetime(2026, 11, 20, 12, tzinfo=UTC)) == code


def answer_of(method: str, folder: Path) -> int:
    """The status that a correctly signed request gets from the guard before a server that always says 200."""
    request = AWSRequest(method, "http://127.0.0.1:19000/bucket/key", headers={"Host": "127.0.0.1:19000"})
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    statuses: list[int] = []

    async def behind(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: Scope = {
        "type": "http",
        "method": method,
        "path": "/bucket/key",
        "raw_path": b"/bucket/key",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
    }
    asyncio.run(SignedOnly(behind, KEY, SECRET, folder)(scope, receive, send))
    return statuses[0]


def test_a_nearly_full_disk_refuses_writes_and_still_serves_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (answer_of("PUT", tmp_path), answer_of("GET", tmp_path)) == (200, 200)
    monkeypatch.setattr(s3_server, "FREE_BYTES_KEPT", 2**62)
    assert (answer_of("PUT", tmp_path), answer_of("GET", tmp_path)) == (503, 200)
