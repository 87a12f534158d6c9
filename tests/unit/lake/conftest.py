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
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from include.skufleet.config import Catalogue
from include.skufleet.lake.ingest import IngestSummary, ingest
from include.skufleet.lake.store import ObjectStore, open_store

ROOT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 6, 30)


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


@dataclass
class Shop:
    """A small retailer: a catalogue, and its landing in an empty bucket."""

    store: ObjectStore
    catalogue: Catalogue

    def drop(self, name: str, *rows: str, header: str = "sku,store,date,units", folder: str = "sales") -> None:
        """Deliver a CSV file."""
        self.put(name, "\n".join([header, *rows]) + "\n", folder)

    def put(self, name: str, content: str | bytes, folder: str = "sales") -> None:
        """Deliver a file."""
        data = content.encode() if isinstance(content, str) else content
        self.store.put(f"landing/shop/{folder}/{name}", data)

    def ingest(self, today: date = TODAY) -> IngestSummary:
        return ingest(self.store, self.catalogue, today)

    def with_sales(self, **sales: Any) -> Shop:
        """The same landing under other settings of ``landing.sales``."""
        return Shop(self.store, make_catalogue(**sales))


def make_catalogue(landing: dict[str, Any] | None = None, **sales: Any) -> Catalogue:
    """A catalogue file as small as can be."""
    columns = {"sku": "sku", "store": "store", "date": "date", "units": "units"}
    return Catalogue.model_validate(
        {
            "name": "shop",
            "landing": {"prefix": "landing/shop", "sales": {"columns": columns} | sales, **(landing or {})},
            "fleet": {"buckets": 4},
        }
    )


@pytest.fixture
def shop(store: ObjectStore) -> Shop:
    return Shop(store, make_catalogue())
