"""The Dags as Airflow's own Dag processor reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]


def read_dags(folder: Path) -> DagBag:
    return DagBag(dag_folder=str(folder), bundle_path=folder, bundle_name="dags-folder")


@pytest.fixture(scope="session")
def dag_bag() -> DagBag:
    return read_dags(ROOT / "dags")
