"""The parts beside the regression: levels, store ratios, prices, the year before, outages."""

import numpy as np
import pytest
from forecasting_data import make_panel

from include.skufleet.forecasting.profile import terms

DAILY = (5.0, 10.0, 20.0, 40.0, 80.0)


def mix_levels(units, expected, half_lives, lag):
    return terms.mix_levels(units, expected, terms.add_up(units, expected, half_lives), lag=lag)


def test_the_level_of_a_constant_series_is_what_it_sells_over_what_its_profile_expects():
    expected = np.tile([1.0, 1.0, 2.0], 20)[None]
    assert mix_levels(6.0 * expected, expected, DAILY, lag=7) == pytest.approx([6.0])


def test_a_level_by_hand():
    # one half-life of 1: (1 x 8 + 1/2 x 4) / (1 + 1/2), where 27 more days are not known and the last one is: no lean
    units, expected = np.zeros((1, 60)), np.zeros((1, 60))
    expected[0, -2:], units[0, -2:] = 1.0, [4.0, 8.0]
    # 2 known days of 28: with nobody else the lean is on itself, 3 x (1 - 2/28) periods at (8 + 4/2) / 1.5
    assert mix_levels(units, expected, (1.0,), lag=1) == pytest.approx([10 / 1.5])


def test_half_lives_weigh_alike_in_ties_and_the_one_that_forecasts_better_gets_half_more():
    expected = np.ones((1, 400))
    units = np.concatenate([np.full(200, 2.0), np.full(200, 12.0)])[None]
    short, long = (mix_levels(units, expected, (value,), lag=7)[0] for value in (2.0, 200.0))
    assert short == pytest.approx(12.0)
    assert long < 11.0
    # after the jump the short one is right: weights 1/4 + 1/2 and 1/4
    assert mix_levels(units, expected, (2.0, 200.0), lag=7)[0] == pytest.approx(0.75 * short + 0.25 * long)


@pytest.mark.parametrize("periods", [1, 5, 6, 7, 8])
def test_half_lives_weigh_the_same_where_less_than_the_lag_is_known(periods):
    expected = np.full((1, periods), 2.0)
    assert mix_levels(3.0 * expected, expected, DAILY, lag=7) == pytest.approx([3.0])


def test_a_store_opened_yesterday_starts_near_the_others_level():
    expected = np.ones((3, 200))
    units = np.full((3, 200), 10.0)
    expected[2, :-1], units[2, :-1], units[2, -1] = 0.0, 0.0, 30.0
    level = mix_levels(units, expected, DAILY, lag=7)
    usual = (10 * 400 + 30) / 401  # the stores' levels by known days
    lean = 3 * (1 - 1 / 28)
    assert level == pytest.approx([10.0, 10.0, (30 + lean * usual) / (1 + lean)])
    assert 10.0 < level[2] < 16.0


def test_a_store_known_for_four_weeks_stands_alone_and_one_never_known_has_no_level():
    expected, units = np.ones((3, 200)), np.full((3, 200), 10.0)
    expected[1, :-28], units[1, :-28], units[1, -28:] = 0.0, 0.0, 30.0
    expected[2], units[2] = 0.0, 0.0
    assert mix_levels(units, expected, DAILY, lag=7) == pytest.approx([10.0, 30.0, 0.0])


def test_store_ratios_by_hand():
    units, expected = np.array([[4.0, 9.0, 6.0, 1.0]]), np.array([[1.0, 4.0, 4.0, 1.0]])
    # (4 + 6 + 10) / (1 + 4 + 10) and (9 + 1 + 10) / (4 + 1 + 10)
    assert terms.store_season(units, expected, np.array([0, 1, 0, 1]), 2, 10.0) == pytest.approx(
        np.array([[20 / 15, 20 / 15]])
    )
    flag = np.array([[1.0, 0.0, 0.5, 0.0]])
    assert terms.store_flag(units, expected, flag, 10.0) == pytest.approx([(4 + 3 + 10) / (1 + 2 + 10)])


def test_prices_that_never_change_or_are_never_known_say_nothing():
    assert terms.read_prices(make_panel(np.ones(20), horizon=0), 0, 56.0) is None
    for price in (np.full((1, 20), 3.0), np.full((1, 20), np.nan)):
        assert terms.read_prices(make_panel(np.ones(20), horizon=0, price=price), 0, 56.0) is None


def test_the_price_is_relative_to_a_weighted_mean_of_its_logarithm():
    price = np.array([[2.0, np.nan, 4.0], [np.nan] * 3])
    read = terms.read_prices(make_panel(np.ones((2, 3)), horizon=0, price=price), 0, 1.0)
    usual = (np.log(4) + np.log(2) / 4) / (1 + 1 / 4)
    assert read.relative[0] == pytest.approx([0.0, 0.0, np.log(4) - usual])
    assert read.relative[1].tolist() == [0, 0, 0]
    assert [read.usual[0], read.last[0]] == pytest.approx([np.exp(usual), 4.0])
    assert np.isnan([read.usual[1], read.last[1]]).all()


def fit_elasticity(truth, *, weight=5.0, prior=-1.0, start=-1.0):
    rng = np.random.default_rng(0)
    relative = np.where(np.arange(400) % 40 < 6, np.log(0.7), 0.02)[None]
    expected = np.full((1, 400), 50.0)
    units = rng.poisson(expected * np.exp(truth * relative)).astype(float)
    return terms.fit_elasticity(units, expected, relative, prior=prior, weight=weight, start=start)


