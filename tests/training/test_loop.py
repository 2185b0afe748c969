"""The loop: measured runs against the same quantities written densely, and every method against its definition."""

import mpmath
import numpy as np
import pytest
from hand_built_neurons import KINDS

from ntkverify import NtkVerifyError
from ntkverify.execution import draw, make_executor
from ntkverify.execution.backends import executor_of
from ntkverify.execution.walking.terms import as_samples
from ntkverify.measures.steps import JacobianPath, Steps, WayBack
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import (
    GradientDescent,
    HeavyBall,
    ImplicitGradient,
    NaturalGradient,
    StochasticGradient,
    follow,
)

EPS = np.finfo(float).eps
BACKENDS = ("array", "cpu")


def dense(points, targets, *, weights, signs, step, steps):
    """The definitions, with everything of size n x m in memory."""
    w, a = weights.copy(), signs[:, 0]
    start, root = w.copy(), np.sqrt(len(w))
    record = {name: [] for name in ("residuals", "grams", "remainders", "drift", "gradients", "lengths", "drift_rms")}

    def output(w):
        return np.maximum(points @ w.T, 0) @ a / root

    for k in range(steps + 1):
        active = (points @ w.T >= 0) * a  # (n, m)
        jacobian = active[:, :, None] * points[:, None, :] / root  # (n, m, d)
        residual = output(w) - targets
        moved = np.linalg.norm(w - start, axis=1)
        record["residuals"].append(residual)
        record["grams"].append(np.einsum("imd,jmd->ij", jacobian, jacobian))
        record["drift"].append(moved.max())
        record["drift_rms"].append(np.sqrt((moved**2).mean()))
        if k == steps:
            return {name: np.array(value) for name, value in record.items()}
        gradient = np.einsum("imd,i->md", jacobian, residual)
        after = w - step * gradient
        linear = np.einsum("imd,md->i", jacobian, after - w)
        record["gradients"].append(np.linalg.norm(gradient, axis=1).max())
        record["lengths"].append(np.linalg.norm(after - w))
        record["remainders"].append(output(after) - output(w) - linear)
        w = after


def trained(points, targets, *, seed, width, step, steps, backend):
    samples = as_samples(regression_neuron("relu", dimension=points.shape[1]), points, targets)
    executor = executor_of(samples, backend=backend)
    weights, frozen = draw.draw_weights(samples.neuron, seed, width)
    return follow(executor, weights, frozen, GradientDescent(step), steps=steps, measures=[Steps()])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "d", "width"), [(1, 1, 7), (3, 2, 500), (4, 5, 20_000)])
def test_measured_descent_agrees_with_the_definitions(n, d, width, backend):
    rng = np.random.default_rng(n)
    points = rng.standard_normal((n, d))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    targets = rng.uniform(-1, 1, n)
    weights, signs = draw.draw_weights(regression_neuron("relu", dimension=d), 5, width)
    found = trained(points, targets, seed=5, width=width, step=0.5, steps=4, backend=backend)
    # both are sums of `width` terms of size 1/sqrt(width); a bound of either's rounding, four steps deep
    tolerance = 8 * width * EPS
    for name, value in dense(points, targets, weights=weights, signs=signs, step=0.5, steps=4).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
def test_the_error_bound_of_the_residuals_covers_target_and_root(size, backend):
    """Where the outputs are far smaller than the targets, the difference is what rounds."""
    points, targets = size * np.array([[0.6, 0.8], [-0.28, 0.96]]), np.array([1 / 3, -0.7])
    for seed in range(20):
        found = trained(points, targets, seed=seed, width=3, step=0.1, steps=0, backend=backend)
        w, a = draw.draw_block(seed, 0, 3, 2)
        with mpmath.workdps(50):
            for i, (x, y) in enumerate(zip(points, targets, strict=True)):
                exact = sum(
                    int(a[j]) * max(mpmath.mpf(0), sum(mpmath.mpf(w[k, j]) * mpmath.mpf(x[k]) for k in (0, 1)))
                    for j in range(3)
                ) / mpmath.sqrt(3) - mpmath.mpf(y)
                assert abs(exact - mpmath.mpf(found.residuals[0, i])) <= found.residuals_error[0, i]
        assert (found.residuals_error[0] <= 1e-13 * (size + 1)).all()


def test_backends_agree_within_their_bounds_of_rounding():
    found = [trained(np.eye(2), np.ones(2), seed=4, width=70_001, step=0.5, steps=3, backend=b) for b in BACKENDS]
    difference = np.abs(found[0].residuals - found[1].residuals)
    # errors of earlier steps shrink with the contraction, so that two steps' worth bounds their sum
    assert (difference <= 2 * (found[0].residuals_error + found[1].residuals_error)).all()
    assert max(f.residuals_error.max() for f in found) < 1e-8


def problem(kind="softplus", m=40, n=5):
    rng = np.random.default_rng(3)
    neuron = KINDS[kind]()
    points = {b.name: rng.standard_normal((n, len(neuron.coordinates))) for b in neuron.blocks}
    targets = {name: rng.standard_normal(n) for name in points}
    weights = rng.standard_normal((m, len(neuron.weights)))
    frozen = rng.choice([-1.0, 1.0], (m, len(neuron.frozen)))
    return make_executor(neuron, points, targets, backend="array"), weights, frozen


