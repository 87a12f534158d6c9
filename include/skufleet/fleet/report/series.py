"""The plots of the worst and best SKUs, with what their captions say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.skufleet.fleet.report.bands import estimate_correlation, find_levels, sum_bounds
from include.skufleet.fleet.report.data import ReportData
from include.skufleet.fleet.report.pick import rank_skus
from include.skufleet.fleet.report.plots import MOST_PERIODS, SeriesPlot, draw_series
from include.skufleet.fleet.report.words import number, percent, text, to_records


@dataclass(frozen=True)
class Figure:
    """One SKU's figure: its row of the results, and the drawing; empty where none of its series was given."""

    row: dict[str, Any]
    drawing: str
    served_by: str


def make_figures(data: ReportData) -> dict[str, Figure]:
    """A figure for every SKU that ``rank_skus`` picks from the results."""
    picked = rank_skus(data.results, data.plots).skus
    if not picked:
        return {}
    rows = {str(row["sku"]): row for row in to_records(data.results[data.results["sku"].isin(picked)])}
    parts = [split_by_sku(frame) for frame in (data.actuals, data.backtest, data.forecast)]
    return {sku: _make_figure(rows[sku], *(part.get(sku) for part in parts), data=data) for sku in picked}


def split_by_sku(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """SKU -> its rows."""
    return {} if frame.empty else {str(sku): rows for sku, rows in frame.groupby("sku", sort=False)}


def _make_figure(
    row: dict[str, Any],
    actuals: pd.DataFrame | None,
    backtest: pd.DataFrame | None,
    forecast: pd.DataFrame | None,
    *,
    data: ReportData,
) -> Figure:
    plot = SeriesPlot(
        actuals=_sum_actuals(actuals, data),
        backtest=_sum_backtest(backtest),
        forecast=_sum_by_date(forecast, "y_hat"),
        bands=sum_forecast_bounds(forecast, backtest),
        days=1 if data.frequency == "D" else 7,
    )
    served_by = "" if forecast is None else ", ".join(sorted({text(value) for value in forecast["served_by"]}))
    return Figure(row, draw_series(plot, _describe(plot, row, data)), served_by)


def _sum_by_date(frame: pd.DataFrame | None, column: str) -> pd.Series:
    """The sum over stores by date, sorted; NaN where no store has a value."""
    if frame is None:
        return pd.Series(dtype=float, index=pd.DatetimeIndex([]))
    dated = frame.assign(date=pd.to_datetime(frame["date"]))
    return dated.groupby("date", sort=True)[column].sum(min_count=1).astype(float)


def _sum_actuals(frame: pd.DataFrame | None, data: ReportData) -> pd.Series:
    """The newest actuals, summed over the stores; NaN where one of the stores is not known, so that no sum is partial.

    A store counts from its first to its last row; between them a period without a row is zero or unknown, as
    ``data.gaps`` says.
    """
    if frame is None:
        return pd.Series(dtype=float, index=pd.DatetimeIndex([]))
    dated = frame.assign(date=pd.to_datetime(frame["date"]), row=1)
    rows = dated.pivot_table("row", "date", "store", aggfunc="sum")
    known = dated.pivot_table("units", "date", "store", aggfunc="count")
    units = dated.pivot_table("units", "date", "store", aggfunc="sum").where(known == rows)
    if len(units):
        days = 1 if data.frequency == "D" else 7
        every = pd.date_range(units.index[0], units.index[-1], freq=f"{days}D")
        units, rows = (part.reindex(part.index.union(every)) for part in (units, rows))
    active = rows.ffill().notna() & rows.bfill().notna()
    unknown = units.isna() & active & (rows.notna() if data.gaps == "zero" else True)
    total = units.sum(axis=1).where(active.any(axis=1) & ~unknown.any(axis=1))
    return total.tail(MOST_PERIODS)


def _sum_backtest(frame: pd.DataFrame | None) -> pd.DataFrame:
    """``cutoff, date, y_hat, baseline`` of the stores' total, with ``lower, upper`` of the narrowest level."""
    if frame is None:
        columns = {"cutoff": [], "date": pd.DatetimeIndex([])} | {name: [] for name in ("y_hat", "baseline")}
        return pd.DataFrame(columns | {"lower": [], "upper": []}, dtype=object)
    keys = ["cutoff", "date"]
    dated = frame.assign(**{name: pd.to_datetime(frame[name]) for name in keys})
    total = dated.groupby(keys, sort=True)[["y_hat", "baseline"]].sum(min_count=1)
    levels = find_levels(frame.columns)[:1]
    bounds = [sum_bounds(dated, level, estimate_correlation(dated, level), keys) for level in levels]
    nothing = pd.DataFrame(math.nan, index=total.index, columns=["lower", "upper"])
    return total.join(bounds[0] if bounds else nothing).reset_index()


def sum_forecast_bounds(forecast: pd.DataFrame | None, backtest: pd.DataFrame | None) -> dict[int, pd.DataFrame]:
    """Level in per cent -> ``lower, upper`` by date of the stores' total; none where no date has a bound.

    Args:
        forecast: ``store, date, y_hat`` and the bounds, of one SKU.
        backtest: of the same SKU: how the stores' errors go together.
    """
    bands: dict[int, pd.DataFrame] = {}
    if forecast is None:
        return bands
    for level in find_levels(forecast.columns):
        dated = forecast.assign(date=pd.to_datetime(forecast["date"]))
        correlation = 1.0 if backtest is None else estimate_correlation(backtest, level)
        band = sum_bounds(dated, level, correlation, ["date"])
        if band["upper"].notna().any():
            bands[level] = band
    return bands


def _describe(plot: SeriesPlot, row: dict[str, Any], data: ReportData) -> str:
    """What somebody who cannot see the plot should know of it; made of numbers only."""
    said = [f"Units per {data.period.removesuffix('s')}, all stores"]
    if plot.actuals.notna().any():
        said.append(
            f"actuals {plot.actuals.index[0]:%Y-%m-%d} to {plot.actuals.index[-1]:%Y-%m-%d}, "
            f"mean {number(plot.actuals.mean())}, highest {number(plot.actuals.max())}"
        )
    said.append(f"backtest WAPE {percent(row['wape'])}, seasonal naive {percent(row['baseline_wape'])}")
    if len(plot.forecast):
        said.append(f"forecast for {len(plot.forecast)} {data.period}, mean {number(plot.forecast.mean())}")
    said += [
        f"{level}% interval from {number(band['lower'].mean())} to {number(band['upper'].mean())} on average"
        for level, band in plot.bands.items()
    ]
    return "; ".join(said)
