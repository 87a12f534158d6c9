"""The mean of several models: by hand, as one artifact, and what is refused."""

import json

import numpy as np
import pytest
from forecasting_data import make_panel, rich_panel, simulate

from include.skufleet.errors import DataError
from include.skufleet.forecasting.candidates import combine, fit_candidate, restore
from include.skufleet.forecasting.candidates.ensemble import Ensemble
from include.skufleet.forecasting.candidates.naive import SeasonalNaive, ZeroDemand
from include.skufleet.forecasting.candidates.weekday_mean import WeekdayMean


def test_an_ensemble_by_hand():
    panel = make_panel([[1, 2, 3, 3, 4, 5]], season_length=3, horizon=3)
    members = (SeasonalNaive(), WeekdayMean(seasons=2))
    assert Ensemble(members).fit(panel).predict(panel.future)[0] == pytest.approx([2.5, 3.5, 4.5], rel=1e-5)
    weighted = combine(panel, [member.fit(panel) for member in members], [6.0, 2.0])
    assert weighted.predict(panel.future)[0] == pytest.approx([2.75, 3.75, 4.75], rel=1e-5)


def test_an_ensemble_is_the_mean_of_its_members_also_when_restored_from_json():
    panel = rich_panel()
    fitted = fit_candidate("ensemble", panel)
    alone = [fit_candidate(name, panel) for name in ("exponential_smoothing", "tsb", "poisson_regression")]
    mean = np.mean([model.predict(panel.future) for model in alone], axis=0)
    np.testing.assert_allclose(fitted.predict(panel.future), mean, rtol=1e-5)
    again = restore(json.loads(json.dumps(fitted.to_artifact())))
    np.testing.assert_array_equal(again.predict(panel.future), fitted.predict(panel.future))


def test_what_cannot_be_averaged_is_refused():
    panel = make_panel(simulate(1, 30))
    naive, zero = SeasonalNaive().fit(panel), ZeroDemand().fit(panel)
    with pytest.raises(DataError, match=r"'tea': an ensemble of \[\]"):
        combine(panel, [])
    with pytest.raises(DataError, match="different families"):
        combine(panel, [naive, naive])
    with pytest.raises(DataError, match="different families"):
        combine(panel, [naive, combine(panel, [zero])])
    for weights in ([1.0], [1.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(DataError, match="expected one above 0 for each"):
            combine(panel, [naive, zero], weights)
