from __future__ import annotations

import pytest

from include.skufleet.registry.client import Registry
from tests.unit.registry.fleet_of_models import open_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return open_registry()
