"""Every step on a single sample, tried at every moment: against the steps written out, and those that were taken."""

import numpy as np
import pytest

from ntkverify.execution import draw
from ntkverify.execution.backends import executor_of
from ntkverify.execution.walking.terms import as_samples
from ntkverify.measures.one_sample import OneSampleSteps
from ntkverify.measures.snapshot import Snapshot
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import StochasticGradient, follow

POINTS, TARGETS = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, -1.0]]), np.array([1.0, -0.5, 0.3])
ETA = 0.2


def problem(backend="array"):
    samples = as_samples(regression_neuron("tanh", dimension=2), POINTS, TARGETS)
    return executor_of(samples, backend=backend), *draw.draw_weights(samples.neuron, 5, 7)


@pytest.mark.parametrize("backend", ["array", "cpu"])
def test_each_branch_is_the_step_on_its_sample(backend):
    executor, weights, frozen = problem(backend)
    found = follow(executor, weights, frozen, StochasticGradient(ETA, batch=1, seed=3), steps=0,
                   measures=[OneSampleSteps(ETA)])  # fmt: skip
    rows = executor.jacobian(weights, frozen).reshape(3, *weights.shape)
    r = executor.residuals(weights, frozen)
    by_hand = [executor.residuals(weights - ETA * 3 * r[i] * rows[i], frozen) for i in range(3)]
    np.testing.assert_allclose(found.branches, [by_hand], rtol=1e-12, atol=1e-14)


def test_the_step_that_is_taken_is_one_of_them():
    executor, weights, frozen = problem()
    found = follow(executor, weights, frozen, StochasticGradient(ETA, batch=1, seed=3), steps=6,
                   measures=[OneSampleSteps(ETA)])  # fmt: skip
    drawn = found.notes["batches"][:, 0]
    assert found.branches.shape == (7, 3, 3)
    assert len(set(drawn)) > 1
    np.testing.assert_allclose(found.residuals[1:], found.branches[np.arange(6), drawn], rtol=1e-12, atol=1e-14)


def test_the_gradient_on_some_residuals_adds_up():
    executor, weights, frozen = problem()
    at = Snapshot(0, 0.0, weights, frozen, executor.forward(weights, frozen), executor)
    parts = at.gradient_on([0, 2]) + at.gradient_on(1)
    np.testing.assert_allclose(parts, executor.gradient(weights, frozen, at.forward), rtol=1e-12, atol=1e-15)
