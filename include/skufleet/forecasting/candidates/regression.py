"""A penalised Poisson regression on calendar, price and the levels known at the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.candidates.direct import (
    Past,
    find_events,
    find_momentum,
    fit_events,
    last_prices,
    look_back,
    name_effects,
)
from include.skufleet.forecasting.newton import fit_poisson
from include.skufleet.forecasting.panel import Dates, Floats, Frequency, Panel, zero_unknown
from include.skufleet.forecasting.scoring import harmonics
from include.skufleet.forecasting.sharing import once_per_span

MOST_ROWS = 12_000
FEWEST_ROWS = 30
LEAST_PENALTY = 1e-7  # per exposed unit: below it a step could not be solved for

# Pseudo-units (times the dispersion) with which each group of coefficients is held at 0. Chosen by backtest; the level
# at the cutoff already follows the year, so the year's waves are held hardest.
RIDGE: Mapping[str, float] = {
    "base": 1000.0,
    "season": 1000.0,
    "year": 50_000.0,
    "month": 1000.0,
    "flag": 50.0,
    "price": 5.0,
    "momentum": 200.0,
    "fade": 200.0,
}

Columns = dict[tuple[str, str], Floats]
Weights = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class PoissonRegression:
    """Expected units = level x season factor x event effects x exp(X b), b by a ridge-penalised Poisson regression.

    Direct strategy (module ``direct``): every period is predicted from what was known up to one horizon before. The
    offset is the mean of several exponentially weighted levels; X holds the season position, harmonics of month and
    year, flags, log price against the usual price, the levels' log ratios (short and long against the mean) and their
    products with the lead. Events, of which there may be dozens, are fitted one by one before and after. The penalty
    grows with the data's dispersion (quasi-Poisson), so that erratic demand teaches less. A store differs by its level
    and season factors. A forecast is at most ``guard`` times the store's largest known value.

    Attributes:
        guard: multiple of the largest known value that no forecast exceeds.
        ridge: factor on the pseudo-units with which each group of coefficients is held at 0.
    """

    name: ClassVar[str] = "poisson_regression"
    cost: ClassVar[float] = 0.5
    classes: ClassVar = EVERY_CLASS

    guard: float = 3.0
    ridge: float = 1.0

    def fit(self, panel: Panel) -> Fitted:
        """Fit on the last two years or so; too little history leaves level and season factors alone."""
        past = look_back(panel, most_rows=MOST_ROWS)
        columns, limits = _make_columns(panel, past)
        events, indicators = find_events(panel, past)
        first = fit_events(past, indicators, past.offset, ridge=self.ridge)
        weights = self._solve(columns, replace(past, offset=past.offset * np.exp(first @ indicators)))
        effects = fit_events(past, indicators, past.offset * _multiply(columns, weights), ridge=self.ridge)
        shift = {
            group: sum(weights[group, name] * ratio[:, -1] for name, ratio in find_momentum(past.levels).items())
            for group in ("momentum", "fade")
        }
        steps = np.array([weights.get(("season", str(step)), 0.0) for step in range(panel.season_length)])
        return pack(
            self.name,
            panel,
            {
                "level": zero_unknown(past.levels[0, :, -1]) * np.exp(weights["base", ""] + shift["momentum"]),
                "fade": shift["fade"],
                "season": past.season * np.exp(steps),
                "waves": {**_of_group(weights, "year"), **_of_group(weights, "month")},
                "events": name_effects(events, effects),
                "flags": _of_group(weights, "flag"),
                "cap": self.guard * zero_unknown(panel.units).max(axis=1),
                "price": weights.get(("price", ""), 0.0),
                "limits": limits,
                **last_prices(panel, past.usual_price),
            },
        )

    def _solve(self, columns: Columns, past: Past) -> Weights:
        """Coefficient of each column; all 0 with too little to learn from."""
        nothing = dict.fromkeys(columns, 0.0)
        if not past.teaches(FEWEST_ROWS):
            return nothing
        used = past.used
        scale = np.array([(self.ridge * RIDGE[group]) ** -0.5 for group, _ in columns])
        matrix = np.empty((len(columns), *used.shape))
        for row, (column, factor) in enumerate(zip(columns.values(), scale, strict=True)):
            np.multiply(column, factor, out=matrix[row])
        # Cells that do not count are left in place: nothing is expected of them, and nothing sold.
        exposure, sold = np.where(used, past.offset, 0.0), np.where(used, past.actual, 0.0)
        # One pseudo-unit per coefficient, the groups' factors being in the scale.
        penalty = max(past.dispersion, LEAST_PENALTY * float(exposure.sum()))
        coefficients = scale * fit_poisson(matrix.reshape(len(columns), -1), sold.ravel(), exposure.ravel(), penalty)
        if not np.isfinite(coefficients).all():
            return nothing
        return dict(zip(columns, coefficients.tolist(), strict=True))


def _of_group(weights: Weights, group: str) -> dict[str, float]:
    return {name: weight for (kind, name), weight in weights.items() if kind == group}


def _multiply(columns: Columns, weights: Weights) -> Floats:
    """The ratio (S, n) that the columns' effects make."""
    linear: Floats = sum((weights[key] * column for key, column in columns.items()), np.zeros((1, 1)))
    return np.exp(np.clip(linear, -20.0, 20.0))


@once_per_span
def find_waves(dates: Dates, frequency: Frequency) -> Floats:
    """The year's and the month's waves as columns (T, n), in the order of ``name_waves``."""
    return np.stack(list(harmonics(dates, frequency).values()), axis=1)


def name_waves(frequency: Frequency) -> list[str]:
    """Names of the waves, as artifacts hold them."""
    return list(harmonics(np.zeros(1, dtype="datetime64[D]"), frequency))


def _make_columns(panel: Panel, past: Past) -> tuple[Columns, tuple[float, float]]:
    """The regression's columns over the targets, each broadcasting to (S, n), and the range of relative prices."""
    targets = past.targets
    columns: Columns = {("base", ""): np.ones((1, 1))}
    if panel.season_length <= 31:
        for position in range(panel.season_length):
            columns["season", str(position)] = (past.positions[targets] == position)[None, :] * 1.0
    dates = panel.dates[targets]
    for name, wave in zip(name_waves(panel.frequency), find_waves(dates, panel.frequency).T, strict=True):
        columns[name.split("_")[0], name] = wave[None, :]
    for name, values in panel.flags.items():
        columns["flag", name] = values[:, targets]
    limits = (0.0, 0.0)
    if (relative := past.relative_price(panel)) is not None:
        limits = (float(relative.min(initial=0.0)), float(relative.max(initial=0.0)))
        columns["price", ""] = relative
    for name, ratio in find_momentum(past.levels).items():
        columns["momentum", name] = past.at_targets(ratio)
        columns["fade", name] = columns["momentum", name] * past.lead
    return columns, limits
