"""What is asked of a panel or of dates again is not worked out again, and is the same as if it were."""

import dataclasses

import numpy as np
import pytest
from forecasting_data import MONDAY, make_panel, rich_panel

from include.skufleet.forecasting import sharing
from include.skufleet.forecasting.candidates import find_candidate
from include.skufleet.forecasting.levels import find_season, season_factors, season_positions
from include.skufleet.forecasting.profile.design import find_waves, make_design
from include.skufleet.forecasting.profile.occurrences import find_occurrences
from include.skufleet.forecasting.scoring import month_waves


def test_a_panel_is_asked_once_for_each_argument_and_a_changed_panel_anew():
    asked = []

    @sharing.once_per_panel
    def count_stores(panel, more):
        asked.append((panel.sku, more))
        return len(panel.stores) + more

    panel = make_panel(np.ones((2, 9)))
    assert [count_stores(panel, more) for more in (1, 2, 1)] == [3, 4, 3]
    assert count_stores(dataclasses.replace(panel, sku="rice"), 1) == 3
    assert count_stores(panel.until(5), 1) == 3
    assert asked == [("tea", 1), ("tea", 2), ("rice", 1), ("tea", 1)]


@pytest.mark.parametrize("frequency", ["D", "W"])
def test_columns_of_a_span_are_those_of_its_dates_and_cannot_be_written_to(frequency):
    days = 7 if frequency == "W" else 1
    for first, periods in ((0, 5), (0, 511), (0, 513), (3, 40)):
        dates = MONDAY + days * (first + np.arange(periods))
        found = find_waves(dates, frequency)
        np.testing.assert_array_equal(found, month_waves(dates, frequency))
        assert not found.flags.writeable
    assert find_waves(dates[:0], frequency).shape == (0, found.shape[1])


@pytest.mark.parametrize(("length", "longest"), [(7, None), (7, 1095), (7, 20), (1, None), (365, 1095), (365, None)])
def test_the_season_of_a_panel_is_that_of_its_last_periods(length, longest):
    rng = np.random.default_rng(0)
    panel = make_panel(rng.poisson(4.0, (2, 1500)), season_length=length)
    positions = season_positions(panel.dates, "D", length)
    last = slice(None) if longest is None else slice(-longest, None)
    expected = season_factors(panel.units[:, last], positions[last], length)
    np.testing.assert_array_equal(find_season(panel, longest).factors, expected)
    np.testing.assert_array_equal(find_season(panel, longest).factors_at(last), expected[:, positions[last]])


@pytest.mark.parametrize("name", ["exponential_smoothing", "theta", "tsb", "poisson_regression", "profile"])
def test_a_candidate_finds_the_same_whoever_asked_the_panel_before(name):
    fresh, asked = rich_panel(), rich_panel()
    for other in ("theta", "profile", "poisson_regression", "tsb"):
        find_candidate(other).fit(asked)
    assert find_candidate(name).fit(asked).artifact == find_candidate(name).fit(fresh).artifact


def test_occurrences_by_hand():
    happened, found = find_occurrences(np.array([[0, 1, 0, 1.0], [0, 0, 0, 0], [1, 1, 0, 1], [0, 1, 0, 0]]))
    assert happened.tolist() == [0, 2, 3]
    assert found.spread(np.array([1.0, 10.0, 100.0])).tolist() == [10, 111, 0, 11]
    assert found.add_up(np.array([1.0, 2.0, 4.0, 8.0])).tolist() == [10, 11, 2]
    assert found.meet(np.array([1.0, 2.0, 4.0, 8.0])).tolist() == [[10, 10, 2], [0, 11, 2], [0, 0, 2]]


def test_a_design_without_any_event_has_none():
    design = make_design(make_panel(np.ones(28)))
    assert design.events.count == 0
    assert design.events.spread(np.zeros(0)).tolist() == [0.0] * 28
    assert design.events.add_up(np.ones((28, 2))).shape == (0, 2)
    assert design.events.meet(np.ones(28)).shape == (0, 0)
