"""What each candidate learns, by hand where it can be; and that none is upset by bad histories."""

import json
from typing import get_args

import numpy as np
import pytest
from forecasting_data import make_panel, rich_panel, simulate

from include.skufleet.config import CandidateName, CandidateSettings
from include.skufleet.errors import ConfigError
from include.skufleet.forecasting.candidates import CANDIDATES, fallback, find_candidate, fit_candidate
from include.skufleet.forecasting.candidates.smoothing import ExponentialSmoothing
from include.skufleet.forecasting.candidates.theta import Theta
from include.skufleet.forecasting.candidates.tsb import TSB
from include.skufleet.forecasting.candidates.weekday_mean import WeekdayMean
from include.skufleet.forecasting.demand import DemandClass
from include.skufleet.forecasting.levels import season_factors, smooth_levels, weigh_by_loss

NAN = np.nan


def predict(name, panel):
    return fit_candidate(name, panel).predict(panel.future)


def test_seasonal_naive_repeats_the_last_season():
    panel = make_panel([[9, 9, 9, 1, 2, 3]], season_length=3, horizon=4)
    assert predict("seasonal_naive", panel).tolist() == [[1, 2, 3, 1]]


def test_seasonal_naive_takes_an_older_season_where_the_last_has_a_gap_then_the_mean():
    panel = make_panel([[7, NAN, 5, 1, NAN, NAN], [NAN] * 6], season_length=3, horizon=3)
    assert predict("seasonal_naive", panel)[0] == pytest.approx([1, 13 / 3, 5], rel=1e-5)
    assert predict("seasonal_naive", panel)[1].tolist() == [0, 0, 0]


def test_the_fallback_is_zero_for_what_never_sold_and_the_seasonal_naive_else():
    assert fallback(make_panel([[0, 0, NAN]])).name == "zero_demand"
    assert fallback(make_panel([[NAN]])).name == "zero_demand"
    assert fallback(make_panel([[0, 3, 0]])).name == "seasonal_naive"


def test_tsb_by_hand():
    panel = make_panel([[2, 0, NAN, 4]], horizon=1)
    fitted = TSB(alphas=(0.5,), betas=(0.5,)).fit(panel)
    # p: 2/3 -> 5/6 -> 5/12 -> 17/24; z: 3 -> 2.5 -> 3.25; less than two weeks: no weekday is known yet
    assert fitted.artifact["parameters"]["probability"] == pytest.approx([17 / 24], rel=1e-5)
    assert fitted.artifact["parameters"]["size"] == pytest.approx([3.25])
    assert fitted.predict(panel.future)[0, 0] == pytest.approx(17 / 24 * 3.25, rel=1e-5)


def test_the_mean_by_weekday_of_the_last_two_weeks_by_hand():
    panel = make_panel([[50, 50, 50, 2, NAN, 6, 4, 2, NAN]], season_length=3, horizon=4)
    fitted = WeekdayMean(seasons=2).fit(panel)
    # positions 0, 1, 2 of the last six: (2, 4), (2 and a gap), (6 and a gap)
    assert fitted.predict(panel.future)[0] == pytest.approx([3, 2, 6, 3], rel=1e-5)


def test_a_position_unknown_in_the_last_weeks_gets_their_mean_and_a_store_unknown_in_them_its_own():
    panel = make_panel([[9, 9, 9, 2, NAN, 4], [8, 4, NAN, NAN, NAN, NAN], [NAN] * 6], season_length=3, horizon=3)
    forecast = WeekdayMean(seasons=1).fit(panel).predict(panel.future)
    assert forecast[0] == pytest.approx([2, 3, 4], rel=1e-5)
    assert forecast[1] == pytest.approx([6, 6, 6], rel=1e-5)
    assert forecast[2].tolist() == [0, 0, 0]


def test_the_mean_of_a_yearly_season_is_of_the_last_weeks():
    units = np.arange(120.0)[None, :]
    panel = make_panel(units, frequency="W", season_length=52, horizon=2)
    assert predict("weekday_mean", panel)[0] == pytest.approx([115.5, 115.5])  # 112 to 119


def test_theta_follows_half_of_a_trend():
    line = np.arange(100.0, 400.0)[None, :]
    panel = make_panel(line, season_length=1, horizon=28)
    forecast = Theta(half_lives=(0.5,)).fit(panel).predict(panel.future)[0]
    # The level lags a line of slope 1 by 1 / alpha - 1 = 1/3, of which the drift of 1/2 makes up the half.
    assert forecast[0] == pytest.approx(399 - 1 / 3 + 1 / 6 + 1 / 2, rel=1e-4)
    assert np.diff(forecast) == pytest.approx(0.5, rel=1e-3)


def test_theta_does_not_take_noise_for_a_trend_nor_run_away_with_one():
    noise = np.random.default_rng(0).poisson(4.0, (1, 200)) * 1.0
    assert abs(fit_candidate("theta", make_panel(noise)).artifact["parameters"]["trend"][0]) < 5e-4
    panel = make_panel([[0, 0, 0, 0, 10, 40, 90]], season_length=1, horizon=400)
    forecast = predict("theta", panel)[0]
    assert forecast[-1] <= 1.5 * forecast[0]


def test_half_lives_that_forecast_alike_share_the_weight():
    loss = np.array([100.0, 105.0, 200.0])
    weights = weigh_by_loss(loss)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] / weights[1] == pytest.approx(1.05**30)
    assert weights[2] < 1e-8


def test_weekdays_that_differ_by_chance_only_are_not_told_apart():
    units = np.random.default_rng(3).poisson(0.5, (1, 20 * 7)) * 1.0
    by_chance = season_factors(units, np.arange(140) % 7, 7)[0]
    raw = units.reshape(20, 7).sum(axis=0) / (units.sum() / 7)
    assert np.abs(by_chance - 1).max() < 0.5 * np.abs(raw - 1).max()


