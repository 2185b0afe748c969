"""Neurons of sums and of kernel entries against the Gram matrices that they stand for."""

import numpy as np
import pytest
import sympy

from ntkverify import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.problems.nonlinear.full_network import full_neuron
from ntkverify.symbolic.network.operators import burgers, identity
from ntkverify.symbolic.network.tangent import kernel_neuron, sums_neuron

POINTS = {"interior": np.array([[0.2, 0.3], [0.7, -0.4]]), "boundary": np.array([[0.0, 0.5]])}


def viscous(points):
    return burgers(*points, viscosity=sympy.Rational(1, 10))


NEURON = full_neuron("sin", (("interior", viscous), ("boundary", identity)), 2)


@pytest.fixture(scope="module")
def network():
    weights, frozen = draw_weights(NEURON, 3, 20)
    targets = {name: np.zeros(len(x)) for name, x in POINTS.items()}
    return make_executor(NEURON, POINTS, targets, backend="array"), weights, frozen


def value(neuron, point, weights):
    executor = make_executor(neuron, {"kernel": [point]}, {"kernel": [0.0]}, backend="array")
    return executor.residuals(weights)[0]


@pytest.mark.parametrize(
    ("left", "right", "places"), [("interior", "interior", (0, 1)), ("interior", "boundary", (1, 0))]
)
def test_an_entry_of_two_points_is_that_of_the_gram_matrix(network, left, right, places):
    executor, weights, frozen = network
    neuron = kernel_neuron(NEURON, left, right, width=20)
    point = np.concatenate([POINTS[left][places[0]], POINTS[right][places[1]]])
    column = places[1] if right == "interior" else 2
    gram = executor.gram(weights, frozen)
    assert value(neuron, point, weights) == pytest.approx(gram[places[0], column], rel=1e-12)


def test_a_diagonal_entry_takes_one_point(network):
    executor, weights, frozen = network
    neuron = kernel_neuron(NEURON, "interior", "interior", width=20, same_point=True)
    assert len(neuron.coordinates) == 2
    assert value(neuron, POINTS["interior"][1], weights) == pytest.approx(
        executor.gram(weights, frozen)[1, 1], rel=1e-12
    )


def test_sums_are_linear_blocks_and_the_slopes_make_the_gram_matrix_of_theirs(network):
    executor, weights, frozen = network
    twin = sums_neuron(NEURON)
    assert all(block.is_linear for block in twin.blocks)
    assert [b.name for b in twin.blocks] == [
        "interior: u", "interior: u_x_1", "interior: u_x_0", "interior: u_x_1x_1", "boundary: Phi_1"
    ]  # fmt: skip
    points = {b.name: POINTS[b.name.split(":")[0]] for b in twin.blocks}
    sums = make_executor(twin, points, {n: np.zeros(len(x)) for n, x in points.items()}, backend="array")
    slopes = executor.slopes(executor.forward(weights, frozen))
    matrix = np.zeros((3, 9))
    for k, slope in enumerate(slopes[0]):
        matrix[[0, 1], [2 * k, 2 * k + 1]] = slope
    matrix[2, 8] = 1
    wanted = executor.gram(weights, frozen)
    np.testing.assert_allclose(matrix @ sums.gram(weights, frozen) @ matrix.T, wanted, atol=1e-12 * wanted.max())


def test_mistakes_are_named():
    with pytest.raises(NtkVerifyError, match="at least one neuron"):
        kernel_neuron(NEURON, "interior", "interior", width=0)
    with pytest.raises(NtkVerifyError, match="one point has one block"):
        kernel_neuron(NEURON, "interior", "boundary", width=3, same_point=True)
    with pytest.raises(NtkVerifyError, match="the neuron has the blocks"):
        kernel_neuron(NEURON, "inside", "boundary", width=3)
