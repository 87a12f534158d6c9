"""The page and the summary: complete, self-contained, safe, small and the same each time."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from include.skufleet.fleet.report import ReportData, pick_skus, render_html, render_markdown
from include.skufleet.fleet.report.series import make_figures
from include.skufleet.fleet.stages import StageCost

Make = Callable[..., ReportData]
VOID = {"meta", "br", "link", "img", "input", "hr", "col", "wbr"}


class Page(HTMLParser):
    """Elements with their attributes, the visible text, and a check that every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def data(make_report: Make) -> ReportData:
    return make_report(60, 6)


@pytest.fixture(scope="module")
def html(data: ReportData) -> str:
    return render_html(data)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def squeeze(text: str) -> str:
    return " ".join(text.split())


def test_the_headline_reconciles_with_the_plan(data: ReportData, page: Page) -> None:
    text = squeeze(page.text)
    assert "60 SKUs planned, 60 accounted for" in text
    counts = data.results["outcome"].value_counts()
    numbers = [int(counts.get(name, 0)) for name in ("trained", "fallback", "quarantined", "failed", "skipped")]
    assert " + ".join(map(str, numbers)) + " = 60" in text
    assert "not accounted for" not in text
    wape = data.results["abs_error"].sum() / data.results["units"].sum()
    naive = data.results["baseline_abs_error"].sum() / data.results["units"].sum()
    assert f"Models{100 * wape:.1f}% Seasonal naive{100 * naive:.1f}%" in text
    assert f"{100 * (1 - wape / naive):.1f}% less" in text


def test_skus_without_a_row_and_lost_chunks_are_called_out(make_report: Make) -> None:
    text = squeeze(Page(render_html(make_report(60, 4, planned=62, lost_chunks=("chunk-007",)))).text)
    assert "2 SKUs not accounted for. The plan holds 62, the results 60." in text
    assert "1 chunk ended without results: chunk-007." in text


def test_the_page_loads_nothing_and_runs_nothing(html: str, page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form"})
    assert "@import" not in html
    assert "url(" not in html
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "src" for name in attributes)
    links = [attributes["href"] or "" for attributes in page.all("a")]
    assert [link for link in links if not link.startswith("#")] == [
        "http://127.0.0.1:8080/dags/retrain_demo",
        "http://127.0.0.1:5000/#/experiments/1",
    ]
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {link[1:] for link in links if link.startswith("#")} <= ids


def test_hostile_names_are_shown_as_text(html: str, page: Page) -> None:
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    for shown in ("<script>alert('x')</script>", "🍎 pomme/rouge: 1 kg", "A&B \"quoted\" 'too'", "a|b`c`*d*"):
        assert shown in page.text
    assert "x" * 89 + "…" in page.text
    assert "x" * 300 not in page.text


def test_hostile_texts_in_every_field_stay_text(make_report: Make) -> None:
    cell = '"><script>alert(1)</script>{{ 7*7 }}\x00'
    evil = cell + "\ud800"  # half a surrogate pair: a str may hold it, a frame and UTF-8 may not
    base = make_report(30, 4)
    names = ("department", "reason", "error", "step", "candidate", "demand_class", "chunk", "not_tried")
    report = make_report(
        30,
        4,
        results=base.results.assign(**dict.fromkeys(names, cell)),
        decisions=base.decisions.assign(reason=cell, promoted=False),
        quarantine=base.quarantine.assign(reason=cell, store=cell, expectation=cell),
        stockouts=base.stockouts.assign(reason=cell, store=cell, sku=cell),
        forecast=base.forecast.assign(served_by=cell),
        set_aside={evil: 3},
        rejected_drops={evil: evil},
        stages={evil: StageCost(1.0, 1.0, 400, evil, 2.0)},
        links={evil: "javascript:alert(1)", "ok": 'https://x/"onclick="y'},
        lost_chunks=(evil,),
        **dict.fromkeys(("catalogue", "description", "run_id", "results_uri", "quarantine_uri", "report_uri"), evil),
    )
    html, markdown = render_html(report), render_markdown(report)
    page = Page(html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "form", "img"})
    assert not any("onclick" in attributes for _, attributes in page.elements)
    assert page.text.count("<script>alert(1)</script>{{ 7*7 }}\ufffd") > 20, "shown as it is, and no template is run"
    assert "<script" not in markdown
    assert "javascript:" not in html + markdown
    (html + markdown).encode("utf-8")