def test_settings_of_the_catalogue_file_reach_the_candidate():
    chosen = CandidateSettings.model_validate({"tsb": {"alphas": [0.3]}, "weekday_mean": {"seasons": 4}})
    assert find_candidate("tsb", chosen) == TSB(alphas=(0.3,))
    assert find_candidate("weekday_mean", chosen) == WeekdayMean(seasons=4)
    panel = rich_panel()
    fitted = fit_candidate("tsb", panel, chosen)
    assert fitted.to_artifact() == TSB(alphas=(0.3,)).fit(panel).to_artifact()
    assert fitted.to_artifact() != fit_candidate("tsb", panel).to_artifact()


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_defaults_of_the_catalogue_file_are_the_candidates_own(name):
    assert find_candidate(name, CandidateSettings()) == find_candidate(name)


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_says_what_it_costs_and_where_it_is_worth_trying(name):
    candidate = CANDIDATES[name]
    assert candidate.cost > 0
    assert candidate.classes <= set(get_args(DemandClass))
    assert candidate.classes
    assert name == candidate.name


def test_settings_are_of_candidates_only():
    assert set(CandidateSettings.model_fields) <= set(CANDIDATES)


def test_a_level_is_the_weighted_mean_of_the_known_deseasonalised_values():
    levels = smooth_levels(np.array([[NAN, 4.0, NAN, 2.0]]), np.array([[1.0, 2.0, 1.0, 1.0]]), (1.0,), slice(None))[0]
    # after the last period: (4 / 4 + 2) / (2 / 4 + 1)
    assert np.isnan(levels[0, 0])
    assert levels[0, 1:].tolist() == pytest.approx([2.0, 2.0, 2.0])


def test_season_factors_find_a_weekend_and_lean_on_the_sku_where_a_store_is_thin():
    units = np.vstack([simulate(1, 700, mean=20.0), np.full((1, 700), NAN)])
    units[1, -14:] = 1.0
    factors = season_factors(units, np.arange(700) % 7, 7)
    assert factors[0, :5] == pytest.approx([7 / 9] * 5, rel=0.1)
    assert factors[0, 5:] == pytest.approx([14 / 9] * 2, rel=0.1)
    assert factors[1] == pytest.approx(factors[0], rel=0.15)


def test_season_factors_need_two_seasons():
    assert season_factors(np.ones((2, 13)), np.arange(13) % 7, 7).tolist() == [[1.0] * 7]


def test_smoothing_follows_a_level_that_jumped_and_averages_one_that_did_not():
    jump = np.concatenate([np.full(200, 100.0), np.full(100, 300.0)])[None, :]
    fast = ExponentialSmoothing().fit(make_panel(jump)).artifact["parameters"]
    noise = np.random.default_rng(1).poisson(100.0, (1, 400)) * 1.0
    slow = ExponentialSmoothing().fit(make_panel(noise)).artifact["parameters"]
    assert fast["half_life"] == pytest.approx(7.0, rel=0.1)
    assert slow["half_life"] >= 28.0
    assert fast["level"][0] == pytest.approx(300.0, rel=0.01)


def test_the_regression_learns_price_event_flag_and_closed_days():
    panel = rich_panel(stores=5, periods=700, horizon=60)
    forecast = predict("poisson_regression", panel)[0]
    future = panel.future
    plain = (future.price[0] > 3) & (future.indicators[0] == 0) & (future.flags["benefit"][0] == 0) & ~future.closed
    promoted = (future.price[0] < 3) & (future.indicators[0] == 0) & (future.flags["benefit"][0] == 0)
    flagged = (future.price[0] > 3) & (future.indicators[0] == 0) & (future.flags["benefit"][0] == 1)
    usual = forecast[plain].mean()
    assert usual == pytest.approx(6.0, rel=0.25)
    assert forecast[promoted].mean() / usual > 2.0
    assert forecast[flagged].mean() / usual > 1.2
    assert forecast[future.indicators[0] > 0].mean() / usual > 2.0


def test_no_forecast_of_the_regression_exceeds_three_times_the_largest_sale():
    units = np.geomspace(1.0, 500.0, 200)[None, :]
    assert predict("poisson_regression", make_panel(units, horizon=56)).max() <= 1500.0 * (1 + 1e-12)


@pytest.mark.parametrize("name", ["exponential_smoothing", "poisson_regression"])
def test_a_weekend_is_forecast_as_a_weekend(name):
    forecast = predict(name, make_panel(simulate(3, 406), horizon=14))  # 406 days: the future begins on a Monday
    assert forecast[:, [5, 6, 12, 13]].mean() / forecast[:, :5].mean() == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("name", CANDIDATES)
def test_an_artifact_of_ten_stores_is_small_strict_json(name):
    text = json.dumps(fit_candidate(name, rich_panel(stores=10)).to_artifact(), allow_nan=False)
    assert len(text) <= (9000 if name == "random_forest" else 6000)


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_same_panel_gives_the_same_artifact(name):
    assert fit_candidate(name, rich_panel()).to_artifact() == fit_candidate(name, rich_panel()).to_artifact()


def test_an_unknown_candidate_is_refused_with_the_list():
    with pytest.raises(ConfigError, match=r"'oracle'.*seasonal_naive"):
        fit_candidate("oracle", make_panel([[1.0]]))


def test_every_name_that_a_catalogue_file_may_use_is_a_candidate():
    assert set(get_args(CandidateName)) == set(CANDIDATES) - {"zero_demand"}
