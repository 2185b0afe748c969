"""Coefficients of equations: one normal form, the same values everywhere, samples named where one is infinite."""

import numpy as np
import pytest
import sympy
from sympy import Abs, Heaviside, Max, Min, Ne, Piecewise, Rational, cot, erfc, exp, log, sign, sin, sinc, sqrt

from ntkverify.arithmetic.balls import as_balls, midpoints
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.symbolic.expression.functions import PositivePower
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.neuron import random_features_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, unknown

T, X = coordinates("t x")
U = unknown("u", (T, X))
POINTS = np.array([[0.3, 0.25], [0.25, 1.0], [0.2, 1.5], [0.1, 0.0]])
#: with what Python says of them at t, x
COEFFICIENTS = {
    "step": (PositivePower(X - 1, 0), lambda t, x: float(x >= 1)),
    "pieces": (Piecewise((3000, X > 1), (3, True)), lambda t, x: 3000.0 if x > 1 else 3.0),
    "Heaviside": (Heaviside(X - 1), lambda t, x: 0.5 if x == 1 else float(x > 1)),
    "Heaviside, right": (Heaviside(X - 1, 1), lambda t, x: float(x >= 1)),
    "sign": (sign(X - 1), lambda t, x: float(np.sign(x - 1))),
    "1/(1+x)": (1 / (1 + X), lambda t, x: 1 / (1 + x)),
    "root": (sqrt(1 + X), lambda t, x: np.sqrt(1 + x)),
    "exp": (exp(-X), lambda t, x: np.exp(-x)),
    "log": (log(1 + X), lambda t, x: np.log1p(x)),
    "distance": (Abs(X - Rational(1, 2)), lambda t, x: abs(x - 0.5)),
    "largest": (Max(X, Rational(1, 2)), lambda t, x: max(x, 0.5)),
    "least": (Min(1, X, T), lambda t, x: min(1, x, t)),
    "2^x": (2**X, lambda t, x: 2.0**x),
    "box": (Piecewise((10, (X > 0.1) & (X < 0.3) & (T >= 0.2)), (1, True)),
            lambda t, x: 10.0 if 0.1 < x < 0.3 and t >= 0.2 else 1.0),
    "three regions": (Piecewise((147, X <= 0), (1, (X < 1) | (X > 2)), (157, True)),
                      lambda t, x: 147.0 if x <= 0 else 1.0 if x < 1 or x > 2 else 157.0),
    "finite where it is written": (Piecewise((sin(X) / X, Ne(X, 0)), (1, True)), lambda t, x: np.sinc(x / np.pi)),
    "sinc": (sinc(X), lambda t, x: np.sinc(x / np.pi)),
    "cot": (cot(1 + X), lambda t, x: 1 / np.tan(1 + x)),
    "erfc": (erfc(X), lambda t, x: float(sympy.erfc(x))),
}  # fmt: skip


