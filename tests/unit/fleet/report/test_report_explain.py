"""What is said and drawn of how a forecast comes about, and the intervals of a SKU's total."""

from __future__ import annotations

import doctest
import math
import re
from collections.abc import Callable, Mapping, Sequence
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from include.skufleet.fleet.report import ReportData, effects, render_html, sayings
from include.skufleet.fleet.report.bands import estimate_correlation, find_levels, sum_bounds
from include.skufleet.fleet.report.effects import TALLEST, draw_effect, scale_effects
from include.skufleet.fleet.report.explain import build_up, say_sentence
from include.skufleet.fleet.report.pick import rank_to_explain
from tests.unit.fleet.report.test_report_page import Page, squeeze

Make = Callable[..., ReportData]
DAYS = pd.date_range("2026-03-30", periods=14)  # from a Monday on; Easter Sunday is the seventh day
WEEK = [0.9, 0.9, 0.9, 0.9, 1.0, 1.4, 1.0]  # 1 on average
EASTER = [1.0] * 5 + [1.2, 1.5] + [1.0] * 7


def explanation(sku: str = "tea", kinds: Mapping[str, str] | None = None, **ratios: Sequence[float]) -> pd.DataFrame:
    """A level of 40 units a day and these ratios; they are events where ``kinds`` says so."""
    parts = {"level": [40.0] * 14, **ratios}
    named = {"level": "units", **(kinds or {})}
    return pd.DataFrame(
        [
            (sku, "profile", date, name, named.get(name, "effect"), values[row])
            for row, date in enumerate(DAYS)
            for name, values in parts.items()
        ],
        columns=["sku", "model", "date", "component", "kind", "value"],
    )


@pytest.mark.parametrize("module", [sayings, effects])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_the_sentence_names_level_weekdays_events_and_price() -> None:
    price = [1.0] * 7 + [1.3] * 7
    found = explanation(weekday=WEEK * 2, price=price, Easter=EASTER, kinds={"Easter": "event"})
    assert say_sentence(build_up(found, 1), "day") == (
        "Starting from 40 units (level): Easter (4 to 5 Apr) +50%; "
        "Saturdays sell 1.4\u00a0× an average day, Mondays 0.9\u00a0×; price +30% from 6 Apr on."
    )


def test_the_forecast_is_the_base_times_all_effects() -> None:
    build = build_up(explanation(weekday=WEEK * 2, Easter=EASTER, kinds={"Easter": "event"}), 1)
    assert build.forecast.iloc[6] == pytest.approx(40 * 1.0 * 1.5)
    assert build.base.unique().tolist() == [40.0]


def test_effects_are_shown_said_or_named_by_how_much_they_move() -> None:
    trend = np.linspace(1.0, 1.1, 14).tolist()
    build = build_up(explanation(trend=trend, season=[0.8] * 14, month=[1.001] * 14), 1)
    assert [effect.name for effect in build.shown] == ["trend"]
    assert build.shown[0].says == "from 0% (30 Mar) to +10% (12 Apr)"
    assert [(effect.name, effect.says) for effect in build.constant] == [("season", "−20% throughout")]
    assert build.slight == ("month",)


def test_events_are_one_effect_and_the_strongest_are_named() -> None:
    one_day = {f"e{day}": [1.0] * day + [1 + day / 10] + [1.0] * (13 - day) for day in range(1, 7)}
    build = build_up(explanation(**one_day, kinds=dict.fromkeys(one_day, "event")), 1)
    assert [effect.name for effect in build.shown] == ["events"]
    assert build.shown[0].says == ("e6 (5 Apr) +60%, e5 (4 Apr) +50%, e4 (3 Apr) +40%, e3 (2 Apr) +30% and 2 more")
    assert build.shown[0].ratios.tolist() == pytest.approx([1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6] + [1] * 7)


