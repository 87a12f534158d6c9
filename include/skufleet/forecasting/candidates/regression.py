"""A penalised Poisson regression on calendar, price and the levels known at the cutoff (scikit-learn)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Fitted, pack
from include.skufleet.forecasting.levels import decay, season_factors, season_positions, smooth_levels
from include.skufleet.forecasting.panel import Bools, Floats, Panel
from include.skufleet.forecasting.scoring import harmonics, relative_price

HALF_LIVES: dict[str, tuple[float, ...]] = {"D": (7.0, 14.0, 56.0), "W": (2.0, 4.0, 12.0)}
WINDOW: dict[str, int] = {"D": 728, "W": 208}
MOST_ROWS = 12_000
FEWEST_ROWS = 30
PRICE_HALF_LIFE: dict[str, float] = {"D": 56.0, "W": 8.0}

# Pseudo-units (times the dispersion) with which each group of coefficients is held at 0. Chosen by backtest; the level
# at the cutoff already follows the year, so the year's waves are held hardest.
RIDGE: Mapping[str, float] = {
    "base": 1000.0,
    "season": 1000.0,
    "year": 50_000.0,
    "month": 1000.0,
    "event": 50.0,
    "flag": 50.0,
    "price": 20.0,
    "momentum": 500.0,
    "fade": 500.0,
}


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """The periods trained on and, for each, the cutoff it is forecast from: (n,) indices into the panel."""

    targets: Ints
    origins: Ints
    lead: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """Columns (each broadcasts to (S, n)) by ``(group, name)``, and the price range seen."""

    columns: dict[tuple[str, str], Floats]
    limits: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PoissonRegression:
    """Expected units = level x season factor x exp(X b), b by a ridge-penalised Poisson regression.

    Direct strategy: the past is cut into blocks of one horizon, every day of a block is predicted from what was known
    at the block's start, so the levels are features as they will be in use and nothing is fed back. The offset is the
    mean of three exponentially weighted levels; X holds the season position, harmonics of month and year, events,
    flags, log price against the usual price, the levels' log ratios (short and long against the mean) and their
    products with the lead. The penalty grows with the data's dispersion (quasi-Poisson), so that erratic demand
    teaches less. A store differs by its level and season factors. A forecast is at most ``guard`` times the store's
    largest known value.

    Attributes:
        guard: multiple of the largest known value that no forecast exceeds.
        ridge: factor on the pseudo-units with which each group of coefficients is held at 0.
    """

    name: ClassVar[str] = "poisson_regression"
    complexity: ClassVar[int] = 4
    cost: ClassVar[float] = 0.7
    classes: ClassVar = EVERY_CLASS

    guard: float = 3.0
    ridge: float = 1.0

    def fit(self, panel: Panel) -> Fitted:
        """Fit on the last two years or so; too little history leaves level and season factors alone."""
        positions = season_positions(panel.dates, panel.frequency, panel.season_length)
        season = season_factors(panel.units, positions, panel.season_length)
        levels = _mix_levels(panel, season[:, positions])
        usual = _usual_price(panel)
        training = _choose_training(panel)
        design = _make_design(panel, training, levels, usual, positions)
        offset = np.nan_to_num(levels[0][:, training.origins] * season[:, positions[training.targets]])
        actual = panel.units[:, training.targets]
        # A level that has all but vanished says nothing of the ratio to it.
        used = ~np.isnan(actual) & (offset > 1e-3 * np.nan_to_num(panel.units).mean(axis=1, keepdims=True))
        weights = self._solve(design, offset, actual, used)
        momentum = _momentum(levels, np.array([panel.dates.size - 1]))
        shift = {
            group: sum(weights[group, name] * ratio[:, 0] for name, ratio in momentum.items())
            for group in ("momentum", "fade")
        }
        steps = np.array([weights.get(("season", str(step)), 0.0) for step in range(panel.season_length)])
        return pack(
            self.name,
            panel,
            {
                "level": np.nan_to_num(levels[0][:, -1]) * np.exp(weights["base", ""] + shift["momentum"]),
                "fade": shift["fade"],
                "season": season * np.exp(steps),
                "waves": {**_of_group(weights, "year"), **_of_group(weights, "month")},
                "events": _of_group(weights, "event"),
                "flags": _of_group(weights, "flag"),
                "cap": self.guard * np.nan_to_num(panel.units).max(axis=1),
                **_price_parameters(panel, weights, usual, design.limits),
            },
        )

    def _solve(self, design: _Design, offset: Floats, actual: Floats, used: Bools) -> dict[tuple[str, str], float]:
        """Coefficient of each column; all 0 with too little to learn from."""
        # Imported here: it takes seconds, and a process that only predicts never needs it.
        from sklearn import config_context
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import PoissonRegressor

        keys = list(design.columns)
        nothing = dict.fromkeys(keys, 0.0)
        if used.sum() < FEWEST_ROWS or not actual[used].any():
            return nothing
        scale = np.array([(self.ridge * RIDGE[group]) ** -0.5 for group, _ in keys])
        matrix = np.empty((len(keys), int(used.sum())))
        for row, key in enumerate(keys):
            matrix[row] = np.broadcast_to(design.columns[key], used.shape)[used]
        matrix *= scale[:, None]
        exposure = offset[used]
        sold = actual[used]
        dispersion = max(1.0, float(np.mean(np.square(sold - exposure) / exposure)))
        # scikit-learn divides the likelihood by the sum of weights: this alpha is one pseudo-unit per coefficient.
        alpha = max(dispersion / float(exposure.sum()), 1e-7)
        model = PoissonRegressor(alpha=alpha, fit_intercept=False, solver="newton-cholesky", tol=1e-4, max_iter=30)
        with warnings.catch_warnings(), config_context(assume_finite=True, skip_parameter_validation=True):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last iterate of a penalised fit is still usable
            model.fit(matrix.T, sold / exposure, sample_weight=exposure)
        coefficients = model.coef_ * scale
        if not np.isfinite(coefficients).all():
            return nothing
        return dict(zip(keys, coefficients.tolist(), strict=True))


def _of_group(weights: Mapping[tuple[str, str], float], group: str) -> dict[str, float]:
    return {name: weight for (kind, name), weight in weights.items() if kind == group}


def _price_parameters(
    panel: Panel, weights: Mapping[tuple[str, str], float], usual: Floats | None, limits: tuple[float, float]
) -> dict[str, float | list[float] | tuple[float, float]]:
    """Elasticity, and per store the usual and the last price; 0 where unknown, which is no effect."""
    unknown = np.full(len(panel.stores), np.nan)
    last = unknown if panel.price is None else panel.price[:, panel.dates.size - 1]
    return {
        "price": weights.get(("price", ""), 0.0),
        "usual_price": np.nan_to_num(unknown if usual is None else usual[:, -1]).tolist(),
        "last_price": np.nan_to_num(last).tolist(),
        "limits": limits,
    }


def _mix_levels(panel: Panel, factors: Floats) -> list[Floats]:
    """The mean of the levels, then the levels from short to long memory, each (S, T)."""
    levels = [smooth_levels(panel.units, factors, half_life) for half_life in HALF_LIVES[panel.frequency]]
    return [sum(levels, np.zeros(panel.units.shape)) / len(levels), *levels]


def _usual_price(panel: Panel) -> Floats | None:
    """Smoothed price (S, T) as known after each period, NaN where none was known yet."""
    if panel.price is None:
        return None
    price = panel.price[:, : panel.dates.size]
    logs, half_life = np.log(price), PRICE_HALF_LIFE[panel.frequency]
    known = ~np.isnan(logs)
    below = decay(known * 1.0, half_life)
    above = decay(np.where(known, logs, 0.0), half_life)
    return np.where(below > 0, np.exp(above / np.maximum(below, 1e-300)), np.nan)


def _choose_training(panel: Panel) -> _Training:
    """Blocks of one horizon that end with the panel, within the window and the limit of rows."""
    periods, stores = panel.units.shape[1], panel.units.shape[0]
    horizon = max(panel.horizon, 1)
    block = min(horizon, max(1, periods // 4))
    warm_up = min(int(HALF_LIVES[panel.frequency][1]), periods // 2)
    most = min(WINDOW[panel.frequency], max(MOST_ROWS // stores, 2 * block))
    blocks = max(min(most, periods - max(warm_up, 1)) // block, 0)
    targets = np.arange(periods - blocks * block, periods)
    ahead = (targets - (periods - blocks * block)) % block
    return _Training(targets, targets - ahead - 1, (ahead + 1) / horizon)


def _momentum(levels: list[Floats], origins: Ints) -> dict[str, Floats]:
    """Log ratios (S, n) of the short and the long level to the mean, which is mixed in to keep them finite."""
    mean, short, *_, long = (level[:, origins] for level in levels)
    safe = np.where(mean > 0, mean, 1.0)
    return {
        name: np.where(mean > 0, np.log((level + 0.1 * safe) / (1.1 * safe)), 0.0)
        for name, level in (("short", np.nan_to_num(short)), ("long", np.nan_to_num(long)))
    }


def _make_design(
    panel: Panel, training: _Training, levels: list[Floats], usual: Floats | None, positions: Ints
) -> _Design:
    """The regression's columns over the training periods."""
    targets = training.targets
    columns: dict[tuple[str, str], Floats] = {("base", ""): np.ones((1, 1))}
    if panel.season_length <= 31:
        for position in range(panel.season_length):
            columns["season", str(position)] = (positions[targets] == position)[None, :] * 1.0
    for name, wave in harmonics(panel.dates[targets], panel.frequency).items():
        columns[name.split("_")[0], name] = wave[None, :]
    for row, event in enumerate(panel.events):
        if panel.indicators[row, targets].any():
            columns["event", event] = panel.indicators[row, targets][None, :]
    for name, values in panel.flags.items():
        columns["flag", name] = values[:, targets]
    limits = (0.0, 0.0)
    if panel.price is not None and usual is not None:
        relative = relative_price(panel.price[:, targets], usual[:, training.origins], (-np.inf, np.inf))
        limits = (float(relative.min(initial=0.0)), float(relative.max(initial=0.0)))
        columns["price", ""] = relative
    for name, ratio in _momentum(levels, training.origins).items():
        columns["momentum", name] = ratio
        columns["fade", name] = ratio * training.lead
    return _Design(columns, limits)
