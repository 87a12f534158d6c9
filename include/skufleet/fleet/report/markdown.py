"""The short summary, in Markdown: for a task's log and the orchestrator's UI."""

from __future__ import annotations

import re
from urllib.parse import quote

import pandas as pd

from include.skufleet.fleet.report.data import ReportData
from include.skufleet.fleet.report.figures import pool, pool_levels
from include.skufleet.fleet.report.reasons import group_reasons
from include.skufleet.fleet.report.words import (
    blank_numbers,
    cut,
    duration,
    number,
    percent,
    say_late_rows,
    signed,
    text,
)
from include.skufleet.fleet.scores import Scorecard

MOST_REASONS = 5
_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def render_markdown(data: ReportData) -> str:
    """Headline table, the most frequent reasons for what was not trained, and where the report is.

    SKU names and reasons come from outside: they are escaped, and kept on one line.
    """
    parts = [f"## Fleet report: {escape(data.catalogue)}, {data.as_of:%Y-%m-%d}", _write_headline(data)]
    if data.lost_chunks:
        parts.append(f"**Chunks lost: {len(data.lost_chunks)}** ({escape(cut(', '.join(data.lost_chunks), 200))})")
    if data.unpooled:
        parts.append("**The stage `departments` failed**: each SKU was trained on its own")
    if data.own_scorecard:
        parts.append(_write_scorecard(data.own_scorecard))
    if data.stopped:
        parts.append(f"**Nothing of this run went to production.** {escape(data.stopped)}")
    elif data.verdict:
        parts.append(f"**Fleet gate**: {escape(data.verdict.reason)} {escape(data.approval)}".rstrip())
    if data.moved_by_hand:
        named = ", ".join(escape(name) for name in list(data.moved_by_hand)[:8])
        parts.append(f"**Moved by hand in MLflow, left as they are**: {len(data.moved_by_hand):,} SKUs: {named}")
    if data.recipes:
        lines = [f"- {number:,} × {words}" for words, number in data.recipes.items()]
        parts.append("\n".join(["**Recipes**", "", *lines]))
    if data.late_rows:
        parts.append(say_late_rows(data.late_rows, data.as_of))
    if data.rejected_drops:
        drops = [f"- {escape(cut(key))}: {escape(cut(reason, 200))}" for key, reason in data.rejected_drops.items()]
        parts.append("\n".join(["**Drops rejected**", "", *_cap(drops)]))
    for outcome in ("failed", "quarantined", "fallback", "skipped"):
        if lines := _write_reasons(data.results, outcome):
            parts.append("\n".join([f"**{outcome.capitalize()}: why**", "", *lines]))
    places = [("Report", data.report_uri), ("All results", data.results_uri)]
    where = [f"{name}: `{write_address(uri)}`" for name, uri in places if uri]
    web = {title: url for title, url in data.links.items() if url.startswith(("http://", "https://"))}
    where += [f"[{escape(title)}]({write_address(url)})" for title, url in web.items()]
    return "\n\n".join([*parts, " · ".join(where)]).strip() + "\n"


def escape(value: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    line = " ".join(text(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def write_address(uri: str) -> str:
    """An address without the characters that end a link or a code span."""
    return quote(text(uri), safe="/:?#@!$&'*+,;=%-._~")


def _write_headline(data: ReportData) -> str:
    fleet, outcomes = pool(data.results), data.outcomes
    accounted = f"{len(data.results):,} of {data.planned:,}" + ("" if data.planned == len(data.results) else " **(!)**")
    rows = [
        ("SKUs accounted for", "dry run: planned only" if data.dry_run else accounted),
        *((outcome, f"{count:,}") for outcome, count in outcomes.items()),
        ("promoted to production", f"{data.promoted:,} of {len(data.decisions):,} new versions"),
        ("fleet WAPE", f"{percent(fleet.wape)} (seasonal naive {percent(fleet.baseline_wape)})"),
        ("error saved", signed(fleet.gain)),
        ("fleet bias", f"{signed(fleet.bias)} (seasonal naive {signed(fleet.baseline_bias)})"),
        *((f"{level}% interval covers", percent(share)) for level, share in pool_levels(data.results).items()),
        *([("stock-outs masked", _count_stockouts(data))] if len(data.stockouts) else []),
        ("backtested", f"{fleet.skus:,} SKUs, {number(fleet.units)} units"),
        ("time", duration(data.seconds)),
    ]
    return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)])


def _write_scorecard(card: Scorecard) -> str:
    """What the forecasts turned out to be worth, in a line."""
    score, covered = card.fleet, ""
    if score.coverage:
        level = min(score.coverage)
        covered = f", {level}% interval covered {percent(score.coverage[level])}"
    return (
        f"**Scorecard**: on {card.known} of {card.horizon} {card.periods} since then WAPE {percent(score.wape)} "
        f"(seasonal naive {percent(score.baseline_wape)}), bias {signed(score.bias)}{covered}"
    )


def _count_stockouts(data: ReportData) -> str:
    series = len(data.stockouts.drop_duplicates(["sku", "store"]))
    return f"{int(data.stockouts['periods'].sum()):,} {data.period} in {series:,} series"


def _write_reasons(results: pd.DataFrame, outcome: str) -> list[str]:
    if results.empty:
        return []
    groups = group_reasons(results[results["outcome"] == outcome])
    return _cap([f"- {count:,} × {_introduce(count, example)}{escape(cut(example, 200))}" for count, example in groups])


def _introduce(count: int, example: str) -> str:
    """Reasons that are counted together differ in their numbers: the first one's stand for all."""
    return "for example " if count > 1 and blank_numbers(example) != example else ""


def _cap(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_REASONS
    return lines if more <= 0 else [*lines[:MOST_REASONS], f"- and {more:,} more: see the report"]
