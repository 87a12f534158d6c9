"""The page and the summary of a search."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from include.skufleet.fleet.search.planned import CURRENT
from include.skufleet.fleet.search.proposal import propose
from include.skufleet.fleet.search.report import (
    MOST_TRIALS,
    SearchReport,
    draw_gain,
    rank_all,
    render_html,
    render_markdown,
    say_verdict,
)
from include.skufleet.fleet.search.rungs import Rung
from include.skufleet.fleet.search.timings import Timing
from tests.unit.fleet.search.test_search_judge import standing
from tests.unit.fleet.search.test_search_proposal import CHANGES, NEW, OLD, RUN, make_plan, make_rung, ten, wobble

STARTED = datetime(2026, 3, 31, 3, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script> & `\"|"


def make_report(gain: float = 0.3, failed: tuple[str, ...] = ()) -> SearchReport:
    plan = make_plan(CHANGES)
    rungs = [
        make_rung(1, {CURRENT: ten(OLD), "t001": wobble(OLD, gain)}),
        replace(make_rung(2, {CURRENT: ten(OLD + NEW), "t001": wobble(OLD + NEW, gain)}), failed=failed),
    ]
    return SearchReport(
        run_id="manual__1",
        as_of=date(2026, 3, 31),
        plan=plan,
        rungs=rungs,
        proposal=propose(plan, rungs),
        timings=[Timing(2, 40.0, 25.0), Timing(2, 80.0, 35.0)],
        total=Timing(4, 120.0, 60.0),
        started=STARTED,
        finished=STARTED + timedelta(minutes=2),
        report_uri="s3://bucket/reports/x.html",
        proposal_uri="s3://bucket/searches/x/proposal.yaml",
        links={"Trials": "http://localhost:5000/#/x", "Bad": "javascript:alert(1)"},
    )


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_states_the_gain_its_noise_the_change_and_both_times() -> None:
    html = render_html(make_report())
    for text in (
        "+30.0%",
        "± 3.0%",
        "  windows: 5",
        "2 min 0 s",
        "1 min 0 s",
        "2.0 times as fast",
        "SKUs new in this rung",
    ):
        assert text in html, text


def test_the_page_loads_nothing_runs_nothing_and_links_to_web_pages_only() -> None:
    tags = Tags(render_html(make_report())).seen
    assert not {"script", "img", "iframe", "link", "object"} & {tag for tag, _ in tags}
    links = [attributes["href"] for tag, attributes in tags if tag == "a" and "href" in attributes]
    assert all(link and link.startswith(("#", "http://")) for link in links)


def test_names_from_outside_are_shown_as_they_are_and_never_as_markup() -> None:
    report = make_report()
    pieces = [replace(piece, strata=dict.fromkeys(piece.strata, HOSTILE)) for piece in report.plan.pieces]
    plan = replace(report.plan, pieces=pieces, trials={CURRENT: {}, "t001": {"candidates": [HOSTILE]}})
    changed = replace(report, plan=plan, run_id=HOSTILE)
    assert not [tag for tag, _ in Tags(render_html(changed)).seen if tag == "script"]
    assert "<script" not in render_markdown(changed)


def test_the_summary_is_a_table_with_every_trial_and_the_diff() -> None:
    text = render_markdown(make_report(failed=("t001",)))
    assert "+  windows: 5" in text
    assert "| t001 | windows=5, candidates without exponential\\_smoothing | 2 | 12 | 70.0% |" in text
    assert "| t000 | as in the file | 2 |" in text
    assert "4 tasks one after the other: 2 min 0 s; side by side: 1 min 0 s (2.0 times as fast)" in text
    assert "**Trials failed: 1** (t001 in rung 2)" in text


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.3, "is proposed; nothing was changed"),
        (0.02, "That may be chance: keep the file"),
        (-0.2, "Nothing to change."),
    ],
)
def test_the_verdict_is_a_sentence(gain: float, said: str) -> None:
    assert said in say_verdict(make_report(gain))


def test_a_search_without_a_comparison_has_a_report_too() -> None:
    report = make_report()
    nothing = replace(report, rungs=[], proposal=propose(report.plan, []), timings=[], total=Timing(0, 0.0, 0.0))
    assert "nothing can be said" in render_html(nothing)
    assert "nothing can be said" in render_markdown(nothing)
    own_only = Rung(1, 4, 4, [standing(CURRENT)], ["t001"], [], {})
    lost = replace(report, rungs=[own_only], proposal=propose(report.plan, [own_only]))
    assert "1 trial failed" in " ".join(render_html(lost).replace("<strong>", "").replace("</strong>", "").split())


def test_a_trial_stands_in_the_ranking_once_with_the_last_rung_that_it_came_through() -> None:
    ranked = rank_all(
        [
            Rung(1, 4, 4, [standing("t002"), standing("t001"), standing(CURRENT)], [], [], {}),
            Rung(2, 9, 5, [standing(CURRENT), standing("t001")], [], [], {}),
        ]
    )
    assert [(rung, item.trial) for rung, item in ranked] == [(2, CURRENT), (2, "t001"), (1, "t002")]


def test_a_page_of_hundreds_of_trials_is_cut_and_says_so() -> None:
    report = make_report()
    trials = {f"t{number:03d}": {"backtest.windows": number} for number in range(1, 300)} | {CURRENT: {}}
    plan = replace(report.plan, trials=trials, runs=dict.fromkeys(trials, RUN))
    rung = Rung(1, 4, 4, [standing(trial) for trial in trials], [], [], {})
    html = render_html(replace(report, plan=plan, rungs=[rung]))
    assert f"{300 - MOST_TRIALS} more trials are in the ranking object" in html
    assert len(html) < 200_000


def test_gains_that_are_not_known_or_far_off_draw_within_the_strip() -> None:
    assert draw_gain(replace(standing("t001"), gain=math.nan), -0.1, 0.1) == ""
    drawn = draw_gain(replace(standing("t001"), gain=-9.0, noise=math.nan), -0.1, 0.1)
    assert 'cx="0.0"' in drawn


def test_halving_is_compared_with_every_trial_on_every_sku() -> None:
    """Half a CPU second per SKU: both trials went through all 12 SKUs, so nothing was saved."""
    report = make_report()
    assert report.cpu_seconds == report.unhalved_cpu_seconds == 12.0
    early = replace(standing("t001"), skus=4, cpu_seconds=2.0)
    rungs = [replace(report.rungs[0], ranked=[early]), replace(report.rungs[1], ranked=report.rungs[1].ranked[1:])]
    halved = replace(report, rungs=rungs)
    assert (halved.cpu_seconds, halved.unhalved_cpu_seconds) == (8.0, 12.0)
