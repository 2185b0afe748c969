"""The draw of weights: alike for every backend, independent by blocks and seeds."""

import numpy as np
import pytest

from ntkverify import NtkVerifyError
from ntkverify.execution import draw
from ntkverify.symbolic.network.neuron import regression_neuron

#: of seed 2**90, as drawn by the version that the first verdicts came from
FROZEN = [
    [0.8871980667789662, -0.8912383451584196],
    [0.1104179695556435, 1.0937820595820238],
    [-0.23365873804052542, -0.4736256106193033],
]
SIGNS = [-1.0, 1.0, -1.0]


def test_signs_are_fair_and_weights_standard_normal():
    inner, signs = draw.draw_block(0, 0, draw.BLOCK, 2)
    count = draw.BLOCK
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(signs.astype(float).sum()) < 5 * np.sqrt(count)
    assert abs(inner.mean()) < 5 / np.sqrt(2 * count)
    assert abs(inner.var() - 1) < 5 * np.sqrt(2 / (2 * count))


def test_blocks_and_seeds_are_independent():
    first, again = (draw.draw_block(1, 0, 10, 2)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, draw.draw_block(1, 1, 10, 2)[0])
    assert not np.array_equal(first, draw.draw_block(2, 0, 10, 2)[0])


def test_a_network_is_its_blocks_one_neuron_a_row():
    neuron = regression_neuron("relu", dimension=2)
    weights, frozen = draw.draw_weights(neuron, 7, draw.BLOCK + 3)
    inner, signs = draw.draw_block(7, 1, 3, 2)
    np.testing.assert_array_equal(weights[-3:], inner.T)
    np.testing.assert_array_equal(frozen[-3:, 0], signs)


def test_draws_of_a_seed_stay_what_they_were():
    """What a seed means must not change, or nobody could repeat a verdict."""
    weights, frozen = draw.draw_weights(regression_neuron("relu", dimension=2), 2**90, 3)
    assert weights.tolist() == FROZEN
    assert frozen[:, 0].tolist() == SIGNS


def test_a_width_beyond_memory_is_refused_with_the_figures():
    with pytest.raises(NtkVerifyError, match=r"5000000000000 neurons needs [\d.e+]+ GiB but [\d.]+ GiB are free"):
        draw.draw_weights(regression_neuron("relu", dimension=1), 0, 10**13 // 2)
