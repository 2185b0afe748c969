"""Every executor computes the same thing; a wrong sign in the generated code is seen."""

from dataclasses import replace
from functools import partial

import array_api_strict
import flint
import numpy as np
import pytest
import sympy
from built_neurons import BUILT
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, relu_regression
from hypothesis import given, settings
from hypothesis import strategies as st
from within_rounding import assert_within_rounding

from ntkverify.arithmetic.balls import Undecided, as_balls, escalate
from ntkverify.execution.fused import cpu as cpu_module
from ntkverify.execution.kernels.chain import gradient_statements
from ntkverify.execution.kernels.sweep_source import kernel_source

# sums of at most 600 terms, each good to a few eps, without catastrophic cancellation of their largest entry
AGREEMENT = 1e-12

#: one of each kind; the others differ in the activation or operator alone, and 69 kernels take minutes to compile
TYPICAL = {
    "regression, gelu",
    "regression, all trained",
    "PINN, Burgers, tanh",
    "PINN, heat, relu3",
    "Navier-Stokes, steady",
    "differences, heat",
    "random features, Burgers",
    "operator, nonlinear",
}

# sizes that share one unrolling, so that each kind is compiled once
SIZES = st.tuples(st.sampled_from([4, 7, 8, 12]), st.sampled_from([4, 7, 8, 12]))


class TestArrayAgainstFused:
    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=25, deadline=None)
    @given(sizes=SIZES, m=st.integers(1, 600), entropy=st.integers(0, 2**32))
    def test_pass_gradient_and_step_agree(self, kind, sizes, m, entropy):
        neuron = KINDS[kind]()
        problem, weights, frozen = draw_problem(neuron, sizes, m, entropy)
        array, fused = (executor_of(neuron, problem, backend=b) for b in ("array", "cpu"))
        a, f = array.forward(weights, frozen), fused.forward(weights, frozen)
        assert relative(f.residuals, a.residuals) < AGREEMENT
        assert relative(fused.gradient(weights, frozen, f), array.gradient(weights, frozen, a)) < AGREEMENT
        vector = np.random.default_rng(entropy).standard_normal(a.residuals.shape)
        assert relative(fused.vjp(weights, frozen, f, vector), array.vjp(weights, frozen, a, vector)) < AGREEMENT
        assert relative(fused.jacobian(weights, frozen), array.jacobian(weights, frozen)) < AGREEMENT
        assert relative(fused.gram(weights, frozen), array.gram(weights, frozen)) < AGREEMENT
        moved_a, moved_f = weights.copy(), weights.copy()
        a, f = array.step(moved_a, frozen, a, 0.01), fused.step(moved_f, frozen, f, 0.01)
        assert relative(moved_f, moved_a) < AGREEMENT
        assert relative(f.residuals, a.residuals) < AGREEMENT

    @pytest.mark.parametrize(
        "name", [pytest.param(n, marks=() if n in TYPICAL else pytest.mark.exhaustive) for n in BUILT]
    )
    def test_every_builder(self, name):
        neuron = BUILT[name]()
        # two samples a block: little unrolling, so that so many kernels compile in a few minutes
        problem, weights, frozen = draw_problem(neuron, [2] * len(neuron.blocks), 300, len(name))
        array, fused = (executor_of(neuron, problem, backend=b) for b in ("array", "cpu"))
        a, f = array.forward(weights, frozen), fused.forward(weights, frozen)
        assert relative(f.residuals, a.residuals) < AGREEMENT
        assert relative(fused.gradient(weights, frozen, f), array.gradient(weights, frozen, a)) < AGREEMENT
        assert relative(fused.gram(weights, frozen), array.gram(weights, frozen)) < AGREEMENT
        moved_a, moved_f = weights.copy(), weights.copy()
        eta = 0.1 / np.trace(array.gram(weights, frozen))
        a, f = array.step(moved_a, frozen, a, eta), fused.step(moved_f, frozen, f, eta)
        assert relative(moved_f, moved_a) < AGREEMENT
        assert relative(f.residuals, a.residuals) < AGREEMENT

    @pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
    def test_every_unrolling(self, n):
        neuron = relu_regression(3)
        problem, weights, frozen = draw_problem(neuron, (n,), 1000, n)
        array, fused = (executor_of(neuron, problem, backend=b) for b in ("array", "cpu"))
        a, f = array.forward(weights, frozen), fused.forward(weights, frozen)
        assert relative(f.residuals, a.residuals) < AGREEMENT
        assert relative(fused.gradient(weights, frozen, f), array.gradient(weights, frozen, a)) < AGREEMENT

    @pytest.mark.parametrize("kind", KINDS)
    def test_strict_array_api(self, kind):
        neuron = KINDS[kind]()
        problem, weights, frozen = draw_problem(neuron, (7, 4), 50, 3)
        array = executor_of(neuron, problem, backend="array")
        strict = executor_of(neuron, problem, backend="array", xp=array_api_strict)
        w, f = array_api_strict.asarray(weights.copy()), array_api_strict.asarray(frozen)
        a, s = array.forward(weights, frozen), strict.forward(w, f)
        assert relative(s.residuals, a.residuals) < AGREEMENT
        assert relative(strict.gradient(w, f, s), array.gradient(weights, frozen, a)) < AGREEMENT
        assert relative(strict.gram(w, f), array.gram(weights, frozen)) < AGREEMENT