def test_an_elasticity_of_minus_two_is_found_in_simulated_sales():
    assert fit_elasticity(-2.0) == pytest.approx(-2.0, abs=0.15)
    assert fit_elasticity(0.0) == pytest.approx(0.0, abs=0.15)


def test_an_elasticity_is_held_at_its_prior_by_its_weight_and_bounded():
    assert fit_elasticity(-2.0, weight=1e9, prior=-0.5) == pytest.approx(-0.5, abs=1e-3)
    assert fit_elasticity(3.0) == 1.0


YEARS = 3 * 364


def move(units, horizon=28, spread=1.0, expected=None):
    units, expected = units[None], (np.full(units.size, 1.0) if expected is None else expected)[None]
    sums = terms.add_up(units, expected, DAILY)
    return terms.year_ago(units, expected, np.ones(1), sums, block=28, horizon=horizon, spread=spread)


@pytest.mark.parametrize("phase", [0, 91, 182, 273])
def test_a_strong_yearly_season_is_repeated(phase):
    truth = 100.0 * (1.0 + 0.5 * np.sin(2 * np.pi * (np.arange(YEARS + 28) + phase) / 364))
    past = np.random.default_rng(phase).poisson(truth[:YEARS]).astype(float)
    weights = [0.5 ** (np.arange(YEARS)[::-1] / half_life) for half_life in DAILY]
    movement = np.log(truth[YEARS:].mean() / np.mean([np.average(past, weights=each) for each in weights]))
    assert np.log(move(past)[0]) == pytest.approx(movement, abs=0.05 + 0.3 * abs(movement))


def test_noise_is_not_taken_for_a_season():
    for seed in range(5):
        units = np.random.default_rng(seed).poisson(100.0, YEARS).astype(float)
        assert move(units, horizon=56) == pytest.approx([1.0, 1.0], abs=0.03)


def test_less_than_fifteen_blocks_say_nothing_of_the_year():
    steps = np.arange(YEARS)
    season = 100.0 * (1.0 + 0.5 * np.sin(2 * np.pi * steps / 364))
    assert move(season[: 15 * 28 - 1], horizon=57).tolist() == [1.0, 1.0, 1.0]
    assert move(season[: 15 * 28])[0] != 1.0
    assert move(np.zeros(YEARS), expected=np.zeros(YEARS)).tolist() == [1.0]


def test_the_factor_of_the_year_is_bounded():
    steps = np.arange(YEARS)
    peak = np.where(steps % 364 < 28, 10_000.0, 1.0)  # the fourth year begins with one
    assert move(peak)[0] == 2.5
    assert move(peak[: YEARS - 336], horizon=28)[0] == 0.5


def test_the_stores_of_a_sku_move_together_each_at_its_level():
    steps = np.arange(YEARS)
    season = 100.0 * (1.0 + 0.5 * np.sin(2 * np.pi * steps / 364))
    units, expected, level = np.stack([0.2 * season, 0.8 * season]), np.ones((2, YEARS)), np.array([20.0, 80.0])
    sums = terms.add_up(units, expected, DAILY)
    moved = terms.year_ago(units, expected, level, sums, block=28, horizon=28, spread=1.0)
    assert moved == pytest.approx(move(season))


def outages(units, expected=None, shortest=14, spread=1.0):
    units = np.atleast_2d(np.asarray(units, dtype=float))
    expected = np.ones(units.shape) if expected is None else expected
    return terms.find_outages(units, expected, terms.add_up(units, expected, DAILY), spread, shortest)


def test_the_silence_of_a_busy_store_is_taken_for_an_outage():
    busy = np.concatenate([np.full(200, 10.0), np.zeros(20)])
    found = outages(busy)
    assert found.chance[0] > 0.99
    assert found.rate[0] == pytest.approx(0.6 / 20)
    # the level before was 10, the level that counts the silence is what has decayed in 20 days, by half-life
    shares = [(0.5 ** (20 / h) - 0.5 ** (220 / h)) / (1 - 0.5 ** (220 / h)) for h in DAILY]
    assert found.gain[0] == pytest.approx(1 / np.mean(shares))


def test_sales_that_go_on_a_short_silence_and_a_slow_seller_are_no_outage():
    going_on = np.full(220, 10.0)
    short = np.concatenate([np.full(207, 10.0), np.zeros(13)])
    slow = np.where(np.arange(220) % 25 == 5, 1.0, 0.0)
    slow[-14:] = 0.0
    found = outages([going_on, short, slow])
    assert found.chance[:2].tolist() == [0, 0]
    assert found.chance[2] < 0.25


def test_a_store_without_any_sale_is_no_outage_and_weeks_are_shorter_silences():
    assert outages(np.zeros(100)).chance.tolist() == [0]
    busy = np.concatenate([np.full(100, 20.0), np.zeros(4)])
    assert outages(busy, shortest=4).chance[0] > 0.99
    assert outages(busy, shortest=5).chance[0] == 0


def test_days_on_which_nothing_is_expected_do_not_make_an_outage():
    units = np.concatenate([np.full(200, 10.0), np.zeros(20)])
    expected = np.where(np.arange(220) < 200, 1.0, 0.0)[None]
    assert outages(units, expected).chance[0] == 0


def test_an_overdispersed_store_is_given_the_benefit_of_the_doubt():
    busy = np.concatenate([np.full(200, 1.0), np.zeros(20)])
    assert outages(busy, spread=1.0).chance[0] > 0.99
    assert outages(busy, spread=10.0).chance[0] < 0.5
