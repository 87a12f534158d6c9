"""Silences that no demand explains are masked; slow sellers, closed days and silences that go on are left alone."""

from dataclasses import replace

import numpy as np
import pytest
from forecasting_data import make_panel, simulate

from include.skufleet.forecasting.stockouts import find_stockouts, mask_stockouts


def poisson(mean, periods=400, seed=0):
    return np.random.default_rng(seed).poisson(mean, periods).astype(float)


def holed(units, start, end):
    units = units.copy()
    units[start:end] = 0.0
    return units


def masked(units):
    """The masked positions of one store."""
    return np.flatnonzero(find_stockouts(make_panel(units)).masked[0]).tolist()


BUSY = np.maximum(poisson(10.0), 1.0)  # without a zero of its own
TWO_A_DAY = np.where(np.isin(np.arange(400), (191, 200, 201, 210)), 1.0, poisson(2.0, seed=5))


def test_a_hole_of_twenty_days_in_a_busy_series_is_masked_and_nothing_else():
    assert masked(holed(BUSY, 200, 220)) == list(range(200, 220))


def test_a_hole_is_masked_in_its_own_store_only_and_the_rest_is_untouched():
    units = np.array([BUSY, holed(BUSY, 200, 220)])
    panel = mask_stockouts(make_panel(units))
    units[1, 200:220] = np.nan
    np.testing.assert_array_equal(panel.units, units)


def test_what_would_have_been_sold_is_expected_in_the_hole():
    units = np.array([holed(simulate(stores=1, periods=400, mean=20.0)[0], 200, 220)])
    found = find_stockouts(make_panel(units))
    assert found.masked[0, 200:220].all()
    # 10 on weekdays, 20 on Saturdays and Sundays, a little less for the hole's own zeros
    expected = np.where(np.arange(200, 220) % 7 >= 5, 20.0, 10.0)
    np.testing.assert_allclose(found.expected[0, 200:220], expected, rtol=0.35)
    assert found.expected[0, 200:220].sum() < expected.sum()


@pytest.mark.parametrize("seed", range(5))
def test_the_zeros_of_a_slow_seller_are_demand(seed):
    assert masked(poisson(0.1, seed=seed)) == []


@pytest.mark.parametrize("seed", range(5))
def test_lumpy_sales_are_given_the_benefit_of_the_doubt(seed):
    rng = np.random.default_rng(seed)
    assert masked(np.where(rng.random(400) < 0.08, 50.0, 0.0)) == []


def test_a_silence_that_still_runs_at_the_end_is_left_alone():
    assert masked(holed(BUSY, 370, 400)) == []
    assert masked(holed(BUSY, 370, 399)) == list(range(370, 399))


def test_a_silence_that_unknown_days_carry_to_the_end_still_runs():
    units = holed(BUSY, 370, 390)
    units[390:] = np.nan
    assert masked(units) == []


def test_closed_days_do_not_end_a_silence():
    # two silences of eight days, of 13 units or so each: neither alone is enough, together they are
    apart = holed(holed(TWO_A_DAY, 192, 200), 202, 210)
    assert masked(apart) == []
    joined = apart.copy()
    joined[200:202] = np.nan
    assert masked(joined) == [*range(192, 200), *range(202, 210)]


def test_closed_days_do_not_begin_a_silence_and_are_never_masked():
    units = BUSY.copy()
    units[200:260] = np.nan
    assert masked(units) == []
    units[200:220] = 0.0
    assert masked(units) == list(range(200, 220))


def test_a_silence_at_the_launch_counts_from_the_first_known_day():
    units = BUSY.copy()
    units[:100] = np.nan
    assert masked(units) == []
    assert masked(holed(units, 100, 120)) == list(range(100, 120))


def test_the_same_panel_comes_back_where_there_is_no_stockout():
    for units in (BUSY, np.zeros(50), np.full(50, np.nan), [3.0], poisson(0.1)):
        panel = make_panel(units)
        assert mask_stockouts(panel) is panel


def test_the_panel_that_is_masked_is_not_written_to():
    panel = make_panel(holed(BUSY, 200, 220))
    before = panel.units.copy()
    assert np.isnan(mask_stockouts(panel).units[0, 200:220]).all()
    np.testing.assert_array_equal(panel.units, before)


def test_masking_twice_masks_no_more():
    once = mask_stockouts(make_panel(holed(BUSY, 200, 220)))
    assert mask_stockouts(once) is once


def test_the_unit_of_measure_does_not_matter():
    units = np.array([holed(poisson(mean, seed=9), 150, 170) for mean in (0.3, 1.0, 3.0, 10.0)])
    panel = make_panel(units)
    found = find_stockouts(panel).masked
    assert found.any(axis=1).tolist() == [False, False, True, True]
    for factor in (1000.0, 0.001):
        np.testing.assert_array_equal(find_stockouts(replace(panel, units=factor * units)).masked, found)


def test_weeks_have_stockouts_too():
    units = np.maximum(poisson(30.0, periods=120), 1.0)
    panel = make_panel(holed(units, 60, 66), frequency="W", season_length=52)
    assert np.flatnonzero(find_stockouts(panel).masked[0]).tolist() == list(range(60, 66))
