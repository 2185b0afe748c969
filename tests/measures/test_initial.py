"""Sweeps against the same quantities written densely, and their independence of chunks and threads."""

import mpmath
import numpy as np
import pytest

from ntkverify import NtkVerifyError
from ntkverify.execution import draw as weights
from ntkverify.execution.fused import measured
from ntkverify.measures import fused, network
from ntkverify.measures import initial as sweep
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import loop

EPS = np.finfo(float).eps


def dense(points, targets, *, seed, width, step, steps, dimension):
    """The definitions, with everything of size n x m in memory."""
    parts = [weights.draw_block(seed, b, hi - lo, dimension) for b, lo, hi in weights.blocks(width)]
    w = np.concatenate([p[0] for p in parts], axis=1).T
    a = np.concatenate([p[1] for p in parts]).astype(float)
    start, root = w.copy(), np.sqrt(width)
    record = {name: [] for name in ("residuals", "grams", "remainders", "drift", "gradients")}

    def output(w):
        return np.maximum(points @ w.T, 0) @ a / root

    for k in range(steps + 1):
        active = (points @ w.T >= 0) * a  # (n, m)
        jacobian = active[:, :, None] * points[:, None, :] / root  # (n, m, d)
        residual = output(w) - targets
        record["residuals"].append(residual)
        record["grams"].append(np.einsum("imd,jmd->ij", jacobian, jacobian))
        record["drift"].append(np.linalg.norm(w - start, axis=1).max())
        if k == steps:
            return {name: np.array(value) for name, value in record.items()}
        gradient = np.einsum("imd,i->md", jacobian, residual)
        after = w - step * gradient
        linear = np.einsum("imd,md->i", jacobian, after - w)
        record["gradients"].append(np.linalg.norm(gradient, axis=1).max())
        record["remainders"].append(output(after) - output(w) - linear)
        w = after


@pytest.mark.parametrize("descend", [loop.descend, fused.descend_fused])
@pytest.mark.parametrize(("n", "d", "width"), [(1, 1, 7), (3, 2, 500), (4, 5, 3 * loop.CHUNK + 11)])
def test_descent_agrees_with_the_definitions(n, d, width, descend):
    rng = np.random.default_rng(n)
    points = rng.standard_normal((n, d))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    targets = rng.uniform(-1, 1, n)
    setting = {"seed": 5, "width": width, "step": 0.5, "steps": 4}
    found = descend(regression_neuron("relu", dimension=d), points, targets, **setting)
    wanted = dense(points, targets, dimension=d, **setting)
    # both are sums of `width` terms of size 1/sqrt(width); a bound of either's rounding, four steps deep
    tolerance = 8 * width * EPS
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=tolerance, atol=tolerance, err_msg=name)


def test_the_error_bound_covers_the_rounding():
    """Against the exact sum of the same float64 terms, by math.fsum."""
    import math

    width = 2 * loop.CHUNK + 3
    point = np.array([[0.6, 0.8]])
    found = sweep.initial_sweep(regression_neuron("relu", dimension=2), point, seed=1, width=width, radius=0.1)
    parts = [weights.draw_block(1, b, hi - lo, 2) for b, lo, hi in weights.blocks(width)]
    terms = [t for w, a in parts for t in np.maximum(w[0] * 0.6 + w[1] * 0.8, 0) * a]
    exact = math.fsum(terms) / math.sqrt(width)
    assert abs(found.outputs[0] - exact) <= found.outputs_error[0]
    assert found.outputs_error[0] < 1e-9


@pytest.mark.parametrize("descend", [loop.descend, fused.descend_fused])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
def test_the_error_bound_of_the_residuals_covers_target_and_root(descend, size):
    """Where the outputs are far smaller than the targets, the difference is what rounds."""
    points, targets = size * np.array([[0.6, 0.8], [-0.28, 0.96]]), np.array([1 / 3, -0.7])
    for seed in range(20):
        found = descend(regression_neuron("relu", dimension=2), points, targets, seed=seed, width=3, step=0.1, steps=0)
        w, a = weights.draw_block(seed, 0, 3, 2)
        with mpmath.workdps(50):
            for i, (x, y) in enumerate(zip(points, targets, strict=True)):
                exact = sum(
                    int(a[j]) * max(mpmath.mpf(0), sum(mpmath.mpf(w[k, j]) * mpmath.mpf(x[k]) for k in (0, 1)))
                    for j in range(3)
                ) / mpmath.sqrt(3) - mpmath.mpf(y)
                assert abs(exact - mpmath.mpf(found.residuals[0, i])) <= found.residuals_error[0, i]
        assert (found.residuals_error[0] <= 1e-13 * (size + 1)).all()


