"""The file that travels with every model: same forecasts as in-process, clear refusals, no need of this repository."""

import ast
import dataclasses
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
from include.skufleet.forecasting.candidates import CANDIDATES, fit_candidate, forecast_panel, restore
from include.skufleet.forecasting.intervals import fit_intervals

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


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 1}, "expected format 2; retrain"),
        ({"kind": "oracle"}, "expected a kind of"),
        ({"frequency": "M"}, "frequency D or W"),
        ({"kind": "ensemble", "parameters": {"members": []}}, r"an ensemble of \[\]"),
        ({"kind": "ensemble", "parameters": {"members": [{"kind": "oracle"}]}}, "expected different kinds"),
    ],
)
def test_an_artifact_of_another_format_or_kind_is_refused(change, expected):
    with pytest.raises(ArtifactError, match=rf"'tea'.*{expected}"):
        restore({**NAIVE.to_artifact(), **change})


def test_an_artifact_that_lacks_a_key_is_refused():
    with pytest.raises(ArtifactError, match="stores"):
        restore({key: value for key, value in NAIVE.to_artifact().items() if key != "stores"})


@pytest.mark.parametrize("name", sorted(set(CANDIDATES) - {"ensemble"}))
def test_the_product_of_the_components_of_a_row_is_its_forecast(name):
    panel = rich_panel(periods=500, horizon=150)
    artifact, frame = fit_candidate(name, panel).to_artifact(), frame_of(panel)
    parts = scoring.components(artifact, frame)
    assert list(parts.columns) == ["sku", "store", "date", "component", "value"]
    product = parts.groupby(["store", "date"])["value"].prod()
    expected = scoring.predict(artifact, frame).set_index(["store", "date"])["y_hat"]
    np.testing.assert_allclose(product.reindex(expected.index), expected, rtol=1e-9)
    closed = parts[parts["component"] == "closed"]["value"].to_numpy()
    np.testing.assert_array_equal(closed, 1 - frame["closed"])


def test_the_components_of_a_regression_are_named_by_what_moves_demand():
    panel = rich_panel(periods=700, horizon=60)
    parts = scoring.components(fit_candidate("poisson_regression", panel).to_artifact(), frame_of(panel))
    assert {"level", "weekday", "day of month", "fair", "benefit", "price"} <= set(parts["component"])
    of_fair = parts[parts["component"] == "fair"]["value"]
    assert of_fair.max() > 2.0
    assert of_fair.min() == 1.0
    assert "cap" not in set(parts["component"])


def test_an_event_called_like_a_component_does_not_hide_it():
    panel = rich_panel(periods=500, horizon=60)
    renamed = dataclasses.replace(panel, events=("price",), flags={"level": panel.flags["benefit"]})
    plain = fit_candidate("poisson_regression", panel).predict(panel.future)
    fitted = fit_candidate("poisson_regression", renamed)
    np.testing.assert_array_equal(fitted.predict(renamed.future), plain)
    shown = set(scoring.components(fitted.to_artifact(), frame_of(renamed))["component"])
    assert {"price", "(price)", "level", "(level)"} <= shown


def ensemble(panel, weights):
    fitted = {name: fit_candidate(name, panel).to_artifact() for name in weights}
    members = [
        {"kind": name, "weight": weight, "parameters": fitted[name]["parameters"]} for name, weight in weights.items()
    ]
    return {**fitted[next(iter(weights))], "kind": "ensemble", "parameters": {"members": members}}


def test_an_ensemble_is_the_weighted_mean_of_its_members_and_shows_them():
    panel = rich_panel()
    artifact, frame = ensemble(panel, {"tsb": 1.0, "poisson_regression": 3.0}), frame_of(panel)
    tsb, regression = (fit_candidate(name, panel).predict(panel.future) for name in ("tsb", "poisson_regression"))
    expected = 0.25 * tsb + 0.75 * regression
    np.testing.assert_allclose(restore(artifact).predict(panel.future), expected)
    out = scoring.predict(artifact, frame)
    np.testing.assert_allclose(out["y_hat"], expected.ravel())
    value = scoring.components(artifact, frame).pivot_table(
        index=["store", "date"], columns="component", values="value"
    )
    assert value["weight tsb"].eq(0.25).all()
    total = value["weight tsb"] * value["member tsb"]
    total += value["weight poisson_regression"] * value["member poisson_regression"]
    keys = pd.MultiIndex.from_frame(out[["store", "date"]])
    np.testing.assert_allclose((total * value.get("closed", 1.0)).reindex(keys), out["y_hat"])


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_panel_is_forecast_without_a_frame_to_the_bit_as_with_one(name):
    panel = rich_panel()
    artifact = with_intervals(fit_candidate(name, panel).to_artifact())
    y_hat, bounds = forecast_panel(artifact, panel)
    out = scoring.predict(artifact, frame_of(panel))
    assert list(bounds) == ["lower_80", "upper_80"]
    for column, values in {"y_hat": y_hat, **bounds}.items():
        np.testing.assert_array_equal(values.ravel(), out[column])
    some, some_bounds = forecast_panel(artifact, panel, (2, 0))
    np.testing.assert_array_equal(some, y_hat[[2, 0]])
    np.testing.assert_array_equal(some_bounds["upper_80"], bounds["upper_80"][[2, 0]])


def test_an_older_model_forecasts_a_panel_that_knows_more_days_and_other_stores():
    panel = rich_panel(stores=3)
    first = dataclasses.replace(panel, stores=("s1", "s2", "s3")).until(380)
    artifact = fit_candidate("profile", first).to_artifact()
    y_hat, bounds = forecast_panel(artifact, panel, (1, 2))
    known = frame_of(panel).query("store != 's0'")
    np.testing.assert_array_equal(y_hat.ravel(), scoring.predict(artifact, known)["y_hat"])
    assert bounds == {}
    with pytest.raises(ValueError, match=r"no store \['s0'\]; the model knows \['s1', 's2', 's3'\]"):
        forecast_panel(artifact, panel)


def test_a_panel_that_ends_before_the_model_or_an_unknown_format_is_refused():
    panel = rich_panel()
    artifact = fit_candidate("theta", panel).to_artifact()
    with pytest.raises(ValueError, match="a panel up to 2023-01-17, expected one to 2023-02-06 at least"):
        forecast_panel(artifact, panel.until(380))
    with pytest.raises(ValueError, match="expected format 2; retrain"):
        forecast_panel(artifact | {"format": 1}, panel)


def test_a_price_that_is_not_known_ahead_is_the_last_one_with_and_without_a_frame():
    panel = rich_panel()
    price = panel.price.copy()
    price[0, -9:], price[1, :] = np.nan, np.nan
    panel = dataclasses.replace(panel, price=price)
    artifact = fit_candidate("poisson_regression", panel).to_artifact()
    y_hat, _ = forecast_panel(artifact, panel)
    np.testing.assert_array_equal(y_hat.ravel(), scoring.predict(artifact, frame_of(panel))["y_hat"])


def with_intervals(artifact):
    y = np.random.default_rng(0).poisson(6.0, (3, 40)).astype(float)
    return artifact | {"intervals": fit_intervals(y, np.full(y.shape, 6.0), (0.8,), "smooth")}
