"""Fleet figures: pooled over SKUs, never averages of ratios.

A SKU is scored when both its own and the baseline's absolute error are known; only scored SKUs count, so that the fleet
and the baseline are compared on the same sales. A ratio follows the metrics' zero policy: 0/0 is 0, x/0 is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

CLASSES = ("smooth", "erratic", "intermittent", "lumpy")
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
QUANTILE_COLUMNS = ("p10", "p25", "p50", "p75", "p90")


@dataclass(frozen=True)
class Accuracy:
    """Pooled accuracy of some SKUs over their backtest windows.

    Attributes:
        skus: SKUs that are scored.
        units: units sold in their windows.
        wape: sum of absolute errors / sum of units; 0.4 means that the errors add up to 40 % of what was sold.
        baseline_wape: the same for the seasonal naive.
        gain: 1 - wape / baseline_wape: positive where the models err less than the baseline; NaN where that never errs.
        bias: sum of (forecast - actual) / sum of units: positive where too much was forecast.
        baseline_bias: the same for the seasonal naive, over the SKUs that sold anything.
    """

    skus: int
    units: float
    wape: float
    baseline_wape: float
    gain: float
    bias: float
    baseline_bias: float


def select_scored(results: pd.DataFrame) -> pd.DataFrame:
    """The rows with an error and a baseline error; none where the frame is empty."""
    if results.empty:
        return results
    finite = np.isfinite(results[["abs_error", "baseline_abs_error", "units"]].to_numpy(dtype=float)).all(axis=1)
    scored: pd.DataFrame = results.loc[finite]
    return scored


def pool(results: pd.DataFrame) -> Accuracy:
    """Pool the scored SKUs.

    >>> rows = pd.DataFrame({
    ...     "abs_error": [10.0, 30.0], "baseline_abs_error": [20.0, 60.0], "units": [50.0, 50.0],
    ...     "signed_error": [5.0, -15.0], "baseline_bias": [0.2, -0.4]})
    >>> pool(rows)
    Accuracy(skus=2, units=100.0, wape=0.4, baseline_wape=0.8, gain=0.5, bias=-0.1, baseline_bias=-0.1)
    """
    scored = select_scored(results)
    if scored.empty:
        return Accuracy(0, 0.0, *[math.nan] * 5)
    units, error = float(scored["units"].sum()), float(scored["abs_error"].sum())
    baseline_error = float(scored["baseline_abs_error"].sum())
    biased = scored[scored["baseline_bias"].notna()]
    baseline_signed = float((biased["baseline_bias"] * biased["units"]).sum())
    return Accuracy(
        skus=len(scored),
        units=units,
        wape=divide(error, units),
        baseline_wape=divide(baseline_error, units),
        gain=1 - error / baseline_error if baseline_error else math.nan,
        bias=divide(float(scored["signed_error"].sum()), units),
        baseline_bias=divide(baseline_signed, float(biased["units"].sum())),
    )


def divide(numerator: float, denominator: float) -> float:
    """A ratio; 0/0 is 0, x/0 is NaN.

    >>> divide(1, 4), divide(0, 0), divide(1, 0)
    (0.25, 0.0, nan)
    """
    if denominator:
        return numerator / denominator
    return math.nan if numerator else 0.0


def pool_by(results: pd.DataFrame, column: str) -> pd.DataFrame:
    """Pool each group of a column, the biggest seller first.

    Returns:
        ``group`` (an empty name becomes ``(none)``), the fields of ``Accuracy``, and the quantiles of the SKUs' own
        WAPE, ``p10`` to ``p90``, with the baseline's median as ``baseline_p50``; NaN where no SKU has one.
    """
    scored = select_scored(results)
    rows = []
    if not scored.empty:
        for name, group in scored.groupby(scored[column].fillna("").replace("", "(none)"), sort=True):
            own = group[["wape", "baseline_wape"]].replace([np.inf, -np.inf], np.nan)
            spread = own["wape"].quantile(list(QUANTILES)).to_numpy()
            rows.append(
                {"group": name}
                | vars(pool(group))
                | dict(zip(QUANTILE_COLUMNS, spread, strict=True))
                | {"baseline_p50": own["baseline_wape"].median()}
            )
    columns = ["group", *Accuracy.__annotations__, *QUANTILE_COLUMNS, "baseline_p50"]
    return pd.DataFrame(rows, columns=columns).sort_values("units", ascending=False, kind="stable", ignore_index=True)


def count_choices(results: pd.DataFrame) -> pd.DataFrame:
    """How often each candidate was chosen, by demand class: the trained SKUs.

    Returns:
        Index: candidates, the most frequent first. Columns: ``all``, then the demand classes that occur, those of
        ``CLASSES`` first.

    >>> rows = pd.DataFrame({"outcome": "trained", "candidate": ["tsb", "profile", "profile"],
    ...                      "demand_class": ["lumpy", "smooth", "lumpy"]})
    >>> count_choices(rows).to_dict("index")
    {'profile': {'all': 2, 'smooth': 1, 'lumpy': 1}, 'tsb': {'all': 1, 'smooth': 0, 'lumpy': 1}}
    """
    if results.empty:
        return pd.DataFrame()
    trained = results[results["outcome"] == "trained"]
    table = pd.crosstab(trained["candidate"], trained["demand_class"])
    known = [name for name in CLASSES if name in table]
    table = table[[*known, *sorted(set(map(str, table)) - set(known))]]
    table.insert(0, "all", table.sum(axis=1))
    return table.sort_values("all", ascending=False, kind="stable").rename_axis(index=None, columns=None)


def pool_coverage(results: pd.DataFrame) -> pd.DataFrame:
    """Share of the actuals within the intervals, over all SKUs and by demand class: each actual counts once.

    Returns:
        Index: ``all``, then the demand classes that occur. Columns: ``skus``, ``actuals`` and a column for each level
        in per cent (80 for ``coverage_80``); only SKUs whose coverage is known count. Empty where none is.

    >>> rows = pd.DataFrame({"demand_class": ["smooth", "smooth", "lumpy"], "actuals": [300, 100, 5],
    ...                      "coverage_80": [0.8, 0.9, math.nan]})
    >>> pool_coverage(rows).to_dict("index")
    {'all': {'skus': 2.0, 'actuals': 400.0, 80: 0.825}, 'smooth': {'skus': 2.0, 'actuals': 400.0, 80: 0.825}}
    """
    columns = {int(str(name).removeprefix("coverage_")): name for name in results if str(name).startswith("coverage_")}
    known = results[results[list(columns.values())].notna().all(axis=1)] if columns else results.iloc[:0]
    if known.empty:
        return pd.DataFrame()
    groups = {"all": known} | {name: known[known["demand_class"] == name] for name in CLASSES}
    rows = {
        name: {"skus": float(len(group)), "actuals": float(group["actuals"].sum())}
        | {
            level: divide(float((group[column] * group["actuals"]).sum()), float(group["actuals"].sum()))
            for level, column in columns.items()
        }
        for name, group in groups.items()
        if len(group)
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def pool_levels(results: pd.DataFrame) -> dict[int, float]:
    """Level in per cent -> share of all actuals that the intervals cover; empty where none was judged."""
    pooled = pool_coverage(results).to_dict("index").get("all", {})
    return {name: float(share) for name, share in pooled.items() if isinstance(name, int)}


@dataclass(frozen=True)
class LeftOut:
    """What the backtests of the trained SKUs did without.

    Attributes:
        trials: candidates times trained SKUs.
        left_out: how many of them were not tried, or given up before the last window.
        cpu_seconds: nominal CPU time of the fits that were not made.
        reasons: ``reason``: candidate and why, one row per SKU and candidate.
    """

    trials: int
    left_out: int
    cpu_seconds: float
    reasons: pd.DataFrame

    @property
    def share(self) -> float:
        """Share of the trials; NaN without any."""
        return self.left_out / self.trials if self.trials else math.nan


def count_left_out(results: pd.DataFrame, candidates: int) -> LeftOut:
    """Count what ``not_tried`` says of the trained SKUs.

    Args:
        results: the outcomes.
        candidates: how many candidates the catalogue names.
    """
    if results.empty:
        return LeftOut(0, 0, 0.0, pd.DataFrame({"reason": []}, dtype="str"))
    trained = results[results["outcome"] == "trained"]
    reasons = trained["not_tried"].fillna("").str.split("; ").explode()
    reasons = reasons[reasons.fillna("") != ""]
    return LeftOut(
        trials=candidates * len(trained),
        left_out=len(reasons),
        cpu_seconds=float(trained["cpu_seconds_saved"].sum()),
        reasons=pd.DataFrame({"reason": reasons.to_numpy()}),
    )


@dataclass(frozen=True)
class Unchanged:
    """SKUs that were not trained again since nothing is new of them, and the seconds that their last training took."""

    skus: int
    seconds: float


def count_unchanged(results: pd.DataFrame) -> Unchanged:
    """Count what ``unchanged_since`` says."""
    if results.empty:
        return Unchanged(0, 0.0)
    rows = results[results["unchanged_since"] != ""]
    return Unchanged(len(rows), float(rows["cpu_seconds_saved"].sum()))