def problem(coefficient):
    operator = Operator.from_expression(coefficient * U.diff(X), [U], (T, X))
    neuron = random_features_neuron("sin", {"data": operator}, inner_bias=True)
    return neuron, {"data": POINTS}, {"data": np.zeros(len(POINTS))}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_the_limit_and_the_executors_agree_with_python(name):
    coefficient, python = COEFFICIENTS[name]
    factors = np.array([python(t, x) for t, x in POINTS])
    neuron, points, targets = problem(coefficient)
    plain, *_ = problem(sympy.S.One)
    gram, wanted = limit_gram(neuron), limit_gram(plain).matrix(POINTS)
    size = np.abs(np.outer(factors, factors)) * np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    for matrix in (gram.matrix(POINTS), np.array(gram.matrix_mpmath(POINTS, 30), dtype=float)):
        assert (np.abs(matrix - np.outer(factors, factors) * wanted) <= 1e-13 * size).all()
    weights, frozen = draw_weights(neuron, 1, 40)
    found, bare = (
        make_executor(n, points, targets, backend="array").forward(weights, frozen).residuals for n in (neuron, plain)
    )
    np.testing.assert_allclose(found, factors * bare, rtol=1e-12, atol=1e-13)
    balls = make_executor(neuron, points, targets, backend="ball").forward(as_balls(weights), as_balls(frozen))
    np.testing.assert_allclose(midpoints(balls.residuals), found, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_measured_steps_bound_what_rounding_does_to_them(name):
    neuron, points, targets = problem(COEFFICIENTS[name][0])
    weights, frozen = draw_weights(neuron, 2, 30)
    executor = make_executor(neuron, points, targets, backend="array")
    new = weights.copy()
    step = executor.measured_step(new, frozen, executor.forward(new, frozen), 1e-6, start=weights)
    exact = make_executor(neuron, points, targets, backend="ball").forward(as_balls(new), as_balls(frozen)).residuals
    apart = [abs(float(e - float(x))) for e, x in zip(exact, step.forward.residuals, strict=True)]
    assert (np.array(apart) <= step.errors).all()
    assert step.errors.max() < 1e-9 * max(1, np.abs(step.forward.residuals).max())


def test_compiled_kernels_know_them_too():
    """All in one equation, so that one kernel is compiled."""
    kinds = ("pieces", "Heaviside", "1/(1+x)", "root", "largest", "distance", "finite where it is written")
    neuron, points, targets = problem(sum(COEFFICIENTS[k][0] for k in kinds))
    weights, frozen = draw_weights(neuron, 3, 500)
    array, cpu = (make_executor(neuron, points, targets, backend=b).forward(weights, frozen) for b in ("array", "cpu"))
    np.testing.assert_allclose(cpu.residuals, array.residuals, rtol=1e-12)


@pytest.mark.parametrize("coefficient", [1 / X, log(X), sqrt(X - 1), X / X**2, 1 / (T - Rational(1, 10))])
def test_a_sample_where_a_coefficient_is_not_finite_is_named(coefficient):
    neuron, points, targets = problem(coefficient)
    calls = (
        lambda: limit_gram(neuron).matrix(POINTS),
        lambda: limit_gram(neuron).matrix_balls([[sympy.Rational(str(v)) for v in row] for row in POINTS]),
        lambda: make_executor(neuron, points, targets, backend="array"),
        lambda: make_executor(neuron, points, targets, backend="ball"),
        lambda: make_executor(neuron, points, targets, backend="cpu"),
    )
    for call in calls:
        with pytest.raises(
            NtkVerifyError, match=r"coefficient .* of block 'data' is (inf|-inf|nan) at sample \d \(t = "
        ):
            call()


@pytest.mark.parametrize(
    ("coefficient", "sentence"),
    [
        (sympy.gamma(X), "holds gamma"),
        (sympy.floor(X), "holds floor"),
        (sympy.DiracDelta(X), "holds DiracDelta"),
        (sympy.atan2(X, T), "holds atan2"),
        (Piecewise((1, X > 0)), r"leaves values open; add \(value, True\)"),
        (Piecewise((1, U > 0), (0, True)), "chooses by the solution itself"),
        (X**X, "a power with a varying exponent"),
        (sympy.I * X, "is complex; write its real and imaginary part as two equations"),
    ],
)
def test_what_has_no_normal_form_is_refused_where_the_equation_is_read(coefficient, sentence):
    with pytest.raises(NtkVerifyError, match=sentence):
        problem(coefficient)


def test_complex_equations_and_targets_are_refused_at_the_door():
    h = unknown("h", (T, X))
    with pytest.raises(
        NtkVerifyError, match="is complex; write its real and imaginary part as two equations in two real"
    ):
        Operator.from_expression(sympy.I * h.diff(T) + h.diff(X, 2) / 2, [h], (T, X))
    neuron, points, targets = problem(sympy.S.One)
    for wrong in (targets["data"] + 1j, [1j, 0, 0, 0], np.full(4, 1 + 0j, dtype=np.complex64)):
        for backend in ("array", "ball"):
            with pytest.raises(NtkVerifyError, match=r"targets\['data'\] are complex; make two real problems of it"):
                make_executor(neuron, points, {"data": wrong}, backend=backend)
    with pytest.raises(NtkVerifyError, match=r"points\['data'\] are complex"):
        make_executor(neuron, {"data": POINTS + 0j}, targets, backend="array")
    with pytest.raises(NtkVerifyError, match="must be rows of real numbers"):
        limit_gram(neuron).matrix(POINTS + 0j)
