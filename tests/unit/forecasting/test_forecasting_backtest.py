"""Rolling origins: the windows, what is known at a cutoff, failing candidates, costly ones that are given up."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from forecasting_data import make_panel, rich_panel, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.errors import DataError
from include.skufleet.forecasting.backtest import choose_cutoffs, run_backtest
from include.skufleet.forecasting.candidates import find_candidate
from include.skufleet.forecasting.halving import Halving

NAMES = ("seasonal_naive", "exponential_smoothing", "tsb", "poisson_regression")


@dataclass(frozen=True)
class Broken:
    name = "broken"

    def fit(self, panel):
        raise DataError(f"cannot fit {panel.sku}")


def test_windows_end_with_the_panel_and_as_many_are_used_as_fit():
    panel = make_panel(np.ones((1, 60)))
    assert choose_cutoffs(panel, windows=3, step=14, horizon=14) == [18, 32, 46]
    assert choose_cutoffs(panel, windows=9, step=14, horizon=14) == [18, 32, 46]
    assert choose_cutoffs(panel, windows=3, step=1, horizon=58) == []


def test_before_a_window_two_horizons_will_do_where_the_season_is_longer():
    panel = make_panel(np.ones((1, 60)), frequency="W", season_length=52)
    assert choose_cutoffs(panel, windows=9, step=8, horizon=8) == [20, 28, 36, 44, 52]
    assert choose_cutoffs(panel, windows=9, step=30, horizon=30) == []


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
        name = "infinite"

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


@dataclass(frozen=True)
class Counted:
    """Forecasts a constant and remembers the cutoffs that it was fitted at."""

    name: str
    value: float
    fits: list

    def fit(self, panel):
        self.fits.append(panel.dates.size)
        return self

    def predict(self, future):
        return np.full((1, future.dates.size), self.value)


def race(values, *, windows=4, costly=("near", "far", "worst"), within=0.1, keep=0.5):
    candidates = [Counted(name, value, []) for name, value in values.items()]
    halving = Halving(frozenset(costly), squared=False, within=within, keep=keep)
    panel = make_panel(np.full((1, 100), 10.0))
    return candidates, run_backtest(panel, candidates, windows=windows, step=14, horizon=14, halving=halving)


def test_costly_candidates_see_the_newest_window_first_and_only_those_that_may_win_see_more():
    (cheap, near, far, worst), test = race({"cheap": 12.0, "near": 12.1, "far": 13.0, "worst": 20.0})
    assert cheap.fits == [44, 58, 72, 86]
    assert near.fits == [86, 72, 58, 44]
    assert far.fits == worst.fits == [86]
    assert list(test.scores) == ["cheap", "near"]
    assert test.given_up == {"far": 1, "worst": 1}
    assert test.errors == {}


def test_of_costly_candidates_within_reach_the_better_half_goes_on():
    (_, near, far, worst), test = race({"cheap": 12.0, "near": 11.0, "far": 11.2, "worst": 12.1}, within=1.0)
    assert [len(candidate.fits) for candidate in (near, far, worst)] == [4, 2, 1]
    assert test.given_up == {"far": 2, "worst": 1}


def test_costly_candidates_alone_race_against_each_other():
    _, test = race({"near": 11.0, "far": 15.0}, windows=2)
    assert list(test.scores) == ["near"]


def test_a_costly_candidate_that_fails_is_an_error_and_not_given_up():
    panel = make_panel(np.full((1, 100), 10.0))
    halving = Halving(frozenset({"broken"}), squared=True, within=0.1, keep=0.5)
    test = run_backtest(panel, [Broken(), Counted("cheap", 9.0, [])], windows=2, step=14, horizon=14, halving=halving)
    assert list(test.errors) == ["broken"]
    assert (list(test.scores), test.given_up) == (["cheap"], {})


def test_the_mean_of_candidates_is_scored_like_a_candidate():
    _, test = race({"cheap": 12.0, "near": 9.0}, costly=())
    mixed = test.mix("both", ["cheap", "near"])
    assert mixed.forecasts["both"].tolist() == np.full((4, 1, 14), 10.5).tolist()
    assert mixed.scores["both"].wape == pytest.approx(0.05)
    assert "both" not in test.scores


def test_bounds_become_columns_of_the_frame():
    _, test = race({"cheap": 12.0}, costly=(), windows=1)
    frame = test.to_frame("cheap", "cheap", {"lower_80": np.full((1, 1, 14), 3.0)})
    assert frame["lower_80"].tolist() == [3.0] * 14
