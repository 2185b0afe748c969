"""Natural gradient, Gauss-Newton flow and Levenberg-Marquardt."""

import dataclasses
import math

import mpmath
import numpy as np
import pytest
import scipy.linalg
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, sine_regression

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.backends import executor_of as executor_of_samples
from ntkverify.execution.walking.terms import as_samples
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import (
    gauss_newton_flow,
    least_norm,
    levenberg_marquardt,
    natural_gradient_descent,
)


def ill_conditioned(gap):
    """Two samples a distance `gap` apart among five: cond(J J^T) grows like gap**-2."""
    neuron = sine_regression(2)
    _, weights, frozen = draw_problem(neuron, (5,), 400, 0)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5, 2))
    x[1] = x[0] + gap * np.array([0.6, 0.8])
    executor = make_executor(neuron, {"data": x}, {"data": np.zeros(5)})
    # targets that a network near the first one attains, so that the wanted step is short
    reachable = weights + 0.1 * rng.standard_normal(weights.shape)
    targets = executor.residuals(reachable, frozen)
    return make_executor(neuron, {"data": x}, {"data": targets}), weights, frozen


def certified_condition(executor, weights, frozen):
    """cond(J J^T) from its enclosure at 256 bits and eigenvalues at 70 digits."""
    (block,) = executor.samples.blocks
    exact = make_executor(
        executor.neuron, {"data": block.points}, {"data": block.targets}, backend="ball", bits=256
    ).gram(weights, frozen)
    assert max(float(x.rad()) for x in exact.ravel()) < 1e-60
    with mpmath.workdps(70):
        digits = [[mpmath.mpf(x.mid().str(70, radius=False)) for x in row] for row in exact]
        eigenvalues = mpmath.eigsy(mpmath.matrix(digits), eigvals_only=True)
        return float(max(eigenvalues) / min(eigenvalues))


class TestLeastNorm:
    def test_is_the_pseudoinverse(self):
        neuron = KINDS["sine"]()
        samples, weights, frozen = draw_problem(neuron, (4,), 100, 1)
        executor = executor_of(neuron, samples)
        forward = executor.forward(weights, frozen)
        jacobian = executor.jacobian(weights, frozen)
        right = np.arange(1.0, 5)
        condition = np.linalg.cond(jacobian) ** 2
        for solver in ("cholesky", "qr", "auto"):
            solution = least_norm(executor, weights, frozen, forward, right, solver=solver)
            # the normal equations lose cond(J)**2 eps
            tolerance = 100 * condition * np.finfo(float).eps
            assert relative(solution.direction.ravel(), np.linalg.pinv(jacobian) @ right) < tolerance
            assert solution.condition == pytest.approx(condition, rel=1e-6)

    def test_no_rank_is_an_error(self):
        executor, weights, frozen = ill_conditioned(0.0)
        with pytest.raises(NtkVerifyError, match="full rank"):
            natural_gradient_descent(executor, weights, frozen, steps=1)

    def test_unknown_solver(self):
        executor, weights, frozen = ill_conditioned(0.1)
        with pytest.raises(NtkVerifyError, match="unknown solver"):
            natural_gradient_descent(executor, weights, frozen, steps=1, solver="lu")


class TestNaturalGradient:
    def test_condition_1e13_by_qr(self):
        executor, weights, frozen = ill_conditioned(1.5e-6)
        assert 1e13 < certified_condition(executor, weights, frozen) < 1e14
        for solver in ("qr", "auto"):
            run = natural_gradient_descent(executor, weights, frozen, eta=1.0, steps=6, solver=solver)
            assert set(run.notes["solvers"]) == {"qr"}
            # singular values of J, not of J J^T, so the condition number itself is known to a few digits
            assert run.notes["conditions"][0] == pytest.approx(certified_condition(executor, weights, frozen), rel=1e-3)
            assert np.linalg.norm(run.residuals[0]) > 0.1
            assert np.linalg.norm(run.residuals[-1]) < 1e-9
        with pytest.raises(NtkVerifyError, match="condition number"):
            natural_gradient_descent(executor, weights, frozen, steps=1, solver="cholesky")

    def test_the_rate_does_not_know_the_conditioning(self):
        for gap, solver in ((1.0, "cholesky"), (1e-5, "qr")):
            executor, weights, frozen = ill_conditioned(gap)
            run = natural_gradient_descent(executor, weights, frozen, eta=0.3, steps=12)
            assert run.notes["solvers"][-1] == solver
            ratios = np.linalg.norm(run.residuals[1:], axis=1) / np.linalg.norm(run.residuals[:-1], axis=1)
            # the curvature's part falls with the residual: 0.7 in the end, 0.3 of the step's second-order term before
            assert np.abs(ratios[-3:] - 0.7).max() < 0.01


class TestGaussNewtonFlow:
    def test_residuals_decay_like_the_exponential(self):
        executor, weights, frozen = ill_conditioned(0.5)
        times = np.linspace(0, 2, 5)
        run = gauss_newton_flow(executor, weights, frozen, times=times)
        # local tolerance 1e-8 relative to the weights, whose norm is about 30
        assert np.abs(run.residuals - np.exp(-times)[:, None] * run.residuals[0]).max() < 1e-6


