"""No candidate is upset by a bad history, and none knows anything of what comes after a cutoff."""

import json
from dataclasses import replace

import numpy as np
import pytest
from forecasting_data import make_catalogue, make_panel, rich_panel, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from include.skufleet.forecasting.candidates import CANDIDATES, fit_candidate
from include.skufleet.forecasting.evaluation import fall_back
from include.skufleet.forecasting.panel import Prior

NAN = np.nan
HORIZON = 28


def bad_histories():
    gap = np.full((2, 3000), NAN)
    gap[:, 0], gap[0, -1] = 5.0, 3.0
    holes = simulate(3, 400)
    holes[np.random.default_rng(0).random(holes.shape) < 0.6] = NAN
    return {
        "one row": [[3.0]],
        "one unknown": [[NAN]],
        "two rows": [[3.0, NAN], [NAN, 0.0]],
        "all missing": np.full((3, 100), NAN),
        "all zero": np.zeros((2, 200)),
        "constant": np.full((2, 200), 4.0),
        "huge": simulate(2, 300) * 1e12,
        "tiny": simulate(2, 300) * 1e-9,
        "one sale ten years ago": np.eye(1, 3652) * 9.0,
        "a gap of years": gap,
        "more gaps than values": holes,
        "nothing for a year": np.hstack([simulate(2, 300), np.full((2, 365), NAN)]),
        "zero for a year": np.hstack([simulate(2, 300), np.zeros((2, 365))]),
        "a store opened yesterday": np.vstack([simulate(1, 300), [[NAN] * 299 + [2.0]]]),
        "every store opened yesterday": np.hstack([np.full((3, 200), NAN), [[2.0], [0.0], [7.0]]]),
        "500 stores of which one sells": np.vstack([simulate(1, 120), np.zeros((499, 120))]),
        "shorter than the horizon": simulate(2, 10),
        "one giant sale": np.where(np.arange(400) == 399, 1e12, 1.0)[None, :],
    }


def dress(panel):
    """Unknown and odd prices, an event that never was before, one on the last day only, a flag of the future, rest."""
    stores, periods = panel.units.shape
    steps = np.arange(periods + panel.horizon)
    price = np.where(steps % 3 == 0, NAN, 10.0 ** (steps % 5 - 2)) * np.ones((stores, 1))
    price[0] = NAN
    closed = steps % 9 == 5
    return replace(
        panel,
        units=np.where(closed[:periods], NAN, panel.units),
        price=price,
        price_known_ahead=True,
        events=("new", "once", "price"),
        indicators=np.stack([steps >= periods, steps == periods - 1, steps % 50 == 0]) * 1.0,
        flags={"ahead": (steps >= periods) * np.ones((stores, 1)), "level": (steps % 7 == 3) * np.ones((stores, 1))},
        closed=closed,
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("case", bad_histories())
@pytest.mark.parametrize(("frequency", "season", "dressed"), [("D", 7, False), ("D", 7, True), ("W", 52, True)])
def test_whatever_the_history_the_forecast_is_finite_and_not_negative(name, case, frequency, season, dressed):
    panel = make_panel(bad_histories()[case], frequency=frequency, season_length=season, horizon=HORIZON)
    panel = dress(panel) if dressed else panel
    fitted = fit_candidate(name, panel)
    forecast = fitted.predict(panel.future)
    assert forecast.shape == (len(panel.stores), HORIZON)
    assert np.isfinite(forecast).all()
    assert (forecast >= 0).all()
    assert (forecast[:, panel.future.closed] == 0).all()
    json.dumps(fitted.to_artifact(), allow_nan=False)


LENGTHS = (*range(1, 17), 20, 23, 27, 28, 29, 45, 55, 56, 57, 70)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize(("frequency", "season"), [("D", 7), ("W", 52)])
@pytest.mark.parametrize("horizon", [1, 28, 90, 730])
def test_however_short_the_history_and_long_the_horizon_the_forecast_is_finite(name, frequency, season, horizon):
    for periods in LENGTHS:
        units = np.eye(1, periods) * 12.0
        panel = make_panel(units, frequency=frequency, season_length=season, horizon=horizon)
        for asked in (panel, dress(panel)):
            assert np.isfinite(fit_candidate(name, asked).predict(asked.future)).all(), (periods, asked is panel)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("frequency", "season"), [("D", 7), ("W", 52)])
@pytest.mark.parametrize("horizon", [1, 28, 90, 730])
def test_however_young_a_sku_its_department_serves_it(frequency, season, horizon):
    candidates = ("seasonal_naive", "profile")
    catalogue = make_catalogue(*candidates, frequency=frequency, season_length=season, horizon=horizon)
    for periods in (length for length in LENGTHS if length < catalogue.validation.min_history):
        panel = make_panel(np.eye(1, periods) * 12.0, frequency=frequency, season_length=season, horizon=horizon)
        fitted = fall_back(panel.with_priors(odd_priors(panel)), catalogue)
        assert fitted.artifact["parameters"]["prior"]["department"] == "wild"
        assert np.isfinite(fitted.predict(panel.future)).all(), periods


