"""The profile's columns: regions by flags, what each frequency has, events that have happened."""

import numpy as np
import pytest
from forecasting_data import make_panel

from include.skufleet.forecasting.profile.design import RIDGE, group_stores, make_design


def flagged(patterns, periods=28, horizon=0):
    """A panel with one row of 0/1 days per store."""
    units = np.ones((len(patterns), periods))
    return make_panel(units, horizon=horizon, flags={"benefit": np.array(patterns, dtype=float)})


def every(days, offset=0, periods=28):
    return (np.arange(periods) % days == offset) * 1.0


def groups(design):
    return [group for group, _ in design.keys]


def test_stores_with_the_same_flags_share_a_region():
    regions, flags = group_stores(flagged([every(5), every(7), every(5), every(7)]))
    assert regions.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(flags["benefit"], [every(5), every(7)])


def test_stores_are_told_apart_by_any_of_the_flags():
    one, two = np.array([every(5)] * 3), np.array([every(7), every(7, 1), every(7)])
    panel = make_panel(np.ones((3, 28)), horizon=0, flags={"benefit": one, "market": two})
    assert group_stores(panel)[0].tolist() == [0, 1, 0]


def test_eight_regions_stay_apart_and_nine_become_one_with_the_share_of_stores():
    assert group_stores(flagged([every(28, store) for store in range(8)]))[0].tolist() == list(range(8))
    regions, flags = group_stores(flagged([every(28, store) for store in range(9)]))
    assert regions.tolist() == [0] * 9
    assert flags["benefit"][0] == pytest.approx([1 / 9] * 9 + [0] * 19)


def test_flags_that_differ_only_before_the_first_period_or_after_the_last_make_no_region():
    early, late = every(5, periods=42), every(5, periods=42)
    early[0], late[41] = 1 - early[0], 1 - late[41]
    regions, flags = group_stores(flagged([early, late, every(5, periods=42)], horizon=14), first=1)
    assert regions.tolist() == [0, 0, 0]
    assert flags["benefit"].shape == (1, 27)


def test_without_flags_all_stores_are_one_region():
    design = make_design(make_panel(np.ones((3, 28)), horizon=0))
    assert design.regions.tolist() == [0, 0, 0]
    assert design.regional == ()


def test_days_have_weekdays_the_month_flags_and_weekends():
    design = make_design(flagged([every(5)]))
    assert groups(design) == ["season"] * 7 + ["month"] * 11 + ["flag", "weekend"]
    np.testing.assert_array_equal(design.common[:, :7], np.tile(np.eye(7), (4, 1)))  # day 0 is a Monday
    flag, weekend = design.common[:, 18:].T
    np.testing.assert_array_equal(flag, every(5))
    np.testing.assert_array_equal(np.flatnonzero(weekend), [5, 20])  # a Saturday and a Sunday with the flag
    np.testing.assert_array_equal(design.ridge, [RIDGE[group] for group in groups(design)])


def test_weeks_have_the_month_and_flags_but_no_weekdays_or_weekends():
    flags = {"benefit": every(5)[None]}
    year = make_panel(np.ones(28), horizon=0, frequency="W", season_length=52, flags=flags)
    assert groups(make_design(year)) == ["month"] * 4 + ["flag"]
    quarter = make_panel(np.ones(28), horizon=0, frequency="W", season_length=13, flags=flags)
    assert groups(make_design(quarter)) == ["season"] * 13 + ["month"] * 4 + ["flag"]


def test_days_with_another_season_have_columns_for_both_unless_it_is_longer_than_a_month():
    names = [name for group, name in make_design(make_panel(np.ones(90), season_length=3)).keys if group == "season"]
    assert names == [*(f"7:{position}" for position in range(7)), "3:0", "3:1", "3:2"]
    assert groups(make_design(make_panel(np.ones(90), season_length=32))).count("season") == 7
    assert groups(make_design(make_panel(np.ones(90), season_length=31))).count("season") == 38


def test_each_of_two_regions_also_has_flags_and_waves_of_its_own():
    design = make_design(flagged([every(5), every(7)]))
    own = [key for key in design.keys if key[0].startswith("regional")]
    assert own == [
        *[("regional_flag", "0:benefit"), *(("regional_month", f"0:{number}") for number in range(4))],
        *[("regional_flag", "1:benefit"), *(("regional_month", f"1:{number}") for number in range(4))],
    ]
    first, second = design.regional
    shared = [("flag", "benefit"), ("weekend", "benefit")]
    assert [design.keys[number] for number in design.own[0]] == [*shared, *own[:5]]
    assert [design.keys[number] for number in design.own[1]] == [*shared, *own[5:]]
    np.testing.assert_array_equal(first[:, 2], every(5))
    np.testing.assert_array_equal(second[:, 2], every(7))
    np.testing.assert_array_equal(first[:, 3:], second[:, 3:])


def test_an_event_that_has_not_happened_yet_has_no_column():
    indicators = np.zeros((3, 42))
    indicators[0, 3], indicators[1, 30], indicators[2, [8, 20, 35]] = 1, 1, 1  # 30 and 35 are ahead
    panel = make_panel(np.ones(28), events=("fair", "jubilee", "match"), indicators=indicators)
    design = make_design(panel)
    assert [key for key in design.keys if key[0] == "event"] == [("event", "fair"), ("event", "match")]
    assert design.events.rows.tolist() == [3, 8, 20]
    assert design.events.events.tolist() == [0, 1, 1]
    later = make_design(panel, first=4)
    assert [name for group, name in later.keys if group == "event"] == ["match"]
    assert later.events.rows.tolist() == [4, 16]


def test_the_linear_predictor_by_hand():
    indicators = np.zeros((1, 42))
    indicators[0, 3] = 1
    panel = make_panel(
        np.ones((2, 28)),
        flags={"benefit": np.array([every(5, periods=42), every(7, periods=42)])},
        events=("fair",),
        indicators=indicators,
    )
    design = make_design(panel)
    effects = {("season", "7:3"): 0.5, ("flag", "benefit"): 0.2, ("regional_flag", "1:benefit"): 0.1}
    effects["event", "fair"] = 2.0
    linear = design.predict(np.array([effects.get(key, 0.0) for key in design.keys]))
    # the Thursday with the fair, a later Thursday with the first region's flag, a Monday with the second's
    assert linear[:, 3] == pytest.approx([2.5, 2.5])
    assert linear[:, 10] == pytest.approx([0.7, 0.5])
    assert linear[:, 14] == pytest.approx([0.0, 0.3])
