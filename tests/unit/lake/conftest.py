"""A bucket of its own for every test of the lake, on the session's real S3 server."""

from __future__ import annotations

import uuid

import pytest
from lake_shop import Shop, make_catalogue

from include.skufleet.lake.store import ObjectStore
from tests.unit.s3_server import open_bucket, server_environment


@pytest.fixture(scope="session")
def s3() -> dict[str, str]:
    """The environment of a running S3 server."""
    return server_environment()


@pytest.fixture
def store() -> ObjectStore:
    """An empty bucket."""
    return open_bucket(f"bucket-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def shop(store: ObjectStore) -> Shop:
    return Shop(store, make_catalogue())
