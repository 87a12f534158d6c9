"""One real S3 server for all tests of the lake, a bucket of its own for every test."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from lake_shop import Shop, make_catalogue

from include.skufleet.lake.store import ObjectStore, open_store

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a running S3 server."""
    python = ROOT / ".venv-s3/bin/python"
    if not python.exists():
        pytest.fail("the S3 server's environment .venv-s3 is missing; run `make setup-dev`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    access = {
        "AWS_ACCESS_KEY_ID": "lake-tests",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    folder = tmp_path_factory.mktemp("s3")
    environment = {
        **os.environ,
        **access,
        "SKUFLEET_S3_PORT": str(port),
        "SKUFLEET_BUCKET": "first-bucket",
        "S3_DATA_DIR": str(folder / "data"),
    }
    with (folder / "log").open("wb") as log:
        script = str(ROOT / "include/skufleet/local/s3_server.py")
        process = subprocess.Popen([str(python), script], env=environment, stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait_for(endpoint, process, folder / "log")
        yield {**access, "AWS_ENDPOINT_URL_S3": endpoint}
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(endpoint, timeout=1)  # noqa: S310 - our own loopback address
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the S3 server did not come up: {log.read_text()[-2000:]}")


@pytest.fixture
def store(s3: dict[str, str]) -> ObjectStore:
    """An empty bucket."""
    opened = open_store(f"bucket-{uuid.uuid4().hex[:12]}", s3)
    opened.ensure_bucket()
    return opened


@pytest.fixture
def shop(store: ObjectStore) -> Shop:
    return Shop(store, make_catalogue())
