"""The draw of weights: alike for every backend, independent by blocks and seeds, by the laws of the neuron."""

import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import draw, make_executor
from ntkverify.seeds import MovedSeed
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.laws import FairSign, Normal, Uniform
from ntkverify.symbolic.network.neuron import random_features_neuron, regression_neuron
from ntkverify.symbolic.network.operators import coordinates, identity
from ntkverify.symbolic.network.product import operator_neuron

#: of seed 2**90, as drawn by the version that the first verdicts came from
FROZEN = [
    [0.8871980667789662, -0.8912383451584196],
    [0.1104179695556435, 1.0937820595820238],
    [-0.23365873804052542, -0.4736256106193033],
]
SIGNS = [-1.0, 1.0, -1.0]

#: per dimension and seed: the neurons 0, BLOCK - 1, BLOCK and BLOCK + 1 of BLOCK + 2, and their signs
AT_THE_BOUNDARY = {
    (1, 0): (
        [[1.4436909546981256], [1.5516025149365253], [0.8050894723742356], [-1.9120592174903859]],
        [1.0, -1.0, -1.0, 1.0],
    ),
    (2, 2**90): (
        [
            [0.8871980667789662, -0.8912383451584196],
            [1.240340450825667, 0.015493376310802335],
            [0.3827211333804509, -1.46062102088185],
            [-1.6027348796871663, 1.0814760858009347],
        ],
        [-1.0, -1.0, -1.0, -1.0],
    ),
    (3, 7): (
        [
            [-0.6300679245787791, 1.4650846344213506, -0.43929262819424664],
            [-0.36721634651146556, 0.0383102812376053, -0.831013278687172],
            [1.4019101206317888, 0.8534203299688002, 3.05630239701777],
            [-0.057023513331478363, 1.2870073210024566, -0.04866785380899028],
        ],
        [-1.0, -1.0, 1.0, -1.0],
    ),
    (4, 12345): (
        [
            [1.7875197842072932, -0.488640903086019, 1.0823729228035182, -0.44991099592784456],
            [-0.07244196353218478, 1.6587997849829303, -0.16308259258669447, -0.46012434253136025],
            [-0.023262754820518473, -0.8980648226176007, -1.690869294701008, -0.7439939795779211],
            [0.7015674319898497, -0.7325190429542447, 1.192077140576674, -0.45814094611677575],
        ],
        [-1.0, -1.0, -1.0, 1.0],
    ),
}
MOVED = MovedSeed(7, turns=((0.3, 11), (1.2, 2**70)), scale=1.25, evenness=0.3)
#: per dimension: the neurons 0 and BLOCK + 1 of BLOCK + 2 that this seed draws, and their signs
MOVED_AT_THE_BOUNDARY = {
    1: ([[-1.0566248281687756], [-1.4689892158787565]], [1.0, 1.0]),
    2: ([[-1.172388429579834, -0.008938993282461758], [2.200866728838727, 1.0489243815302842]], [-1.0, 1.0]),
    3: (
        [
            [-1.0615368591792662, -0.008093794355075436, -1.4665356845617308],
            [1.2711093323380331, 0.9964117470442281, -1.0143297933999575],
        ],
        [-1.0, -1.0],
    ),
    4: (
        [
            [-1.0835265534450285, -0.008261456986644978, -1.496914913558335, 0.7460447041623977],
            [1.0909024493283828, -1.1105196815766263, -0.8685371426989039, -0.004285354436638375],
        ],
        [-1.0, 1.0],
    ),
}
X, Y = coordinates("x y")
SAMPLES = np.array([[0.6, -0.8], [1.5, 0.25]])


def relu(dimension=2, **options):
    return regression_neuron("relu", dimension=dimension, **options)


