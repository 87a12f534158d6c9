"""The explanations of a SKU per demand class: words and drawings, ready for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.skufleet.fleet.report.data import ReportData
from include.skufleet.fleet.report.effects import draw_base, draw_effect, scale_effects
from include.skufleet.fleet.report.explain import BuildUp, Effect, build_up, say_sentence
from include.skufleet.fleet.report.series import split_by_sku, sum_forecast_bounds
from include.skufleet.fleet.report.words import number, percent, times, to_records


@dataclass(frozen=True)
class Explanation:
    """How the forecasts of one SKU come about.

    Attributes:
        row: its row of the results.
        build: the components.
        sentence: what they say, in one sentence.
        base: the drawing of the base and the forecast.
        effects: those that are shown, each with its drawing.
        level: per cent of the band in the drawing; 0 where there is none.
    """

    row: dict[str, Any]
    build: BuildUp
    sentence: str
    base: str
    effects: tuple[tuple[Effect, str], ...]
    level: int


def make_explanations(data: ReportData) -> list[Explanation]:
    """One per SKU of ``data.components``, in their order."""
    if data.components.empty or data.results.empty:
        return []
    explained = data.components["sku"].drop_duplicates().tolist()
    rows = {str(row["sku"]): row for row in to_records(data.results[data.results["sku"].isin(explained)])}
    forecasts, backtests = (split_by_sku(frame) for frame in (data.forecast, data.backtest))
    return [
        _explain(rows[sku], parts, sum_forecast_bounds(forecasts.get(sku), backtests.get(sku)), data)
        for sku, parts in split_by_sku(data.components).items()
        if sku in rows
    ]


def _explain(row: dict[str, Any], parts: pd.DataFrame, bands: dict[int, pd.DataFrame], data: ReportData) -> Explanation:
    days = 1 if data.frequency == "D" else 7
    build = build_up(parts, days)
    level = min(bands, default=0)
    band = bands.get(level, pd.DataFrame({"lower": [], "upper": []}, index=pd.DatetimeIndex([]), dtype=float))
    scale = scale_effects([effect.ratios for effect in build.shown])
    return Explanation(
        row=row,
        build=build,
        sentence=say_sentence(build, data.period.removesuffix("s")),
        base=draw_base(build.base, build.forecast, band, days, _describe(build, level)),
        effects=tuple(
            (effect, draw_effect(effect.ratios, days, scale, _describe_effect(effect))) for effect in build.shown
        ),
        level=level,
    )


def _describe(build: BuildUp, level: int) -> str:
    """The drawing of base and forecast for somebody who cannot see it; made of numbers only."""
    said = [
        f"{len(build.forecast)} dates from {build.forecast.index[0]:%Y-%m-%d}",
        f"base {number(float(build.base.mean()))} units on average",
        f"forecast from {number(float(build.forecast.min()))} to {number(float(build.forecast.max()))}",
    ]
    return "; ".join([*said, f"with a {percent(level / 100, 0)} interval"] if level else said)


def _describe_effect(effect: Effect) -> str:
    return f"from {times(float(effect.ratios.min()))} to {times(float(effect.ratios.max()))}"
