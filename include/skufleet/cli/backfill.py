"""``backfill``: retrain a catalogue as of chosen dates, one after the other, and show what their forecasts were worth.

Airflow's own ``backfill create`` makes a run for every date of a Dag's timetable; this is for every seventh of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from rich.console import Console

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.cli.retrain import retrain_and_watch
from include.skufleet.cli.scorecard import print_scorecards, read_scorecards
from include.skufleet.errors import ConfigError


def list_dates(first: date, last: date, every: int) -> list[date]:
    """Every so many days from the first date to the last, both included where they fall on one.

    Raises:
        ConfigError: there is no such date, or the steps lead nowhere.
    """
    if every < 1 or first > last:
        raise ConfigError(
            f"backfill: got {first} to {last} every {every} days, expected FROM before TO and EVERY to be 1 or more"
        )
    return list(_step(first, last, every))


def _step(first: date, last: date, every: int) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=every)


def backfill_and_watch(
    api: AirflowApi,
    catalogue: str,
    dates: Sequence[date],
    conf: Mapping[str, Any],
    console: Console,
    *,
    again: bool = False,
) -> int:
    """Trigger a run of each date once the one before is over, the oldest first; then print the scorecard.

    Args:
        api: Airflow.
        catalogue: the catalogue's name.
        dates: what the runs pretend that it is.
        conf: params that all of them are given.
        console: for people.
        again: also dates that have a scorecard already, of an earlier backfill for example.

    Returns:
        0 only if every run succeeded and accounts for every SKU; the others go on where one does not.
    """
    known = set() if again else {card.as_of for card in read_scorecards(catalogue)}
    failed: list[date] = []
    for number, day in enumerate(dates, start=1):
        if day in known:
            console.print(f"  {day}: has a scorecard already; --again makes a new one")
            continue
        console.print(f"[bold]{day}[/], {number} of {len(dates)}")
        if retrain_and_watch(api, catalogue, {**conf, "as_of": day.isoformat()}, console):
            failed.append(day)
    console.print()
    print_scorecards(read_scorecards(catalogue), catalogue, console)
    if failed:
        console.print(f"[bold red]✗[/] {len(failed)} of {len(dates)} runs failed: {', '.join(map(str, failed))}")
    return 1 if failed else 0
