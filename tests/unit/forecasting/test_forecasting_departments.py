"""Profiles of departments: honest about time, right about effects, and what a SKU makes of them."""

from dataclasses import replace

import numpy as np
import pytest
from forecasting_data import make_panel

from include.skufleet.forecasting.candidates.profile import ProfileModel
from include.skufleet.forecasting.departments import fit_priors
from include.skufleet.forecasting.panel import Prior

WEEKDAYS = np.array([1.0, 0.8, 0.9, 1.0, 1.3, 2.0, 1.6])
NONE = Prior("food", "2022-01-01", {})


def department(periods=730, horizon=14, mean=1000.0, seed=0):
    """Sums of a department in two stores: a fair every 60 days doubles them, the first store's flag adds a half."""
    steps = np.arange(periods + horizon)
    fair, flag = (steps % 60 == 40) * 1.0, (steps % 5 == 2) * 1.0
    flags = np.array([flag, 0.0 * flag])
    rate = mean * WEEKDAYS[steps % 7] * 2.0**fair * 1.5**flags
    units = np.random.default_rng(seed).poisson(rate[:, :periods]).astype(float)
    return make_panel(
        units, horizon=horizon, sku="food", events=("fair",), indicators=fair[None], flags={"benefit": flags}
    )


def test_the_effects_of_a_department_are_recovered():
    (prior,) = fit_priors(department(), [730])
    effects = prior.coefficients
    assert prior.department == "food"
    assert effects["event|fair"] == pytest.approx(np.log(2.0), abs=0.05)
    assert effects["flag|benefit"] == pytest.approx(np.log(1.5), abs=0.08)
    season = np.exp([effects.get(f"season|7:{position}", 0.0) for position in range(7)])
    assert season / season.mean() == pytest.approx(WEEKDAYS / WEEKDAYS.mean(), rel=0.03)


def test_a_prior_holds_nothing_that_is_of_one_region_or_of_no_effect():
    (prior,) = fit_priors(department(), [730])
    assert {name.split("|")[0] for name in prior.coefficients} <= {"season", "month", "flag", "weekend", "event"}
    assert all(abs(value) >= 0.005 for value in prior.coefficients.values())


def test_there_is_a_prior_for_each_cutoff_with_its_last_date():
    panel = department(periods=200)
    priors = fit_priors(panel, [100, 150, 200])
    assert [prior.as_of for prior in priors] == [str(panel.dates[cutoff - 1]) for cutoff in (100, 150, 200)]
    assert len({str(prior.coefficients) for prior in priors}) == 3


def test_a_prior_knows_nothing_after_its_cutoff():
    panel = department(periods=300)
    units, flags, indicators = panel.units.copy(), panel.flags["benefit"].copy(), panel.indicators.copy()
    units[:, 200:], flags[:, 200:], indicators[:, 200:] = 1e6, 1.0, 1.0
    poisoned = replace(panel, units=units, flags={"benefit": flags}, indicators=indicators)
    assert fit_priors(poisoned, [100, 200]) == fit_priors(panel, [100, 200])
    assert fit_priors(poisoned, [300]) != fit_priors(panel, [300])


def test_a_short_history_gives_no_prior():
    panel = department(periods=80)
    assert [prior.as_of for prior in fit_priors(panel, [14, 55, 56, 80])] == [
        str(panel.dates[55]),
        str(panel.dates[79]),
    ]
    weeks = make_panel(np.full(40, 9.0), frequency="W", season_length=52)
    assert [prior.as_of for prior in fit_priors(weeks, [25, 26])] == [str(weeks.dates[25])]


def test_a_cut_of_a_panel_drops_priors_that_know_more():
    panel = make_panel(np.ones(20))
    days = [str(panel.dates[place]) for place in (4, 9, 14)]
    panel = panel.with_priors(tuple(Prior("food", day, {}) for day in days))
    assert [prior.as_of for prior in panel.until(10).priors] == days[:2]  # the last of ten periods is number 9
    assert [prior.as_of for prior in panel.until(9).priors] == days[:1]
    assert panel.until(4).priors == ()
    assert [prior.as_of for prior in panel.until(20).priors] == days


