"""Metrics by hand, their zero policy, and their docstrings' examples."""

import doctest
import math

import numpy as np
import pytest

from include.skufleet.forecasting import demand, intervals, metrics

NAN = float("nan")


@pytest.mark.parametrize("module", [demand, intervals, metrics])
def test_the_examples_of_the_docstrings_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_sku_is_scored_by_pooled_sums_not_by_means_of_ratios():
    y = np.array([[[10.0, 10.0], [1.0, 1.0]]])
    y_hat = np.array([[[12.0, 8.0], [3.0, 1.0]]])
    assert metrics.wape(y, y_hat) == pytest.approx(6 / 22)
    assert metrics.bias(y, y_hat) == pytest.approx(2 / 22)
    scale = np.array([[[4.0], [1.0]]])
    assert metrics.rmsse(y, y_hat, scale) == pytest.approx(math.sqrt(12 / 10))
    assert metrics.mase(y, y_hat, scale) == pytest.approx(6 / 10)


def test_missing_actuals_are_left_out_of_numerator_and_scale():
    y, y_hat, scale = [[1.0, NAN], [NAN, NAN]], [[2.0, 9.0], [9.0, 9.0]], [[1.0], [100.0]]
    assert metrics.wape(y, y_hat) == 1.0
    assert metrics.rmsse(y, y_hat, scale) == 1.0
    assert metrics.mae(y, y_hat) == 1.0


@pytest.mark.parametrize("metric", [metrics.wape, metrics.bias, metrics.mae, metrics.rmse])
def test_with_nothing_known_a_metric_is_nan(metric):
    assert math.isnan(metric([NAN], [1.0]))


def test_without_a_scale_an_error_is_nan_and_no_error_is_zero():
    assert math.isnan(metrics.rmsse([1.0], [2.0], [0.0]))
    assert metrics.rmsse([1.0], [1.0], [0.0]) == 0.0
    assert math.isnan(metrics.mase([1.0], [2.0], [0.0]))
    assert math.isnan(metrics.bias([0.0], [2.0]))


def test_scales_skip_gaps_and_a_short_history_is_compared_with_its_neighbour():
    assert metrics.squared_scale([[1.0, NAN, 5.0, 8.0]]).tolist() == [9.0]
    assert metrics.absolute_scale([[1.0, 4.0]], 7).tolist() == [3.0]
    assert metrics.squared_scale([[1.0]]).tolist() == [0.0]
