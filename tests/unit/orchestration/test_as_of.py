"""One function resolves ``as_of`` for every kind of run."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from include.skufleet.errors import ConfigError
from include.skufleet.orchestration.params import resolve_as_of

AFTER = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
LOGICAL = datetime(2026, 3, 9, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("param", "partition", "logical", "expected"),
    [
        ("2026-01-31", "2026-02-01", LOGICAL, date(2026, 1, 31)),
        (None, "2026-02-01", LOGICAL, date(2026, 2, 1)),
        (None, "2026-02-01T00:00:00", None, date(2026, 2, 1)),
        (None, None, LOGICAL, date(2026, 3, 9)),
        (None, None, None, date(2026, 3, 10)),
        ("", None, None, date(2026, 3, 10)),
    ],
    ids=["param", "partition", "partition with a time", "scheduled or backfill", "manual or asset", "empty param"],
)
def test_the_first_that_is_given_counts(param, partition, logical, expected) -> None:
    assert resolve_as_of(param, partition, logical, AFTER, where="run") == expected


def test_dates_are_utc_dates() -> None:
    logical = datetime(2026, 3, 10, 1, 0, tzinfo=timezone(timedelta(hours=5)))
    assert resolve_as_of(None, None, logical, AFTER, where="run") == date(2026, 3, 9)


def test_a_date_in_the_runs_future_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"manual__1: as_of 2026-03-11 is after the run's own date 2026-03-10"):
        resolve_as_of("2026-03-11", None, None, AFTER, where="manual__1")


def test_text_that_is_no_date_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match=r"got 'yesterday', expected a date such as 2026-01-31"):
        resolve_as_of("yesterday", None, None, AFTER, where="run")