EFFECT = 1.2
PRIOR = Prior("food", "2022-03-01", {"event|fair": EFFECT, "season|7:5": 0.6, "event|unknown": 3.0})


def slow_sku(periods=90, mean=0.3, *priors):
    """A SKU of two sales a week, with one day of the fair and nothing special on it."""
    steps = np.arange(periods + 14)
    units = (np.random.default_rng(0).random(periods) < mean) * 1.0
    return make_panel(units, events=("fair",), indicators=(steps == 40)[None] * 1.0).with_priors(priors)


def event_effect(panel, **settings):
    return ProfileModel(**settings).fit(panel).artifact["parameters"]["events"].get("fair", {}).get("", 0.0)


@pytest.mark.parametrize("pooling", [0.25, 0.5, 1.0])
def test_a_sku_with_little_data_gets_its_share_of_the_departments_effect(pooling):
    panel = slow_sku(90, 0.3, PRIOR)
    assert event_effect(panel, pooling=pooling) == pytest.approx(pooling * EFFECT, abs=0.05)
    season = ProfileModel(pooling=pooling, ridge=1000.0).fit(panel).artifact["parameters"]["season"]["7"]
    assert season[5] == pytest.approx(pooling * 0.6, abs=0.02)
    assert season[:5] == pytest.approx([0.0] * 5, abs=0.02)


def test_an_event_not_yet_seen_has_its_share_of_the_departments_effect():
    steps = np.arange(104)
    units = np.random.default_rng(0).poisson(5.0, 90) * 1.0
    coming = make_panel(units, events=("fair",), indicators=(steps == 95)[None] * 1.0)
    known, unknown = (ProfileModel(pooling=0.5).fit(coming.with_priors(priors)) for priors in ((PRIOR,), (NONE,)))
    assert known.artifact["parameters"]["events"]["fair"] == {"": pytest.approx(0.5 * EFFECT, abs=0.005)}
    ratio = known.predict(coming.future)[0] / unknown.predict(coming.future)[0]
    seasonal = np.delete(ratio, 5)  # by weekday, which the prior tilts as well; the sixth day ahead is the fair's
    assert ratio[5] > 1.5 * seasonal.max()


def test_without_pooling_priors_are_ignored():
    alone, other = (ProfileModel(pooling=0.0).fit(slow_sku(90, 0.3, *priors)) for priors in ((), (PRIOR,)))
    assert other.artifact == alone.artifact
    assert abs(event_effect(slow_sku(90, 0.3, PRIOR), pooling=0.0)) < 0.05


def test_a_sku_with_much_data_keeps_its_own_effect():
    panel = department(periods=700)
    own = event_effect(panel)
    assert own == pytest.approx(np.log(2.0), abs=0.05)
    half = Prior("food", "2022-06-01", {"event|fair": 0.35})
    assert event_effect(panel.with_priors((half,)), pooling=1.0) == pytest.approx(own, abs=0.03)


def test_the_last_prior_counts_and_the_artifact_names_it():
    older = Prior("food", "2022-02-01", {"event|fair": -1.0})
    model = ProfileModel(pooling=1.0).fit(slow_sku(90, 0.3, older, PRIOR))
    assert model.artifact["parameters"]["prior"] == {"department": "food", "as_of": "2022-03-01"}
    assert model.artifact["parameters"]["events"]["fair"][""] == pytest.approx(EFFECT, abs=0.1)


def test_a_cut_fit_does_not_borrow_from_a_prior_that_knows_more():
    panel = slow_sku(90, 0.3, PRIOR)  # of 1 March, the panel's day number 57
    assert ProfileModel().fit(panel.until(58)).artifact["parameters"]["prior"] is not None
    early = panel.until(57)
    assert ProfileModel().fit(early).artifact == ProfileModel().fit(early.with_priors(())).artifact


def test_a_prior_without_effects_changes_nothing_but_its_name():
    one, other = (ProfileModel().fit(slow_sku(90, 0.3, *priors)).artifact for priors in ((), (NONE,)))
    assert {**one["parameters"], "prior": None} == {**other["parameters"], "prior": None}
