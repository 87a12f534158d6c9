from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.skufleet.cli.airflow_api import AirflowApi
from tests.unit.cli.airflow_stand_in import PASSWORD, USER, StandIn, stand_in


@pytest.fixture
def airflow() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def api(airflow: StandIn) -> AirflowApi:
    return AirflowApi(airflow.url, USER, PASSWORD)
