"""One catalogue's comparison: the engine forecasts and the files are laid down, the others forecast, all are judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.defaults import SINGLE
from benchmarks.rivals.engine_side import CHOSEN, Answer, forecast_origin
from benchmarks.rivals.exchange import write_origin
from benchmarks.rivals.samples import SEED, Sample
from benchmarks.rivals.scores import Figures, Truth, cover, judge, lay_out, read_truth
from benchmarks.rivals.table import Row
from include.skufleet.forecasting.panel import PERIOD_DAYS, Floats
from include.skufleet.forecasting.selection import ENSEMBLE

SLOW_SKUS = 60
TOOLS = {"LightGBM": "MLForecast", "RandomForest": "scikit-learn"}

Judged = tuple[Truth, Mapping[str, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """One origin after the engine's turn.

    Attributes:
        day: the last known day.
        folder: where the series lie for the others.
        series: the series there.
        truth: what happened.
        answers: the engine's entries.
    """

    day: date
    folder: Path
    series: pd.DataFrame
    truth: Truth
    answers: Mapping[str, Answer]


@dataclass(frozen=True, slots=True, eq=False)
class Entered:
    """A sample with all of its origins."""

    sample: Sample
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What came out for one catalogue.

    Attributes:
        name: the catalogue.
        origins: the last known days.
        skus: SKUs in the sample.
        series: series at the last origin.
        rows: every entry; the chosen model first, then the engine's candidates alone, then the other tools.
        chosen: how often each candidate was chosen.
        coverage: level of the chosen models' intervals -> share of the actuals within them.
        failed: fits of the chosen model that failed, over all origins.
        versions: of the other tools.
    """

    name: str
    origins: tuple[date, ...]
    skus: int
    series: int
    rows: tuple[Row, ...]
    chosen: Mapping[str, int]
    coverage: Mapping[float, float]
    failed: int
    versions: Mapping[str, str]

    @property
    def best(self) -> Row:
        """The engine's best single candidate by WAPE over the whole sample."""
        return min((row for row in self.rows if row.ours and row.entry != CHOSEN), key=lambda row: row.wape)

    @property
    def shown(self) -> list[Row]:
        """The rows of the table and the plot: of the engine's candidates only the one that is run alone."""
        return [row for row in self.rows if not row.ours or row.entry in (CHOSEN, SINGLE)]

    def best_rival(self, entry: str) -> Row | None:
        """The best other tool that took no more CPU per series than an entry of ours."""
        limit = next(row.milliseconds for row in self.rows if row.ours and row.entry == entry)
        within = [row for row in self.rows if not row.ours and row.milliseconds <= limit]
        return min(within, key=lambda row: row.relative, default=None)


def prepare(sample: Sample, folder: Path, alone: Sequence[str]) -> Entered:
    """The engine's turn, and the files for the others.

    Args:
        sample: a catalogue's series.
        folder: where the files go, below the catalogue's name.
        alone: candidates to try without a choice; empty takes all of the catalogue file, and the default one.
    """
    skus = sorted(sample.departments)
    slow = set(np.random.default_rng(SEED).permutation(np.array(skus))[:SLOW_SKUS].tolist())
    # An ensemble is no single candidate: it is made of the others.
    names = [name for name in alone or dict.fromkeys([SINGLE, *sample.catalogue.candidates]) if name != ENSEMBLE]
    ahead = timedelta(days=sample.catalogue.horizon * PERIOD_DAYS[sample.catalogue.frequency])
    origins = []
    for day in sample.origins:
        panels, answers = forecast_origin(sample, day, names)
        place = folder / sample.name / str(day)
        series = write_origin(place, panels, sample.departments, slow)
        origins.append(Origin(day, place, series, read_truth(panels, sample.build(day + ahead)), answers))
    return Entered(sample, tuple(origins))


def compare(entered: Entered) -> Comparison:
    """Judge all entries; the other tools' forecasts are read from the folders."""
    name, origins = entered.sample.name, entered.origins
    skus = sorted(entered.sample.departments)
    ours: dict[str, list[Judged]] = {
        entry: [(o.truth, o.answers[entry].forecasts) for o in origins] for entry in origins[0].answers
    }
    theirs, taken, versions = _read_rivals(origins)
    series = sum(len(origin.series) for origin in origins)
    rows = []
    for entry, pairs in ours.items():
        seconds = sum(origin.answers[entry].cpu_seconds for origin in origins)
        rows.append(_row(name, "Skufleet", entry, judge(pairs, skus), judge(ours[CHOSEN], skus), seconds, series))
    for entry, pairs in theirs.items():
        same = sorted({sku for _, forecasts in pairs for sku in forecasts})
        seconds, tried = (sum(one[key] for one in taken[entry]) for key in ("cpu_seconds", "series"))
        tool = TOOLS.get(entry, "StatsForecast")
        rows.append(_row(name, tool, entry, judge(pairs, same), judge(ours[CHOSEN], same), seconds, int(tried)))
    own = [(origin.truth, origin.answers[CHOSEN]) for origin in origins]
    return Comparison(
        name=name,
        origins=tuple(origin.day for origin in origins),
        skus=len(skus),
        series=len(origins[-1].series),
        rows=tuple(rows),
        chosen=dict(Counter(model for _, answer in own for model in answer.models.values()).most_common()),
        coverage={
            level: cover((truth, answer.bounds.get(level, {})) for truth, answer in own)
            for level in sorted({level for _, answer in own for level in answer.bounds})
        },
        failed=sum(len(answer.failures) for _, answer in own),
        versions=versions,
    )


def _row(name: str, tool: str, entry: str, found: Figures, chosen: Figures, seconds: float, series: int) -> Row:
    return Row(
        catalogue=name,
        tool=tool,
        entry=entry,
        ours=tool == "Skufleet",
        skus=found.skus,
        series=series,
        cpu_seconds=seconds,
        wape=found.wape,
        rmsse=found.rmsse,
        bias=found.bias,
        relative=found.wape / chosen.wape,
    )


def _read_rivals(
    origins: Sequence[Origin],
) -> tuple[dict[str, list[Judged]], dict[str, list[dict[str, float]]], dict[str, str]]:
    """Forecasts and usage of each contender at each origin, and the tools' versions."""
    forecasts: dict[str, list[Judged]] = {}
    taken: dict[str, list[dict[str, float]]] = {}
    versions: dict[str, str] = {}
    for origin in origins:
        said: dict[str, Any] = json.loads((origin.folder / "rivals.json").read_text(encoding="utf-8"))
        frame = pd.read_parquet(origin.folder / "rivals.parquet").set_index(["series", "date"])
        versions = said["versions"]
        for entry, usage in said["taken"].items():
            laid = lay_out(origin.truth, origin.series, frame[entry].dropna())
            forecasts.setdefault(entry, []).append((origin.truth, laid))
            taken.setdefault(entry, []).append(usage)
    return forecasts, taken, versions