def test_a_price_that_goes_to_and_fro_is_told_by_its_extremes() -> None:
    found = build_up(explanation(price=[1.2, 0.8] * 7), 1).shown[0].says
    assert found == "from −20% (31 Mar) to +20% (30 Mar)"
    weekly = build_up(explanation(price=[1.0, 1.2] * 7), 1).shown[0].says
    assert weekly == "+20% on 7 days"
    uneven = build_up(explanation(snap=[1.0, 1.1, 1.3, 1.0, 1.2, 1.0, 1.1, 1.0, 1.1, 1.0, 1.2, 1.0, 1.1, 1.0]), 1)
    assert uneven.shown[0].says == "+10% to +30% on 7 days"


def test_closed_days_are_said_and_leave_the_weekdays_alone() -> None:
    shut = [1.0] * 6 + [0.0] + [1.0] * 7
    build = build_up(explanation(weekday=[1.0] * 14, closed=shut, kinds={"closed": "closed"}), 1)
    assert [effect.says for effect in build.shown] == ["closed on 5 Apr"]
    assert build.slight == ("weekday",)


def test_of_a_mix_the_parts_of_one_member_and_what_the_others_make_of_it_give_the_forecast() -> None:
    own = explanation(weekday=WEEK * 2)
    forecasts = {"profile": np.array(WEEK * 2) * 40, "tsb": np.full(14, 20.0)}
    mix = [
        ("tea", "ensemble", date, name, kind, forecasts[name][row] if kind == "member" else weight)
        for row, date in enumerate(DAYS)
        for name, weight in (("profile", 0.75), ("tsb", 0.25))
        for kind in ("member", "weight")
    ]
    build = build_up(pd.concat([pd.DataFrame(mix, columns=own.columns), own], ignore_index=True), 1)
    assert build.members == (("profile", 0.75), ("tsb", 0.25))
    assert build.model == "profile"
    assert build.forecast.to_numpy() == pytest.approx(0.75 * forecasts["profile"] + 5)
    assert [effect.name for effect in build.shown] == ["weekday", "other members"]
    assert build.shown[1].ratios.iloc[5] == pytest.approx((0.75 * 56 + 5) / 56)


def test_all_strips_have_one_scale_and_the_strongest_is_as_high_as_allowed() -> None:
    strong, weak = pd.Series([0.5, 2.0] * 7, DAYS), pd.Series([1.0, 1.1] * 7, DAYS)
    scale = scale_effects([strong, weak])
    assert scale * math.log(4) == pytest.approx(TALLEST)
    for ratios, most in ((strong, math.log(2)), (weak, math.log(1.1))):
        drawing = draw_effect(ratios, 1, scale, "x")
        ET.fromstring(drawing)  # noqa: S314  (made by us)
        path = re.search(r'class="up" d="([^"]*)"', drawing)
        assert path is not None
        heights = [float(height) for height in re.findall(r"v(-[\d.]+)h", path.group(1))]
        assert heights == pytest.approx([-most * scale] * 7, abs=0.06)


def test_a_ratio_of_zero_is_drawn_within_the_strip() -> None:
    drawing = draw_effect(pd.Series([1.0, 0.0] * 7, DAYS), 1, scale_effects([pd.Series([1.0, 0.0])]), "x")
    assert "nan" not in drawing
    assert "inf" not in drawing
    assert "×\u00a00" in drawing
    assert drawing.count("v18.0h") == 7


def test_the_page_explains_a_sku_per_class_with_names_as_text(make_report: Make) -> None:
    base = make_report(60, 4)
    sku = rank_to_explain(base.results)["smooth"][0]
    evil = "<b>Fair</b>\x00 {{ 7*7 }}"
    parts = explanation(sku, kinds={evil: "event"}, weekday=WEEK * 2, **{evil: EASTER})
    html = render_html(make_report(60, 4, components=parts))
    text = squeeze(Page(html).text)
    assert "<b>Fair</b>\ufffd {{ 7*7 }} (4 to 5 Apr) +50%" in text
    assert "Starting from 40 units (level)" in text
    assert html.count('<figure class="why">') == 1
    assert len(re.findall(r'<svg class="effect"', html)) == 2
    assert "No forecast of a trained model to explain." in Page(render_html(base)).text


