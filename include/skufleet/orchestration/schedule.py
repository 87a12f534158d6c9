"""When a Dag runs by itself."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable


def from_now_on(cron: str | None) -> CronTriggerTimetable | None:
    """The cron expression in UTC, from the next time on; ``None`` for a Dag that is only triggered.

    Without a start date and with no time to look back, switching a Dag on starts no run of its own: a person who
    triggers a first run does not wait behind one that they did not ask for.
    """
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta()) if cron else None
