"""A real S3 server for the tests of the importers, one bucket per test."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.skufleet.lake.store import ObjectStore, open_store

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data"
_KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests-secret", "AWS_DEFAULT_REGION": "us-east-1"}


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded stack's S3 server on a free port, with a data folder of its own."""
    python = ROOT / ".venv-s3" / "bin" / "python"
    if not python.exists():
        pytest.fail("the S3 server's environment .venv-s3 is missing; `make test` builds it")
    folder = tmp_path_factory.mktemp("s3")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"SKUFLEET_S3_PORT": str(port), "SKUFLEET_BUCKET": "first", "S3_DATA_DIR": str(folder / "data")}
    script = ROOT / "include" / "skufleet" / "local" / "s3_server.py"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([python, script], env={**os.environ, **_KEYS, **settings}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the S3 server did not start: {(folder / 'log').read_text()[-500:]}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def open_bucket(endpoint: str, name: str) -> ObjectStore:
    opened = open_store(name, {**_KEYS, "AWS_ENDPOINT_URL_S3": endpoint})
    opened.ensure_bucket()
    return opened


@pytest.fixture
def store(s3_endpoint: str, request: pytest.FixtureRequest) -> ObjectStore:
    """An empty bucket, named after the test."""
    return open_bucket(s3_endpoint, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-"))
