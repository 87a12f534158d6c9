"""The HTML page: what each section shows, as plain values; how it looks is in ``page.html.j2``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from include.skufleet.fleet.report import words
from include.skufleet.fleet.report.bands import find_levels
from include.skufleet.fleet.report.data import ReportData
from include.skufleet.fleet.report.figures import (
    QUANTILE_COLUMNS,
    count_choices,
    count_left_out,
    count_unchanged,
    pool,
    pool_by,
    pool_coverage,
    select_scored,
)
from include.skufleet.fleet.report.pick import rank_skus
from include.skufleet.fleet.report.plots import draw_coverage, draw_strip, draw_strip_axis, scale_strips
from include.skufleet.fleet.report.reasons import group_bad_rows, group_reasons
from include.skufleet.fleet.report.scorecards import describe_scorecards
from include.skufleet.fleet.report.series import make_figures
from include.skufleet.fleet.report.templates import load_template
from include.skufleet.fleet.report.why import make_explanations

TEMPLATE = "page.html.j2"
MOST_ROWS = 100
MOST_GROUPS = 40
ALL_SKUS = 300


def render_html(data: ReportData) -> str:
    """The whole report as one HTML document without scripts, that loads nothing from anywhere.

    Tables longer than ``MOST_ROWS`` (departments ``MOST_GROUPS``, the SKU table ``ALL_SKUS``) are cut, and say so.
    A metric that is not defined is shown as a dash.
    """
    return load_template(Path(__file__).parent, TEMPLATE).render(
        data=data,
        outcomes=data.outcomes,
        unchanged=count_unchanged(data.results),
        fleet=pool(data.results),
        departments=_describe_groups(data.results, "department"),
        candidates=_describe_groups(_take(data.results, "trained"), "candidate"),
        classes=_describe_groups(data.results, "demand_class"),
        choices=_describe_choices(data.results),
        left_out=_describe_left_out(data),
        coverage=_describe_coverage(data.results),
        stockouts=_describe_stockouts(data.stockouts),
        ranking=rank_skus(data.results, data.plots),
        figures=make_figures(data),
        explanations=make_explanations(data),
        levels=find_levels(data.forecast.columns),
        scorecard=describe_scorecards(data.scorecards, data.own_scorecard),
        unserved={
            name: _describe_outcome(data.results, name) for name in ("failed", "quarantined", "fallback", "skipped")
        },
        quarantine=_describe_quarantine(data.quarantine),
        decisions=_describe_decisions(data.decisions),
        meanings={item.name: item.meaning for item in data.expectations},
        links={title: url for title, url in data.links.items() if url.startswith(("http://", "https://"))},
        timings=_describe_timings(data),
        all_skus=_list_skus(data.results),
    )


def _take(results: pd.DataFrame, outcome: str) -> pd.DataFrame:
    return results[results["outcome"] == outcome] if len(results) else results


def _cap(rows: pd.DataFrame, most: int) -> dict[str, Any]:
    """The first rows as records, with how many there are in all."""
    return {"rows": words.to_records(rows.head(most)), "shown": min(len(rows), most), "total": len(rows)}


def _describe_groups(results: pd.DataFrame, column: str) -> dict[str, Any]:
    """Accuracy by group, each with the strip of its spread."""
    groups = pool_by(results, column)
    end = scale_strips(groups)
    described = _cap(groups, MOST_GROUPS)
    for row in described["rows"]:
        row["strip"] = draw_strip([row[name] for name in QUANTILE_COLUMNS], row["baseline_p50"], end)
    return described | {"axis": draw_strip_axis(end), "end": end}


def _describe_choices(results: pd.DataFrame) -> dict[str, Any]:
    """How often each candidate was chosen, by demand class, with its share of the class."""
    table = count_choices(results)
    totals = {str(name): int(table[name].sum()) for name in table}
    rows = [
        {"candidate": name, "cells": [(int(counts[column]), counts[column] / totals[column]) for column in totals]}
        for name, counts in table.to_dict("index").items()
    ]
    return {"classes": totals, "rows": rows}


def _describe_left_out(data: ReportData) -> dict[str, Any]:
    """The trials that the backtests did without, and why."""
    found = count_left_out(data.results, len(data.candidates))
    return {"count": found, "reasons": group_reasons(found.reasons)[:20]}


def _describe_coverage(results: pd.DataFrame) -> dict[str, Any]:
    """What the intervals cover, by demand class."""
    table = pool_coverage(results)
    levels = [int(name) for name in table if isinstance(name, int)]
    if not levels:
        return {"levels": [], "rows": []}
    lowest = min(float(table[levels].min().min()), min(levels) / 100)
    start = max(0.0, math.floor(10 * lowest - 0.5) / 10)
    rows = [
        {
            "name": name,
            "skus": row["skus"],
            "actuals": row["actuals"],
            "shares": {level: row[level] for level in levels},
        }
        for name, row in table.to_dict("index").items()
    ]
    for row in rows:
        row["drawing"] = draw_coverage(row["shares"], start)
    return {"levels": levels, "rows": rows, "axis": draw_strip_axis(1.0, start)}


def _describe_stockouts(stockouts: pd.DataFrame) -> dict[str, Any]:
    """How much was masked, and the stretches in which most was expected."""
    if stockouts.empty:
        return {"periods": 0, "series": 0, "units": 0.0, "rows": _cap(stockouts, 0)}
    most = stockouts.sort_values(["expected_units", "sku", "store", "from"], ascending=[False, True, True, True])
    return {
        "periods": int(stockouts["periods"].sum()),
        "series": len(stockouts.drop_duplicates(["sku", "store"])),
        "units": float(stockouts["expected_units"].sum()),
        "rows": _cap(most, MOST_ROWS),
    }


def _describe_outcome(results: pd.DataFrame, outcome: str) -> dict[str, Any]:
    """The SKUs of an outcome, and their reasons counted."""
    rows = _take(results, outcome)
    if rows.empty:
        return {"rows": [], "shown": 0, "total": 0, "reasons": []}
    columns = ["sku", "department", "reason", "step", "error"]
    return _cap(rows[columns].sort_values("sku"), MOST_ROWS) | {"reasons": group_reasons(rows)[:20]}


def _describe_quarantine(quarantine: pd.DataFrame) -> dict[str, Any]:
    """SKUs quarantined as a whole, and rows set aside: by expectation, and one by one."""
    if quarantine.empty:
        return {"groups": [], "rows": _cap(quarantine, 0)}
    rows = quarantine[quarantine["scope"] == "row"]
    return {"groups": group_bad_rows(quarantine), "rows": _cap(rows, MOST_ROWS)}


def _describe_decisions(decisions: pd.DataFrame) -> dict[str, Any]:
    """How many versions were promoted, and why the others were held back."""
    if decisions.empty:
        return {"promoted": 0, "first": 0, "reasons": [], "changed": 0, "kept": _cap(decisions, 0)}
    promoted = decisions["promoted"].astype(bool)
    previous = pd.to_numeric(decisions["previous_version"], errors="coerce").fillna(0)
    kept = decisions[~promoted].sort_values("sku")
    return {
        "promoted": int(promoted.sum()),
        "first": int((promoted & (previous == 0)).sum()),
        "changed": int((promoted & decisions["changed"].astype(bool)).sum()) if "changed" in decisions else 0,
        "reasons": group_reasons(kept)[:20],
        "kept": _cap(kept, MOST_ROWS),
    }


def _describe_timings(data: ReportData) -> dict[str, Any]:
    """What each stage took, with its share of the longest, and the chunks that worked longest."""
    longest = max((cost.seconds for cost in data.stages.values()), default=0.0) or 1.0
    stages = [{"name": name, "cost": cost, "share": cost.seconds / longest} for name, cost in data.stages.items()]
    return {"stages": stages, "chunks": _list_slow_chunks(data.results)}


def _list_slow_chunks(results: pd.DataFrame, most: int = 10) -> list[dict[str, Any]]:
    if results.empty or "chunk" not in results:
        return []
    worked = results[results["chunk"].fillna("") != ""]
    chunks = worked.groupby("chunk").agg(skus=("sku", "size"), seconds=("seconds", "sum"), slowest=("seconds", "max"))
    slow = chunks.sort_values("seconds", ascending=False, kind="stable").head(most).reset_index()
    return words.to_records(slow)


def _list_skus(results: pd.DataFrame) -> dict[str, Any]:
    """The SKUs with the most error first, then those that were not scored."""
    if results.empty:
        return _cap(results, 0)
    rows = results.sort_values(["abs_error", "sku"], ascending=[False, True], na_position="last")
    baseline = rows["baseline_wape"].where(rows["baseline_wape"] > 0)
    described = _cap(rows.assign(gain=1 - rows["wape"] / baseline), ALL_SKUS)
    return described | {"scored": len(select_scored(results))}
