"""Gradient descent, gradient flow and the baselines."""

import math

import numpy as np
import pytest
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, relu_regression, softplus_regression

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine import memory
from ntkverify.training import (
    adam,
    gauss_newton_flow,
    gradient_descent,
    gradient_flow,
    lbfgs,
    levenberg_marquardt,
    natural_gradient_descent,
)
from ntkverify.training.loop import follow
from ntkverify.training.methods.first_order import Adam, GradientDescent, HeavyBall
from ntkverify.training.methods.second_order import NaturalGradient


@pytest.fixture
def problem():
    neuron = softplus_regression(2)
    samples, weights, frozen = draw_problem(neuron, (4,), 40, 0)
    return executor_of(neuron, samples), weights, frozen


class TestGradientDescent:
    def test_is_the_recursion(self, problem):
        executor, weights, frozen = problem
        run = gradient_descent(
            executor, weights, frozen, eta=0.1, steps=7, every=3, record={"norm": lambda s: np.linalg.norm(s.weights)}
        )
        w = weights.copy()
        for _ in range(7):
            w -= 0.1 * executor.gradient(w, frozen, executor.forward(w, frozen))
        assert relative(run.weights, w) < 1e-13
        assert run.steps.tolist() == [0, 3, 6]
        np.testing.assert_allclose(run.times, [0, 0.3, 0.6])
        assert run.residuals.shape == (3, 4)
        assert run.records["norm"][0] == np.linalg.norm(weights)
        np.testing.assert_allclose(run.losses, (run.residuals**2).sum(1) / 2)

    def test_leaves_the_weights_alone_unless_told(self, problem):
        executor, weights, frozen = problem
        before = weights.copy()
        run = gradient_descent(executor, weights, frozen, eta=0.1, steps=2)
        assert (weights == before).all()
        other = gradient_descent(executor, weights, frozen, eta=0.1, steps=2, in_place=True)
        assert other.weights is weights
        assert (weights == run.weights).all()

    def test_bad_options(self, problem):
        for options in ({"eta": 0.0, "steps": 1}, {"eta": 0.1, "steps": -1}, {"eta": 0.1, "steps": 1, "every": 0}):
            with pytest.raises(NtkVerifyError):
                gradient_descent(*problem, **options)


class TestGradientFlow:
    def test_against_many_short_steps(self, problem):
        """Gradient descent with step h is off the flow by O(h); Richardson's extrapolation of two steps by O(h**2)."""
        executor, weights, frozen = problem
        times = [0.0, 0.3, 1.0]
        flow = gradient_flow(executor, weights, frozen, times=times)
        ends = [gradient_descent(executor, weights, frozen, eta=1 / n, steps=n).residuals[-1] for n in (400, 800, 1600)]
        second = [2 * ends[1] - ends[0], 2 * ends[2] - ends[1]]
        third = (4 * second[1] - second[0]) / 3
        assert relative(third, flow.residuals[-1]) < 1e-8
        assert relative(ends[2], flow.residuals[-1]) > 1e-8  # the comparison does resolve the discretisation
        assert flow.notes["rtol"] == 1e-10

    def test_energy_is_dissipated_at_the_rate_of_the_gradient(self, problem):
        """d loss / dt = -|grad|^2: Simpson's rule over a short stretch, error h**5 f''''/2880."""
        executor, weights, frozen = problem
        h = 0.02
        run = gradient_flow(
            executor, weights, frozen, times=[0.0, h / 2, h],
            record={"slope": lambda s: -(s.executor.gradient(s.weights, s.frozen, s.forward) ** 2).sum()},
        )  # fmt: skip
        a, b, c = run.records["slope"]
        assert run.losses[-1] - run.losses[0] == pytest.approx(h * (a + 4 * b + c) / 6, rel=1e-8)

    def test_times_are_checked(self, problem):
        for times in ([], [1.0, 0.5], [-1.0, 0.0]):
            with pytest.raises(NtkVerifyError, match="increasing"):
                gradient_flow(*problem, times=times)


class TestBaselines:
    def test_adam_by_hand_for_two_steps(self, problem):
        executor, weights, frozen = problem
        run = adam(executor, weights, frozen, eta=0.01, steps=2)
        gradient = [executor.gradient(weights, frozen, executor.forward(weights, frozen))]
        # the bias correction makes the first step eta times the sign of the gradient, up to epsilon
        w = weights - 0.01 * gradient[0] / (np.abs(gradient[0]) + 1e-8)
        gradient.append(executor.gradient(w, frozen, executor.forward(w, frozen)))
        first = (0.9 * 0.1 * gradient[0] + 0.1 * gradient[1]) / (1 - 0.9**2)
        second = (0.999 * 0.001 * gradient[0] ** 2 + 0.001 * gradient[1] ** 2) / (1 - 0.999**2)
        w = w - 0.01 * first / (np.sqrt(second) + 1e-8)
        assert relative(run.weights, w) < 1e-10

    def test_lbfgs_solves_an_overparametrised_regression(self, problem):
        executor, weights, frozen = problem
        run = lbfgs(executor, weights, frozen, steps=200)
        # sums of 40 terms of order 1: the residual's rounding floor is about 1e-15
        assert run.losses[-1] < 1e-20
        assert (np.diff(run.losses) <= 0).all()

    @pytest.mark.parametrize("kind", ["heat", "advection"])
    def test_every_method_lowers_the_loss(self, kind):
        neuron = KINDS[kind]()
        samples, weights, frozen = draw_problem(neuron, (7, 4), 100, 2)
        executor = executor_of(neuron, samples)
        assert adam(executor, weights, frozen, eta=1e-3, steps=50).losses[-1] < executor.forward(weights, frozen).loss
        assert lbfgs(executor, weights, frozen, steps=20).losses[-1] < executor.forward(weights, frozen).loss


