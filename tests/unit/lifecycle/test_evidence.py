from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.lifecycle.evidence import MAX_BLOCKS, sum_blocks, weigh

losses = st.lists(st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3)), min_size=2, max_size=12)


@given(losses, st.floats(-0.3, 0.3))
def test_the_mirror_image_loses_what_the_other_gains(pairs: list[tuple[float, float]], prior: float) -> None:
    own, rival = np.array(pairs).T
    one, other = weigh(own, rival, prior), weigh(rival, own, -prior)
    assert (1 - one.gain) * (1 - other.gain) == pytest.approx(1)
    assert (1 - one.seen) * (1 - other.seen) == pytest.approx(1)
    if 0 < one.probability < 1 and abs(one.gain) > 1e-9:  # below that it is rounding
        assert one.probability + other.probability == pytest.approx(1)


@given(losses, st.floats(-0.3, 0.3))
def test_what_is_expected_lies_between_what_was_seen_and_what_was_known(
    pairs: list[tuple[float, float]], prior: float
) -> None:
    own, rival = np.array(pairs).T
    found = weigh(own, rival, prior)
    low, high = sorted((found.seen, 1 - math.exp(prior)))
    assert low - 1e-9 <= found.gain <= high + 1e-9


def test_the_same_gain_counts_the_more_the_steadier_it_is() -> None:
    steady = weigh(np.full(12, 0.9), np.ones(12))
    moody = weigh(np.array([0.1, 1.7] * 6), np.ones(12))
    assert steady.seen == pytest.approx(moody.seen)
    assert steady.gain > 3 * moody.gain > 0
    assert steady.probability > 0.99 > 0.8 > moody.probability > 0.5


def test_a_planted_challenger_that_is_no_better_seldom_convinces() -> None:
    """Both make the same errors but for luck; asked for: half a per cent, at 75 %."""
    rng = np.random.default_rng(0)
    found = [weigh(*rng.gamma(2.0, size=(2, 12)), squared=True) for _ in range(2000)]
    assert np.mean([item.gain >= 0.005 and item.probability >= 0.75 for item in found]) < 0.05


def test_what_is_known_of_the_recipes_speaks_where_the_windows_do_not() -> None:
    rng = np.random.default_rng(1)
    alike = rng.gamma(1.0, size=12)
    expected = weigh(alike, alike[::-1].copy(), -0.1)
    assert expected.gain > 0.02
    assert weigh(np.ones(1), np.full(1, 9.0), -0.02).gain == pytest.approx(1 - math.exp(-0.02)), (
        "one block says nothing"
    )
    assert weigh(np.zeros(0), np.zeros(0)).blocks == 0


def test_the_gain_of_squares_is_that_of_their_root() -> None:
    assert weigh(np.array([0.64, 0.64]), np.ones(2), squared=True).seen == pytest.approx(0.2)
    nothing = weigh(np.zeros(3), np.zeros(3))
    assert math.isnan(nothing.seen)
    assert nothing.probability == 0.0, "nothing to gain over no error at all"


@pytest.mark.parametrize(("own", "rival"), [((2,), (3,)), ((2, 2), (2, 2))])
def test_what_does_not_pair_is_refused(own: tuple[int, ...], rival: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="blocks"):
        weigh(np.ones(own), np.ones(rival))


@given(st.integers(1, 30), st.integers(1, 40))
def test_blocks_hold_every_period_once_and_do_not_mix_windows(windows: int, horizon: int) -> None:
    table = np.random.default_rng(windows).random((windows, horizon))
    blocks = sum_blocks(table)
    assert 1 <= blocks.size <= MAX_BLOCKS
    assert blocks.sum() == pytest.approx(table.sum())
    if windows <= MAX_BLOCKS:
        assert blocks.reshape(windows, -1).sum(axis=1) == pytest.approx(table.sum(axis=1))


def test_no_window_has_no_block() -> None:
    assert sum_blocks(np.zeros((0, 7))).size == 0
