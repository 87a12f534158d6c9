"""The timetable of a catalogue without a schedule: no run by itself, one per day or week of a backfill."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from airflow.sdk import DAG
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from pendulum import DateTime

from include.skufleet.orchestration.params import resolve_as_of
from include.skufleet.orchestration.schedule import schedule_of
from include.skufleet.orchestration.timetable import OnRequest
from tests.unit.lake.lake_shop import make_catalogue


def moment(text: str) -> DateTime:
    return DateTime.instance(datetime.fromisoformat(text).replace(tzinfo=UTC))


def stored(timetable: OnRequest) -> SerializedDAG:
    """A Dag as Airflow reads it back from its database."""
    with DAG("retrain_shop", schedule=timetable) as dag:
        pass
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow import plugins_manager

    path = f"{OnRequest.__module__}.{OnRequest.__qualname__}"
    monkeypatch.setattr(plugins_manager, "get_timetables_plugins", lambda: {path: OnRequest})


def runs(timetable: OnRequest, first: str, last: str) -> list[str]:
    infos = stored(timetable).iter_dagrun_infos_between(moment(first), moment(last))
    return [info.logical_date.isoformat() for info in infos if info.logical_date]


def test_a_backfill_has_a_run_for_each_day_of_its_range_both_ends_included(registered: None) -> None:
    assert runs(OnRequest("D"), "2026-03-01", "2026-03-03") == [f"2026-03-{day:02}T00:00:00+00:00" for day in (1, 2, 3)]
    assert runs(OnRequest("D"), "2026-03-01T04:00", "2026-03-02T04:00") == ["2026-03-02T00:00:00+00:00"]


def test_a_weekly_catalogue_has_one_on_each_monday(registered: None) -> None:
    found = runs(OnRequest("W"), "2026-03-01", "2026-03-31")
    assert [text[:10] for text in found] == ["2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30"]
    assert all((moment(b[:10]) - moment(a[:10])).days == 7 for a, b in pairwise(found))


@pytest.mark.parametrize("last", [None, DataInterval.exact(moment("2026-03-01"))])
@pytest.mark.parametrize("earliest", [None, moment("2026-01-01")])
def test_the_scheduler_finds_no_run_to_start(last: DataInterval | None, earliest: DateTime | None) -> None:
    timetable = OnRequest()
    restriction = TimeRestriction(earliest, None, catchup=False)
    assert timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction) is None
    assert not timetable.can_be_scheduled
    assert timetable.periodic


def test_the_as_of_of_a_run_is_the_day_that_the_backfill_names() -> None:
    day = moment("2026-03-02")
    assert resolve_as_of(None, None, day, day, where="backfill").isoformat() == "2026-03-02"


def test_airflows_database_gives_the_same_timetable_back(registered: None) -> None:
    assert stored(OnRequest("W")).timetable == OnRequest("W") != OnRequest("D")
    assert stored(OnRequest("W")).timetable.summary == "on request"


def test_a_catalogue_without_a_schedule_has_it() -> None:
    manual = make_catalogue().model_copy(update={"schedule": None, "frequency": "W"})
    assert schedule_of(manual) == OnRequest("W")
    assert not isinstance(schedule_of(make_catalogue()), OnRequest)
