"""The parts of the comparison with other tools: exchanged files, scores, table and plot."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from benchmarks.rivals.contenders import HORIZON, forest_per_sku
from benchmarks.rivals.exchange import fill_gaps, write_origin
from benchmarks.rivals.plot import Box, draw_plot
from benchmarks.rivals.scores import Truth, cover, judge, lay_out, read_truth
from benchmarks.rivals.table import END, START, Row, put_between_marks, write_table
from include.skufleet.errors import ConfigError
from include.skufleet.forecasting.panel import Panel

NAN = float("nan")


def panel(units: list[list[float]], *, horizon: int = 2, closed: tuple[int, ...] = ()) -> Panel:
    """Stores x days from 2024-01-01 on, an event on the second day, a price that rises on the last day known."""
    values = np.array(units)
    days, known = values.shape[1], values.shape[1] + horizon
    price = np.full((values.shape[0], known), 2.0)
    price[:, days - 1 :] = 3.0
    shut = np.zeros(known, dtype=bool)
    shut[list(closed)] = True
    return Panel(
        sku="a",
        stores=tuple(f"s{number}" for number in range(values.shape[0])),
        dates=np.datetime64("2024-01-01") + np.arange(days),
        units=values,
        closed=shut,
        price=price,
        price_known_ahead=True,
        events=("Fair",),
        indicators=(np.arange(known) == 1)[None, :] * 1.0,
        flags={"pay": np.ones((values.shape[0], known))},
    )


def row(entry: str, *, tool: str = "StatsForecast", catalogue: str = "m5", wape: float = 0.6, **more: float) -> Row:
    values = {"skus": 300, "series": 9000, "cpu_seconds": 90.0, "rmsse": 0.8, "bias": -0.05, "relative": 1.0} | more
    return Row(
        catalogue=catalogue,
        tool=tool,
        entry=entry,
        ours=tool == "Skufleet",
        skus=int(values["skus"]),
        series=int(values["series"]),
        cpu_seconds=values["cpu_seconds"],
        wape=wape,
        rmsse=values["rmsse"],
        bias=values["bias"],
        relative=values["relative"],
    )


def test_a_gap_takes_the_mean_of_the_seven_days_before_it() -> None:
    filled = fill_gaps(np.array([9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 8.0, NAN, NAN]))
    assert filled[8:].tolist() == [2.0, pytest.approx(15 / 7)]


def test_series_begin_with_their_first_known_day_and_end_with_the_origin(tmp_path: Path) -> None:
    item = panel([[NAN, 2.0, NAN, 4.0], [NAN, NAN, NAN, NAN], [1.0, 0.0, 3.0, 5.0]], closed=(2,))
    series = write_origin(tmp_path / "new" / "x", {"a": item}, {"a": "Food"}, slow=["a"])
    history, future = (pd.read_parquet(tmp_path / "new" / "x" / f"{name}.parquet") for name in ("history", "future"))
    assert series.to_dict("records") == [
        {"series": 0, "sku": "a", "store": "s0", "department": "Food", "slow": True},
        {"series": 1, "sku": "a", "store": "s2", "department": "Food", "slow": True},
    ]
    first = history[history["series"] == 0]
    assert first["y"].tolist() == [2.0, 2.0, 4.0]
    assert first["filled"].tolist() == [False, True, False]
    assert first["date"].dt.strftime("%d").tolist() == ["02", "03", "04"]
    assert first["event"].tolist() == [1, 0, 0]
    assert first["price"].tolist() == [2.0, 2.0, 3.0]
    assert list(future.columns) == ["series", "date", "event", "price", "pay"]
    assert future["date"].dt.strftime("%d").tolist() == ["05", "06", "05", "06"]
    assert history["date"].max() < future["date"].min()


def test_days_with_other_events_get_other_numbers_and_days_without_get_zero(tmp_path: Path) -> None:
    item = panel([[1.0, 1.0, 1.0]])
    indicators = np.array([[0.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, 0.0]])
    two = Panel(item.sku, item.stores, item.dates, item.units, item.closed, events=("A", "B"), indicators=indicators)
    write_origin(tmp_path, {"a": two}, {"a": ""}, slow=[])
    codes = [
        *pd.read_parquet(tmp_path / "history.parquet")["event"],
        *pd.read_parquet(tmp_path / "future.parquet")["event"],
    ]
    assert codes[0] == codes[4] == 0
    assert len({codes[1], codes[2], codes[3], 0}) == 4


def test_actuals_are_the_days_after_the_origin_of_stores_with_a_history() -> None:
    known = panel([[1.0, 3.0], [NAN, NAN]])
    later = panel([[1.0, 3.0, 5.0, NAN], [NAN, NAN, 7.0, 7.0]])
    truth = read_truth({"a": known}, {"a": later})
    np.testing.assert_array_equal(truth.y["a"], [[5.0, NAN], [NAN, NAN]])
    assert truth.scale["a"][0, 0] == 4.0


def judged(*skus: str) -> Truth:
    return Truth(
        stores=dict.fromkeys(skus, ("s0", "s1")),
        y={sku: np.array([[4.0, NAN], [0.0, 6.0]]) for sku in skus},
        scale={sku: np.array([[2.0], [1.0]]) for sku in skus},
    )


def test_errors_are_pooled_over_origins_and_unknown_days_are_left_out() -> None:
    """By hand: |5-4| + |1-0| + |4-6| = 4 of 10 units at one origin, 0 of 10 at the other; squares 6 and 0 of 8."""
    forecast = {"a": np.array([[5.0, 99.0], [1.0, 4.0]])}
    perfect = {"a": np.array([[4.0, 99.0], [0.0, 6.0]])}
    figures = judge([(judged("a"), forecast), (judged("a"), perfect)], ["a"])
    assert figures.skus == 1
    assert figures.wape == pytest.approx(4 / 20)
    assert figures.bias == pytest.approx(0.0)
    assert figures.rmsse == pytest.approx((6 / 8) ** 0.5)


def test_only_the_skus_asked_for_are_judged() -> None:
    forecast = {"a": np.array([[4.0, 0.0], [0.0, 6.0]]), "b": np.array([[0.0, 0.0], [0.0, 0.0]])}
    assert judge([(judged("a", "b"), forecast)], ["a"]).wape == 0.0
    assert judge([(judged("a", "b"), forecast)], ["a", "b"]).wape == 0.5


def test_coverage_counts_the_known_actuals_within_the_bounds() -> None:
    low, high = np.zeros((2, 2)), np.array([[4.0, 0.0], [9.0, 5.0]])
    assert cover([(judged("a"), {"a": (low, high)})]) == pytest.approx(2 / 3)
    assert np.isnan(cover([]))


def test_forecasts_find_their_series_whatever_their_order() -> None:
    series = pd.DataFrame({"series": [0, 1], "sku": "a", "store": ["s1", "s0"]})
    days = pd.to_datetime(["2024-01-05", "2024-01-06"])
    index = pd.MultiIndex.from_product([[1, 0], days[::-1]], names=["series", "date"])
    values = pd.Series([4.0, 3.0, 2.0, 1.0], index=index)
    np.testing.assert_array_equal(lay_out(judged("a"), series, values)["a"], [[3.0, 4.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="missing or not finite"):
        lay_out(judged("a"), series, values.where(values < 4.0))


def test_the_forest_forecasts_each_day_ahead_within_what_it_has_seen() -> None:
    rng = np.random.default_rng(3)
    days = pd.date_range("2023-01-01", periods=200)
    history = pd.DataFrame({"series": 0, "y": rng.poisson(4.0, 200) * 1.0, "filled": False, "date": days, "event": 0})
    ahead = pd.DataFrame({"series": 0, "date": pd.date_range(days[-1], periods=HORIZON + 1)[1:], "event": 0})
    series = pd.DataFrame({"series": [0], "sku": ["a"], "store": ["s"], "department": ["d"], "slow": [True]})
    values = forest_per_sku(history, ahead, series)
    assert values.index.get_level_values(1).tolist() == ahead["date"].tolist()
    assert values.between(history["y"].min(), history["y"].max()).all()


def test_the_table_names_a_catalogue_once() -> None:
    rows = [row("chosen", tool="Skufleet"), row("SES", relative=1.0523, wape=0.6314, cpu_seconds=0.9, skus=60)]
    assert write_table(rows).splitlines()[2:] == [
        "| **m5** | Skufleet | **chosen** | 0.600 | 1.000 | 0.800 | -0.050 | 10.0 | 300 |",
        "|  | StatsForecast | SES | 0.631 | 1.052 | 0.800 | -0.050 | 0.10 | 60 |",
    ]


def test_a_row_says_nothing_rather_than_nan() -> None:
    assert row("SES", wape=NAN).to_json()["wape"] is None
    assert row("SES").to_json()["cpu_ms_per_series"] == 10.0


def test_only_what_is_between_the_marks_of_a_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    put_between_marks(page, "new")
    put_between_marks(page, "newer")
    assert page.read_text(encoding="utf-8") == f"before\n{START}\n\nnewer\n\n{END}\nafter\n"
    page.write_text(f"{END} {START}", encoding="utf-8")
    with pytest.raises(ConfigError, match="once each"):
        put_between_marks(page, "new")


def test_the_pages_marks_are_there() -> None:
    text = (Path(__file__).resolve().parents[3] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert text.count(START) == text.count(END) == 1
    assert text.index(START) < text.index(END)


CROWD = [
    row("chosen", tool="Skufleet", cpu_seconds=126.0),
    row("profile", tool="Skufleet", cpu_seconds=16.0, relative=1.004),
    row("SES", cpu_seconds=0.6, relative=1.02),
    row("Theta", cpu_seconds=430.0, relative=1.01),
    row("AutoETS", cpu_seconds=1600.0, relative=1.005, skus=60),
    row("LightGBM", tool="MLForecast", cpu_seconds=207.0, relative=0.99),
    row("RandomForest", tool="scikit-learn", cpu_seconds=1100.0, relative=1.83, skus=60),
]


def test_the_plot_is_well_formed_and_names_every_entry_once() -> None:
    root = ET.fromstring(draw_plot(CROWD))  # noqa: S314 -- our own text
    texts = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in ("Skufleet, chosen per SKU", "Skufleet, profile alone", "SES", "Theta", "AutoETS", "LightGBM"):
        assert texts.count(name) == 1
    assert texts.count("RandomForest 1.83×") == 1, "a value beyond the axis is written out"
    assert draw_plot(CROWD) == draw_plot(CROWD)


def test_a_point_further_down_is_a_smaller_error_and_further_right_more_cpu() -> None:
    root = ET.fromstring(draw_plot(CROWD))  # noqa: S314 -- our own text
    dots = [node for node in root.iter("{http://www.w3.org/2000/svg}circle") if node.get("cy") is not None]
    places = [(float(node.get("cx", 0)), float(node.get("cy", 0))) for node in dots[:3]]
    (ses_x, ses_y), (theta_x, theta_y), (ets_x, ets_y) = places
    assert ses_x < theta_x < ets_x
    assert ses_y < theta_y < ets_y


def test_boxes_measure_what_they_share() -> None:
    box = Box(0, 0, 10, 4)
    assert box.overlap(Box(8, 2, 20, 20)) == 4
    assert box.overlap(Box(11, 0, 12, 4)) == 0
    assert box.outside(Box(5, 0, 20, 20)) == 20
