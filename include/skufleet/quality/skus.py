"""SKU level: has a SKU enough history, is it fresh, is it still sold, are few enough of its rows bad?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from include.skufleet.config import Validation
from include.skufleet.quality.engine import run_suite
from include.skufleet.quality.records import ExpectationResult, SkuStatus, SkuVerdict
from include.skufleet.quality.rows import RowOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

Frequency = Literal["D", "W"]
Gaps = Literal["zero", "missing"]

# The status of a SKU that fails an expectation; of several, the first counts.
STATUS_OF: dict[str, SkuStatus] = {
    "sku_has_rows": "no_data",
    "few_bad_rows": "quarantined",
    "still_sold": "inactive",
    "enough_history": "too_short",
    "fresh": "stale",
}


@dataclass(frozen=True)
class Clock:
    """The time that SKU limits are measured in: what a period is, the newest period, and what a gap means."""

    frequency: Frequency
    gaps: Gaps
    newest: pd.Timestamp

    def count_periods(self, dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Number the periods of dates (no NaT): days, or weeks from Monday to Sunday, since a fixed day."""
        days = dates.astype("datetime64[D]").astype(np.int64)
        # Day 0 of numpy is a Thursday: three days after Monday.
        return days if self.frequency == "D" else (days + 3) // 7

    @property
    def now(self) -> int:
        """The newest period's number."""
        return int(self.count_periods(np.array([self.newest.to_datetime64()]))[0])


def check_skus(
    history: pd.DataFrame, rows: RowOutcome, planned: Sequence[str], limits: Validation, clock: Clock
) -> tuple[dict[str, SkuVerdict], tuple[ExpectationResult, ...]]:
    """Sum up each planned SKU, run the SKU suite over the sums, and give every planned SKU its verdict."""
    facts = summarise(history, rows.bad, planned, clock)
    outcome = run_suite("skus", facts, limits)
    status = dict.fromkeys(facts.index, "")
    for name in STATUS_OF:
        for sku in outcome.failing[name]:
            status[sku] = status[sku] or name
    worst = _find_main_causes(history, rows, [sku for sku, name in status.items() if name == "few_bad_rows"])
    verdicts = {}
    for fact in facts.itertuples():
        sku = str(fact.Index)
        if not (name := status[sku]):
            verdicts[sku] = SkuVerdict("trainable", "")
        else:
            verdicts[sku] = SkuVerdict(STATUS_OF[name], REASONS[name](fact, limits, clock) + worst.get(sku, ""))
    return verdicts, outcome.results


def summarise(history: pd.DataFrame, bad: NDArray[np.bool_], planned: Sequence[str], clock: Clock) -> pd.DataFrame:
    """One line per planned SKU: counts over all rows, dates over the good rows.

    Columns: ``rows, bad_share, periods, first, last, last_sale, periods_behind, periods_without_sale``. Without a good
    row, dates are NaT and the last two NaN; without a row at all, so are ``bad_share`` and ``periods``. A SKU
    that never sold has been without a sale since the period before its first row.
    """
    index = pd.Index(list(dict.fromkeys(planned)), name="sku", dtype=object)
    found, names = pd.factorize(history["sku"])
    codes = np.append(index.get_indexer(names.astype(object)), -1)[found]  # a row without a SKU is of none
    facts = pd.DataFrame(index=index)
    facts["rows"] = np.bincount(codes[codes >= 0], minlength=len(index))
    bad_rows = np.bincount(codes[bad & (codes >= 0)], minlength=len(index))
    facts["bad_rows"] = bad_rows
    facts["bad_share"] = (bad_rows / facts["rows"]).where(facts["rows"] > 0)
    good = ~bad & (codes >= 0)
    code = codes[good]
    periods = clock.count_periods(pd.to_datetime(history["date"]).to_numpy(dtype="datetime64[us]")[good])
    sold = history["units"].to_numpy(dtype="float64", na_value=np.nan)[good] > 0
    first, last = _extreme(np.minimum, code, periods, len(index)), _extreme(np.maximum, code, periods, len(index))
    last_sale = _extreme(np.maximum, code[sold], periods[sold], len(index))
    if clock.gaps == "zero":
        known = np.nan_to_num(last - first + 1, nan=0.0)
    else:
        known = np.bincount(_drop_repeats(code, periods), minlength=len(index)).astype(float)
    facts["periods"] = pd.Series(known, index=index).where(facts["rows"] > 0)
    facts["periods_behind"] = clock.now - last
    facts["periods_without_sale"] = clock.now - np.where(np.isnan(last_sale), first - 1, last_sale)
    for name, values in (("first", first), ("last", last), ("last_sale", last_sale)):
        days = values if clock.frequency == "D" else values * 7 - 3
        facts[name] = pd.to_datetime(days, unit="D")
    return facts


