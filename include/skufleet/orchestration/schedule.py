"""When a Dag runs by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import CronTriggerTimetable

from include.skufleet.orchestration.timetable import OnRequest

if TYPE_CHECKING:
    from include.skufleet.config import Catalogue


def schedule_of(catalogue: Catalogue) -> CronTriggerTimetable | OnRequest:
    """The catalogue file's cron expression in UTC, from the next time on; where it has none, only on request.

    Without a start date and with no time to look back, switching a Dag on starts no run of its own: a person who
    triggers a first run does not wait behind one that they did not ask for.
    """
    if catalogue.schedule is None:
        return OnRequest(catalogue.frequency)
    return CronTriggerTimetable(catalogue.schedule, timezone="UTC", run_immediately=timedelta())