class TestDrawsStayWhatTheyWere:
    """What a seed means must not change, or nobody could repeat a verdict."""

    def test_of_a_whole_network(self):
        weights, frozen = draw.draw_weights(relu(), 2**90, 3)
        assert weights.tolist() == FROZEN
        assert frozen[:, 0].tolist() == SIGNS

    @pytest.mark.parametrize(("dimension", "seed"), AT_THE_BOUNDARY)
    def test_on_both_sides_of_a_boundary(self, dimension, seed):
        weights, frozen = draw.draw_weights(relu(dimension), seed, draw.BLOCK + 2)
        at = [0, draw.BLOCK - 1, draw.BLOCK, draw.BLOCK + 1]
        assert (weights[at].tolist(), frozen[at, 0].tolist()) == AT_THE_BOUNDARY[dimension, seed]

    @pytest.mark.parametrize("dimension", MOVED_AT_THE_BOUNDARY)
    def test_of_moved_seeds(self, dimension):
        weights, frozen = draw.draw_weights(relu(dimension), MOVED, draw.BLOCK + 2)
        at = [0, draw.BLOCK + 1]
        assert (weights[at].tolist(), frozen[at, 0].tolist()) == MOVED_AT_THE_BOUNDARY[dimension]

    @pytest.mark.parametrize("seed", [3, MOVED, MovedSeed(3, evenness=1.0)])
    def test_of_blocks(self, seed):
        inner, signs = draw.draw_block(seed, 1, 20, 3)
        weights, frozen = draw.weights_of_block(relu(3), seed, 1, 20)
        np.testing.assert_array_equal(weights, inner.T)
        np.testing.assert_array_equal(frozen, signs[:, None])
        assert weights.flags.c_contiguous
        assert frozen.flags.c_contiguous
        assert weights.dtype == frozen.dtype == np.float64


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
    weights, frozen = draw.draw_weights(relu(), 7, draw.BLOCK + 3)
    inner, signs = draw.draw_block(7, 1, 3, 2)
    np.testing.assert_array_equal(weights[-3:], inner.T)
    np.testing.assert_array_equal(frozen[-3:, 0], signs)


