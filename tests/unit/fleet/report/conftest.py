"""A run to report on: plausible, seeded, of any size, with hostile names in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.skufleet.fleet.outcomes import SkuOutcome, to_frame
from include.skufleet.fleet.report import ReportData, pick_skus
from include.skufleet.fleet.stages import StageCost
from include.skufleet.quality import ExpectationResult

AS_OF = date(2025, 6, 30)
HOSTILE = ("<script>alert('x')</script>", "🍎 pomme/rouge: 1 kg", "A&B \"quoted\" 'too'", "x" * 300, "a|b`c`*d*")
DEPARTMENTS = ("Produce", "Bakery", "Dairy", "Household", "Drinks", "Frozen", "Snacks & sweets", "")
CLASSES = ("smooth", "erratic", "intermittent", "lumpy")
CANDIDATES = ("poisson_regression", "exponential_smoothing", "tsb", "seasonal_naive")


def make_results(skus: int, seed: int = 7) -> pd.DataFrame:
    """One row per SKU: most are trained, some of every other outcome."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(skus):
        sku = HOSTILE[index] if index < len(HOSTILE) else f"SKU-{index:05d}"
        department = DEPARTMENTS[int(rng.integers(len(DEPARTMENTS)))]
        outcome = (
            "trained"
            if index < 10
            else str(
                rng.choice(["trained"] * 84 + ["fallback"] * 7 + ["quarantined"] * 3 + ["skipped"] * 5 + ["failed"])
            )
        )
        rows.append(_make_row(rng, sku, department, outcome, f"chunk-{index % max(1, skus // 60):03d}"))
    return to_frame(rows)


def _make_row(rng: np.random.Generator, sku: str, department: str, outcome: str, chunk: str) -> SkuOutcome:
    common: dict[str, Any] = {"sku": sku, "department": department, "chunk": chunk}
    if outcome == "fallback":
        return SkuOutcome(
            **common,
            outcome="fallback",
            reason=f"{rng.integers(3, 56)} days with a known value, 56 needed",
            seconds=0.01,
        )
    if outcome == "quarantined":
        bad = int(rng.integers(150, 400))
        reason = f"{bad} of 700 rows are bad: {bad / 7:.1f}% (at most 20.0%); mostly ({bad}) against: units are finite"
        return SkuOutcome(**common, outcome="quarantined", reason=reason)
    if outcome == "skipped":
        reason = f"no sale above zero since 2024-11-{rng.integers(10, 30)}, {rng.integers(190, 240)} days ago"
        return SkuOutcome(**common, outcome="skipped", reason=reason)
    if outcome == "failed":
        return SkuOutcome(**common, outcome="failed", reason="", step="fit", error="LinAlgError: Singular matrix")
    demand_class = str(rng.choice(CLASSES, p=[0.4, 0.2, 0.25, 0.15]))
    units = float(rng.lognormal(6.5, 1.2)) // 1 + 1
    baseline = float(
        np.clip(
            rng.normal({"smooth": 0.35, "erratic": 0.6, "intermittent": 1.1, "lumpy": 1.4}[demand_class], 0.12), 0.08, 3
        )
    )
    wape = baseline * float(np.clip(rng.normal(0.8, 0.12), 0.4, 1.2))
    bias = float(rng.normal(0, 0.06))
    return SkuOutcome(
        **common,
        outcome="trained",
        reason="",
        candidate=str(rng.choice(CANDIDATES, p=[0.5, 0.25, 0.17, 0.08])),
        demand_class=demand_class,
        stores=int(rng.integers(1, 6)),
        periods=900,
        wape=wape,
        bias=bias,
        rmsse=wape / baseline,
        baseline_wape=baseline,
        baseline_bias=bias / 2,
        abs_error=wape * units,
        baseline_abs_error=baseline * units,
        signed_error=bias * units,
        units=units,
        metric="wape",
        coverage_80=float(np.clip(rng.normal(0.8, 0.03), 0, 1)),
        coverage_95=float(np.clip(rng.normal(0.945, 0.01), 0, 1)),
        actuals=168,
        not_tried="random_forest: given up after 1 of 3 windows, for it could no longer win" if units > 500 else "",
        cpu_seconds_saved=0.25 if units > 500 else 0.0,
        seconds=float(rng.gamma(2, 0.03)),
        version=2,
    )


