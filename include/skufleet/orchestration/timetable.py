"""When runs of a catalogue without a schedule are due: never, but each has a date where a backfill asks for them.

Airflow backfills only what has a period; ``schedule=None`` has none. A timetable of one's own has to be registered by a
plugin (``plugins/skufleet_timetable.py``), and is imported wherever Airflow reads a Dag from its database.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from airflow.timetables.base import DagRunInfo, DataInterval, Timetable
from pendulum import UTC, DateTime

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

Frequency = Literal["D", "W"]
MONDAY = 0


class OnRequest(Timetable):
    """No run by itself; for a backfill one at each midnight UTC, or each Monday's: then the week before is over.

    Args:
        frequency: of the catalogue, ``D`` or ``W``.
    """

    can_be_scheduled = False
    periodic = True

    def __init__(self, frequency: Frequency = "D") -> None:
        self._frequency: Frequency = frequency
        often = "day" if frequency == "D" else "Monday"
        self.description = f"Never by itself; a backfill makes a run for every {often} of its range"

    @property
    def summary(self) -> str:
        """What the list of Dags shows in the column of the schedule."""
        return "on request"

    def serialize(self) -> dict[str, Any]:
        """What Airflow's database keeps."""
        return {"frequency": self._frequency}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """The timetable that ``serialize`` describes."""
        return cls(data["frequency"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnRequest) and self._frequency == other._frequency

    def __hash__(self) -> int:
        return hash(self._frequency)

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """A moment: no run reads a data interval (ADR 9)."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run of a backfill's range; none for the scheduler, which asks without a first and a last day."""
        earliest, latest = restriction.earliest, restriction.latest
        if not restriction.catchup or earliest is None or latest is None:
            return None
        first = earliest if last_automated_data_interval is None else last_automated_data_interval.end.add(seconds=1)
        due = self._find_due(first)
        return None if due > latest else DagRunInfo.exact(due)

    def _find_due(self, moment: datetime) -> DateTime:
        """The first midnight from a moment on that a run is due at."""
        there = moment.astimezone(UTC)
        day: date = there.date() + timedelta(days=there.time() != there.time().min)
        if self._frequency == "W":
            day += timedelta(days=(MONDAY - day.weekday()) % 7)
        return DateTime(day.year, day.month, day.day, tzinfo=UTC)