def gradient(executor, w, frozen):
    return executor.gradient(w, frozen, executor.forward(w, frozen))


def by_hand(method, executor, weights, frozen, steps=4):
    """The weights after some steps, written as the papers write them."""
    w, before, v = weights.copy(), weights.copy(), 0.0
    for _ in range(steps):
        if method == "heavy ball":
            w, before = w - 0.05 * gradient(executor, w, frozen) + 0.7 * (w - before), w
        elif method == "nesterov":  # y is what the method calls the weights
            ahead = w - 0.05 * gradient(executor, w, frozen)
            w, v = ahead + 0.7 * (ahead - (before if _ else weights)), ahead
            before = v
        elif method == "implicit":
            jacobian, r = executor.jacobian(w, frozen), executor.residuals(w, frozen)
            w = w - (0.4 * jacobian.T @ np.linalg.solve(np.eye(len(r)) + 0.4 * jacobian @ jacobian.T, r)).reshape(
                w.shape
            )
    return w


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("heavy ball", HeavyBall(0.05, 0.7)),
        ("nesterov", HeavyBall(0.05, 0.7, nesterov=True)),
        ("implicit", ImplicitGradient(0.4)),
    ],
)
def test_methods_are_what_they_are_called(name, method):
    executor, weights, frozen = problem()
    found = follow(executor, weights, frozen, method, steps=4)
    np.testing.assert_allclose(found.weights, by_hand(name, executor, weights, frozen), rtol=1e-9, atol=1e-11)
    assert found.notes["steps"] == 4


def test_rounds_solve_the_implicit_equation_and_the_first_is_the_linearised_step():
    executor, weights, frozen = problem()
    once, found = (follow(executor, weights, frozen, ImplicitGradient(0.05, rounds=r), steps=1) for r in (1, 40))
    left = [f.weights - weights + 0.05 * gradient(executor, f.weights, frozen) for f in (once, found)]
    assert np.abs(left[0]).max() > 1e-3
    assert np.abs(left[1]).max() <= 1e-12
    assert once.notes["rounds"].tolist() == [1]
    assert 2 < found.notes["rounds"][0] < 40
    assert found.notes["left"][0] <= 1e-14


def test_rounds_that_do_not_converge_end_and_say_so():
    executor, weights, frozen = problem(m=5)
    found = follow(executor, weights, frozen, ImplicitGradient(1e3, rounds=40), steps=1)
    assert found.notes["left"][0] > 1e-3
    with pytest.raises(NtkVerifyError, match="rounds"):
        ImplicitGradient(1.0, rounds=0)


def test_a_way_back_ends_where_the_step_began():
    executor, weights, frozen = problem()
    found = follow(executor, weights, frozen, GradientDescent(0.01), steps=3, measures=[Steps(), WayBack()])
    np.testing.assert_allclose(
        found.residuals[:-1], found.residuals[1:] + found.back_linear + found.back_remainders, rtol=1e-11, atol=1e-12
    )
    steep = np.linalg.norm(gradient(executor, found.weights, frozen), axis=1).max()
    assert found.back_gradients[-1] == pytest.approx(steep, rel=1e-12)
    assert np.abs(found.back_remainders).max() > 1e-6


def test_a_batch_of_all_residuals_is_gradient_descent_and_parts_average_to_it():
    executor, weights, frozen = problem()
    whole = follow(executor, weights, frozen, StochasticGradient(0.1, batch=5, seed=0), steps=3)
    plain = follow(executor, weights, frozen, GradientDescent(0.1), steps=3)
    np.testing.assert_allclose(whole.weights, plain.weights, rtol=1e-12)
    # of the five parts of one residual each, every one is drawn: their mean is the gradient
    changes = {}
    for seed in range(60):
        one = follow(executor, weights, frozen, StochasticGradient(0.1, batch=1, seed=seed), steps=1).weights - weights
        changes[one.tobytes()] = one
    assert len(changes) == 5
    np.testing.assert_allclose(np.mean(list(changes.values()), axis=0), -0.1 * gradient(executor, weights, frozen))


def test_momentum_is_measured_like_everything_else():
    executor, weights, frozen = problem()
    found = follow(executor, weights, frozen, HeavyBall(0.05, 0.7), steps=3, measures=[Steps(), JacobianPath()])
    np.testing.assert_allclose(
        found.residuals[1:], found.residuals[:-1] + found.linear + found.remainders, rtol=1e-11, atol=1e-12
    )
    start, end = executor.jacobian(weights, frozen), executor.jacobian(found.weights, frozen)
    assert found.jacobian_change[-1] == pytest.approx(np.linalg.norm(end - start, 2), rel=1e-9)


def test_natural_gradient_solves_and_keeps_a_jacobian_once_for_all():
    executor, weights, frozen = problem(m=60)
    calls = []
    plain = executor.jacobian

    def counted(*arguments):
        calls.append(1)
        return plain(*arguments)

    executor.jacobian = counted
    found = follow(executor, weights, frozen, NaturalGradient(0.5), steps=2, measures=[Steps(), JacobianPath()])
    np.testing.assert_allclose(found.linear, -0.5 * found.residuals[:-1], rtol=1e-9)
    assert len(calls) == 3 + 2  # at each of three moments, and half-way along each of two steps
