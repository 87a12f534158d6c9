"""Settings that every test needs before Airflow, MLflow or numpy are imported: a throwaway home, no telemetry.

And which tests may run side by side: those of different files, but never two that need the whole platform.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_HOME = Path(tempfile.mkdtemp(prefix="skufleet-tests-"))

os.environ.update(
    AIRFLOW_HOME=str(_HOME / "airflow"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    PYTHONPATH=str(ROOT),
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MPLBACKEND="Agg",
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
    GX_ANALYTICS_ENABLED="false",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker takes a whole file, so that its fixtures are made once; one, all that share the stack or its Dags."""
    for item in items:
        shared = any(item.path.is_relative_to(ROOT / "tests" / name) for name in ("integration", "dags"))
        group = "platform" if shared else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