class TestLevenbergMarquardt:
    def test_the_gain_is_one_for_linear_residuals(self):
        """With a linear activation in its only weights the model is exact."""
        import sympy

        from ntkverify.symbolic.network.neuron import Block, Neuron

        w, x, p = sympy.symbols("w x p", real=True)
        a = sympy.Symbol("a", real=True)
        neuron = Neuron((w,), (a,), (x,), (Block("data", (a * w * x,), (p,), p),))
        rng = np.random.default_rng(0)
        executor = make_executor(neuron, {"data": np.array([[1.0]])}, {"data": np.array([2.0])})
        run = levenberg_marquardt(executor, rng.random((6, 1)), rng.random((6, 1)), steps=5)
        np.testing.assert_allclose(run.notes["gains"], 1, rtol=1e-6)

    def test_converges_on_a_nonlinear_problem_with_and_without_acceleration(self):
        neuron = KINDS["advection"]()
        samples, weights, frozen = draw_problem(neuron, (7, 4), 60, 7)
        executor = executor_of(neuron, samples)
        for acceleration in (0.75, 0):
            run = levenberg_marquardt(executor, weights, frozen, steps=60, acceleration=acceleration)
            assert run.losses[-1] < 1e-20
            assert run.losses[0] > 1
            # every step taken lowered the loss, by at least the accepted gain
            assert (np.diff(run.losses) < 0).all()
            assert (run.notes["gains"] >= 1e-3).all()

    @pytest.mark.parametrize("width", [2, 20])
    def test_a_step_is_the_least_squares_of_the_damped_system(self, width):
        """With fewer weights than residuals, and with more."""
        samples, weights, frozen = draw_problem(KINDS["advection"](), (7, 4), width, 7)
        executor = executor_of(KINDS["advection"](), samples)
        rows, right = executor.jacobian(weights, frozen), executor.residuals(weights, frozen)
        assert (rows.shape[1] < rows.shape[0]) == (width == 2)
        run = levenberg_marquardt(executor, weights, frozen, steps=1, damping=1.0, acceleration=0)
        (damping,) = run.notes["dampings"]
        stacked = np.vstack([rows, damping**0.5 * np.eye(rows.shape[1])])
        step, *_ = np.linalg.lstsq(stacked, -np.concatenate([right, np.zeros(rows.shape[1])]))
        np.testing.assert_allclose((run.weights - weights).ravel(), step, rtol=1e-9, atol=1e-11)

    def test_the_acceleration_is_the_second_order_of_the_damped_path(self):
        """At lam -> 0, r(theta + v + a/2) is third order in v while r(theta + v) is second order."""
        from ntkverify.symbolic.network.directional import directional_neuron

        executor, weights, frozen = ill_conditioned(0.7)
        second = executor.for_neuron(directional_neuron(executor.neuron, 2))
        forward = executor.forward(weights, frozen)
        gram = executor.gram(weights, frozen)
        errors = []
        for s in (1.0, 0.5):
            v = -s * executor.vjp(weights, frozen, forward, scipy.linalg.solve(gram, forward.residuals))
            curvature = second.residuals(weights, np.hstack([frozen, v]))
            a = -executor.vjp(weights, frozen, forward, scipy.linalg.solve(gram, curvature))
            aim = (1 - s) * forward.residuals
            errors.append([np.linalg.norm(executor.residuals(weights + u, frozen) - aim) for u in (v, v + a / 2)])
        plain, accelerated = np.array(errors).T
        assert np.log2(plain[0] / plain[1]) == pytest.approx(2, abs=0.3)
        assert np.log2(accelerated[0] / accelerated[1]) == pytest.approx(3, abs=0.3)

    def test_gives_up_rather_than_spin(self):
        executor, weights, frozen = ill_conditioned(0.5)
        exact = natural_gradient_descent(executor, weights, frozen, steps=8).weights
        run = levenberg_marquardt(executor, exact, frozen, steps=50, most_damping=1e3)
        assert run.notes["stopped"].startswith("converged")

    @pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
    @pytest.mark.parametrize("width", [2, 64])
    def test_targets_of_any_unit_with_a_sample_twice(self, scale, width):
        """J J^T is singular, and lam = 1 is below its rounding once the outer weights are 1e8."""
        run = levenberg_marquardt(*repeated(scale, width), steps=200)
        assert run.notes["stopped"].startswith("converged")
        if width == 64 and scale <= 1:  # far targets may end in a valley where tanh is flat
            assert math.sqrt(2 * run.losses[-1]) < 1e-13

    def test_a_loss_of_zero_is_converged(self):
        executor, weights, frozen = repeated(0.0, 8)
        outputs = executor.residuals(weights, frozen)
        blocks = tuple(dataclasses.replace(b, targets=outputs[b.rows]) for b in executor.samples.blocks)
        there = executor_of_samples(dataclasses.replace(executor.samples, blocks=blocks), backend="array")
        run = levenberg_marquardt(there, weights, frozen, steps=5)
        assert (run.losses.tolist(), run.notes["stopped"]) == ([0.0], "converged: the loss is 0")

    def test_a_start_too_large_to_be_squared_is_not_called_converged(self):
        with np.errstate(all="ignore"):
            run = levenberg_marquardt(*repeated(1e160, 2), steps=3)
        assert run.notes["stopped"].startswith("stalled")

    def test_bad_options(self):
        executor, weights, frozen = ill_conditioned(0.5)
        with pytest.raises(NtkVerifyError, match="accept"):
            levenberg_marquardt(executor, weights, frozen, steps=1, accept=0.5)


def repeated(scale, width):
    """Regression by tanh in both layers on four samples, two of them one, whose targets have a size."""
    rng = np.random.default_rng(1)
    inputs, targets = rng.standard_normal((4, 2)), rng.standard_normal(4) * scale
    inputs[1], targets[1] = inputs[0], targets[0]
    neuron = regression_neuron("tanh", dimension=2, trainable=("inner", "outer"))
    executor = executor_of_samples(as_samples(neuron, inputs, targets), backend="array")
    weights = rng.standard_normal((width, len(neuron.weights)))
    return executor, weights, np.empty((width, len(neuron.frozen)))