def make_series(
    results: pd.DataFrame, skus: list[str], seed: int = 3
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Actuals of 180 days, three backtest windows of 28 days and a forecast, two stores each."""
    rng = np.random.default_rng(seed)
    history, horizon = pd.date_range(end="2025-06-30", periods=180), pd.date_range("2025-07-01", periods=28)
    units = dict(zip(results["sku"], results["units"], strict=True))
    actuals, backtest, forecast = [], [], []
    for sku in skus:
        for store in ("S1", "S2"):

            def level(dates: pd.DatetimeIndex, mean: float = units[sku] / 168) -> Any:
                return mean * (
                    1 + 0.4 * np.sin(2 * np.pi * dates.day_of_week / 7) + 0.2 * np.sin(dates.day_of_year / 40)
                )

            sold = rng.poisson(level(history)).astype(float)
            if store == "S1":
                sold[60:66] = np.nan
            actuals.append(pd.DataFrame({"sku": sku, "store": store, "date": history, "units": sold}))
            for back in (84, 56, 28):
                dates = history[180 - back : 208 - back]
                backtest.append(
                    pd.DataFrame(
                        {
                            "sku": sku,
                            "store": store,
                            "date": dates,
                            "cutoff": dates[0] - pd.Timedelta(days=1),
                            "y": sold[180 - back : 208 - back],
                            "y_hat": level(dates) * 1.05,
                            "baseline": np.resize(np.nan_to_num(sold[173 - back : 180 - back]), 28),
                        }
                    )
                )
            forecast.append(
                pd.DataFrame(
                    {
                        "sku": sku,
                        "store": store,
                        "date": horizon,
                        "y_hat": level(horizon),
                        "model_name": f"demo.{sku}",
                        "model_version": 2,
                        "served_by": "production",
                    }
                )
            )
    return pd.concat(actuals), pd.concat(backtest), pd.concat(forecast)


def make_decisions(results: pd.DataFrame, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    trained = results[results["outcome"] == "trained"]
    rows = [
        {
            "sku": row.sku,
            "promoted": bool(good := row.wape <= row.baseline_wape),
            "version": 2,
            "previous_version": int(rng.integers(0, 2)),
            "reason": "better than the baseline"
            if good
            else f"wape {row.wape:.3f} is worse than the seasonal naive's {row.baseline_wape:.3f}",
        }
        for row in trained.itertuples()
    ]
    return pd.DataFrame(rows, columns=["sku", "promoted", "reason", "version", "previous_version"])


def make_quarantine(results: pd.DataFrame, rows: int = 260) -> pd.DataFrame:
    kinds = [
        ("units {} is below 0", "units_in_range"),
        ("price 0 is not above 0", "price_above_zero"),
        ("date 2031-01-{:02d} is after as_of 2025-06-30", "not_after_as_of"),
    ]
    skus = results["sku"].tolist()
    bad = [
        {
            "sku": skus[index % len(skus)],
            "store": "S1",
            "date": pd.Timestamp("2025-05-01") + pd.Timedelta(days=index % 50),
            "units": float(-index),
            "scope": "row",
            "reason": kinds[index % 3][0].format(-index if index % 3 == 0 else index % 28 + 1),
            "expectation": kinds[index % 3][1],
        }
        for index in range(1, rows + 1)
    ]
    whole = results[results["outcome"] == "quarantined"]
    bad += [
        {
            "sku": row.sku,
            "store": None,
            "date": pd.NaT,
            "units": np.nan,
            "scope": "sku",
            "reason": row.reason,
            "expectation": "few_bad_rows",
        }
        for row in whole.itertuples()
    ]
    return pd.DataFrame(bad)


def make_stockouts(results: pd.DataFrame, rows: int = 12) -> pd.DataFrame:
    skus = results["sku"].tolist()
    return pd.DataFrame(
        [
            {
                "sku": skus[index % len(skus)],
                "store": f"S{index % 2 + 1}",
                "from": pd.Timestamp("2025-03-01") + pd.Timedelta(days=index),
                "to": pd.Timestamp("2025-03-03") + pd.Timedelta(days=2 * index),
                "periods": index + 3,
                "expected_units": 12.5 * (index + 3),
                "reason": f"nothing sold for {index + 3} days in which {12.5 * (index + 3):.0f} units were expected",
            }
            for index in range(rows)
        ]
    )


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportData]:
    return build_report


def build_report(skus: int = 60, plots: int = 6, **changes: Any) -> ReportData:
    """A complete report; ``changes`` replace fields."""
    results = make_results(skus)
    actuals, backtest, forecast = make_series(results, pick_skus(results, plots))
    rows = skus * 700
    given: dict[str, Any] = {
        "catalogue": "demo",
        "description": "A simulated grocery chain: 5 stores, 2.5 years of days, with its dirt.",
        "run_id": "manual__2025-06-30T03:00:00+00:00",
        "as_of": AS_OF,
        "horizon": 28,
        "planned": skus,
        "results": results,
        "decisions": make_decisions(results),
        "backtest": backtest,
        "actuals": actuals,
        "forecast": forecast,
        "quarantine": make_quarantine(results),
        "stockouts": make_stockouts(results),
        "candidates": (*CANDIDATES, "random_forest"),
        "plots": plots,
        "set_aside": {
            "units are not a number": 41,
            "unknown sku": 117,
            "identical row": 1302,
            "date cannot be read": 6,
        },
        "rejected_drops": {"landing/demo/sales/2025-03-14.parquet": "truncated: the Parquet footer is missing"},
        "expectations": (
            ExpectationResult(
                "units_in_range",
                False,
                87,
                8700 / rows,
                "rows",
                rows,
                "expect_column_values_to_be_between",
                "units are finite and between 0 and 1000000",
            ),
            ExpectationResult(
                "one_row_per_day",
                True,
                0,
                0.0,
                "rows",
                rows,
                "expect_compound_columns_to_be_unique",
                "at most one row per SKU, store and date",
            ),
            ExpectationResult(
                "enough_history",
                False,
                skus // 14,
                100 / 14,
                "skus",
                skus,
                "expect_column_values_to_be_between",
                "at least 56 periods with a known value",
            ),
        ),
        "stages": {
            "ingest": StageCost(6.4, 4.0, 420),
            "plan": StageCost(0.8, 0.6, 405),
            "retrain": StageCost(58.2, 110.0, 612, "c001", 1.25),
            "promote": StageCost(4.1, 1.2, 408),
            "forecast": StageCost(7.7, 5.0, 430),
        },
        "started": datetime(2025, 6, 30, 3, 0, tzinfo=UTC),
        "finished": datetime(2025, 6, 30, 3, 1, 21, tzinfo=UTC),
        "table_version": 912,
        "results_uri": "s3://skufleet/runs/demo/manual-2025-06-30/results.parquet",
        "quarantine_uri": "s3://skufleet/runs/demo/manual-2025-06-30/quarantine.parquet",
        "stockouts_uri": "s3://skufleet/runs/demo/manual-2025-06-30/chunks/",
        "report_uri": "s3://skufleet/reports/demo/manual-2025-06-30.html",
        "links": {
            "Airflow run": "http://127.0.0.1:8080/dags/retrain_demo",
            "MLflow experiment": "http://127.0.0.1:5000/#/experiments/1",
        },
    }
    return ReportData(**(given | changes))
