"""Lets the scheduler import once what its tasks would each import anew: see ``orchestration/warm.py``.

Thin on purpose: every task's process imports every plugin.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.skufleet.orchestration.warm import WarmStart


class SkufleetWarm(AirflowPlugin):
    """A listener for the start of the scheduler."""

    name = "skufleet_warm"
    listeners = [WarmStart()]  # noqa: RUF012 -- Airflow declares it so
