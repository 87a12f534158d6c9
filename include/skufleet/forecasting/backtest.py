"""Rolling-origin backtest: every candidate on the same windows, refitted at each cutoff on what was known then.

What does not belong here: choosing a candidate, deciding which are worth trying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.skufleet.config import BASELINE
from include.skufleet.forecasting import metrics
from include.skufleet.forecasting.candidates.contract import Candidate
from include.skufleet.forecasting.halving import Halving
from include.skufleet.forecasting.panel import Bools, Dates, Floats, Panel, zero_unknown
from include.skufleet.forecasting.stockouts import mask_stockouts


@dataclass(frozen=True, slots=True)
class Scores:
    """One candidate's accuracy over all windows and stores: metrics of pooled sums, and the sums themselves.

    Attributes:
        abs_error: sum of absolute errors, in units.
        signed_error: sum of forecast minus actual, in units.
        units: sum of the known actuals.
        periods: number of known actuals.
    """

    wape: float
    bias: float
    rmsse: float
    mase: float
    mae: float
    rmse: float
    abs_error: float
    signed_error: float
    units: float
    periods: int


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """W windows of h periods for S stores, oldest first.

    Attributes:
        cuts: W panels, each as it was known at its cutoff.
        masked: the same without what each cut itself shows to be stock-outs: what candidates but the baseline learn
            from. The actuals keep their zeros, for customers did not get the goods.
        y: (W, S, h) actuals, NaN where not known or where the store had no history at the cutoff.
        squared: (W, S, 1) what ``rmsse`` scales by.
        absolute: (W, S, 1) what ``mase`` scales by.
    """

    cuts: tuple[Panel, ...]
    masked: tuple[Panel, ...]
    y: Floats
    squared: Floats
    absolute: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """W windows of h periods for S stores.

    Attributes:
        sku: the SKU code.
        stores: S names.
        cutoffs: (W,) last date known in each window, oldest first.
        dates: (W, h) dates forecast.
        y: (W, S, h) actuals, NaN where not known or where the store had no history at the cutoff.
        forecasts: candidate -> (W, S, h); only candidates that served every window.
        scores: candidate -> accuracy over all windows.
        errors: candidate -> why it was excluded.
        given_up: costly candidate -> windows, the newest, after which it could no longer win.
        squared: (W, S, 1) what ``rmsse`` scales by.
        absolute: (W, S, 1) what ``mase`` scales by.
    """

    sku: str
    stores: tuple[str, ...]
    cutoffs: Dates
    dates: Dates
    y: Floats
    forecasts: Mapping[str, Floats]
    scores: Mapping[str, Scores]
    errors: Mapping[str, str]
    given_up: Mapping[str, int]
    squared: Floats
    absolute: Floats

    def mix(self, name: str, members: Sequence[str]) -> Backtest:
        """The same with the mean of the members' forecasts under ``name``."""
        mean = np.stack([self.forecasts[member] for member in members]).mean(axis=0)
        scores = score(self.y, mean, self.squared, self.absolute)
        return replace(self, forecasts={**self.forecasts, name: mean}, scores={**self.scores, name: scores})

    def to_frame(self, candidate: str, baseline: str, bounds: Mapping[str, Floats] | None = None) -> pd.DataFrame:
        """The frame of ``to_columns``."""
        return pd.DataFrame(self.to_columns(candidate, baseline, bounds))

    def to_columns(
        self, candidate: str, baseline: str, bounds: Mapping[str, Floats] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Columns ``sku, store, date, cutoff, y, y_hat, baseline`` of the known actuals, and one per bound.

        To be put together for many SKUs before a frame is made of them: a frame costs as much as fitting a small model.

        Args:
            candidate: whose forecasts are ``y_hat``.
            baseline: whose forecasts are ``baseline``.
            bounds: column -> (W, S, h).

        Raises:
            KeyError: either has no forecasts.
        """
        shape, known = self.y.shape, ~np.isnan(self.y).ravel()
        codes = np.broadcast_to(np.arange(len(self.stores))[None, :, None], shape).ravel()[known]
        return {
            "sku": np.full(codes.size, self.sku, dtype=object),
            "store": np.array(self.stores, dtype=object)[codes],
            "date": np.broadcast_to(self.dates[:, None, :], shape).ravel()[known].astype("datetime64[s]"),
            "cutoff": np.broadcast_to(self.cutoffs[:, None, None], shape).ravel()[known].astype("datetime64[s]"),
            "y": self.y.ravel()[known],
            "y_hat": self.forecasts[candidate].ravel()[known],
            "baseline": self.forecasts[baseline].ravel()[known],
            **{name: values.ravel()[known] for name, values in (bounds or {}).items()},
        }


def choose_cutoffs(panel: Panel, *, windows: int, step: int, horizon: int) -> list[int]:
    """Periods known at each cutoff, oldest first: as many of ``windows`` as the history allows, perhaps none.

    The last window ends with the panel or, if nothing is known of its last ``horizon`` periods, with the last known
    period. A window needs a known value before it and within it, and before it one season of periods or, where that is
    less, two horizons: enough to tell candidates apart, if not to know a year's season.
    """
    known = np.asarray((~np.isnan(panel.units)).any(axis=0))
    if not known.any():
        return []
    end = known.size if known[-horizon:].any() else int(np.flatnonzero(known)[-1]) + 1
    first = int(np.argmax(known))
    least = max(min(panel.season_length, 2 * horizon), first + 1)
    cutoffs = [end - horizon - step * back for back in range(windows)]
    return [cutoff for cutoff in reversed(cutoffs) if cutoff >= least and known[cutoff : cutoff + horizon].any()]


def lay_windows(panel: Panel, *, windows: int, step: int, horizon: int) -> Windows:
    """Cut the panel at each cutoff; W is 0 where no window fits.

    Raises:
        ValueError: the horizon is longer than the panel's known-ahead inputs.
    """
    if not 1 <= horizon <= panel.horizon:
        raise ValueError(f"SKU {panel.sku!r}: horizon {horizon}, expected 1 to the panel's {panel.horizon}")
    cutoffs = choose_cutoffs(panel, windows=windows, step=step, horizon=horizon)
    cuts = tuple(panel.until(cutoff) for cutoff in cutoffs)
    y = np.full((len(cuts), len(panel.stores), horizon), np.nan)
    squared, absolute = np.zeros((2, len(cuts), len(panel.stores), 1))
    for window, (cutoff, cut) in enumerate(zip(cutoffs, cuts, strict=True)):
        y[window] = panel.units[:, cutoff : cutoff + horizon]
        y[window, np.isnan(cut.units).all(axis=1)] = np.nan
        squared[window, :, 0] = metrics.squared_scale(cut.units)
        absolute[window, :, 0] = metrics.absolute_scale(cut.units, cut.season_length)
    return Windows(cuts, tuple(mask_stockouts(cut) for cut in cuts), y, squared, absolute)


def run_backtest(
    panel: Panel,
    candidates: Sequence[Candidate],
    *,
    windows: int,
    step: int,
    horizon: int,
    halving: Halving | None = None,
) -> Backtest:
    """Fit and forecast every candidate at every cutoff; costly ones only while they may win.

    A candidate that raises is excluded with its error; the others go on. With no window that fits, the record has
    W = 0, no forecasts and no scores.

    Args:
        panel: the SKU's data.
        candidates: what to try.
        windows: cutoffs wanted.
        step: periods between two cutoffs.
        horizon: periods per window, at most the panel's.
        halving: which candidates are costly, and when they are given up; ``None``: none is.

    Raises:
        ValueError: the horizon is longer than the panel's known-ahead inputs.
    """
    laid = lay_windows(panel, windows=windows, step=step, horizon=horizon)
    trials = _Trials(laid)
    costly = halving.costly if halving else frozenset()
    for candidate in candidates if laid.cuts else ():
        if candidate.name not in costly:
            trials.run(candidate)
    ran = {}
    if halving and laid.cuts:
        ran = trials.race([candidate for candidate in candidates if candidate.name in costly], halving)
    count = len(laid.cuts)
    forecasts = trials.finished()
    return Backtest(
        sku=panel.sku,
        stores=panel.stores,
        cutoffs=np.array([cut.dates[-1] for cut in laid.cuts], dtype="datetime64[D]"),
        dates=np.array([cut.future.dates[:horizon] for cut in laid.cuts], dtype="datetime64[D]").reshape(-1, horizon),
        y=laid.y,
        forecasts=forecasts,
        scores={name: score(laid.y, y_hat, laid.squared, laid.absolute) for name, y_hat in forecasts.items()},
        errors=trials.errors,
        given_up={name: windows for name, windows in ran.items() if windows < count and name not in trials.errors},
        squared=laid.squared,
        absolute=laid.absolute,
    )


class _Trials:
    """The forecasts made so far: candidate by window, each fitted once."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.made: dict[str, dict[int, Floats]] = {}
        self.errors: dict[str, str] = {}

    def run(self, candidate: Candidate) -> None:
        """Forecast every window."""
        for window in range(len(self.windows.cuts)):
            if candidate.name not in self.errors:
                self._forecast(candidate, window)

    def race(self, candidates: Sequence[Candidate], halving: Halving) -> dict[str, int]:
        """Forecast the newest windows first, with ever fewer candidates; candidate -> windows that it saw."""
        known = {candidate.name: candidate for candidate in candidates}
        newest_first = range(len(self.windows.cuts))[::-1]

        def lose(name: str, rank: int) -> float:
            window = newest_first[rank]
            if name in self.errors or not self._forecast(known[name], window):
                return np.inf
            return self._loss(name, window, halving.squared)

        cheap = [[self._loss(name, window, halving.squared) for window in newest_first] for name in self.finished()]
        return halving.race(list(known), cheap, lose, len(newest_first))

    def finished(self) -> dict[str, Floats]:
        """Candidate -> (W, S, h), of those that served every window."""
        count = len(self.windows.cuts)
        return {
            name: np.stack([by_window[window] for window in range(count)])
            for name, by_window in self.made.items()
            if count and len(by_window) == count
        }

    def _forecast(self, candidate: Candidate, window: int) -> bool:
        """Whether the candidate could forecast the window; a value that is no number or below zero is its error."""
        seen = self.windows.cuts if candidate.name == BASELINE else self.windows.masked
        cut, horizon = seen[window], self.windows.y.shape[2]
        try:
            forecast = candidate.fit(cut).predict(cut.future.head(horizon))
            valid: Bools = np.isfinite(forecast) & (forecast >= 0)
            if not valid.all():
                raise ValueError(f"{int((~valid).sum())} of {valid.size} forecasts are not finite or below zero")
        except MemoryError:
            raise  # says nothing of the candidate
        except Exception as error:  # noqa: BLE001  one candidate must not cost the SKU: recorded, the others go on
            self.errors[candidate.name] = f"{type(error).__name__}: {error}"
            return False
        self.made.setdefault(candidate.name, {})[window] = forecast
        return True

    def _loss(self, name: str, window: int, squared: bool) -> float:
        return float(sum_losses(self.windows.y[window], self.made[name][window], squared=squared).sum())


def sum_losses(y: Floats, y_hat: Floats, *, squared: bool) -> Floats:
    """Sums over the last axis of absolute or squared errors of the known actuals."""
    error = zero_unknown(y_hat - y)
    sums: Floats = (np.square(error) if squared else np.abs(error)).sum(axis=-1)
    return sums


def score(y: Floats, y_hat: Floats, squared: Floats, absolute: Floats) -> Scores:
    """All metrics of forecasts (W, S, h) against actuals; the scales are (W, S, 1)."""
    known = ~np.isnan(y)
    error = (y_hat - y)[known]
    return Scores(
        wape=metrics.wape(y, y_hat),
        bias=metrics.bias(y, y_hat),
        rmsse=metrics.rmsse(y, y_hat, squared),
        mase=metrics.mase(y, y_hat, absolute),
        mae=metrics.mae(y, y_hat),
        rmse=metrics.rmse(y, y_hat),
        abs_error=float(np.abs(error).sum()),
        signed_error=float(error.sum()),
        units=float(y[known].sum()),
        periods=int(known.sum()),
    )