def odd_priors(panel):
    """A department unlike the SKU: wild effects, of things that the SKU never saw and of things that are not there."""
    effects = {"season|7:0": 4.0, "season|52:3": -4.0, "month|0": 2.0, "flag|level": 3.0, "weekend|ahead": -3.0}
    effects |= {"event|new": 5.0, "event|once": -5.0, "event|elsewhere": 9.0, "flag|elsewhere": 9.0}
    return (Prior("calm", str(panel.dates[0]), {}), Prior("wild", str(panel.dates[-1]), effects))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", bad_histories())
@pytest.mark.parametrize(("frequency", "season"), [("D", 7), ("W", 52)])
def test_whatever_the_history_a_department_however_odd_breaks_nothing(case, frequency, season):
    catalogue = make_catalogue("seasonal_naive", "profile", frequency=frequency, season_length=season, horizon=HORIZON)
    panel = dress(make_panel(bad_histories()[case], frequency=frequency, season_length=season, horizon=HORIZON))
    panel = panel.with_priors(odd_priors(panel))
    for fitted in (fit_candidate("profile", panel, catalogue.settings), fall_back(panel, catalogue)):
        forecast = fitted.predict(panel.future)
        assert np.isfinite(forecast).all()
        assert (forecast >= 0).all()
        assert (forecast[:, panel.future.closed] == 0).all()
        assert forecast.max() <= 3.0 * np.nan_to_num(panel.units).max() * (1 + 1e-4)
        json.dumps(fitted.to_artifact(), allow_nan=False)


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("case", ["all zero", "all missing", "zero for a year"])
def test_what_does_not_sell_is_forecast_as_next_to_nothing(name, case):
    panel = make_panel(bad_histories()[case], horizon=HORIZON)
    assert fit_candidate(name, panel).predict(panel.future).max() <= 0.25


@pytest.mark.parametrize("name", sorted(set(CANDIDATES) - {"zero_demand"}))
def test_what_always_sells_the_same_is_forecast_as_the_same(name):
    panel = make_panel(bad_histories()["constant"], horizon=HORIZON)
    assert fit_candidate(name, panel).predict(panel.future) == pytest.approx(4.0, rel=1e-4)


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_regressor_that_the_future_lacks_counts_as_absent(name):
    panel = rich_panel()
    future = replace(panel.future, price=None, events=(), indicators=np.zeros((0, 14)), flags={})
    forecast = fit_candidate(name, panel).predict(future)
    assert np.isfinite(forecast).all()
    assert (forecast >= 0).all()


values = st.one_of(st.just(NAN), st.just(0.0), st.floats(0, 1e12), st.integers(0, 9).map(float))


@pytest.mark.filterwarnings("error")
@settings(max_examples=80, deadline=None)
@given(
    units=arrays(float, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=60), elements=values),
    dressed=st.booleans(),
    name=st.sampled_from(list(CANDIDATES)),
    season=st.sampled_from([1, 7, 52]),
)
def test_any_history_gives_finite_forecasts(units, dressed, name, season):
    panel = make_panel(units, season_length=season, horizon=14)
    panel = dress(panel) if dressed else panel
    forecast = fit_candidate(name, panel).predict(panel.future)
    assert np.isfinite(forecast).all()
    assert (forecast >= 0).all()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(list(CANDIDATES)),
    announced=st.booleans(),
    cutoff=st.integers(20, 199),
    seed=st.integers(0, 2**32 - 1),
)
def test_changing_anything_after_a_cutoff_changes_no_forecast_made_at_it(name, announced, cutoff, seed):
    panel = replace(rich_panel(stores=2, periods=200), price_known_ahead=announced)
    rng = np.random.default_rng(seed)
    units, price, indicators = panel.units.copy(), panel.price.copy(), panel.indicators.copy()
    benefit, closed = panel.flags["benefit"].copy(), panel.closed.copy()
    ahead = cutoff + panel.horizon  # what is known ahead is known for one horizon
    units[:, cutoff:] = np.where(rng.random((2, 200 - cutoff)) < 0.2, NAN, rng.poisson(1e4, (2, 200 - cutoff)))
    start = ahead if announced else cutoff
    price[:, start:] = rng.uniform(0.01, 1e3, price[:, start:].shape)
    indicators[:, ahead:] = 1.0 - indicators[:, ahead:]
    benefit[:, ahead:] = 1.0 - benefit[:, ahead:]
    closed[ahead:] = ~closed[ahead:]
    poisoned = replace(
        panel, units=units, price=price, indicators=indicators, flags={"benefit": benefit}, closed=closed
    )
    before, after = panel.until(cutoff), poisoned.until(cutoff)
    one, two = fit_candidate(name, before), fit_candidate(name, after)
    assert one.to_artifact() == two.to_artifact()
    np.testing.assert_array_equal(one.predict(before.future), two.predict(after.future))
