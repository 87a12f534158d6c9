"""The report of a search: one self-contained HTML page, and a short Markdown summary. Records in, text out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from include.skufleet.config.search import read_key
from include.skufleet.fleet.report.markdown import escape, write_address
from include.skufleet.fleet.report.templates import load_template
from include.skufleet.fleet.report.words import NONE, cut, duration, number, percent, signed
from include.skufleet.fleet.search.judge import CLEAR, Standing
from include.skufleet.fleet.search.planned import CURRENT, SearchPlan
from include.skufleet.fleet.search.proposal import Proposal
from include.skufleet.fleet.search.rungs import Rung
from include.skufleet.fleet.search.space import describe_change
from include.skufleet.fleet.search.timings import Timing

MOST_TRIALS = 100
STRIP = 200
"""Width of the strip that shows a gain with its noise."""


@dataclass(frozen=True, kw_only=True)
class SearchReport:
    """One search, ready to be shown.

    Attributes:
        run_id: the orchestrator's id of the run.
        as_of: nothing later was read.
        plan: what was planned.
        rungs: what came of it.
        proposal: what it proposes.
        timings: of each rung.
        total: of all trials.
        started: when the search began.
        finished: when the report was made.
        report_uri: where this report is.
        proposal_uri: where the proposed change is; empty where there is none.
        links: title -> address of pages to go on to.
    """

    run_id: str
    as_of: date
    plan: SearchPlan
    rungs: Sequence[Rung]
    proposal: Proposal
    timings: Sequence[Timing]
    total: Timing
    started: datetime
    finished: datetime
    report_uri: str = ""
    proposal_uri: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def catalogue(self) -> str:
        """The catalogue's name."""
        return str(self.plan.catalogue["name"])

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all trials: each one's scores of its last rung hold those before."""
        return sum(item.cpu_seconds for _, item in rank_all(self.rungs))

    @property
    def unhalved_cpu_seconds(self) -> float:
        """CPU time if every trial had gone to the end, estimated from what each took per SKU."""
        skus = self.rungs[-1].skus if self.rungs else 0
        return sum(item.cpu_seconds / item.skus * skus for _, item in rank_all(self.rungs) if item.skus)

    @property
    def failed(self) -> dict[str, int]:
        """Trial that failed -> the rung it failed in."""
        return {trial: rung.number for rung in self.rungs for trial in rung.failed}


def rank_all(rungs: Sequence[Rung]) -> list[tuple[int, Standing]]:
    """Every trial with scores, once, with the last rung that it came through; the farthest first, then the best."""
    ranked: list[tuple[int, Standing]] = []
    for rung in reversed(rungs):
        seen = {item.trial for _, item in ranked}
        ranked += [(rung.number, item) for item in rung.ranked if item.trial not in seen]
    return ranked


def say_verdict(report: SearchReport) -> str:
    """The outcome in a sentence or two, as plain text."""
    proposal, metric = report.proposal, report.plan.metric.upper()
    if proposal.verdict == "unknown":
        return "No rung has scores of both the file's own configuration and another: nothing can be said."
    if proposal.verdict == "keep":
        return "The file's own configuration came first. Nothing to change."
    first = proposal.gains[0]
    noise = f"± {percent(first.noise)}" if math.isfinite(first.noise) else "noise not known with one SKU"
    what = f"{proposal.trial} ({report.plan.describe(proposal.trial)})"
    told = f"{what} came first: {signed(first.gain)} of {metric} saved against the file, {noise}."
    if proposal.verdict == "change":
        return f"{told} The change below is proposed; nothing was changed."
    return f"{told} That may be chance: keep the file, or search again with a larger sample or more held-back windows."


def render_markdown(report: SearchReport) -> str:
    """Verdict, proposed change, ranking, and the times."""
    parts = [f"## Search: {escape(report.catalogue)}, {report.as_of:%Y-%m-%d}", escape(say_verdict(report))]
    if report.proposal.changes:
        parts.append(f"```diff\n{report.proposal.diff.replace('```', '')}\n```")
    rows = [
        f"| {item.trial} | {escape(cut(report.plan.describe(item.trial), 100))} | {rung} "
        f"| {item.skus:,} | {percent(item.wape)} | {item.rmsse:.3f} | {signed(item.bias)} | {_write_gain(item)} "
        f"| {item.cpu_seconds / max(item.skus, 1):.3f} |"
        for rung, item in rank_all(report.rungs)[:MOST_TRIALS]
    ]
    head = "| trial | changes | rung | SKUs | WAPE | RMSSE | bias | gain | CPU s per SKU |"
    parts.append("\n".join([head, "|---|---|---:|---:|---:|---:|---:|---:|---:|", *rows]))
    if report.failed:
        named = ", ".join(f"{trial} in rung {rung}" for trial, rung in report.failed.items())
        parts.append(f"**Trials failed: {len(report.failed)}** ({named})")
    total = report.total
    parts.append(
        f"{total.tasks} tasks one after the other: {duration(total.seconds)}; side by side: {duration(total.wall)} "
        f"({total.speedup:.1f} times as fast). CPU: {duration(report.cpu_seconds)}."
    )
    web = {title: url for title, url in report.links.items() if url.startswith(("http://", "https://"))}
    where = [f"Report: `{write_address(report.report_uri)}`"] if report.report_uri else []
    where += [f"Change: `{write_address(report.proposal_uri)}`"] if report.proposal_uri else []
    where += [f"[{escape(title)}]({write_address(url)})" for title, url in web.items()]
    return "\n\n".join([*parts, " · ".join(where)]).strip() + "\n"


