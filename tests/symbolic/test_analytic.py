"""Limits of tanh, softplus and swish in balls: against 40-digit integrals, float64 matrices and themselves."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

flint = pytest.importorskip("flint")

from ntkverify.symbolic.expression.functions import PositivePower, Softplus, Z  # noqa: E402
from ntkverify.symbolic.limit.analytic import gaussian_moment, is_analytic  # noqa: E402
from ntkverify.symbolic.limit.limits import limit_gram  # noqa: E402
from ntkverify.symbolic.network import operators as ops  # noqa: E402
from ntkverify.symbolic.network.neuron import pinn_neuron, regression_neuron  # noqa: E402
from ntkverify.symbolic.network.operators import coordinates  # noqa: E402

PLANE = coordinates("x y")
FUNCTIONS = {
    "tanh": (sympy.tanh(Z), mpmath.tanh),
    "softplus": (Softplus(Z), lambda z: mpmath.log(1 + mpmath.exp(z))),
    "swish": (Z * (1 + sympy.tanh(Z / 2)) / 2, lambda z: z / (1 + mpmath.exp(-z))),
}


def mean(function):
    """E function(X) to 30 digits."""
    with mpmath.workdps(40):
        nodes = [mpmath.mpf(j) / 32 for j in range(-480, 481)]
        return sum(mpmath.exp(-x * x / 2) * function(x) for x in nodes) / 32 / mpmath.sqrt(2 * mpmath.pi)


def enclosed(*arguments):
    with flint.ctx.workprec(128):
        return gaussian_moment(*arguments)


def contains(ball, value):
    with flint.ctx.workprec(200):
        return bool(ball.overlaps(flint.arb(flint.arb(mpmath.nstr(value, 38)).mid(), 1e-28)))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("stretch", [Fraction(1), Fraction(-1, 2), Fraction(3)])
def test_parallel_forms_are_integrals_in_one_dimension(name, stretch):
    expression, function = FUNCTIONS[name]
    u, ratio = (Fraction(3, 10), Fraction(-4, 10)), mpmath.mpf(stretch.numerator) / stretch.denominator
    found = enclosed((), expression, expression, u, tuple(stretch * c for c in u))
    assert found.rad() < 1e-13
    assert contains(found, mean(lambda x: function(x / 2) * function(ratio * x / 2)))


def test_weights_before_the_functions_go_by_parts():
    """E[w_0^2 w_1 A B] with orthogonal forms is a product of two integrals."""
    expression, function = FUNCTIONS["swish"]
    found = enclosed((0, 1, 0), expression, expression, (Fraction(1, 2), 0), (0, Fraction(1)))
    with mpmath.workdps(40):
        exact = mean(lambda x: x**2 * function(x / 2)) * mean(lambda x: x * function(x))
    assert found.rad() < 1e-18
    assert contains(found, exact)


@pytest.mark.parametrize("name", ["tanh", "softplus", "swish"])
def test_matrices_agree_with_float64_and_more_bits_with_fewer(name):
    limit = limit_gram(regression_neuron(name, dimension=2))
    points = np.random.default_rng(3).uniform(-1.5, 1.5, (2, 2)).round(2)
    plain, error = limit.matrix_with_error(points)
    coarse, fine = (limit.matrix_balls(points.tolist(), bits=bits) for bits in (64, 128))
    for index in np.ndindex(plain.shape):
        assert fine[index].rad() < 1e-13
        assert coarse[index].overlaps(fine[index])
        assert abs(float(fine[index].mid()) - plain[index]) <= 1e-14 + 2 * error[index]


def test_operators_have_enclosures_too():
    limit = limit_gram(pinn_neuron("tanh", ops.laplacian(PLANE)))
    points = {"interior": np.array([[0.5, 0.25]]), "boundary": np.array([[0.0, 0.5]])}
    points = {block.name: points.get(block.name, points["boundary"]) for block in limit.neuron.blocks}
    plain, error = limit.matrix_with_error(points)
    balls = limit.matrix_balls({name: rows.tolist() for name, rows in points.items()})
    for index in np.ndindex(plain.shape):
        assert balls[index].rad() < 1e-10
        assert abs(float(balls[index].mid()) - plain[index]) <= 1e-12 + 2 * error[index]


def test_what_has_no_majorant_is_left_alone():
    assert is_analytic(sympy.tanh(2 * Z) ** 2 * Softplus(Z / 3) + Z)
    for other in (PositivePower(Z, 1), sympy.exp(Z), sympy.tanh(Z**2), sympy.sqrt(1 + sympy.tanh(Z) ** 2)):
        assert not is_analytic(other)
