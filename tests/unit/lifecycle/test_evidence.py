from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.lifecycle.evidence import MAX_BLOCKS, sum_blocks, weigh

losses = st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=8)


@given(losses)
def test_the_p_value_is_the_share_of_all_signs_that_do_as_well(pairs: list[tuple[float, float]]) -> None:
    own, rival = np.array(pairs).T
    difference = rival - own
    sums = [float(np.dot(signs, difference)) for signs in itertools.product((1, -1), repeat=len(pairs))]
    slack = 1e-9 * float(np.abs(difference).sum())
    expected = np.mean([value >= difference.sum() - slack for value in sums])
    assert weigh(own, rival).p_value == pytest.approx(expected, abs=2 / len(sums))


@given(losses)
def test_the_mirror_image_loses_what_the_other_gains(pairs: list[tuple[float, float]]) -> None:
    own, rival = np.array(pairs).T
    one, other = weigh(own, rival), weigh(rival, own)
    assert one.p_value + other.p_value >= 1 - 1e-12, "both count the draw"
    if own.sum() > 1e-6 and rival.sum() > 1e-6:
        assert (1 - one.gain) * (1 - other.gain) == pytest.approx(1)


@pytest.mark.parametrize("blocks", [3, 6, 12])
def test_luck_alone_passes_as_often_as_the_p_value_says(blocks: int) -> None:
    rng = np.random.default_rng(0)
    values = [weigh(*rng.gamma(2.0, size=(2, blocks))).p_value for _ in range(2000)]
    for limit in (0.05, 0.125, 0.5):
        assert np.mean(np.array(values) <= limit) <= limit + 3 * math.sqrt(limit * (1 - limit) / 2000)


def test_a_gain_in_every_block_is_as_sure_as_the_blocks_are_many() -> None:
    assert weigh(np.ones(12), np.full(12, 1.01)).p_value == 1 / 4096
    assert weigh(np.ones(2), np.full(2, 9.0)).p_value == 0.25, "two blocks never convince"


def test_the_gain_of_squares_is_that_of_their_root() -> None:
    assert weigh(np.array([0.64]), np.array([1.0]), squared=True).gain == pytest.approx(0.2)
    assert math.isnan(weigh(np.zeros(3), np.zeros(3)).gain), "nothing to gain over no error at all"
    assert weigh(np.zeros(0), np.zeros(0)).p_value == 1.0


@pytest.mark.parametrize(("own", "rival"), [((2,), (3,)), ((13,), (13,)), ((2, 2), (2, 2))])
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
