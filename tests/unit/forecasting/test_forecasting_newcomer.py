"""What serves a SKU that is too young to be trained: its own level, its department's calendar."""

import numpy as np
import pytest
from forecasting_data import make_catalogue, make_panel

from include.skufleet.forecasting.evaluation import fall_back
from include.skufleet.forecasting.panel import Prior

CATALOGUE = make_catalogue("seasonal_naive", "profile")
WEEKEND = Prior("food", "2022-01-03", {"season|7:5": float(np.log(2)), "season|7:6": float(np.log(2))})
WEEK = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0])


def newcomer(units, *priors, **more):
    return make_panel(units, **more).with_priors(priors)


def test_one_monday_is_enough_for_the_departments_week_at_the_skus_level():
    fitted = fall_back(newcomer([[6.0]], WEEKEND), CATALOGUE)
    assert fitted.name == "profile"
    week = fitted.predict(make_panel([[6.0]]).future)[0, :7]
    assert week == pytest.approx(6.0 * np.roll(WEEK, -1), rel=1e-3)


def test_a_first_day_at_the_weekend_does_not_make_a_large_sku():
    """Six units on a Saturday of a department that sells double then: three on a Monday."""
    saturday = newcomer([[6.0]], WEEKEND, start=np.datetime64("2022-01-08"))
    week = fall_back(saturday, CATALOGUE).predict(saturday.future)[0, :7]
    assert week == pytest.approx(3.0 * np.roll(WEEK, -6), rel=1e-3)


def test_its_own_weekdays_come_through_only_slowly():
    """Three weeks that peak on Wednesdays, in a department that peaks at the weekend."""
    panel = newcomer([np.tile([4.0, 4, 9, 4, 4, 4, 4], 3)], WEEKEND)
    week = fall_back(panel, CATALOGUE).predict(panel.future)[0, :7]
    assert week[5] > 1.7 * week[0]
    assert week[0] < week[2] < 1.3 * week[0]


def test_a_store_that_opened_yesterday_starts_with_what_the_others_sell():
    panel = newcomer([[4.0] * 10, [np.nan] * 9 + [1.0]], WEEKEND)
    forecast = fall_back(panel, CATALOGUE).predict(panel.future)
    assert forecast[1].sum() > 0.5 * forecast[0].sum()


@pytest.mark.parametrize(
    ("units", "priors", "catalogue", "name"),
    [
        ([[6.0]], (), CATALOGUE, "seasonal_naive"),
        ([[0.0, 0.0]], (WEEKEND,), CATALOGUE, "zero_demand"),
        ([[np.nan]], (WEEKEND,), CATALOGUE, "zero_demand"),
        ([[6.0]], (WEEKEND,), make_catalogue("seasonal_naive", "tsb"), "seasonal_naive"),
        ([[6.0]], (WEEKEND,), make_catalogue("profile", "seasonal_naive", settings={"profile": {"pooling": 0}}), None),
        ([[6.0] * 200], (WEEKEND,), CATALOGUE, "seasonal_naive"),
        ([[6.0] * 55], (WEEKEND,), CATALOGUE, "profile"),
        ([[6.0] * 56], (WEEKEND,), CATALOGUE, "seasonal_naive"),
    ],
    ids=["no department", "never sold", "nothing known", "no profile", "no pooling", "old", "too young", "old enough"],
)
def test_it_borrows_only_if_it_sold_and_is_young_and_the_catalogue_lets_it(units, priors, catalogue, name):
    assert fall_back(newcomer(units, *priors), catalogue).name == (name or "seasonal_naive")


def test_the_answer_has_intervals_and_says_from_whom_it_is():
    artifact = fall_back(newcomer([[6.0, 3.0]], WEEKEND), CATALOGUE).artifact
    assert artifact["parameters"]["prior"] == {"department": "food", "as_of": "2022-01-03"}
    assert artifact["intervals"]["levels"] == [0.8, 0.95]