def _write_gain(item: Standing) -> str:
    if item.trial == CURRENT:
        return "the file"
    return f"{signed(item.gain)} ± {percent(item.noise)}" if math.isfinite(item.gain) else NONE


def render_html(report: SearchReport) -> str:
    """The whole report as one HTML document without scripts, that loads nothing from anywhere."""
    ranked = rank_all(report.rungs)
    plan = report.plan
    return load_template(Path(__file__).parent, "report.html.j2").render(
        report=report,
        verdict=say_verdict(report),
        first=report.proposal.gains[0] if report.proposal.gains else None,
        trials=_describe_trials(report, ranked),
        hidden=max(0, len(ranked) - MOST_TRIALS),
        axis=_describe_axis(ranked),
        rungs=[
            {
                "rung": rung,
                "timing": timing,
                "cpu_seconds": sum(item.cpu_seconds for item in rung.ranked) - _earlier(report.rungs, rung),
            }
            for rung, timing in zip(report.rungs, report.timings, strict=False)
        ],
        strata=Counter(stratum for piece in plan.pieces for stratum in piece.strata.values()).most_common(),
        looked={name: count for name, count in plan.counts.items() if name not in ("skus", "sampled")},
        links={title: url for title, url in report.links.items() if url.startswith(("http://", "https://"))},
        space=_describe_space(plan),
        clear=CLEAR,
    )


def _earlier(rungs: Sequence[Rung], rung: Rung) -> float:
    """CPU seconds that the trials of a rung brought with them from the rung before."""
    before = next((item for item in rungs if item.number == rung.number - 1), None)
    if before is None:
        return 0.0
    names = {item.trial for item in rung.ranked}
    return sum(item.cpu_seconds for item in before.ranked if item.trial in names)


def _describe_trials(report: SearchReport, ranked: Sequence[tuple[int, Standing]]) -> list[dict[str, Any]]:
    low, high = _describe_axis(ranked)
    return [
        {
            "standing": item,
            "rung": rung,
            "changes": report.plan.describe(item.trial),
            "current": item.trial == CURRENT,
            "winner": item.trial == report.proposal.trial,
            "failed": item.trial in report.failed,
            "per_sku": item.cpu_seconds / item.skus if item.skus else math.nan,
            "strip": "" if item.trial == CURRENT else draw_gain(item, low, high),
        }
        for rung, item in ranked[:MOST_TRIALS]
    ]


def _describe_axis(ranked: Sequence[tuple[int, Standing]]) -> tuple[float, float]:
    """The ends of the strips: all gains, cut where a hopeless trial would squeeze the others together."""
    gains = [item.gain for _, item in ranked if math.isfinite(item.gain)]
    return max(min([0.0, *gains]), -0.25) - 0.01, min(max([0.0, *gains]), 0.25) + 0.01


def draw_gain(item: Standing, low: float, high: float) -> str:
    """A dot at the gain, a bar of two standard errors around it, and a line where the file is; as inline SVG."""
    if not math.isfinite(item.gain):
        return ""

    def place(value: float) -> float:
        return STRIP * (min(max(value, low), high) - low) / (high - low)

    noise = CLEAR * item.noise if math.isfinite(item.noise) else 0.0
    label = f"gain {percent(item.gain)}, two standard errors {percent(noise)}"
    return (
        f'<svg class="strip" viewBox="0 0 {STRIP} 16" role="img" aria-label="{label}">'
        f'<path class="grid tick" d="M{place(0):.1f} 0V16"/>'
        f'<path class="reach" d="M{place(item.gain - noise):.1f} 8H{place(item.gain + noise):.1f}"/>'
        f'<circle class="median" cx="{place(item.gain):.1f}" cy="8" r="4"/></svg>'
    )


def _describe_space(plan: SearchPlan) -> list[tuple[str, str]]:
    """Each key that a trial changes, with the values that were tried."""
    values: dict[str, Counter[str]] = {}
    for changes in plan.trials.values():
        for key, value in changes.items():
            shown = describe_change(key, value, read_key(plan.catalogue, key))
            values.setdefault(key, Counter())[shown.partition("=")[2] or shown.partition(" ")[2]] += 1
    return [
        (key, ", ".join(f"{value} ({number(count)})" for value, count in found.most_common(12)))
        for key, found in values.items()
    ]
