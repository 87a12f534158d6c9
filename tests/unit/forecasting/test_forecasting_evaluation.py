"""The calls of the fleet: what is tried, what is chosen, what is refitted, what serves where nothing can be."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from forecasting_data import make_catalogue, make_panel, rich_panel, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from include.skufleet.config import Budget
from include.skufleet.errors import ConfigError, DataError
from include.skufleet.forecasting.candidates import CANDIDATES
from include.skufleet.forecasting.demand import DemandClass
from include.skufleet.forecasting.evaluation import evaluate, fall_back, is_informed, refit
from include.skufleet.forecasting.halving import plan_trials

CATALOGUE = make_catalogue()
CHEAP = make_catalogue("seasonal_naive", "exponential_smoothing", "tsb")


@dataclass(frozen=True)
class Broken:
    name = "broken"
    cost, classes = 0.1, frozenset({"smooth"})

    def fit(self, panel):
        raise DataError(f"cannot fit {panel.sku}")


def test_the_choice_is_by_the_metric_among_the_named_and_the_refit_uses_all_data():
    panel = rich_panel(periods=500)
    found = evaluate(panel, CATALOGUE)
    assert found.chosen == "poisson_regression"
    assert found.members == ("poisson_regression",)
    assert found.scores.wape < found.baseline.wape
    assert found.champion is None
    assert len(found.backtest.cutoffs) == 3
    assert found.reason.startswith("poisson_regression by wape over 3 window(s)")
    assert refit(panel, found, CATALOGUE).artifact["as_of"] == str(panel.dates[-1])


@pytest.mark.parametrize(("periods", "informed"), [(727, False), (728, True)])
def test_two_years_of_history_inform_as_prices_or_events_do(periods, informed):
    assert is_informed(make_panel(simulate(periods=periods))) is informed
    assert is_informed(make_panel(simulate(periods=-(-periods // 7)), frequency="W", season_length=52))


def test_prices_events_or_flags_inform():
    panel = rich_panel(periods=100)
    bare = replace(panel, price=None, events=(), indicators=np.zeros((0, panel.closed.size)), flags={})
    assert is_informed(panel)
    assert not is_informed(bare)
    assert is_informed(replace(bare, price=panel.price))
    assert is_informed(replace(bare, events=panel.events, indicators=panel.indicators))
    assert is_informed(replace(bare, flags=panel.flags))


def test_a_strong_year_is_forecast_by_what_follows_it():
    """Twelve SKUs that sell five times as much at midsummer as at midwinter, three years of them, a quarter ahead."""
    days = np.arange(3 * 364 + 90)
    rate = 12.0 * np.exp(0.8 * np.sin(2 * np.pi * days / 365.25)) * np.where(days % 7 >= 5, 1.6, 1.0)
    errors, naive, names = 0.0, 0.0, []
    for seed in range(12):
        units = np.random.default_rng(seed).poisson(rate).astype(float)
        panel = make_panel(units[:-90], horizon=90)
        catalogue = make_catalogue("seasonal_naive", "exponential_smoothing", "tsb", "profile", horizon=90)
        found = evaluate(panel, catalogue)
        names.append(found.chosen)
        made = refit(panel, found, catalogue).predict(panel.future)[0]
        errors += np.abs(made - units[-90:]).sum()
        naive += np.abs(np.resize(units[-97:-90], 90) - units[-90:]).sum()
    assert names.count("profile") >= 9
    assert errors < 0.6 * naive


def test_the_candidate_in_production_is_judged_on_the_same_windows_but_not_chosen():
    panel = rich_panel(periods=500)
    found = evaluate(panel, CHEAP, also=["poisson_regression"])
    assert found.chosen in {"seasonal_naive", "exponential_smoothing", "tsb"}
    assert found.champion.periods == found.scores.periods
    assert found.champion.wape < found.scores.wape
    assert evaluate(panel, CHEAP, names=["seasonal_naive"], also=["a model of old"]).champion is None


def test_an_ensemble_is_the_mean_of_the_preferred_and_the_next_and_needs_no_fit_of_its_own():
    panel = make_panel(simulate())
    names = ("seasonal_naive", "exponential_smoothing", "tsb", "ensemble")
    found = evaluate(panel, make_catalogue(*names))
    made = found.backtest.forecasts
    members = [name for name in ("exponential_smoothing", "tsb") if name in made]
    np.testing.assert_array_equal(made["ensemble"], (made[members[0]] + made[members[1]]) / 2)
    forced = replace(found, chosen="ensemble", pair=("exponential_smoothing", "tsb"))
    fitted = refit(panel, forced, CHEAP)
    assert fitted.name == "ensemble"
    alone = [refit(panel, replace(found, chosen=name), CHEAP).predict(panel.future) for name in members]
    np.testing.assert_allclose(fitted.predict(panel.future), (alone[0] + alone[1]) / 2)


def test_a_history_too_short_for_any_window_chooses_nothing_and_says_so():
    panel = make_panel([[1.0, 2.0, 3.0]])
    found = evaluate(panel, CATALOGUE)
    assert found.chosen is None
    assert found.scores is None
    assert "no backtest window fits: 3 periods" in found.reason
    with pytest.raises(ValueError, match="nothing was chosen"):
        refit(panel, found, CATALOGUE)


def test_when_every_candidate_fails_the_reason_names_them(monkeypatch):
    monkeypatch.setitem(CANDIDATES, "broken", Broken)
    found = evaluate(make_panel(simulate()), CATALOGUE, names=["broken"])
    assert found.chosen is None
    assert found.reason == "every candidate failed: broken: DataError: cannot fit tea"


def test_an_unknown_candidate_name_is_refused():
    with pytest.raises(ConfigError, match="oracle"):
        evaluate(make_panel(simulate()), CATALOGUE, names=["oracle"])


@pytest.mark.filterwarnings("error")
def test_all_zero_actuals_are_scored_without_a_warning():
    panel = make_panel(np.zeros((2, 200)))
    found = evaluate(panel, CATALOGUE)
    assert found.scores.wape == found.baseline.wape == 0.0
    assert found.demand_class == "no_demand"
    assert found.coverage == {0.8: 1.0, 0.95: 1.0}
    assert not refit(panel, found, CATALOGUE).predict(panel.future).any()


def test_what_the_budget_does_not_reach_for_is_not_tried_and_the_record_says_why():
    panel = make_panel(simulate(periods=400))
    tight = CATALOGUE.model_copy(update={"budget": Budget(cpu_seconds_per_sku=0.002)})
    found = evaluate(panel, tight, also=["tsb"])
    assert "exponential_smoothing" in found.backtest.scores  # the preferred one is tried whatever it costs
    assert list(found.not_tried) == ["poisson_regression"]
    assert found.not_tried["poisson_regression"].startswith("needs 0.00")
    assert found.seconds_saved == pytest.approx(3 * CANDIDATES["poisson_regression"].cost * 1200 / 1e6)
    assert found.champion is not None
    assert evaluate(panel, CATALOGUE).not_tried == {}


def test_a_candidate_is_tried_in_the_demand_classes_that_it_is_made_for(monkeypatch):
    monkeypatch.setitem(CANDIDATES, "broken", Broken)
    found = evaluate(make_panel(simulate(mean=0.2)), CATALOGUE, names=["seasonal_naive", "tsb", "broken"])
    assert found.demand_class == "intermittent"
    assert found.not_tried == {"broken": "not made for intermittent demand"}
    assert found.errors == {}


def plan(names, budget, demand_class: DemandClass = "smooth", always=("seasonal_naive",)):
    return plan_trials(
        [CANDIDATES[name]() for name in names],
        always=always,
        demand_class=demand_class,
        rows=1_000_000,
        windows=3,
        budget=budget,
    )


def test_the_budget_goes_to_the_most_promising_candidates_first():
    names = ("tsb", "theta", "seasonal_naive")
    spent = 4 * (CANDIDATES["seasonal_naive"].cost + CANDIDATES["tsb"].cost)
    agenda = plan(names, Budget(cpu_seconds_per_sku=spent * 1.01, cheap=1.0))
    assert [candidate.name for candidate in agenda.tried] == ["tsb", "seasonal_naive"]
    assert list(agenda.left_out) == ["theta"]
    assert agenda.costly == frozenset()
    assert plan(names, Budget(cpu_seconds_per_sku=spent * 9, cheap=0.01)).costly == {"theta", "tsb"}
    assert plan(names, Budget(cpu_seconds_per_sku=None, cheap=0.01)).costly == frozenset()
    assert plan(names, Budget(cpu_seconds_per_sku=1e-6), always=names).left_out == {}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cutoff=st.integers(60, 149), announced=st.booleans())
def test_an_evaluation_as_of_a_day_does_not_depend_on_what_came_later(seed, cutoff, announced):
    panel = replace(rich_panel(stores=2, periods=150), price_known_ahead=announced)
    rng = np.random.default_rng(seed)
    units = panel.units.copy()
    units[:, cutoff:] = rng.poisson(1e4, units[:, cutoff:].shape)
    price = panel.price.copy()
    price[:, cutoff + (panel.horizon if announced else 0) :] = 1e3
    later = replace(panel, units=units, price=price).until(cutoff)
    one, two = evaluate(panel.until(cutoff), CHEAP), evaluate(later, CHEAP)
    assert (one.chosen, one.reason, one.coverage) == (two.chosen, two.reason, two.coverage)
    if one.chosen:
        fitted = [refit(cut, found, CHEAP) for cut, found in ((panel.until(cutoff), one), (later, two))]
        assert fitted[0].to_artifact() == fitted[1].to_artifact()


def test_the_same_panel_gives_the_same_model_to_the_bit():
    panel = rich_panel(periods=300)
    artifacts = [json.dumps(refit(panel, evaluate(panel, CATALOGUE), CATALOGUE).to_artifact()) for _ in range(2)]
    assert artifacts[0] == artifacts[1]


def test_intervals_are_fitted_to_all_windows_and_judged_without_their_own():
    panel = make_panel(simulate(periods=500))
    found = evaluate(panel, CHEAP)
    assert list(found.bounds) == ["lower_80", "upper_80", "lower_95", "upper_95"]
    assert found.coverage[0.8] == pytest.approx(0.8, abs=0.08)
    assert found.coverage[0.95] == pytest.approx(0.95, abs=0.04)
    assert refit(panel, found, CHEAP).artifact["intervals"]["levels"] == [0.8, 0.95]
    wide = CHEAP.model_copy(update={"intervals": CHEAP.intervals.model_copy(update={"levels": (0.5,)})})
    other = evaluate(panel, wide)
    assert list(other.bounds) == ["lower_50", "upper_50"]
    assert other.coverage == found.coverage
    none = CHEAP.model_copy(update={"intervals": CHEAP.intervals.model_copy(update={"levels": ()})})
    silent = evaluate(panel, none)
    assert silent.bounds == {}
    assert refit(panel, silent, none).artifact["intervals"] is None


def test_with_a_single_window_there_are_intervals_but_no_honest_coverage():
    panel = make_panel(simulate(periods=25))
    found = evaluate(panel, CHEAP)
    assert len(found.backtest.cutoffs) == 1
    assert np.isnan(list(found.coverage.values())).all()
    assert refit(panel, found, CHEAP).artifact["intervals"]["two_tails"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("periods", [1, 3, 10, 40])
def test_a_fallback_has_intervals_too(periods):
    panel = make_panel(simulate(periods=periods))
    given = fall_back(panel, CHEAP).artifact["intervals"]
    assert given["levels"] == [0.8, 0.95]
    assert 0 < given["two_tails"][0] <= given["two_tails"][1]
    assert fall_back(make_panel(np.zeros((2, periods))), CHEAP).name == "zero_demand"
    assert fall_back(make_panel(np.full((2, periods), np.nan)), CHEAP).name == "zero_demand"