def test_a_wide_network_trains():
    neuron = relu_regression(2)
    samples, weights, frozen = draw_problem(neuron, (2,), 200_000, 3)
    run = gradient_descent(executor_of(neuron, samples), weights, frozen, eta=0.5, steps=20)
    assert run.losses[-1] < 0.1 * run.losses[0]


@pytest.mark.parametrize(
    ("train", "options", "copies"),
    [
        (gradient_descent, {"eta": 0.1, "steps": 1}, 1),
        (gradient_flow, {"times": [0.1]}, 30),
        (adam, {"eta": 0.1, "steps": 1}, 6),
        (lbfgs, {"steps": 1}, 28),
        (natural_gradient_descent, {"steps": 1}, 3),
        (gauss_newton_flow, {"times": [0.1]}, 30),
        (levenberg_marquardt, {"steps": 1}, 6),
    ],
)
def test_what_does_not_fit_is_refused_with_the_figures(problem, train, options, copies, monkeypatch):
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: copies * problem[1].nbytes - 1)
    with pytest.raises(NtkVerifyError, match=r"of 40 neurons .* needs .* GiB but .* GiB are free"):
        train(*problem, **options)


@pytest.mark.parametrize("train", [natural_gradient_descent, levenberg_marquardt])
def test_a_run_that_diverged_is_said(problem, train):
    executor, weights, frozen = problem
    weights[3] = 1e308  # finite itself, and its outputs are not
    with pytest.raises(NtkVerifyError, match="no longer finite after 0 steps"), np.errstate(all="ignore"):
        train(executor, weights, frozen, steps=1)
    weights[3, 1] = np.nan
    with pytest.raises(NtkVerifyError, match="weights hold numbers that are not finite; start from finite ones"):
        train(executor, weights, frozen, steps=1)


def test_settings_of_every_method_are_checked(problem):
    for train, options in ((adam, {"eta": 0.0}), (natural_gradient_descent, {"eta": -1.0}), (lbfgs, {})):
        with pytest.raises(NtkVerifyError, match="steps at least 0"):
            train(*problem, steps=-1, **options)


@pytest.mark.parametrize("eta", [0.0, -0.1, math.inf, math.nan])
@pytest.mark.parametrize("method", [GradientDescent, Adam, NaturalGradient, lambda eta: HeavyBall(eta, 0.9)])
def test_a_step_that_is_none_is_refused_by_the_loop(problem, method, eta):
    with pytest.raises(NtkVerifyError, match="eta must be positive and finite"):
        follow(*problem, method(eta), steps=1)


def test_complex_targets_are_refused():
    neuron = softplus_regression(2)
    samples, _, _ = draw_problem(neuron, (4,), 40, 0)
    (name,) = samples["targets"]
    samples["targets"][name] = samples["targets"][name] * 1j
    with pytest.raises(NtkVerifyError, match="are complex; make two real problems"):
        executor_of(neuron, samples)


@pytest.mark.parametrize("eta", ["0.1", None, [0.1], True])
def test_a_step_that_is_no_number(problem, eta):
    for train in (gradient_descent, adam, natural_gradient_descent):
        with pytest.raises(NtkVerifyError, match="eta must be positive and finite"):
            train(*problem, eta=eta, steps=1)


@pytest.mark.parametrize(("steps", "taken"), [(3.0, 3), (np.int64(3), 3), (2.5, None), ("3", None), (math.nan, None)])
def test_steps_that_are_whole_numbers_are_taken(problem, steps, taken):
    for run in (
        lambda: gradient_descent(*problem, eta=0.1, steps=steps),
        lambda: lbfgs(*problem, steps=steps),
        lambda: levenberg_marquardt(*problem, steps=steps),
    ):
        if taken is None:
            with pytest.raises(NtkVerifyError, match=r"steps at least 0 and whole|steps must be a finite"):
                run()
        else:
            assert run().notes["steps" if "steps" in run().notes else "stopped"] is not None


@pytest.mark.parametrize("times", [[math.nan], [0.0, math.inf], [0.0, math.nan, 1.0], [], [1.0, 0.5], "ab", [[0.0]]])
def test_moments_that_a_flow_never_reaches(problem, times):
    with pytest.raises(NtkVerifyError, match="times"):
        gradient_flow(*problem, times=times)


@pytest.mark.parametrize("rtol", [math.nan, 0.0, -1e-8, "1e-8"])
def test_a_tolerance_that_is_none(problem, rtol):
    with pytest.raises(NtkVerifyError, match="rtol must be"):
        gradient_flow(*problem, times=[0.0, 0.1], rtol=rtol)


def test_weights_as_lists_are_the_same_weights(problem):
    executor, weights, frozen = problem
    lists = weights.tolist(), None if frozen is None else frozen.tolist()
    for train, options in (
        (gradient_descent, {"eta": 0.1, "steps": 2}),
        (levenberg_marquardt, {"steps": 2}),
        (lbfgs, {"steps": 2}),
        (gradient_flow, {"times": [0.0, 0.1]}),
    ):
        wanted = train(executor, weights, frozen, **options).residuals
        np.testing.assert_array_equal(train(executor, *lists, **options).residuals, wanted)
    with pytest.raises(NtkVerifyError, match="weights are not a rectangular array of numbers"):
        gradient_descent(executor, [[1.0], [1.0, 2.0]], lists[1], eta=0.1, steps=1)
    with pytest.raises(NtkVerifyError, match="weights must have shape"):
        gradient_descent(executor, lists[0][0], lists[1], eta=0.1, steps=1)