def test_the_skus_to_explain_sold_most_of_their_class(make_report: Make) -> None:
    results = make_report(200, 1).results
    ranked = rank_to_explain(results, 3)
    assert list(ranked) == ["smooth", "erratic", "intermittent", "lumpy"]
    trained = results[(results["outcome"] == "trained") & (results["demand_class"] == "erratic")]
    assert ranked["erratic"] == trained.sort_values("units", ascending=False)["sku"].head(3).tolist()
    assert rank_to_explain(results.sample(frac=1, random_state=1), 3) == ranked
    assert rank_to_explain(pd.DataFrame()) == {}


def bounded(errors: Mapping[str, Sequence[float]], widths: Mapping[str, float]) -> pd.DataFrame:
    """A backtest of stores with these errors on the dates, forecasts of 100 and bounds this far from them."""
    rows = [
        (store, date, DAYS[0], 100.0 - error, 100.0, 100.0 - widths[store], 100.0 + widths[store])
        for store, values in errors.items()
        for date, error in zip(DAYS, values, strict=False)
    ]
    return pd.DataFrame(rows, columns=["store", "date", "cutoff", "y", "y_hat", "lower_80", "upper_80"])


def test_stores_whose_errors_go_together_have_the_sum_of_their_widths() -> None:
    frame = bounded({"a": [3, -3, 3, -3], "b": [4, -4, 4, -4]}, {"a": 3.0, "b": 4.0})
    assert estimate_correlation(frame, 80) == pytest.approx(1.0)
    band = sum_bounds(frame, 80, 1.0, ["date"])
    assert band["upper"].tolist() == pytest.approx([207.0] * 4)
    assert band["lower"].tolist() == pytest.approx([193.0] * 4)


def test_stores_whose_errors_cancel_have_the_root_of_the_squares() -> None:
    frame = bounded({"a": [3, -3, 3, -3], "b": [4, 4, -4, -4]}, {"a": 3.0, "b": 4.0})
    assert estimate_correlation(frame, 80) == pytest.approx(0.0)
    band = sum_bounds(frame, 80, 0.0, ["date"])
    assert band["upper"].tolist() == pytest.approx([205.0] * 4)
    half = sum_bounds(frame, 80, 0.5, ["date"])
    assert half["upper"].tolist() == pytest.approx([200 + math.sqrt((25 + 49) / 2)] * 4)


def test_one_store_keeps_its_bounds_and_an_unknown_bound_leaves_none() -> None:
    alone = bounded({"a": [1, 2]}, {"a": 30.0})
    assert estimate_correlation(alone, 80) == 1.0
    assert sum_bounds(alone, 80, 0.3, ["date"])["lower"].tolist() == pytest.approx([70.0, 70.0])
    frame = bounded({"a": [1, 2], "b": [1, 2]}, {"a": 3.0, "b": 4.0})
    frame.loc[0, ["lower_80", "upper_80"]] = np.nan
    assert sum_bounds(frame, 80, 0.0, ["date"])["upper"].isna().tolist() == [True, False]


def test_a_total_is_never_below_zero() -> None:
    frame = bounded({"a": [1, 2]}, {"a": 3.0}).assign(y_hat=1.0, lower_80=-2.0)
    assert sum_bounds(frame, 80, 1.0, ["date"])["lower"].tolist() == [0.0, 0.0]


def test_levels_are_found_by_both_their_bounds() -> None:
    assert find_levels(["lower_95", "upper_95", "lower_80", "upper_80", "lower_50", "lower_x"]) == [80, 95]


def test_bounds_are_drawn_in_forecast_and_backtest(make_report: Make) -> None:
    base = make_report(30, 2)
    frames = {
        name: getattr(base, name).assign(
            **{f"lower_{level}": lambda frame, share=share: frame["y_hat"] * (1 - share)},
            **{f"upper_{level}": lambda frame, share=share: frame["y_hat"] * (1 + share)},
        )
        for name in ("forecast", "backtest")
        for level, share in ((80, 0.2),)
    }
    html = render_html(make_report(30, 2, **frames))
    drawings = re.findall(r'<svg class="series".*?</svg>', html, flags=re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        assert drawing.count('class="range fore-range"') == 1
        assert drawing.count('class="range back-range"') == 3
        assert "80% interval from" in drawing
    assert "80% interval in the backtest" in Page(html).text
    assert "interval in the backtest" not in Page(render_html(base)).text