def _drop_repeats(code: NDArray[np.intp], periods: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group of each distinct pair of group and period: two stores on one day are one period of the SKU."""
    if not len(code):
        return code.astype(np.int64)
    start = periods.min()
    width = int(periods.max() - start) + 1
    return np.asarray(pd.unique(code.astype(np.int64) * width + (periods - start))) // width


def _extreme(pick: np.ufunc, code: NDArray[np.intp], values: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """The least or greatest value of each group; NaN for a group without values."""
    start = np.inf if pick is np.minimum else -np.inf
    result = np.full(size, start)
    pick.at(result, code, values.astype(np.float64))
    return np.where(np.isinf(result), np.nan, result)


def _find_main_causes(history: pd.DataFrame, rows: RowOutcome, skus: Sequence[str]) -> dict[str, str]:
    """For SKUs with too many bad rows: the expectation that most of them failed, as the end of a sentence."""
    if not skus:
        return {}
    bad = pd.DataFrame({"sku": history["sku"].array[rows.bad], "expectation": rows.expectation})
    counts = (
        bad[bad["sku"].isin(skus)].groupby(["sku", "expectation"], observed=True).size().sort_values(ascending=False)
    )
    top = counts.reset_index(name="rows").drop_duplicates("sku")
    meanings = {result.name: result.meaning for result in rows.results}
    return {
        str(item.sku): f"; mostly ({item.rows}) against: {meanings[str(item.expectation)]}" for item in top.itertuples()
    }


def _tell_quarantined(fact: Any, limits: Validation, _: Clock) -> str:
    return f"{fact.bad_rows} of {fact.rows} rows are bad: {fact.bad_share:.1%} (at most {limits.max_bad_share:.1%})"


def _tell_inactive(fact: Any, limits: Validation, clock: Clock) -> str:
    if pd.isna(fact.last_sale):
        since = f"never sold since its first row of {fact.first:%Y-%m-%d}"
    else:
        since = f"no sale above zero since {fact.last_sale:%Y-%m-%d}"
    silence = (
        f"{fact.periods_without_sale:.0f} {_name_periods(clock)} before the newest data of {clock.newest:%Y-%m-%d}"
    )
    return f"{since}, {silence} (at most {limits.inactive_after})"


def _tell_too_short(fact: Any, limits: Validation, clock: Clock) -> str:
    return f"{fact.periods:.0f} {_name_periods(clock)} with a known value, {limits.min_history} needed"


def _tell_stale(fact: Any, limits: Validation, clock: Clock) -> str:
    behind = f"{fact.periods_behind:.0f} {_name_periods(clock)} before the newest data of {clock.newest:%Y-%m-%d}"
    return f"last row of {fact.last:%Y-%m-%d}, {behind} (at most {limits.max_staleness})"


def _tell_no_data(_fact: Any, _limits: Validation, _clock: Clock) -> str:
    return "planned, but its history has no row"


def _name_periods(clock: Clock) -> str:
    return "days" if clock.frequency == "D" else "weeks"


REASONS: dict[str, Callable[[Any, Validation, Clock], str]] = {
    "sku_has_rows": _tell_no_data,
    "few_bad_rows": _tell_quarantined,
    "still_sold": _tell_inactive,
    "enough_history": _tell_too_short,
    "fresh": _tell_stale,
}
