"""The whole comparison on small samples; the other tools' environment is replaced by a stand-in that repeats a week."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.rivals import __main__ as rivals
from benchmarks.rivals import comparison
from benchmarks.rivals.contenders import PACKAGES
from benchmarks.rivals.samples import RETAIL_END, choose_origins, draw_demo, draw_retail
from include.skufleet.errors import ConfigError


def repeat_last_week(folders: Sequence[Path]) -> None:
    """What the contenders' process writes, from a seasonal naive of our own."""
    for folder in folders:
        history, future, series = (
            pd.read_parquet(folder / f"{part}.parquet") for part in ("history", "future", "series")
        )
        last = history.groupby("series")["y"].apply(lambda y: np.resize(y.to_numpy()[-7:], 28))
        slow = future["series"].isin(series.loc[series["slow"], "series"])
        frame = future[["series", "date"]].assign(SES=np.concatenate(last.to_list()))
        frame["AutoETS"] = frame["SES"].where(slow)
        frame.to_parquet(folder / "rivals.parquet")
        usage = {"cpu_seconds": 1.0, "series": len(series), "skus": series["sku"].nunique()}
        taken = {"SES": usage, "AutoETS": usage | {"series": int(series["slow"].sum())}}
        said = {"taken": taken, "versions": dict.fromkeys(PACKAGES, "1")}
        (folder / "rivals.json").write_text(json.dumps(said))


def test_the_demo_alone_is_compared_and_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rivals, "run_contenders", repeat_last_week)
    monkeypatch.setattr(comparison, "SLOW_SKUS", 5)
    monkeypatch.setattr(rivals, "HERE", tmp_path / "benchmarks")
    arguments = ["rivals", "--skus", "20", "--alone", "seasonal_naive", "--keep", str(tmp_path / "kept")]
    monkeypatch.setattr("sys.argv", arguments)
    assert rivals.main() == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = line["catalogues"]["demo"]
    rows = {(one["tool"], one["entry"]): one for one in found["rows"]}
    assert len(found["origins"]) == 3
    assert rows["Skufleet", "chosen"]["relative"] == 1.0
    naive, ses, ets = (
        rows[key] for key in (("Skufleet", "seasonal_naive"), ("StatsForecast", "SES"), ("StatsForecast", "AutoETS"))
    )
    assert ses["wape"] == pytest.approx(naive["wape"], rel=0.02), "the same method, but for how gaps are filled"
    assert ses["skus"] == naive["skus"] == found["skus"]
    assert ets["skus"] == 5 < ses["skus"]
    assert sum(found["candidates_chosen"].values()) == 3 * found["skus"]
    assert found["failed"] == 0
    assert list(found["coverage"]) == ["0.8", "0.95"]
    assert 0 < found["coverage"]["0.8"] < found["coverage"]["0.95"] <= 1
    assert found["best_single"]["entry"] == "seasonal_naive"
    assert (tmp_path / "kept" / "rivals.svg").read_text().startswith("<svg")
    assert not (tmp_path / "benchmarks").exists()


def test_without_their_environment_the_others_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "PYTHON", tmp_path / "python")
    with pytest.raises(ConfigError, match="make bench-rivals"):
        rivals.run_contenders([tmp_path])


def test_a_tool_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(rivals, "PYTHON", python)
    with pytest.raises(ConfigError, match="ended with code 3"):
        rivals.run_contenders([tmp_path])


def test_the_demo_leaves_out_what_cannot_be_trained() -> None:
    sample = draw_demo(40)
    assert 20 <= len(sample.departments) < 40
    assert set(sample.history["sku"]) == set(sample.departments)
    assert sample.history["units"].between(0, sample.catalogue.validation.max_units).all()
    panels = sample.build(sample.origins[0])
    assert {str(panel.dates[-1]) for panel in panels.values()} == {str(sample.origins[0])}
    assert {panel.horizon for panel in panels.values()} == {28}


def test_online_retail_is_read_as_its_catalogue_says(tmp_path: Path) -> None:
    days = pd.date_range("2011-01-03", RETAIL_END)
    for day in days[days.day_of_week != 5]:
        lines = [
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
            f"1,10001,MUG,3,{day:%Y-%m-%d} 10:00:00,2.5,1,UK",
            f"2,10001,MUG,4,{day:%Y-%m-%d} 11:00:00,2.5,1,UK",
            f"C3,10001,MUG,-2,{day:%Y-%m-%d} 12:00:00,2.5,1,UK",
            f"4,POST,POSTAGE,1,{day:%Y-%m-%d} 12:00:00,18,1,UK",
        ]
        (tmp_path / f"{day:%Y-%m-%d}.csv").write_text("\n".join(lines) + "\n")
    sample = draw_retail(tmp_path, 10)
    assert list(sample.departments) == ["10001"]
    assert sample.history["units"].eq(5.0).all()
    panel = sample.build(sample.origins[0])["10001"]
    assert panel.closed[-7:].sum() == 1, "the web shop rests on Saturdays, which was known at the origin"


def test_origins_lie_a_horizon_apart_before_the_last_actuals() -> None:
    assert choose_origins(date(2016, 5, 22), 28) == (date(2016, 2, 28), date(2016, 3, 27), date(2016, 4, 24))
