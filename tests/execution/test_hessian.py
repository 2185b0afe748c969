"""Hessians of single residuals, against balls and against each other."""

import flint
import numpy as np
import pytest
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS

from ntkverify.arithmetic.balls import as_balls, midpoints
from ntkverify.errors import NtkVerifyError
from ntkverify.measures.hessian import residual_hessian


@pytest.mark.parametrize("kind", ["heat", "advection", "gaussian"])
def test_is_the_slope_of_the_jacobian(kind):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, (2, 2), 3, 8)
    executor = executor_of(neuron, problem, backend="array")
    ball, h = executor_of(neuron, problem, backend="ball", bits=400), flint.arb(2) ** -100
    total, size = executor.samples.total, weights.size
    differences = np.empty((total, size, size))
    for i in range(size):
        shift = np.zeros(weights.shape)
        shift.flat[i] = 1
        with flint.ctx.workprec(400):
            plus, minus = (ball.jacobian(as_balls(weights) + s * h * as_balls(shift), frozen) for s in (1, -1))
            # central differences: error h**2 times a third derivative
            differences[:, i] = midpoints((plus - minus) / (2 * h))
    for index in range(total):
        hessian = residual_hessian(executor, weights, frozen, index)
        assert relative(hessian.dense(), differences[index]) < 1e-12
        vector = np.random.default_rng(0).standard_normal(size)
        assert relative(hessian.apply(vector), hessian.dense() @ vector) < 1e-13
        norm = np.abs(np.linalg.eigvalsh(hessian.dense())).max()
        assert hessian.spectral_norm() == pytest.approx(norm, rel=1e-9)


def test_a_linear_problem_needs_no_lanczos():
    neuron = KINDS["poisson"]()
    problem, weights, frozen = draw_problem(neuron, (3, 2), 500, 8)
    hessian = residual_hessian(executor_of(neuron, problem), weights, frozen, 4)
    assert not hessian.core.any()
    assert hessian.spectral_norm() == np.abs(np.linalg.eigvalsh(hessian.blocks)).max()


def test_lanczos_agrees_with_the_dense_matrix():
    neuron = KINDS["advection"]()
    problem, weights, frozen = draw_problem(neuron, (3, 2), 200, 8)
    hessian = residual_hessian(executor_of(neuron, problem), weights, frozen, 1)
    assert hessian.core.any()
    assert hessian.spectral_norm() == pytest.approx(np.abs(np.linalg.eigvalsh(hessian.dense())).max(), rel=1e-9)


def test_the_index_is_checked():
    neuron = KINDS["relu"]()
    problem, weights, frozen = draw_problem(neuron, (3,), 5, 8)
    with pytest.raises(NtkVerifyError, match=r"0\.\.2"):
        residual_hessian(executor_of(neuron, problem), weights, frozen, 3)