def test_the_page_can_be_read_without_seeing_it(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert all(
        ("aria-label" in svg and svg.get("role") == "img") or svg.get("aria-hidden") == "true"
        for svg in page.all("svg")
    )
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_drawing_is_well_formed(html: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) > 20
    for drawing in drawings:
        ET.fromstring(drawing)  # noqa: S314  (made by us)
        assert "nan" not in re.sub(r'aria-label="[^"]*"', "", drawing)


def test_the_picked_skus_are_plotted_with_what_was_given(data: ReportData, html: str) -> None:
    picked = pick_skus(data.results, 6)
    drawings = re.findall(r'<svg class="series".*?</svg>', html, flags=re.DOTALL)
    assert len(drawings) == len(picked) == 6
    for drawing in drawings:
        assert len(re.findall(r'class="line back"', drawing)) == 3, "one line for each cutoff"
        assert len(re.findall(r'class="line fore"', drawing)) == 1


def test_a_store_that_is_unknown_leaves_a_gap_not_a_dip(data: ReportData) -> None:
    drawing = make_figures(data)[pick_skus(data.results, 6)[0]].drawing
    path = re.search(r'class="line actual" d="([^"]*)"', drawing)
    assert path is not None
    assert path.group(1).count("M") == 2
    assert path.group(1).count("L") == 180 - 6 - 2


@pytest.mark.parametrize(("gaps", "lines"), [("zero", 1), ("missing", 2)])
def test_an_absent_day_is_zero_or_a_gap_as_the_catalogue_says(make_report: Make, gaps: str, lines: int) -> None:
    base = make_report(20, 1)
    sku = pick_skus(base.results, 1)[0]
    days = pd.date_range("2025-05-01", periods=20).delete(10)
    actuals = pd.DataFrame({"sku": sku, "store": "S1", "date": days, "units": 5.0})
    figure = make_figures(make_report(20, 1, actuals=actuals, gaps=gaps))[sku]
    path = re.search(r'class="line actual" d="([^"]*)"', figure.drawing)
    assert path is not None
    assert path.group(1).count("M") == lines


def test_the_intervals_are_judged_by_demand_class(data: ReportData, html: str, page: Page) -> None:
    trained = data.results[data.results["outcome"] == "trained"]
    share = (trained["coverage_80"] * trained["actuals"]).sum() / trained["actuals"].sum()
    text = squeeze(page.text)
    assert f"80% interval covers{100 * share:.1f}%" in text
    assert f"all{len(trained)}{168 * len(trained):,}{100 * share:.1f}%" in text.replace(" ", "")
    assert len(re.findall(r'aria-label="80 percent interval covers', html)) == 1 + trained["demand_class"].nunique()


def test_without_a_judged_interval_the_page_says_so(make_report: Make, data: ReportData) -> None:
    results = data.results.assign(coverage_80=np.nan, coverage_95=np.nan)
    text = Page(render_html(make_report(60, 2, results=results))).text
    assert "No interval was judged" in text
    assert "interval covers" not in render_markdown(make_report(60, 2, results=results))


def test_choices_and_what_was_left_out_are_counted(data: ReportData, page: Page) -> None:
    trained = data.results[data.results["outcome"] == "trained"]
    left_out, trials = (trained["not_tried"] != "").sum(), 5 * len(trained)
    text = squeeze(page.text)
    assert f"{left_out} of {trials} trials of a candidate on a SKU" in text
    chosen = trained["candidate"].value_counts()
    assert f"{chosen.index[0]}{chosen.iloc[0]} {100 * chosen.iloc[0] / len(trained):.0f}%" in text
    assert f"{left_out} for example: random_forest: given up after 1 of 3 windows" in text


def test_stock_outs_are_told_with_what_was_missed(make_report: Make, data: ReportData, page: Page) -> None:
    periods, units = data.stockouts["periods"].sum(), data.stockouts["expected_units"].sum()
    text = squeeze(page.text)
    assert f"Stock-outs masked: {periods} days 12 stretches of zeros in 12 series" in text
    assert f"about {units:,.0f} units were missed" in text
    assert text.index("2025-03-12") < text.index("2025-03-01"), "the stretch with most units expected comes first"
    assert f"| stock-outs masked | {periods} days in 12 series |" in render_markdown(data)
    none = make_report(60, 2, stockouts=pd.DataFrame())
    assert "no zeros look like one" in Page(render_html(none)).text
    assert "stock-outs" not in render_markdown(none)


def test_a_sku_whose_series_was_not_read_says_so(make_report: Make) -> None:
    none = pd.DataFrame()
    text = Page(render_html(make_report(20, 2, actuals=none, backtest=none, forecast=none))).text
    assert text.count("No series was read for this SKU.") == 2


def test_a_dry_run_has_a_page_too(make_report: Make) -> None:
    none = pd.DataFrame()
    report = make_report(
        20, 4, results=none, decisions=none, backtest=none, actuals=none, forecast=none, quarantine=none, dry_run=True,
        set_aside={}, rejected_drops={}, expectations=(), stages={}, table_version=None, links={},
    )  # fmt: skip
    text = squeeze(Page(render_html(report)).text)
    assert "Dry run. 20 SKUs were planned." in text
    assert "not accounted for" not in text
    assert "dry run: planned only" in render_markdown(report)


def test_undefined_metrics_are_dashes(make_report: Make) -> None:
    base = make_report(20, 4)
    odd = base.results.assign(
        wape=np.inf, baseline_wape=np.nan, units=0.0, abs_error=0.0, baseline_abs_error=0.0, bias=np.nan
    )
    html = render_html(make_report(20, 4, results=odd))
    assert "nan" not in Page(html).text.lower()
    assert "inf" not in Page(html).text.lower().replace("information", "").replace("infinite", "")


def test_the_page_stays_small_at_ten_thousand_skus_and_says_what_it_cuts(make_report: Make) -> None:
    html = render_html(make_report(10_000, 20))
    assert len(html.encode()) < 1_000_000
    text = squeeze(Page(html).text)
    assert "Showing 300 of 10,000; all rows in s3://skufleet/runs/demo/manual-2025-06-30/results.parquet" in text
    assert "Showing 100 of 260; all rows in s3://skufleet/runs/demo/manual-2025-06-30/quarantine.parquet" in text


def test_the_same_run_gives_the_same_bytes_and_changes_no_frame(make_report: Make) -> None:
    one, other = make_report(40, 4), make_report(40, 4)
    assert render_html(one) == render_html(other)
    for name in ("results", "decisions", "backtest", "actuals", "forecast", "quarantine"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def test_a_weekly_catalogue_speaks_of_weeks(make_report: Make) -> None:
    base = make_report(20, 2)
    weekly = base.actuals[base.actuals["date"].dt.day_of_week == 0]
    html = render_html(make_report(20, 2, actuals=weekly, frequency="W", horizon=4))
    assert "Units per week" in html
    assert "4 weeks" in html
    assert re.search(r'class="line actual"', html), "points a week apart are joined"


def test_the_markdown_summary_is_short_and_complete(data: ReportData) -> None:
    text = render_markdown(data)
    assert "| SKUs accounted for | 60 of 60 |" in text
    assert f"| trained | {(data.results['outcome'] == 'trained').sum()} |" in text
    assert "for example " in text
    assert "Report: `s3://skufleet/reports/demo/manual-2025-06-30.html`" in text
    assert "[Airflow run](http://127.0.0.1:8080/dags/retrain_demo)" in text
    assert len(text.splitlines()) < 60


def test_markdown_in_a_name_is_escaped_and_kept_on_one_line(make_report: Make) -> None:
    text = render_markdown(make_report(20, 2, rejected_drops={"a|b\n# *x*": "<b>`y`</b>\n| z"}))
    assert r"- a\|b \# \*x\*: &lt;b&gt;\`y\`&lt;/b&gt; \| z" in text.splitlines()


def test_importing_the_report_loads_no_template_engine() -> None:
    script = (
        "import include.skufleet.fleet.report, sys; sys.exit('jinja2' in sys.modules or 'matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
