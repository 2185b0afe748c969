"""Majorants bound the expression and its rounding error."""

import numpy as np
import pytest
import sympy

from ntkverify import NtkVerifyError
from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate
from ntkverify.problems.pinn import heat_equation, problem_neuron
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.expression.majorant import majorant, relative_error, roundings
from ntkverify.symbolic.network.neuron import regression_neuron


@pytest.mark.parametrize("activation", ["relu3", "tanh", "sin", "softplus"])
def test_majorant_bounds_value_and_rounding(activation):
    feature = problem_neuron(activation, heat_equation, 2).block("interior").features[0]
    symbols = sorted(feature.free_symbols, key=str)
    rng = np.random.default_rng(3)
    algebra = ArrayAlgebra(np)
    values = dict(zip(symbols, rng.standard_normal((len(symbols), 200)), strict=True))
    found = evaluate(feature, values, algebra)
    bound = evaluate(majorant(feature), values, algebra)
    allowed = relative_error(roundings(feature))
    assert (np.abs(found) <= bound * (1 + allowed)).all()
    for i in range(0, 200, 40):
        exact = feature.xreplace({s: sympy.Rational(float(v[i])) for s, v in values.items()}).evalf(30)
        assert abs(float(exact - sympy.Rational(float(found[i])))) <= allowed * bound[i]


def test_a_power_multiplies_the_roundings_of_its_base():
    x, y = sympy.symbols("x y", real=True)
    assert roundings(x) == 0
    assert roundings(x**8) == 7
    assert roundings(3 * x * y + 1) == 3
    assert roundings((x + y) ** 8) == 15
    assert roundings(sympy.tanh(x + y)) == 9
    assert roundings(sympy.sqrt(2) * x) == 3


def test_the_bound_of_a_power_holds_where_its_operations_would_not():
    """relu^8 of a sum of ten products: powers of a sum carry its roundings along."""
    neuron = regression_neuron("relu8", dimension=10)
    (feature,) = neuron.blocks[0].features
    symbols = sorted(feature.free_symbols, key=str)
    rng = np.random.default_rng(5)
    # all positive: no cancellation hides the roundings
    values = {s: rng.uniform(0.5, 2, 4000) for s in symbols}
    found, bound = (evaluate(e, values, ArrayAlgebra(np)) for e in (feature, majorant(feature)))
    worst = 0.0
    for i in range(0, 4000, 10):
        at = {s: sympy.Rational(float(v[i])) for s, v in values.items()}
        exact = feature.xreplace(at)
        worst = max(worst, abs(float((exact - sympy.Rational(float(found[i]))) / sympy.Rational(float(bound[i])))))
    assert worst <= relative_error(roundings(feature))
    assert worst > 8 * 2.0**-53


def test_cancellation_shows():
    x, y = sympy.symbols("x y", real=True)
    assert majorant(x - y) == sympy.Abs(x) + sympy.Abs(y)
    assert majorant(sympy.tanh(3 * x)) == 1 + 3 * sympy.Abs(x)


def test_unbounded_slopes_are_refused():
    with pytest.raises(NtkVerifyError, match="no bound of the rounding error of exp"):
        majorant(sympy.exp(Z))
