"""The panel and its cut at a cutoff."""

import numpy as np
import pytest
from forecasting_data import MONDAY, make_panel, rich_panel

from include.skufleet.errors import DataError


def test_a_cut_shares_the_panels_memory_and_keeps_the_horizon():
    panel = rich_panel(periods=100, horizon=14)
    cut = panel.until(60)
    assert cut.units.shape == (3, 60)
    assert cut.horizon == 14
    assert np.shares_memory(cut.units, panel.units)
    assert np.shares_memory(cut.price, panel.price)
    assert np.shares_memory(cut.indicators, panel.indicators)
    np.testing.assert_array_equal(cut.future.flags["benefit"], panel.flags["benefit"][:, 60:74])


def test_a_cut_repeats_the_last_price_where_prices_are_not_announced():
    price = np.array([[1.0, 2.0, 3.0, 3.0, 3.0]])
    panel = make_panel([[5.0, 5.0, 5.0]], horizon=2, price=price)
    assert panel.until(2).price.tolist() == [[1.0, 2.0, 2.0, 2.0]]
    announced = make_panel([[5.0, 5.0, 5.0]], horizon=2, price=price, price_known_ahead=True)
    assert announced.until(2).price.tolist() == [[1.0, 2.0, 3.0, 3.0]]


def test_the_future_starts_the_period_after_the_last_one():
    daily = make_panel([[1.0, 2.0]], horizon=2)
    assert daily.future.dates.tolist() == (MONDAY + np.array([2, 3])).tolist()
    weekly = make_panel([[1.0, 2.0]], horizon=2, frequency="W")
    assert weekly.future.dates.tolist() == (MONDAY + np.array([14, 21])).tolist()


@pytest.mark.parametrize("cutoff", [0, 3])
def test_a_cutoff_outside_the_panel_is_refused(cutoff):
    with pytest.raises(ValueError, match="expected 1 to 2"):
        make_panel([[1.0, 2.0]]).until(cutoff)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": [[-1.0, 2.0]]}, "units must be"),
        ({"units": [[np.inf, 2.0]]}, "units must be"),
        ({"price": np.zeros((1, 16))}, "prices must be"),
        ({"price": np.ones((1, 3))}, "price has shape"),
        ({"flags": {"f": np.full((1, 16), np.nan)}}, "must be finite"),
        ({"season_length": 0}, "season 0"),
    ],
)
def test_a_panel_that_cannot_be_right_is_refused_by_name(change, message):
    units = change.pop("units", [[1.0, 2.0]])
    with pytest.raises(DataError, match=f"'tea'.*{message}"):
        make_panel(units, **change)
