"""The records of a scorecard, and where they are: one JSON object per date and run, kept longer than the run itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Self

from include.skufleet.fleet.run import Run, RunKeys
from include.skufleet.lake.store import ObjectStore

FLEET = "(fleet)"
"""The name of the group that all SKUs belong to."""


@dataclass(frozen=True, slots=True)
class Score:
    """How some SKUs' forecasts fared on the periods that are known by now.

    A ratio is 0 where both its parts are zero, and NaN where only its denominator is, as in ``forecasting.metrics``.

    Attributes:
        group: a department, or ``FLEET``.
        skus: SKUs with a forecast and a period that is known.
        actuals: periods of all their series that are known.
        units: units sold in them.
        wape: sum of absolute errors / units.
        bias: sum of (forecast - actual) / units.
        rmsse: the SKUs' RMSSE, scaled by the history known then, as a mean weighted by units; SKUs without a scale are
            left out. NaN where nothing was sold.
        baseline_wape: the same for the seasonal naive of the same history.
        baseline_bias: likewise.
        baseline_rmsse: likewise, over the same SKUs.
        coverage: level in per cent -> share of the known periods within the interval, of those that have one.
    """

    group: str
    skus: int
    actuals: int
    units: float
    wape: float
    bias: float
    rmsse: float
    baseline_wape: float
    baseline_bias: float
    baseline_rmsse: float
    coverage: Mapping[int, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON: NaN is null."""
        values = {name: _to_json_number(value) for name, value in asdict(self).items() if name != "coverage"}
        return values | {"coverage": {str(level): _to_json_number(share) for level, share in self.coverage.items()}}

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""
        numbers: dict[str, Any] = {name: math.nan if value is None else value for name, value in raw.items()}
        shares = {int(level): math.nan if share is None else share for level, share in raw["coverage"].items()}
        return cls(**numbers | {"coverage": shares})


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The scores of one run of the past.

    Attributes:
        catalogue: its name.
        run_id: the run that made the forecasts.
        as_of: its date.
        horizon: periods that it forecast.
        known: how many of them anything is known of by now.
        frequency: ``D`` or ``W``.
        table_version: of the history that judged.
        last_date: the last day that it knew.
        fleet: of all SKUs.
        departments: by department, in the order of their names.
    """

    catalogue: str
    run_id: str
    as_of: date
    horizon: int
    known: int
    frequency: str
    table_version: int
    last_date: date
    fleet: Score
    departments: Sequence[Score]

    @property
    def periods(self) -> str:
        """Periods in words."""
        return "days" if self.frequency == "D" else "weeks"

    def to_json(self) -> dict[str, Any]:
        """As JSON: dates as ISO 8601."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {
            "as_of": self.as_of.isoformat(),
            "last_date": self.last_date.isoformat(),
            "fleet": self.fleet.to_json(),
            "departments": [score.to_json() for score in self.departments],
        }

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""
        parsed = {
            "as_of": date.fromisoformat(raw["as_of"]),
            "last_date": date.fromisoformat(raw["last_date"]),
            "fleet": Score.parse(raw["fleet"]),
            "departments": tuple(Score.parse(item) for item in raw["departments"]),
        }
        return cls(**{**raw, **parsed})


def scorecard_key(run: Run) -> str:
    """Where the scorecard of a run is."""
    return f"{run.scorecards_folder}{run.as_of}/{run.key}.json"


def list_scorecards(store: ObjectStore, run: RunKeys) -> list[Scorecard]:
    """The scorecards of a catalogue in the order of their dates; of several runs of one date the one written last.

    Args:
        store: the lake.
        run: any run of the catalogue, or its keys.
    """
    newest: dict[str, Any] = {}
    for item in store.list(run.scorecards_folder):
        day = item.key.removeprefix(run.scorecards_folder).split("/")[0]
        if day not in newest or (item.last_modified, item.key) > (newest[day].last_modified, newest[day].key):
            newest[day] = item
    keys = [newest[day].key for day in sorted(newest)]
    return [Scorecard.parse(store.parse_json(key, data)) for key, data in zip(keys, store.get_many(keys), strict=True)]


def _to_json_number(value: Any) -> Any:
    return (None if math.isnan(value) else round(value, 6)) if isinstance(value, float) else value