def test_no_dead_arithmetic_where_only_outer_weights_train():
    """The derivative through the frozen inner weights is not computed, nor counted."""
    neuron = BUILT["random features, identity"]()
    (code,) = {gradient_statements(neuron, b, (sympy.Symbol("c0"),)) for b in neuron.blocks[:1]}
    used = set().union(*(e.free_symbols for e in code.outputs), *(e.free_symbols for _, e in code.mixed))
    assert {s for s, _ in code.mixed} <= used


def test_threads_do_not_change_a_bit():
    neuron = KINDS["heat"]()
    problem, weights, frozen = draw_problem(neuron, (40, 12), 20000, 5)
    results = []
    for threads in (1, 2, 3):
        executor, w = executor_of(neuron, problem, threads=threads), weights.copy()
        forward = executor.forward(w, frozen)
        assert len(executor.chunks(len(w), executor.source.lanes)) > 3  # the work really is shared out
        for _ in range(3):
            forward = executor.step(w, frozen, forward, 1e-3)
        results.append((w, forward.residuals))
    for w, r in results[1:]:
        assert (w == results[0][0]).all()
        assert (r == results[0][1]).all()


class TestBalls:
    @pytest.mark.parametrize("kind", KINDS)
    def test_fused_lies_within_the_enclosure(self, kind):
        neuron = KINDS[kind]()
        problem, weights, frozen = draw_problem(neuron, (4, 4), 12, 11)
        fused, ball = (executor_of(neuron, problem, backend=b) for b in ("cpu", "ball"))
        f, b = fused.forward(weights, frozen), ball.forward(weights, frozen)
        pairs = [(f.residuals, b.residuals)]
        pairs.append((fused.gradient(weights, frozen, f), ball.gradient(weights, frozen, b)))
        moved, balls = weights.copy(), as_balls(weights)
        for _ in range(5):
            f, b = fused.step(moved, frozen, f, 0.01), ball.step(balls, frozen, b, 0.01)
        pairs += [(moved, balls), (f.residuals, b.residuals)]
        for floats, enclosures in pairs:
            largest = np.abs(floats).max()
            for x, enclosure in zip(floats.ravel(), enclosures.ravel(), strict=True):
                # at 128 bits the ball is far narrower than float64's own rounding: 12 neurons, 5 steps, a few eps each
                assert float(enclosure.rad()) < 1e-25 * max(largest, 1)
                assert abs(x - float(enclosure.mid())) < 1e-12 * largest

    @pytest.mark.parametrize("kind", [*KINDS, "regression, all trained", "Navier-Stokes, steady", "operator"])
    def test_fused_lies_within_exact_plus_rounding(self, kind):
        """|fused - exact| is at most the error that the model of float64 derives, no tolerance chosen by hand."""
        neuron = (KINDS | BUILT)[kind]()
        problem, weights, frozen = draw_problem(neuron, [2] * len(neuron.blocks), 7, 11)
        assert_within_rounding(executor_of(neuron, problem), neuron, problem, weights, frozen)

    @pytest.mark.parametrize("kind", KINDS)
    def test_gradient_is_the_slope_of_the_residuals(self, kind):
        """Central differences in 400-bit balls: with h = 2**-100 their error h**2 f''' is far below 1e-25."""
        neuron = KINDS[kind]()
        problem, weights, frozen = draw_problem(neuron, (2, 3), 3, 13)
        ball = executor_of(neuron, problem, backend="ball", bits=400)
        jacobian = ball.jacobian(weights, frozen).reshape(5 if len(neuron.blocks) == 2 else 2, 3, -1)
        h = flint.arb(2) ** -100
        for j in range(3):
            for i in range(len(neuron.weights)):
                plus, minus = as_balls(weights), as_balls(weights)
                with flint.ctx.workprec(400):
                    plus[j, i], minus[j, i] = plus[j, i] + h, minus[j, i] - h
                    slope = (ball.residuals(plus, frozen) - ball.residuals(minus, frozen)) / (2 * h)
                for k, s in enumerate(slope):
                    assert abs(float(s.mid()) - float(jacobian[k, j, i].mid())) < 1e-14
                    assert float(abs(s - jacobian[k, j, i]).mid()) < 1e-25

    def test_a_sign_that_cannot_be_told_is_undecided(self):
        neuron = relu_regression(2)
        one = {"data": np.array([[1.0, 1.0]])}
        problem = {"points": one, "targets": {"data": np.array([0.0])}, "scale": None}
        tiny = flint.arb(2) ** -200

        def gradient_at(bits):
            ball = executor_of(neuron, problem, backend="ball", bits=bits)
            with flint.ctx.workprec(bits):
                weights = as_balls([[flint.arb(1) / 3 + tiny, -flint.arb(1) / 3]])
            forward = ball.forward(weights, np.ones((1, 1)))
            return bits, ball.gradient(weights, np.ones((1, 1)), forward)

        with pytest.raises(Undecided):
            gradient_at(128)
        bits, gradient = escalate(gradient_at)
        assert bits == 256
        assert gradient[0, 0] > 0
        with pytest.raises(Undecided):
            escalate(gradient_at, limit=200)


