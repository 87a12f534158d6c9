"""The embedded S3 server: ministack's S3 on loopback, kept on disk, behind a signature check.

Runs as a script inside `.venv-s3`, so it imports nothing of Skufleet. It takes its settings from the environment:
`SKUFLEET_S3_PORT`, `SKUFLEET_BUCKET`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `S3_DATA_DIR`.

ministack by itself answers anyone who reaches its port, and has administrative pages beside S3. `SignedOnly` stands
before it: a request must carry a Signature Version 4 made with this installation's key, in its headers or (presigned)
in its query. The signature covers the payload's declared hash; whether the body fits it is left to the server behind.
"""

import asyncio
import concurrent.futures
import hashlib
import hmac
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH_PATH = "/_skufleet/health"
WORKER_THREADS = 16
CLOCK_SKEW = timedelta(minutes=15)
LONGEST_PRESIGNED_SECONDS = 7 * 24 * 3600
# ministack logs a failed disk write and still answers 200, so writes are refused before the disk is full.
FREE_BYTES_KEPT = 256 * 2**20

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request\s*,"
    r"\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})"
)


class Signature(NamedTuple):
    """What a signed request claims about itself."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    digest: str
    timestamp: str
    payload_hash: str
    lifetime: timedelta
    presigned: bool


def _canonical(text: str, safe: str = "-_.~") -> str:
    return quote(unquote(text), safe=safe)


def _query_pairs(raw_query: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in raw_query.split("&") if part)
    return [(_canonical(name), _canonical(value)) for name, _, value in pairs]


def read_signature(headers: dict[str, str], raw_query: str) -> Signature | None:
    """Return the signature in a request's headers or query, or None when there is no well-formed one."""
    if match := _HEADER.fullmatch(headers.get("authorization", "").strip()):
        key, date, region, service, signed, digest = match.groups()
        return Signature(
            unquote(key),
            date,
            region,
            service,
            tuple(signed.split(";")),
            digest,
            headers.get("x-amz-date", ""),
            headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            CLOCK_SKEW,
            presigned=False,
        )
    query = {name: unquote(value) for name, value in _query_pairs(raw_query)}
    credential = query.get("X-Amz-Credential", "").split("/")
    lifetime = query.get("X-Amz-Expires", "")
    if query.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" or len(credential) != 5 or not lifetime.isdecimal():
        return None
    access_key, date, region, service, _ = credential
    return Signature(
        access_key,
        date,
        region,
        service,
        tuple(query.get("X-Amz-SignedHeaders", "").split(";")),
        query.get("X-Amz-Signature", ""),
        query.get("X-Amz-Date", ""),
        query.get("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
        timedelta(seconds=min(int(lifetime), LONGEST_PRESIGNED_SECONDS)),
        presigned=True,
    )


def expected_digest(
    signature: Signature, secret: str, method: str, raw_path: str, raw_query: str, headers: dict[str, str]
) -> str:
    """Return the Signature Version 4 digest which the holder of `secret` would have sent with this request.

    Args:
        signature: what the request claims; its scope, date and header list are part of what is signed.
        secret: the secret access key.
        method: HTTP method, upper case.
        raw_path: path as sent, still percent-encoded.
        raw_query: query as sent, without the question mark.
        headers: request headers, names in lower case.

    Returns:
        64 lower-case hexadecimal digits.
    """
    pairs = sorted(pair for pair in _query_pairs(raw_query) if pair[0] != "X-Amz-Signature")
    canonical_request = "\n".join(
        (
            method,
            _canonical(raw_path, safe="-_.~/"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signature.signed_headers),
            "",
            ";".join(signature.signed_headers),
            signature.payload_hash,
        )
    )
    scope = f"{signature.date}/{signature.region}/{signature.service}/aws4_request"
    hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{signature.timestamp}\n{scope}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in (signature.date, signature.region, signature.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def refusal(signature: Signature | None, access_key: str, now: datetime) -> str | None:
    """Return the S3 error code for a request whose claim alone rules it out, or None when its digest decides."""
    if signature is None:
        return "AccessDenied"
    if not hmac.compare_digest(signature.access_key.encode(), access_key.encode()):
        return "InvalidAccessKeyId"
    if "host" not in signature.signed_headers or signature.service != "s3":
        return "AuthorizationHeaderMalformed"
    try:
        signed_at = datetime.strptime(signature.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "AuthorizationHeaderMalformed"
    if not signature.timestamp.startswith(signature.date):
        return "AuthorizationHeaderMalformed"
    if signed_at - CLOCK_SKEW > now or now > signed_at + signature.lifetime:
        return "AccessDenied" if signature.presigned else "RequestTimeTooSkewed"
    return None


class SignedOnly:
    """ASGI middleware that lets a request through only when this installation's key signed it.

    Its own `HEALTH_PATH` answers without a signature and says nothing but that the server is there.
    """

    def __init__(self, app: App, access_key: str, secret: str, data_folder: Path) -> None:
        """Guard `app`; `data_folder` is where its objects are kept."""
        self._app, self._access_key, self._secret, self._data_folder = app, access_key, secret, data_folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        if scope["path"] == HEALTH_PATH:
            await _answer(send, 200, b"ok", b"text/plain")
            return
        if code := self._refuse(scope):
            await _answer_error(send, 503 if code == "ServiceUnavailable" else 403, code)
            return
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        # The lifespan of ministack itself is left out: it starts services other than S3 and talks to a Docker daemon.
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                threads = concurrent.futures.ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="s3")
                asyncio.get_running_loop().set_default_executor(threads)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _refuse(self, scope: Scope) -> str | None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        raw_query = scope["query_string"].decode("latin-1")
        signature = read_signature(headers, raw_query)
        if code := refusal(signature, self._access_key, datetime.now(UTC)):
            return code
        assert signature is not None  # noqa: S101 - refusal() answers for None
        digest = expected_digest(signature, self._secret, scope["method"], raw_path, raw_query, headers)
        if not hmac.compare_digest(digest, signature.digest):
            return "SignatureDoesNotMatch"
        if scope["path"].startswith("/_"):  # no bucket's name starts so: these are ministack's administrative pages
            return "AccessDenied"
        if scope["method"] in {"PUT", "POST"} and shutil.disk_usage(self._data_folder).free < FREE_BYTES_KEPT:
            return "ServiceUnavailable"
        return None


async def _answer(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer_error(send: Send, status: int, code: str) -> None:
    reason = "The disk is almost full." if status == 503 else "The request is not signed with this installation's key."
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{reason}</Message></Error>'
    await _answer(send, status, body.encode(), b"application/xml")


async def create_bucket(app: App, bucket: str) -> None:
    """Create `bucket` by a request inside this process; an existing one is left as it is.

    Raises:
        RuntimeError: the server answered with anything but 200 or 409.
    """
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": f"/{bucket}",
        "raw_path": f"/{bucket}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"s3.us-east-1.amazonaws.com"), (b"content-length", b"0")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    await app(scope, receive, send)
    if statuses and statuses[0] in {200, 409}:
        return
    raise RuntimeError(f"cannot create the bucket {bucket!r}: the S3 server answered {statuses or 'nothing'}")


def _configure_ministack(data_folder: Path) -> None:
    os.environ.update(
        SERVICES="s3",
        S3_PERSIST="1",
        S3_DATA_DIR=str(data_folder),
        MINISTACK_REGION=os.environ["AWS_DEFAULT_REGION"],
        LOG_LEVEL="WARNING",
    )


async def serve(port: int, bucket: str, data_folder: Path) -> None:
    """Serve S3 on 127.0.0.1:`port` until SIGTERM or SIGINT."""
    # Imported late: ministack reads the environment while it is imported.
    import uvicorn
    from ministack.app import app  # type: ignore[import-not-found]

    await create_bucket(app, bucket)
    guarded = SignedOnly(app, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], data_folder)
    config = uvicorn.Config(
        guarded,
        host="127.0.0.1",
        port=port,
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    await uvicorn.Server(config).serve()


def main() -> int:
    """Serve with the settings of the environment; the process's exit code is returned."""
    data_folder = Path(os.environ["S3_DATA_DIR"])
    data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _configure_ministack(data_folder)
    import uvloop

    uvloop.run(serve(int(os.environ["SKUFLEET_S3_PORT"]), os.environ["SKUFLEET_BUCKET"], data_folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
