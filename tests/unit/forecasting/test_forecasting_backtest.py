"""Rolling origins: the windows, what is known at a cutoff, failing candidates, the two calls of the fleet."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from forecasting_data import make_panel, rich_panel, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.errors import ConfigError, DataError
from include.skufleet.forecasting.backtest import choose_cutoffs, run_backtest
from include.skufleet.forecasting.candidates import CANDIDATES, find_candidate
from include.skufleet.forecasting.evaluation import evaluate, refit

NAMES = ("seasonal_naive", "exponential_smoothing", "tsb", "poisson_regression")
SETTINGS = {"windows": 3, "step": 14, "horizon": 14, "metric": "wape", "simpler_within": 0.01}


@dataclass(frozen=True)
class Broken:
    name = "broken"
    complexity = 9

    def fit(self, panel):
        raise DataError(f"cannot fit {panel.sku}")


def test_windows_end_with_the_panel_and_as_many_are_used_as_fit():
    panel = make_panel(np.ones((1, 60)))
    assert choose_cutoffs(panel, windows=3, step=14, horizon=14) == [18, 32, 46]
    assert choose_cutoffs(panel, windows=9, step=14, horizon=14) == [18, 32, 46]
    assert choose_cutoffs(panel, windows=3, step=1, horizon=58) == []


def test_windows_end_with_the_last_known_value_where_nothing_was_delivered_since():
    units = np.ones((1, 60))
    units[0, 40:] = np.nan
    assert choose_cutoffs(make_panel(units), windows=1, step=14, horizon=14) == [26]
    assert choose_cutoffs(make_panel(units * np.nan), windows=1, step=14, horizon=14) == []


def test_actuals_dates_and_cutoffs_of_the_windows():
    panel = make_panel(np.arange(30.0)[None, :], horizon=2)
    test = run_backtest(panel, [find_candidate("seasonal_naive")], windows=2, step=2, horizon=2)
    assert test.y.tolist() == [[[26, 27]], [[28, 29]]]
    assert test.forecasts["seasonal_naive"].tolist() == [[[19, 20]], [[21, 22]]]
    assert test.cutoffs.tolist() == [panel.dates[25].item(), panel.dates[27].item()]
    assert test.scores["seasonal_naive"].wape == pytest.approx(28 / 110)
    assert test.scores["seasonal_naive"].rmsse == 7.0
    assert test.scores["seasonal_naive"].mase == 1.0
    assert test.scores["seasonal_naive"].signed_error == -28
    frame = test.to_frame("seasonal_naive", "seasonal_naive")
    assert list(frame.columns) == ["sku", "store", "date", "cutoff", "y", "y_hat", "baseline"]
    assert frame["y"].tolist() == [26, 27, 28, 29]
    assert (frame["date"] > frame["cutoff"]).all()


def test_a_store_unknown_at_the_cutoff_is_not_scored_there():
    units = simulate(2, 60)
    units[1, :50] = np.nan
    test = run_backtest(make_panel(units), [find_candidate("seasonal_naive")], windows=2, step=14, horizon=7)
    assert np.isnan(test.y[0, 1]).all()
    assert not np.isnan(test.y[1, 1]).any()


def test_a_candidate_that_raises_is_recorded_and_the_others_go_on():
    test = run_backtest(make_panel(simulate()), [Broken(), find_candidate("tsb")], windows=2, step=14, horizon=14)
    assert test.errors == {"broken": "DataError: cannot fit tea"}
    assert list(test.forecasts) == ["tsb"]


def test_a_candidate_whose_forecast_is_no_number_is_recorded():
    class Infinite:
        name, complexity = "infinite", 9

        def fit(self, _panel):
            return self

        def predict(self, future):
            return np.full((3, future.dates.size), np.inf)

    test = run_backtest(make_panel(simulate()), [Infinite()], windows=1, step=14, horizon=14)
    assert "not finite" in test.errors["infinite"]


def test_a_horizon_beyond_the_known_inputs_is_refused():
    with pytest.raises(ValueError, match="expected 1 to the panel's 14"):
        run_backtest(make_panel(simulate()), [], windows=1, step=1, horizon=15)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES), announced=st.booleans())
def test_changing_anything_after_a_cutoff_changes_no_forecast_made_at_it(data, name, announced):
    panel = replace(rich_panel(stores=2, periods=150), price_known_ahead=announced)
    cutoff = data.draw(st.integers(20, 149))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    units = panel.units.copy()
    units[:, cutoff:] = np.where(
        rng.random(units[:, cutoff:].shape) < 0.2, np.nan, rng.poisson(1e4, units[:, cutoff:].shape)
    )
    price = panel.price.copy()
    if announced:
        price[:, cutoff + panel.horizon :] = 1e3  # beyond what had been announced for the horizon
    else:
        price[:, cutoff:] = rng.uniform(0.01, 1e3, price[:, cutoff:].shape)
    poisoned = replace(panel, units=units, price=price)
    before, after = panel.until(cutoff), poisoned.until(cutoff)
    one, two = find_candidate(name).fit(before), find_candidate(name).fit(after)
    assert one.to_artifact() == two.to_artifact()
    np.testing.assert_array_equal(one.predict(before.future), two.predict(after.future))


def test_the_choice_is_by_the_metric_among_the_named_and_the_refit_uses_all_data():
    panel = rich_panel(periods=500)
    found = evaluate(panel, NAMES, **SETTINGS)
    assert found.chosen == "poisson_regression"
    assert found.scores.wape < found.baseline.wape
    assert found.champion is None
    assert len(found.backtest.cutoffs) == 3
    assert found.reason.startswith("poisson_regression by wape over 3 window(s)")
    assert refit(panel, found.chosen).artifact["as_of"] == str(panel.dates[-1])


def test_the_candidate_in_production_is_judged_on_the_same_windows_but_not_chosen():
    panel = rich_panel(periods=500)
    found = evaluate(panel, ("seasonal_naive", "tsb"), also="poisson_regression", **SETTINGS)
    assert found.chosen in {"seasonal_naive", "tsb"}
    assert found.champion.periods == found.scores.periods
    assert found.champion.wape < found.scores.wape
    assert evaluate(panel, ("seasonal_naive",), also="a model of old", **SETTINGS).champion is None


def test_a_history_too_short_for_any_window_chooses_nothing_and_says_so():
    found = evaluate(make_panel([[1.0, 2.0, 3.0]]), NAMES, **SETTINGS)
    assert found.chosen is None
    assert found.scores is None
    assert "no backtest window fits: 3 periods" in found.reason


def test_when_every_candidate_fails_the_reason_names_them(monkeypatch):
    monkeypatch.setitem(CANDIDATES, "broken", Broken)
    found = evaluate(make_panel(simulate()), ["broken"], **SETTINGS)
    assert found.chosen is None
    assert found.reason == "every candidate failed: broken: DataError: cannot fit tea"


def test_an_unknown_candidate_name_is_refused():
    with pytest.raises(ConfigError, match="oracle"):
        evaluate(make_panel(simulate()), ["oracle"], **SETTINGS)


@pytest.mark.filterwarnings("error")
def test_all_zero_actuals_are_scored_without_a_warning():
    found = evaluate(make_panel(np.zeros((2, 200))), NAMES, **SETTINGS)
    assert found.chosen == "exponential_smoothing"
    assert found.scores.wape == found.baseline.wape == 0.0
    assert found.demand_class == "no_demand"
