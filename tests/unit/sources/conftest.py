"""A bucket of its own for every test of the importers, on the session's real S3 server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from include.skufleet.lake.store import ObjectStore
from tests.unit.s3_server import open_bucket

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def store() -> ObjectStore:
    """An empty bucket."""
    return open_bucket(f"bucket-{uuid.uuid4().hex[:12]}")
