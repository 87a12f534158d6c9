"""Who goes on to the next rung, who wins, and how much of the gain may be noise.

Pure: frames in, records out. All trials of a rung forecast the same SKUs and windows, so they are compared SKU by SKU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from include.skufleet.fleet.search.sample import GROWTH

SearchMetric = Literal["wape", "rmsse"]
CLEAR = 2.0
"""Standard errors that a gain must exceed to count as more than noise."""

TEXTS = ("sku", "department", "demand_class", "cutoff", "candidate", "outcome", "error")
NUMBERS = ("window", "units", "abs_error", "signed_error", "squared_error", "squared_scale", "periods", "cpu_seconds")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one trial did on the SKUs that it had to forecast.

    Attributes:
        trial: its name.
        skus: how many SKUs.
        wape: sum of absolute errors / sum of units, over all SKUs and windows.
        rmsse: the SKUs' own RMSSE, mean weighted by units sold; SKUs without a scale are left out.
        bias: sum of forecast minus actual / sum of units.
        gain: 1 - metric / metric of the file's own configuration: above 0 is better than the file.
        noise: standard error of ``gain`` over the choice of SKUs; NaN with fewer than two SKUs.
        cpu_seconds: CPU time of training and forecasting.
        failed: SKU-windows that could not be trained; a fallback forecast them.
    """

    trial: str
    skus: int
    wape: float
    rmsse: float
    bias: float
    gain: float
    noise: float
    cpu_seconds: float
    failed: int

    def value(self, metric: SearchMetric) -> float:
        """What the trial is ranked by."""
        return self.wape if metric == "wape" else self.rmsse

    @property
    def clear(self) -> bool:
        """Whether the gain is more than noise."""
        return self.gain > CLEAR * self.noise


def empty_scores() -> pd.DataFrame:
    """Scores without a row: one row per SKU and window, sums over its stores and periods.

    ``window`` counts back from the end of the history, 1 is the last; ``cutoff`` is the last date known before it.
    ``squared_scale`` is the sum of the scales of RMSSE, ``periods`` the number of known actuals.
    """
    columns: dict[str, pd.Series] = {name: pd.Series(dtype="str") for name in TEXTS}
    return pd.DataFrame(columns | {name: pd.Series(dtype="float64") for name in NUMBERS})


def rank_trials(scores: Mapping[str, pd.DataFrame], metric: SearchMetric, current: str) -> list[Standing]:
    """Best first; trials whose metric is not defined last. Equal ones stand in the order of their names.

    Args:
        scores: trial -> its scores, all of the same SKUs and windows.
        metric: what decides.
        current: the trial of the file's own configuration; without its scores no gain is known.
    """
    parts = {trial: _sum_by_sku(frame, metric) for trial, frame in scores.items()}
    own = parts.get(current)
    standings = [_stand(trial, scores[trial], parts[trial], own) for trial in sorted(scores)]
    return sorted(standings, key=lambda item: _or_last(item.value(metric)))


def choose_survivors(ranked: Sequence[Standing], current: str) -> list[str]:
    """The best third of the challengers, at least one where there is one, and the file's own configuration.

    In the order of the ranking. A rung in which only the file's own configuration is left has no survivors: there is
    nothing more to find out.
    """
    challengers = [item.trial for item in ranked if item.trial != current]
    kept = set(challengers[: math.ceil(len(challengers) / GROWTH)])
    return [item.trial for item in ranked if item.trial in kept or (kept and item.trial == current)]


def compare(scores: pd.DataFrame, current: pd.DataFrame, metric: SearchMetric) -> tuple[float, float]:
    """Gain over the file's own configuration and its standard error; both frames of the same SKUs and windows."""
    return _gain(_sum_by_sku(scores, metric), _sum_by_sku(current, metric))


def _stand(trial: str, frame: pd.DataFrame, part: pd.DataFrame, own: pd.DataFrame | None) -> Standing:
    units, absolute = float(frame["units"].sum()), float(frame["abs_error"].sum())
    scaled = _sum_by_sku(frame, "rmsse")
    gain, noise = _gain(part, own) if own is not None else (math.nan, math.nan)
    return Standing(
        trial=trial,
        skus=int(frame["sku"].nunique()),
        wape=_divide(absolute, units),
        rmsse=_divide(float(scaled["error"].sum()), float(scaled["weight"].sum())),
        bias=_divide(float(frame["signed_error"].sum()), units),
        gain=gain,
        noise=noise,
        cpu_seconds=float(frame["cpu_seconds"].sum()),
        failed=int((frame["outcome"] == "failed").sum()),
    )


def _sum_by_sku(frame: pd.DataFrame, metric: SearchMetric) -> pd.DataFrame:
    """``error`` and ``weight`` by SKU: the metric is the sum of the former over the sum of the latter."""
    sums = frame.groupby("sku", sort=True)[["units", "abs_error", "squared_error", "squared_scale"]].sum()
    if metric == "wape":
        return pd.DataFrame({"error": sums["abs_error"], "weight": sums["units"]})
    sums = sums[sums["squared_scale"] > 0]
    own = np.sqrt(sums["squared_error"] / sums["squared_scale"])
    return pd.DataFrame({"error": own * sums["units"], "weight": sums["units"]})


def _gain(trial: pd.DataFrame, current: pd.DataFrame) -> tuple[float, float]:
    """1 - sum of errors / sum of the file's, and its standard error: that of a ratio estimate over pairs of SKUs.

    Cochran 1977, Sampling Techniques, 6.4, without the correction for a finite population.
    """
    theirs, ours = trial["error"].to_numpy(dtype=float), current["error"].to_numpy(dtype=float)
    if theirs.shape != ours.shape:
        raise ValueError(f"trials of one rung have {theirs.size} and {ours.size} SKUs; they must have the same")
    total = float(ours.sum())
    if not total:
        return (0.0, 0.0) if not theirs.sum() else (math.nan, math.nan)
    gain = 1 - float(theirs.sum()) / total
    if ours.size < 2:
        return gain, math.nan
    left = (ours - theirs) - gain * ours
    return gain, math.sqrt(ours.size / (ours.size - 1) * float(np.square(left).sum())) / total


def _divide(above: float, below: float) -> float:
    """The metrics' zero policy: 0/0 is 0, x/0 is not defined."""
    if below:
        return above / below
    return math.nan if above else 0.0


def _or_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