def test_initial_sweep_agrees_with_the_start_of_the_descent():
    points = np.eye(3)
    neuron = regression_neuron("relu", dimension=3)
    width = weights.BLOCK + 17
    initial = sweep.initial_sweep(neuron, points, seed=3, width=width, radius=0.01)
    descent = loop.descend(neuron, points, np.zeros(3), seed=3, width=width, step=0.1, steps=0)
    np.testing.assert_allclose(initial.outputs, descent.residuals[0], atol=2 * initial.outputs_error.max())
    np.testing.assert_array_equal(initial.gram * width, np.round(initial.gram * width))  # counts of active neurons
    np.testing.assert_allclose(initial.gram, descent.grams[0], rtol=4 * EPS)
    assert np.all((initial.near > 0.005) & (initial.near < 0.011))  # P(|g| <= 0.01) = 0.008, 8 standard errors


@pytest.mark.parametrize("descend", [loop.descend, fused.descend_fused])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, descend):
    setting = {"seed": 2, "width": 3 * measured.CHUNK + 5, "step": 0.3, "steps": 2}
    neuron = regression_neuron("relu", dimension=2)

    def residuals(cores):
        monkeypatch.setattr("os.cpu_count", lambda: cores)
        monkeypatch.setattr(measured, "available_threads", lambda: cores)
        return descend(neuron, np.eye(2), np.ones(2), **setting).residuals

    np.testing.assert_array_equal(residuals(1), residuals(3))


def test_fused_and_reference_rounding_bounds_cover_their_difference():
    setting = {"seed": 4, "width": 2 * measured.CHUNK + 1, "step": 0.5, "steps": 3}
    neuron = regression_neuron("relu", dimension=2)
    one, other = (f(neuron, np.eye(2), np.ones(2), **setting) for f in (loop.descend, fused.descend_fused))
    difference = np.abs(one.residuals - other.residuals)
    # errors of earlier steps shrink with the contraction, so that two steps' worth bounds their sum
    assert (difference <= 2 * (one.residuals_error + other.residuals_error)).all()
    assert one.residuals_error.max() < 1e-8
    assert other.residuals_error.max() < 1e-8


def test_a_neuron_that_the_fused_step_cannot_measure():
    neuron = regression_neuron("relu", dimension=1)
    twice = type(neuron)(neuron.weights, neuron.frozen, neuron.coordinates, neuron.blocks * 2)
    with pytest.raises(NtkVerifyError, match="one linear block"):
        measured.measured_step(
            twice, np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 0.1
        )


class TestDraws:
    def test_signs_are_fair_and_weights_standard_normal(self):
        inner, signs = weights.draw_block(0, 0, weights.BLOCK, 2)
        count = weights.BLOCK
        assert set(np.unique(signs)) == {-1, 1}
        assert abs(signs.astype(float).sum()) < 5 * np.sqrt(count)
        assert abs(inner.mean()) < 5 / np.sqrt(2 * count)
        assert abs(inner.var() - 1) < 5 * np.sqrt(2 / (2 * count))

    def test_blocks_and_seeds_are_independent(self):
        first, again = (weights.draw_block(1, 0, 10, 2)[0] for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, weights.draw_block(1, 1, 10, 2)[0])
        assert not np.array_equal(first, weights.draw_block(2, 0, 10, 2)[0])

    def test_a_width_beyond_memory_is_refused_with_the_figures(self):
        with pytest.raises(NtkVerifyError, match=r"5000000000000 neurons needs 7\.92e\+04 GiB but [\d.]+ GiB are free"):
            network.draw_network(0, 10**13 // 2, 2 - 1)
