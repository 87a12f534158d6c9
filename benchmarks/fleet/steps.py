"""Which runs a benchmark does, on which day each, and what is landed before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from include.skufleet.errors import ConfigError

RUNS = ("first", "next_day", "unchanged", "unchanged_later")


@dataclass(frozen=True)
class Step:
    """One run.

    Attributes:
        name: how the figures call it.
        as_of: the date that it pretends it is.
        lands: whether what the chain sold up to that day is landed before.
    """

    name: str
    as_of: date
    lands: bool


def parse_runs(text: str) -> tuple[str, ...]:
    """Names of runs, separated by commas, in the order in which they are done.

    Raises:
        ConfigError: a name is not one of ``RUNS``, or there is none.
    """
    asked = {name.strip() for name in text.split(",")}
    if unknown := sorted(asked - set(RUNS)):
        raise ConfigError(f"runs: got {', '.join(map(repr, unknown))}, expected some of {', '.join(RUNS)}")
    return tuple(name for name in RUNS if name in asked)


def plan_steps(runs: Sequence[str], end: date, daily: int = 0) -> list[Step]:
    """The runs in their order, ``daily`` further ones after ``next_day`` with a new day each.

    Args:
        runs: some of ``RUNS``, in that order; without ``first``, the benchmark goes on from a first run at ``end``.
        end: the last day that the first run knows.
        daily: how many further days are landed and run.

    >>> for step in plan_steps(RUNS, date(2026, 6, 1), daily=1):
    ...     print(step.name, step.as_of, step.lands)
    first 2026-06-01 True
    next_day 2026-06-02 True
    day_3 2026-06-03 True
    unchanged 2026-06-03 False
    unchanged_later 2026-06-04 False
    """
    steps, day = [], end
    for name in runs:
        lands = name in ("first", "next_day")
        if name != "first" and name != "unchanged":
            day += timedelta(days=1)
        steps.append(Step(name, day, lands))
        for number in range(daily if name == "next_day" else 0):
            day += timedelta(days=1)
            steps.append(Step(f"day_{number + 3}", day, lands=True))
    return steps
