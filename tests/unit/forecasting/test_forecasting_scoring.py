"""The file that travels with every model: same forecasts as in-process, clear refusals, no need of this repository."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forecasting_data import frame_of, make_panel, rich_panel, simulate

from include.skufleet.errors import ArtifactError
from include.skufleet.forecasting import scoring
from include.skufleet.forecasting.candidates import CANDIDATES, fit_candidate, restore

NAIVE = fit_candidate("seasonal_naive", make_panel(simulate(2, 30)))


@pytest.mark.parametrize("name", CANDIDATES)
def test_shipped_and_in_process_forecasts_are_the_same_to_the_bit(name):
    panel = rich_panel()
    fitted = fit_candidate(name, panel)
    artifact = json.loads(json.dumps(fitted.to_artifact(), allow_nan=False))
    expected = fitted.predict(panel.future)
    np.testing.assert_array_equal(restore(artifact).predict(panel.future), expected)
    out = scoring.predict(artifact, frame_of(panel))
    assert list(out.columns) == ["sku", "store", "date", "y_hat"]
    np.testing.assert_array_equal(out["y_hat"].to_numpy().reshape(expected.shape), expected)


def test_the_file_stands_alone_in_a_process_without_the_repository(tmp_path):
    panel = rich_panel()
    fitted = fit_candidate("poisson_regression", panel)
    shutil.copy(scoring.__file__, tmp_path / "shipped.py")
    (tmp_path / "model.json").write_text(json.dumps(fitted.to_artifact()))
    frame_of(panel).to_csv(tmp_path / "frame.csv", index=False)
    code = (
        "import json, pandas, shipped\n"
        "model = shipped._load_pyfunc('.')\n"
        "print(json.dumps(model.predict(pandas.read_csv('frame.csv'), params=None).y_hat.tolist()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    np.testing.assert_array_equal(json.loads(done.stdout), fitted.predict(panel.future).ravel())


def test_the_file_imports_numpy_pandas_and_the_standard_library_only():
    tree = ast.parse(Path(scoring.__file__).read_text(encoding="utf-8"))
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert names - set(sys.stdlib_module_names) == {"numpy", "pandas"}


def frame(**columns):
    return pd.DataFrame({"store": ["s0"], "date": ["2022-03-01"], **columns})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (frame(store=["nowhere"]), r"no store \['nowhere'\]; the model knows \['s0', 's1'\]"),
        (frame(date=["2022-02-01"]), "2022-02-01 is not after 2022-02-01"),
        (frame(date=["soon"]), "cannot be read as dates"),
        (frame(date=[None]), "1 empty"),
        (frame(price=["cheap"]), "column price"),
        (pd.DataFrame({"store": ["s0"]}), "columns store and date"),
        ({"store": "s0"}, "got dict"),
    ],
)
def test_a_frame_that_cannot_be_scored_is_refused_with_the_reason(given, message):
    with pytest.raises(ValueError, match=message):
        scoring.predict(NAIVE.to_artifact(), given)


def test_a_weekly_model_takes_mondays_only():
    weekly = fit_candidate("seasonal_naive", make_panel([[1.0, 2.0]], frequency="W", season_length=1))
    good = scoring.predict(weekly.to_artifact(), frame(date=["2022-01-17"]))
    assert good["y_hat"].tolist() == [2.0]
    with pytest.raises(ValueError, match="Monday"):
        scoring.predict(weekly.to_artifact(), frame(date=["2022-01-18"]))


@pytest.mark.parametrize("name", CANDIDATES)
def test_any_later_day_can_be_forecast_also_alone_and_far_beyond_the_horizon(name):
    panel = rich_panel()
    artifact = fit_candidate(name, panel).to_artifact()
    far = pd.DataFrame({"store": ["s1", "s0"], "date": pd.to_datetime(["2029-07-01", "2023-02-20"])})
    out = scoring.predict(artifact, far)
    assert out["store"].tolist() == ["s1", "s0"]
    assert np.isfinite(out["y_hat"]).all()
    again = scoring.predict(artifact, far.iloc[[1]])
    assert again["y_hat"].iloc[0] == out["y_hat"].iloc[1]
    assert len(scoring.predict(artifact, far.iloc[:0])) == 0


def test_what_the_frame_leaves_out_counts_as_last_price_no_event_open_and_flag_off():
    panel = rich_panel()
    artifact = fit_candidate("poisson_regression", panel).to_artifact()
    plain = frame_of(panel)[["store", "date"]]
    last = panel.price[0, panel.dates.size - 1]
    spelled = plain.assign(price=last, events="", closed=0, benefit=0)
    np.testing.assert_array_equal(
        scoring.predict(artifact, plain)["y_hat"], scoring.predict(artifact, spelled)["y_hat"]
    )
    holed = spelled.assign(price=np.nan, events=None, closed=np.nan, benefit=np.nan)
    np.testing.assert_array_equal(
        scoring.predict(artifact, holed)["y_hat"], scoring.predict(artifact, spelled)["y_hat"]
    )


def test_a_closed_day_is_forecast_as_zero():
    out = scoring.predict(NAIVE.to_artifact(), frame(closed=[1]))
    assert out["y_hat"].tolist() == [0.0]


@pytest.mark.parametrize("change", [{"format": 2}, {"kind": "oracle"}, {"frequency": "M"}])
def test_an_artifact_of_another_format_or_kind_is_refused(change):
    with pytest.raises(ArtifactError, match=r"'tea'.*expected format 1"):
        restore({**NAIVE.to_artifact(), **change})
    with pytest.raises(ArtifactError, match="stores"):
        restore({key: value for key, value in NAIVE.to_artifact().items() if key != "stores"})