def test_a_width_beyond_memory_is_refused_with_the_figures():
    with pytest.raises(NtkVerifyError, match=r"5000000000000 neurons needs [\d.e+]+ GiB but [\d.]+ GiB are free"):
        draw.draw_weights(relu(1), 0, 10**13 // 2)


class TestLaws:
    def test_a_scale_multiplies_what_was_drawn(self):
        plain, signs = draw.draw_weights(relu(), 5, 9)
        longer, same = draw.draw_weights(relu(laws={"inner": Normal(2)}), 5, 9)
        np.testing.assert_array_equal(longer, 2 * plain)
        np.testing.assert_array_equal(same, signs)

    def test_further_weights_change_none_before_them(self):
        weights, frozen = draw.draw_weights(relu(), 5, 9)
        more, others = draw.draw_weights(relu(outer_bias=True), 5, 9)
        np.testing.assert_array_equal(more, weights)
        np.testing.assert_array_equal(others[:, :1], frozen)
        assert np.unique(np.abs(others[:, 1])).size == 9
        wide = operator_neuron("relu", "relu", {"u": identity((X,))}, sensors=1, branch_width=3)
        _, signs = draw.draw_weights(wide, 5, 1000)
        np.testing.assert_array_equal(signs[:, 0], draw.draw_block(5, 0, 1000, len(wide.weights))[1])
        assert len(np.unique(signs, axis=0)) == 8

    def test_uniform_weights_fill_their_interval(self):
        neuron = relu(laws={"inner": Uniform("1/2")})
        weights, frozen = draw.draw_weights(neuron, 6, draw.BLOCK)
        count = weights.size
        assert -0.5 <= weights.min() < -0.499
        assert 0.499 < weights.max() <= 0.5
        assert abs(weights.mean()) < 5 * np.sqrt(1 / 12 / count)
        assert abs(np.square(weights).mean() - 1 / 12) < 5 * np.sqrt((1 / 80 - 1 / 144) / count)
        assert set(np.unique(frozen)) == {-1.0, 1.0}

    def test_random_features_are_normal_and_their_outer_weights_too(self):
        neuron = random_features_neuron(
            "sin", {"u": identity((X, Y))}, inner_bias=True, laws={"inner_bias": Uniform(3)}
        )
        weights, frozen = draw.draw_weights(neuron, 8, draw.BLOCK)
        assert (weights.shape, frozen.shape) == ((draw.BLOCK, 1), (draw.BLOCK, 3))
        every = np.hstack([weights, frozen / [1, 1, np.sqrt(3)]])
        np.testing.assert_allclose(np.cov(every.T), np.eye(4), atol=5 * np.sqrt(2 / draw.BLOCK))
        assert np.abs(frozen[:, 2]).max() <= 3

    def test_signs_may_be_trained(self):
        neuron = relu(trainable=("inner", "outer"), laws={"outer": FairSign()})
        weights, frozen = draw.draw_weights(neuron, 5, 9)
        inner, signs = draw.draw_block(5, 0, 9, 2)
        np.testing.assert_array_equal(weights, np.vstack([inner, signs]).T)
        assert frozen.shape == (9, 0)

    def test_moved_seeds_move_what_is_normal(self):
        neuron = random_features_neuron(
            "sin", {"u": identity((X, Y))}, inner_bias=True, laws={"inner": Normal(3), "inner_bias": Uniform(1)}
        )
        normal = np.array([1, 3, 3])
        plain, turned, even = (
            np.hstack(draw.draw_weights(neuron, seed, 50))
            for seed in (1, MovedSeed(1, turns=((0.4, 2),), scale=2.0), MovedSeed(1, evenness=1.0))
        )
        other = np.hstack(draw.draw_weights(neuron, 2, 50))
        np.testing.assert_array_equal(turned[:, 3], plain[:, 3])
        np.testing.assert_array_equal(even[:, 3], plain[:, 3])
        expected = 2 * (np.cos(0.4) * plain + np.sin(0.4) * other)
        np.testing.assert_allclose(turned[:, :3], expected[:, :3], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(np.linalg.norm(even[:, :3] / normal, axis=1), np.sqrt(3), rtol=1e-14)


class TestPairs:
    def test_neighbours_share_a_vector_and_have_opposite_signs(self):
        width = draw.BLOCK + 6
        weights, frozen = draw.draw_weights(relu(coupled=True), 4, width)
        np.testing.assert_array_equal(weights[::2], weights[1::2])
        np.testing.assert_array_equal(frozen[::2], -frozen[1::2])
        for block, (low, high) in enumerate([(0, draw.BLOCK), (draw.BLOCK, width)]):
            inner, signs = draw.draw_block(4, block, (high - low) // 2, 2)
            np.testing.assert_array_equal(weights[low:high:2], inner.T)
            np.testing.assert_array_equal(frozen[low:high:2, 0], signs)

    def test_one_without_a_partner_is_refused(self):
        for width in (1, draw.BLOCK + 1):
            with pytest.raises(NtkVerifyError, match=f"in pairs need an even width, but {width} leaves one"):
                draw.draw_weights(relu(coupled=True), 0, width)
        with pytest.raises(NtkVerifyError, match="even width, but 3"):
            draw.weights_of_block(relu(coupled=True), 0, 1, 3)

    @pytest.mark.parametrize("backend", ["array", "cpu"])
    @pytest.mark.parametrize(
        "neuron",
        [
            relu(coupled=True),
            regression_neuron("tanh", dimension=2, coupled=True, inner_bias=True, laws={"inner": Uniform(2)}),
            operator_neuron("relu", "tanh", {"u": identity((Y,))}, sensors=1, branch_width=2, coupled=True),
        ],
        ids=["relu", "tanh", "operator"],
    )
    def test_the_network_starts_as_zero_exactly(self, neuron, backend):
        executor = make_executor(
            neuron, {neuron.blocks[0].name: SAMPLES}, {neuron.blocks[0].name: np.zeros(2)}, backend=backend
        )
        weights, frozen = draw.draw_weights(neuron, 11, 1000)
        found = executor.forward(executor.from_host(weights), executor.from_host(frozen))
        assert np.asarray(found.residuals).tolist() == [0.0, 0.0]


def neuron_products(neuron, weights, frozen):
    """Per pair of samples and neuron, the inner product of the neuron's gradients: (2, 2, m)."""
    (block,) = neuron.blocks
    symbols = (*neuron.weights, *neuron.frozen, *neuron.coordinates)
    modules = [{"PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0)}, "numpy"]
    function = sympy.lambdify(symbols, neuron.gradients[block.name][0], modules)
    at = [np.array(np.broadcast_arrays(*function(*weights.T, *frozen.T, *x), weights[:, 0])[:-1]) for x in SAMPLES]
    return np.array([[(g * h).sum(axis=0) for h in at] for g in at])


@pytest.mark.parametrize(
    "start",
    [
        {},
        {"laws": {"inner": Normal(2)}},
        {"laws": {"outer": Normal("1/3")}},
        {"laws": {"inner": Uniform("1/2")}},
        {"laws": {"inner": Uniform(3), "outer": Uniform(2)}, "output_scale": "3/2"},
        {"coupled": True},
        {"coupled": True, "laws": {"inner": Normal(2), "outer": FairSign()}},
    ],
    ids=str,
)
def test_the_mean_gram_matrix_is_the_limit(start):
    """Entries within five standard errors, which all of them exceed with probability 1e-5; the seed is fixed."""
    neuron = relu(trainable=("inner", "outer"), **start)
    products = neuron_products(neuron, *draw.draw_weights(neuron, 2024, 2 * draw.BLOCK))
    if neuron.coupled:  # both of a pair say the same
        np.testing.assert_array_equal(products[..., ::2], products[..., 1::2])
        products = products[..., ::2]
    limit = limit_gram(neuron).matrix(SAMPLES)
    error = products.std(axis=2) / np.sqrt(products.shape[2])
    assert np.all(np.abs(products.mean(axis=2) - limit) <= 5 * error)
    assert np.all(error < 0.02 * np.diag(limit).max())  # or the test would say little
