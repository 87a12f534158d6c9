"""One real S3 server for all tests of a session that need one: a free loopback port, a data folder of its own."""

from __future__ import annotations

import atexit
import functools
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.store import ObjectStore

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
KEYS = {
    "AWS_ACCESS_KEY_ID": "unit-tests",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@functools.cache
def server_environment() -> dict[str, str]:
    """Start the server at the first call; what its clients need. Stopped when the process ends."""
    python = ROOT / ".venv-s3" / "bin" / "python"
    if not python.exists():
        pytest.fail("the S3 server's environment .venv-s3 is missing; run `make setup-dev`")
    folder = Path(tempfile.mkdtemp(prefix="skufleet-s3-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"SKUFLEET_S3_PORT": str(port), "SKUFLEET_BUCKET": "first-bucket", "S3_DATA_DIR": str(folder / "data")}
    script = str(ROOT / "include" / "skufleet" / "local" / "s3_server.py")
    environment = {**os.environ, **KEYS, **own}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(python), "-P", script], env=environment, stdout=log, stderr=log)
    atexit.register(_stop, server, folder)
    _wait(port, server, folder / "log")
    return {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}


def open_bucket(name: str) -> ObjectStore:
    """A bucket of that name, made where it is not there."""
    opened = open_store(name, server_environment())
    opened.ensure_bucket()
    return opened


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the S3 server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


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


def _stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
    shutil.rmtree(folder, ignore_errors=True)
