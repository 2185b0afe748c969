"""Derivatives along a direction, against the Jacobian and against differences in balls."""

import flint
import numpy as np
import pytest
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS

from ntkverify.arithmetic.balls import as_balls, midpoints
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.network.directional import directional_neuron


@pytest.mark.parametrize("kind", ["heat", "advection", "poisson"])
def test_first_and_second_derivatives(kind):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, (4, 4), 8, 3)
    v = np.random.default_rng(4).standard_normal(weights.shape)
    extended = np.hstack([frozen, v])
    fused = executor_of(neuron, problem)
    first = fused.for_neuron(directional_neuron(neuron, 1)).residuals(weights, extended)
    assert relative(first, fused.jacobian(weights, frozen) @ v.ravel()) < 1e-12
    second = fused.for_neuron(directional_neuron(neuron, 2)).residuals(weights, extended)
    # second differences with h = 2**-60 at 400 bits: error h**2 times a fourth derivative, far below 1e-12
    ball, h = executor_of(neuron, problem, backend="ball", bits=400), flint.arb(2) ** -60
    with flint.ctx.workprec(400):
        shifted = [ball.residuals(as_balls(weights) + s * h * as_balls(v), frozen) for s in (-1, 0, 1)]
        differences = (shifted[0] - 2 * shifted[1] + shifted[2]) / (h * h)
    assert relative(second, midpoints(differences)) < 1e-12


def test_order_is_checked():
    with pytest.raises(NtkVerifyError, match="order"):
        directional_neuron(KINDS["relu"](), 3)
