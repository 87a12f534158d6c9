"""Rolling-origin backtest: every candidate on the same windows, refitted at each cutoff on what was known then.

What does not belong here: choosing a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.skufleet.forecasting import metrics
from include.skufleet.forecasting.candidates.contract import Candidate
from include.skufleet.forecasting.panel import Bools, Dates, Floats, Panel


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
    """

    sku: str
    stores: tuple[str, ...]
    cutoffs: Dates
    dates: Dates
    y: Floats
    forecasts: Mapping[str, Floats]
    scores: Mapping[str, Scores]
    errors: Mapping[str, str]

    def to_frame(self, candidate: str, baseline: str) -> pd.DataFrame:
        """Long frame ``sku, store, date, cutoff, y, y_hat, baseline`` of the known actuals.

        Raises:
            KeyError: either has no forecasts.
        """
        shape, known = self.y.shape, ~np.isnan(self.y).ravel()
        codes = np.broadcast_to(np.arange(len(self.stores))[None, :, None], shape).ravel()[known]
        return pd.DataFrame(
            {
                "sku": self.sku,
                "store": np.array(self.stores, dtype=object)[codes],
                "date": np.broadcast_to(self.dates[:, None, :], shape).ravel()[known].astype("datetime64[s]"),
                "cutoff": np.broadcast_to(self.cutoffs[:, None, None], shape).ravel()[known].astype("datetime64[s]"),
                "y": self.y.ravel()[known],
                "y_hat": self.forecasts[candidate].ravel()[known],
                "baseline": self.forecasts[baseline].ravel()[known],
            }
        )


def choose_cutoffs(panel: Panel, *, windows: int, step: int, horizon: int) -> list[int]:
    """Periods known at each cutoff, oldest first: as many of ``windows`` as the history allows, perhaps none.

    The last window ends with the panel or, if nothing is known of its last ``horizon`` periods, with the last known
    period. A window needs one season of periods and a known value before it, and a known value within it.
    """
    known = np.asarray((~np.isnan(panel.units)).any(axis=0))
    if not known.any():
        return []
    end = known.size if known[-horizon:].any() else int(np.flatnonzero(known)[-1]) + 1
    first = int(np.argmax(known))
    least = max(panel.season_length, first + 1)
    cutoffs = [end - horizon - step * back for back in range(windows)]
    return [cutoff for cutoff in reversed(cutoffs) if cutoff >= least and known[cutoff : cutoff + horizon].any()]


def run_backtest(panel: Panel, candidates: Sequence[Candidate], *, windows: int, step: int, horizon: int) -> Backtest:
    """Fit and forecast every candidate at every cutoff.

    A candidate that raises is excluded with its error; the others go on. With no window that fits, the record has
    W = 0, no forecasts and no scores.

    Args:
        panel: the SKU's data.
        candidates: what to try.
        windows: cutoffs wanted.
        step: periods between two cutoffs.
        horizon: periods per window, at most the panel's.

    Raises:
        ValueError: the horizon is longer than the panel's known-ahead inputs.
    """
    if not 1 <= horizon <= panel.horizon:
        raise ValueError(f"SKU {panel.sku!r}: horizon {horizon}, expected 1 to the panel's {panel.horizon}")
    cutoffs = choose_cutoffs(panel, windows=windows, step=step, horizon=horizon)
    cuts = [panel.until(cutoff) for cutoff in cutoffs]
    y = np.full((len(cuts), len(panel.stores), horizon), np.nan)
    squared, absolute = np.zeros((2, len(cuts), len(panel.stores), 1))
    for window, (cutoff, cut) in enumerate(zip(cutoffs, cuts, strict=True)):
        y[window] = panel.units[:, cutoff : cutoff + horizon]
        y[window, np.isnan(cut.units).all(axis=1)] = np.nan
        squared[window, :, 0] = metrics.squared_scale(cut.units)
        absolute[window, :, 0] = metrics.absolute_scale(cut.units, cut.season_length)
    forecasts, errors = {}, {}
    for candidate in candidates if cuts else ():
        try:
            forecasts[candidate.name] = _forecast(candidate, cuts, horizon)
        except Exception as error:  # noqa: BLE001  one candidate must not cost the SKU: recorded, the others go on
            errors[candidate.name] = f"{type(error).__name__}: {error}"
    return Backtest(
        sku=panel.sku,
        stores=panel.stores,
        cutoffs=np.array([cut.dates[-1] for cut in cuts], dtype="datetime64[D]"),
        dates=np.array([cut.future.dates[:horizon] for cut in cuts], dtype="datetime64[D]").reshape(-1, horizon),
        y=y,
        forecasts=forecasts,
        scores={name: score(y, y_hat, squared, absolute) for name, y_hat in forecasts.items()},
        errors=errors,
    )


def _forecast(candidate: Candidate, cuts: Sequence[Panel], horizon: int) -> Floats:
    """(W, S, h) forecasts; a value that is not finite or below zero is the candidate's error."""
    forecasts = np.stack([candidate.fit(cut).predict(cut.future.head(horizon)) for cut in cuts])
    valid: Bools = np.isfinite(forecasts) & (forecasts >= 0)
    if not valid.all():
        raise ValueError(f"{int((~valid).sum())} of {valid.size} forecasts are not finite or below zero")
    return forecasts


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
