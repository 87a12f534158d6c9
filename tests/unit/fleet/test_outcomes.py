"""The rows that every SKU ends with, and the figures that sum them up."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from include.skufleet.errors import PermanentError
from include.skufleet.fleet.outcomes import OUTCOMES, TYPES, SkuOutcome, count, to_frame
from include.skufleet.fleet.publish_report import NO_DECISIONS, mean_rmsse, raise_if_incomplete, summarise
from include.skufleet.fleet.report import ReportData
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.stages import StageCost

SECOND = StageCost(1.0, 1.0, 400)


def outcome(sku: str, kind: Any = "trained", **values: Any) -> SkuOutcome:
    return SkuOutcome(sku=sku, department="Food", outcome=kind, reason="because", **values)


def report_data(results: pd.DataFrame, **changes: Any) -> ReportData:
    empty = pd.DataFrame()
    known: dict[str, Any] = {
        "catalogue": "shop",
        "description": "",
        "run_id": "run",
        "as_of": date(2026, 3, 31),
        "horizon": 7,
        "planned": len(results),
        "results": results,
        "decisions": NO_DECISIONS,
        "backtest": empty,
        "actuals": empty,
        "forecast": empty,
        "quarantine": empty,
        "started": datetime(2026, 4, 1, tzinfo=UTC),
        "finished": datetime(2026, 4, 1, 0, 1, tzinfo=UTC),
        "stages": dict.fromkeys(("ingest", "plan", "decide", "promote", "forecast"), SECOND),
    }
    return ReportData(**(known | changes))


def plan_of(skus: int) -> dict[str, Any]:
    return {"counts": {"skus": skus, "planned": skus, "chunks": 1, "not_planned": 0}, "ingested": {"set_aside": {}}}


def scored(sku: str, own: float, baseline: float, signed: float, units: float, rmsse: float) -> SkuOutcome:
    """A SKU whose baseline has twice its RMSSE."""
    sums = {"abs_error": own, "baseline_abs_error": baseline, "signed_error": signed, "units": units}
    return outcome(sku, **sums, rmsse=rmsse, baseline_rmsse=2 * rmsse)


TWO = to_frame([scored("A", 10, 20, 4, 40, 0.5), scored("B", 20, 40, -8, 60, 1.0), outcome("C", "skipped")])


def test_no_outcome_gives_a_frame_with_every_column_typed() -> None:
    empty = to_frame(())
    assert {name: str(kind) for name, kind in empty.dtypes.items()} == TYPES
    assert pd.concat([empty, to_frame([outcome("A")])]).dtypes.equals(empty.dtypes)


def test_every_outcome_is_counted_by_name_also_those_that_nobody_had() -> None:
    assert count(TWO) == {"trained": 2, "fallback": 0, "quarantined": 0, "failed": 0, "skipped": 1}
    assert tuple(count(to_frame(()))) == OUTCOMES


def test_the_fleets_accuracy_is_pooled_and_not_averaged() -> None:
    summary = summarise(report_data(TWO), plan_of(3))
    assert (summary["wape"], summary["baseline_wape"], summary["bias"]) == (0.3, 0.6, -0.04)


def test_the_fleets_rmsse_is_weighted_by_units() -> None:
    assert mean_rmsse(TWO) == pytest.approx({"rmsse": 0.8, "baseline_rmsse": 1.6})


def test_figures_of_a_fleet_without_a_backtest_are_unknown_and_not_zero() -> None:
    assert all(math.isnan(value) for value in mean_rmsse(to_frame([outcome("C", "skipped")])).values())
    summary = summarise(report_data(to_frame([outcome("C", "skipped")])), plan_of(1))
    assert (summary["wape"], summary["rmsse"], summary["complete"]) == (None, None, True)


@pytest.mark.parametrize(
    ("results", "skus", "lost", "complete"),
    [
        (TWO, 3, (), True),
        (TWO, 4, (), False),
        (TWO, 2, (), False),
        (pd.concat([TWO.iloc[:2], TWO.iloc[:1]]), 3, (), False),
        (TWO, 3, ("c001",), False),
    ],
    ids=["all", "one missing", "one too many", "one twice", "a chunk lost"],
)
def test_a_run_is_complete_when_each_sku_has_one_outcome_and_no_chunk_was_lost(
    results: pd.DataFrame, skus: int, lost: tuple[str, ...], complete: bool
) -> None:
    summary = summarise(report_data(results, lost_chunks=lost), plan_of(skus))
    assert summary["complete"] is complete
    if complete:
        raise_if_incomplete(summary)
    else:
        with pytest.raises(PermanentError, match="See the logs of what failed"):
            raise_if_incomplete(summary)


@pytest.mark.parametrize("stage", ["ingest", "plan", "promote", "forecast"])
def test_a_stage_that_did_not_come_to_its_end_makes_the_run_incomplete(stage: str) -> None:
    done = {name: SECOND for name in ("ingest", "plan", "decide", "promote", "forecast") if name != stage}
    summary = summarise(report_data(TWO, stages=done), plan_of(3))
    assert (summary["complete"], summary["missing_stages"]) == (False, [stage])
    with pytest.raises(PermanentError, match=f"3 of 3 SKUs are accounted for; {stage} did not come to an end"):
        raise_if_incomplete(summary)


def test_a_dry_run_is_complete_without_outcomes() -> None:
    summary = summarise(report_data(to_frame(()), dry_run=True, stages={"ingest": SECOND, "plan": SECOND}), plan_of(3))
    assert summary["complete"]
    assert summary["outcomes"] == {}


def test_keys_of_a_run_are_plain_and_differ_wherever_the_run_ids_do() -> None:
    ids = ["manual__2026-04-01T00:00:00+00:00", "manual__2026-04-01T00-00-00+00-00", "..", "a/b", "x" * 300, "ü"]
    keys = [RunKeys("shop", run_id).key for run_id in ids]
    assert len(set(keys)) == len(ids)
    for key in keys:
        assert len(key) <= 70
        assert set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
