"""Sweeps before training, against exact sums."""

import math

import numpy as np

from ntkverify.execution import draw as weights
from ntkverify.execution.backends import executor_of
from ntkverify.execution.rounding import CHUNK
from ntkverify.execution.walking.terms import as_samples
from ntkverify.measures import initial as sweep
from ntkverify.symbolic.network.neuron import regression_neuron

EPS = np.finfo(float).eps


def test_the_error_bound_covers_the_rounding():
    """Against the exact sum of the same float64 terms, by math.fsum."""
    width = 2 * CHUNK + 3
    point = np.array([[0.6, 0.8]])
    found = sweep.initial_sweep(
        as_samples(regression_neuron("relu", dimension=2), point), seed=1, width=width, radius=0.1
    )
    parts = [weights.draw_block(1, b, hi - lo, 2) for b, lo, hi in weights.blocks(width)]
    terms = [t for w, a in parts for t in np.maximum(w[0] * 0.6 + w[1] * 0.8, 0) * a]
    exact = math.fsum(terms) / math.sqrt(width)
    assert abs(found.outputs[0] - exact) <= found.outputs_error[0]
    assert found.outputs_error[0] < 1e-9


def test_initial_sweep_agrees_with_the_start_of_the_descent():
    points = np.eye(3)
    neuron = regression_neuron("relu", dimension=3)
    width = weights.BLOCK + 17
    initial = sweep.initial_sweep(as_samples(neuron, points), seed=3, width=width, radius=0.01)
    executor = executor_of(as_samples(neuron, points), backend="cpu")
    drawn = weights.draw_weights(neuron, 3, width)
    np.testing.assert_allclose(initial.outputs, executor.residuals(*drawn), atol=2 * initial.outputs_error.max())
    np.testing.assert_array_equal(initial.gram * width, np.round(initial.gram * width))  # counts of active neurons
    np.testing.assert_allclose(
        initial.gram, executor.gram(*drawn), rtol=8 * EPS * math.sqrt(width)
    )  # roots of m, squared, of so many terms
    assert np.all((initial.near > 0.005) & (initial.near < 0.011))  # P(|g| <= 0.01) = 0.008, 8 standard errors
