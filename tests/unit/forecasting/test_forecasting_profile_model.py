"""The profile model end to end: what it recovers from simulated sales, what its artifact holds, what it cannot see."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from forecasting_data import MONDAY, frame_of, make_panel, rich_panel, simulate

from include.skufleet.forecasting import scoring
from include.skufleet.forecasting.calendar import align_calendar, to_days
from include.skufleet.forecasting.candidates.profile import ProfileModel

WEEKDAYS = np.array([1.0, 0.8, 0.9, 1.0, 1.3, 2.0, 1.6])


def fit(panel, **settings):
    return ProfileModel(**settings).fit(panel)


def parameters(panel, **settings):
    return fit(panel, **settings).artifact["parameters"]


def poisson(rate, seed=0):
    return np.random.default_rng(seed).poisson(rate).astype(float)


def weekly(periods, mean=20.0, stores=3):
    return mean * WEEKDAYS[np.arange(periods) % 7] * np.ones((stores, 1))


def test_weekdays_are_recovered():
    model = fit(make_panel(poisson(weekly(700))))
    season = np.exp(model.artifact["parameters"]["season"]["7"])
    assert season / season.mean() == pytest.approx(WEEKDAYS / WEEKDAYS.mean(), rel=0.03)
    forecast = model.predict(make_panel(np.ones((3, 700))).future)
    np.testing.assert_allclose(forecast.mean(axis=0), np.tile(20 * WEEKDAYS, 2), rtol=0.08)


def test_a_store_with_weekdays_of_its_own_keeps_them():
    rate = weekly(700)
    rate[2] = 20.0
    forecast = fit(make_panel(poisson(rate))).predict(make_panel(np.ones((3, 700))).future)
    assert forecast[2, 5] / forecast[2, 1] == pytest.approx(1.0, abs=0.12)
    assert forecast[0, 5] / forecast[0, 1] == pytest.approx(2.5, rel=0.1)


def fair_panel(periods=700, horizon=14):
    """A fair every 63 days, one of them in the horizon; its eve sells 3 times as much, the fair itself a third."""
    known = periods + horizon
    days = np.arange(periods % 63 + horizon - 5, known, 63)
    calendar = pd.DataFrame({"date": MONDAY + days * np.timedelta64(1, "D"), "event": "fair"})
    laid = align_calendar(
        calendar,
        start=int(to_days(MONDAY[None])[0]),
        periods=known,
        frequency="D",
        stores=("s0", "s1", "s2"),
        events=["event"],
        windows={"fair": ((-1, -1),)},
    )
    rate = weekly(periods, mean=200.0)
    rate[:, days[days < periods]] /= 3.0
    rate[:, days[days <= periods] - 1] *= 3.0
    return make_panel(poisson(rate), horizon=horizon, events=laid.events, indicators=laid.indicators)


def test_an_event_and_its_eve_are_recovered_and_forecast():
    panel = fair_panel()
    model = fit(panel, ridge=0.1)
    effects = model.artifact["parameters"]["events"]["fair"]
    assert effects[""] == pytest.approx(np.log(1 / 3), abs=0.1)
    assert effects["-1"] == pytest.approx(np.log(3), abs=0.1)
    future = panel.future
    eve, day = (int(np.flatnonzero(future.indicators[panel.events.index(name)])[0]) for name in ("fair -1", "fair"))
    assert day == eve + 1
    plain = model.predict(replace(future, indicators=np.zeros(future.indicators.shape)))
    ratio = model.predict(future) / plain
    assert ratio[:, eve] == pytest.approx(3.0, rel=0.1)
    assert ratio[:, day] == pytest.approx(1 / 3, rel=0.1)
    assert np.delete(ratio, [eve, day], axis=1) == pytest.approx(1.0)


def test_the_larger_the_penalty_the_less_is_left_of_an_event():
    none, usual, large = (
        parameters(fair_panel(), **settings)["events"].get("fair", {})
        for settings in ({"ridge": 0.1}, {}, {"ridge": 100.0})
    )
    for day, effect in (("", np.log(1 / 3)), ("-1", np.log(3))):
        left = [events.get(day, 0.0) / effect for events in (none, usual, large)]
        assert left == sorted(left, reverse=True)
        assert left[1] > 0.6
    assert abs(large.get("", 0.0)) < 0.2


def test_a_young_stores_cap_is_that_of_the_others():
    rate = weekly(300)
    units = poisson(rate)
    units[1, 150] = 900.0
    units[2, :-20] = np.nan
    caps = parameters(make_panel(units), guard=1.0)["cap"]
    assert caps == [units[0].max(), 900.0, 900.0]
    grown = units.copy()
    grown[2, -40:] = 30.0
    assert parameters(make_panel(grown), guard=1.0)["cap"][2] == 30.0


def test_an_event_without_an_effect_is_left_out():
    indicators = (np.arange(714) % 63 == 20)[None] * 1.0
    panel = make_panel(np.full((3, 700), 20.0), events=("nothing",), indicators=indicators)
    assert parameters(panel)["events"] == {}


def test_a_flags_effect_is_recovered_by_region():
    known = 714
    first, second = np.arange(known) % 5 == 0, np.arange(known) % 6 == 1
    flag = np.array([first, first, second, second]) * 1.0
    rate = weekly(700, stores=4)
    rate[:2] *= np.where(flag[:2, :700] > 0, 1.8, 1.0)
    rate[2:] *= np.where(flag[2:, :700] > 0, 1.2, 1.0)
    model = fit(make_panel(poisson(rate), flags={"benefit": flag}))
    future = make_panel(np.ones((4, 700)), flags={"benefit": flag}).future
    without = replace(future, flags={"benefit": np.zeros((4, 14))})
    ratio = model.predict(future) / model.predict(without)
    set_ = future.flags["benefit"] > 0
    assert ratio[:2][set_[:2]] == pytest.approx(1.8, rel=0.1)
    assert ratio[2:][set_[2:]] == pytest.approx(1.2, rel=0.1)
    assert ratio[~set_] == pytest.approx(1.0)


def test_the_effect_of_a_price_cut_is_recovered_and_stays_within_what_was_seen():
    panel = rich_panel(periods=700)
    model = fit(panel)
    future = panel.future

    def at(price):
        return model.predict(replace(future, price=np.full((3, 14), price)))

    # A cut to the half sells three times as much; the event and flags of the panel are the same in both.
    open_ = ~future.closed
    assert (at(2.0) / np.where(open_, at(4.0), np.nan))[:, open_] == pytest.approx(3.0, rel=0.15)
    np.testing.assert_array_equal(at(0.01), at(1.0))


def test_nothing_is_sold_on_closed_days():
    panel = rich_panel()
    closed = panel.closed.copy()
    closed[-3] = True
    shut = replace(panel, closed=closed)
    forecast = fit(shut).predict(shut.future)
    assert (forecast[:, -3] == 0).all()
    assert (np.delete(forecast, 11, axis=1) > 0).all()


def test_components_multiply_to_the_forecast_and_say_what_they_are():
    panel = rich_panel(periods=410, horizon=28)
    artifact = fit(panel).to_artifact()
    frame = frame_of(panel)
    assert frame["events"].notna().any()
    parts = scoring.components(artifact, frame)
    assert {"level", "weekday", "day of month", "fair", "benefit", "price"} <= set(parts["component"])
    product = parts.groupby(["store", "date"])["value"].prod()
    y_hat = scoring.predict(artifact, frame).set_index(["store", "date"])["y_hat"]
    np.testing.assert_allclose(product[y_hat.index], y_hat, rtol=1e-9)
    fair = parts[parts["component"] == "fair"].set_index(["store", "date"])["value"]
    there = (frame.set_index(["store", pd.to_datetime(frame["date"])])["events"].notna()).to_numpy()
    assert (fair[there] > 2).all()
    assert (fair[~there] == 1).all()


def test_the_frame_and_the_arrays_give_the_same_forecast():
    panel = rich_panel(periods=410, horizon=28)
    model = fit(panel)
    shipped = json.loads(json.dumps(model.to_artifact()))
    y_hat = scoring.predict(shipped, frame_of(panel))["y_hat"].to_numpy().reshape(3, 28)
    np.testing.assert_array_equal(y_hat, model.predict(panel.future))


def test_the_artifact_of_ten_stores_is_small():
    panel = make_panel(poisson(simulate(stores=10, periods=800)))
    assert len(json.dumps(parameters(panel), separators=(",", ":"))) < 1500


def test_weeks_have_no_weekday_and_forecast_their_level():
    rate = 70.0 * np.array([[1.0], [0.5]]) * np.ones((2, 156))
    panel = make_panel(poisson(rate), horizon=4, frequency="W", season_length=52)
    model = fit(panel)
    assert model.artifact["parameters"]["season"] == {}
    assert model.artifact["parameters"]["store_weekday"] is None
    np.testing.assert_allclose(model.predict(panel.future), rate[:, :4], rtol=0.12)
    names = set(scoring.components(model.to_artifact(), frame_of(panel))["component"])
    assert "week of month" in names
    assert not names & {"weekday", "season", "day of month"}


def test_one_store_has_no_ratios_of_its_own():
    panel = make_panel(poisson(weekly(400, stores=1)), flags={"benefit": (np.arange(414) % 5 == 0)[None] * 1.0})
    model = fit(panel)
    assert model.artifact["parameters"]["store_weekday"] is None
    assert model.artifact["parameters"]["flags"]["benefit"]["store"] == [1.0]
    np.testing.assert_allclose(model.predict(panel.future)[0], weekly(414)[0, 400:], rtol=0.15)


def test_without_events_prices_and_flags_nothing_is_made_up():
    got = parameters(make_panel(simulate()))
    assert got["events"] == {}
    assert got["flags"] == {}
    assert got["price"] == 0.0
    assert got["outage"] is None
    assert got["prior"] is None


@pytest.mark.parametrize("units", [[[np.nan]], [[0.0]], [[3.0]], [[np.nan, np.nan, 2.0]], [[0.0] * 40], [[5.0] * 8]])
def test_hardly_any_data_still_give_finite_forecasts_within_the_cap(units):
    panel = make_panel(units)
    forecast = fit(panel).predict(panel.future)
    assert np.isfinite(forecast).all()
    assert (forecast <= 3 * max(np.nan_to_num(units).max(), 0) + 1e-9).all()
    assert (forecast > 0).any() == bool(np.nansum(units) > 0)


def test_no_forecast_exceeds_the_guard():
    panel = rich_panel()
    model = fit(panel, guard=0.1)
    assert (model.predict(panel.future) <= 0.1 * np.nanmax(panel.units, axis=1, keepdims=True) + 1e-4).all()


def test_two_fits_are_the_same_to_the_bit():
    assert json.dumps(fit(rich_panel()).to_artifact()) == json.dumps(fit(rich_panel()).to_artifact())


@pytest.mark.parametrize("known_ahead", [False, True])
def test_nothing_after_the_cutoff_is_seen(known_ahead):
    panel = replace(rich_panel(), price_known_ahead=known_ahead)
    cutoff = 300
    end = cutoff + panel.horizon
    known = end if known_ahead else cutoff
    units, price, indicators = panel.units.copy(), panel.price.copy(), panel.indicators.copy()
    units[:, cutoff:], price[:, known:], indicators[:, end:] = 999.0, 77.0, 1.0
    flags = {name: values.copy() for name, values in panel.flags.items()}
    flags["benefit"][:, end:] = np.arange(3)[:, None]  # each store a region of its own
    closed = panel.closed.copy()
    closed[end:] = True
    poisoned = replace(panel, units=units, price=price, indicators=indicators, flags=flags, closed=closed)
    one, other = (each.until(cutoff) for each in (panel, poisoned))
    assert json.dumps(fit(one).to_artifact()) == json.dumps(fit(other).to_artifact())
    np.testing.assert_array_equal(fit(one).predict(one.future), fit(other).predict(other.future))


def test_the_fit_does_not_look_at_the_calendar_or_prices_ahead():
    panel = rich_panel()
    price, indicators, flags = panel.price.copy(), panel.indicators.copy(), panel.flags["benefit"].copy()
    price[:, 400:], indicators[:, 400:], flags[:, 400:] = 55.0, 1.0, np.arange(3)[:, None]
    other = replace(panel, price=price, indicators=indicators, flags={"benefit": flags})
    assert json.dumps(fit(panel).to_artifact()) == json.dumps(fit(other).to_artifact())


def test_a_busy_store_that_fell_silent_fades_and_a_slow_one_does_not():
    steps = np.arange(400)
    units = np.array([poisson(np.full(400, 10.0)), poisson(np.full(400, 10.0), 1), (steps % 20 == 5) * 1.0])
    units[0, -30:] = 0.0
    units[2, -14:] = 0.0  # the last sale was on day 385
    panel = make_panel(units)
    model = fit(panel)
    outage = model.artifact["parameters"]["outage"]
    assert outage["chance"][0] > 0.95
    assert outage["chance"][1] == 0
    forecast = model.predict(panel.future)
    assert forecast[0].max() < 3.0
    assert (np.diff(forecast[0]) > -0.3).all()  # its return is the more likely, the later
    assert forecast[0, -1] > 2 * forecast[0, 0]
    assert forecast[1].mean() == pytest.approx(10.0, rel=0.15)
    assert forecast[2].mean() == pytest.approx(0.05, rel=0.5)


def test_the_level_follows_a_change():
    rate = weekly(400)
    rate[:, -60:] *= 2.0
    panel = make_panel(poisson(rate))
    forecast = fit(panel).predict(panel.future)
    assert forecast.mean() / rate[:, -14:].mean() == pytest.approx(1.0, abs=0.15)


def test_days_that_are_not_known_are_not_zeros():
    units = poisson(weekly(400))
    units[np.random.default_rng(1).random(units.shape) < 0.5] = np.nan
    units[1, -20:] = np.nan
    panel = make_panel(units)
    model = fit(panel)
    assert model.artifact["parameters"]["outage"] is None
    np.testing.assert_allclose(model.predict(panel.future).mean(axis=1), weekly(414)[:, 400:].mean(axis=1), rtol=0.15)
