"""Registers the timetable of catalogues without a schedule: see ``orchestration/timetable.py``.

Thin on purpose: every task's process imports every plugin.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.skufleet.orchestration.timetable import OnRequest


class SkufleetTimetable(AirflowPlugin):
    """The timetable, under the name by which Airflow's database refers to it."""

    name = "skufleet_timetable"
    timetables = [OnRequest]  # noqa: RUF012 -- Airflow declares it so
