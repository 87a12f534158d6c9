"""Settings that every test needs before Airflow, MLflow or numpy are imported: a throwaway home, no telemetry.

And no deadlines for hypothesis: how fast a test is depends on what else the machine does.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

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

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side (``-n 2 --dist loadfile``) a file's tests stay together, and so do the files that share a stack."""
    from xdist.scheduler import LoadFileScheduling

    sharing = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests" / "integration").glob("test_*.py")
        if "stack: RunningStack" in file.read_text(encoding="utf-8")
    }

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "stack" if file in sharing else file

    return Scheduling(config, log)
