"""`make bench-accuracy` on a small M5: what it writes, what it says, and that no later day is looked at."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import accuracy, engine
from include.skufleet.config import Catalogue
from include.skufleet.forecasting.candidates import Fitted
from include.skufleet.forecasting.panel import Panel
from tests.unit.benchmarks.fake_m5 import AHEAD, DAYS, FIRST, ITEMS, STORES, FakeM5, make_fake

ORIGIN = date(2015, 9, 13)
KNOWN = (pd.Timestamp(ORIGIN) - pd.Timestamp(FIRST)).days + 1


def run(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    arguments = ["accuracy", "--m5", str(source), "--origin", str(ORIGIN), "--out", str(out), "--processes", "1", *more]
    monkeypatch.setattr("sys.argv", arguments)
    return accuracy.main()


def poison(fake: FakeM5) -> None:
    """Change everything that is only known after the origin: sales, and prices and calendar beyond the horizon."""
    fake.units[:, :, KNOWN:] = 30_000
    beyond = KNOWN + AHEAD
    week = int(fake.calendar["wm_yr_wk"].iloc[beyond])
    late = fake.prices["wm_yr_wk"] > week
    assert late.any()
    fake.prices.loc[late, "sell_price"] = 0.01
    fake.calendar.loc[beyond:, ["event_name_1", "event_type_1"]] = ["Christmas", "National"]
    fake.calendar.loc[beyond:, ["snap_CA", "snap_TX", "snap_WI"]] = 1


@pytest.mark.parametrize("more", [(), ("--candidates", "seasonal_naive,tsb,profile", "--select")])
def test_days_after_the_origin_change_no_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    fake = make_fake()
    assert run(fake.write(tmp_path / "true"), tmp_path / "true.parquet", monkeypatch, *more) == 0
    poison(fake)
    assert run(fake.write(tmp_path / "poisoned"), tmp_path / "poisoned.parquet", monkeypatch, *more) == 0
    assert (tmp_path / "true.parquet").read_bytes() == (tmp_path / "poisoned.parquet").read_bytes()


def test_the_poison_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same change one day earlier, on the origin itself, does change the forecasts."""
    fake = make_fake()
    run(fake.write(tmp_path / "true"), tmp_path / "true.parquet", monkeypatch)
    fake.units[:, :, KNOWN - 1 :] = 300
    run(fake.write(tmp_path / "changed"), tmp_path / "changed.parquet", monkeypatch)
    assert (tmp_path / "true.parquet").read_bytes() != (tmp_path / "changed.parquet").read_bytes()


def test_every_series_has_28_forecasts_and_one_never_listed_has_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new folder" / "forecasts.parquet"
    assert run(make_fake().write(tmp_path / "m5"), out, monkeypatch) == 0
    frame = pd.read_parquet(out)
    assert list(frame.columns) == ["item_id", "store_id", "date", "y_hat"]
    assert len(frame) == len(ITEMS) * len(STORES) * 28
    assert frame.groupby(["item_id", "store_id"], observed=True)["date"].nunique().eq(28).all()
    assert frame["date"].min() == pd.Timestamp(ORIGIN) + pd.Timedelta(days=1)
    assert np.isfinite(frame["y_hat"]).all()
    sold = frame.groupby(["item_id", "store_id"], observed=True)["y_hat"].sum()
    assert sold[sold == 0].index.tolist() == [("HOBBIES_1_001", "TX_1"), ("HOUSEHOLD_1_001", "WI_1")]
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["origin"] == str(ORIGIN)
    assert line["series"] == 12
    assert line["failed"] == 0
    assert sum(line["candidates_chosen"].values()) == len(ITEMS)
    assert line["bytes_per_model_median"] > 50
    assert min(line["seconds"], line["cpu_seconds"], line["peak_rss_mb"], line["cores"]) > 0
    assert {"commit", "python", "memory_gib"} <= set(line)


def test_two_processes_write_the_same_bytes_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_fake().write(tmp_path / "m5")
    monkeypatch.setattr(accuracy, "BLOCK", 1)
    options = ("--candidates", "exponential_smoothing")
    run(folder, tmp_path / "one.parquet", monkeypatch, *options)
    run(folder, tmp_path / "two.parquet", monkeypatch, *options, "--processes", "2")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_an_item_that_cannot_be_fitted_gets_the_fallback_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true_fit = engine.fit_single

    def _fit(panel: Panel, name: str, catalogue: Catalogue) -> Fitted:
        if panel.sku == "FOODS_1_002":
            raise ValueError("no such luck")
        return true_fit(panel, name, catalogue)

    monkeypatch.setattr(engine, "fit_single", _fit)
    assert run(make_fake().write(tmp_path / "m5"), tmp_path / "f.parquet", monkeypatch, "--candidates", "tsb") == 0
    said = capsys.readouterr()
    line = json.loads(said.out.splitlines()[-1])
    assert line["failed"] == 1
    assert line["candidates_chosen"] == {"tsb": 3, "seasonal_naive": 1}
    assert "FOODS_1_002: ValueError: no such luck" in said.err


def test_a_name_that_is_no_candidate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(make_fake().write(tmp_path / "m5"), tmp_path / "f", monkeypatch, "--candidates", "oracle") == 1
    assert "CANDIDATES: no candidate oracle; there are seasonal_naive" in capsys.readouterr().err


def test_several_candidates_need_a_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(make_fake().write(tmp_path / "m5"), tmp_path / "f", monkeypatch, "--candidates", "tsb,seasonal_naive")
    assert code == 1
    assert "CANDIDATES=tsb,seasonal_naive: several candidates; say SELECT=1" in capsys.readouterr().err


def test_a_source_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "absent.zip", tmp_path / "f", monkeypatch) == 1
    assert "absent.zip: no such file or folder" in capsys.readouterr().err


def test_the_fake_reaches_beyond_the_poisoned_days() -> None:
    assert KNOWN + AHEAD < DAYS