@pytest.mark.parametrize("kind", ["relu", "heat", "advection"])
def test_a_run_that_diverged_shows_it(kind):
    """A weight that is not a number must not pass for a dead neuron."""
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, (4, 4), 20, 5)
    weights[7, 0] = np.nan
    assert np.isnan(executor_of(neuron, problem).residuals(weights, frozen)).all()


class TestMutations:
    """A generated kernel with one sign turned must not pass for the right one."""

    @pytest.mark.parametrize("kind", ["heat", "advection", "softplus"])
    def test_a_wrong_sign_is_caught(self, kind, monkeypatch):
        neuron = KINDS[kind]()
        problem, weights, frozen = draw_problem(neuron, (7, 4), 60, 17)
        array = executor_of(neuron, problem, backend="array")
        forward = array.forward(weights, frozen)
        gradient = array.gradient(weights, frozen, forward)
        lines = kernel_source(neuron, (7, 4)[: len(neuron.blocks)]).text.splitlines()
        turned = []
        # a component of the gradient, one of its terms, and a sample's sum over neurons
        for start, plus in (("g[0, l] += ", " += "), ("g[0, l] += ", ") + ("), ("y0__0 += ", " += ")):
            spots = [i for i, line in enumerate(lines) if line.lstrip().startswith(start) and plus in line]
            turned += [(spot, plus) for spot in {spots[0], spots[-1]}]
        for spot, plus in turned:
            mutated = [*lines]
            mutated[spot] = mutated[spot].replace(plus, plus.replace("+", "-"), 1)
            text = "\n".join(mutated)
            monkeypatch.setattr(cpu_module, "kernel_source", partial(_with_text, text))
            wrong = executor_of(neuron, problem, backend="cpu")
            f = wrong.forward(weights, frozen)
            worst = max(
                relative(f.residuals, forward.residuals),
                relative(wrong.gradient(weights, frozen, forward), gradient),
            )
            assert worst > 1e3 * AGREEMENT


def _with_text(text, neuron, sizes):
    return replace(kernel_source(neuron, sizes), text=text)
