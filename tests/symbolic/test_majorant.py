"""Majorants bound the expression and its rounding error."""

import numpy as np
import pytest
import sympy

from ntkverify import NtkVerifyError
from ntkverify.execution.evaluator import ArrayAlgebra, evaluate
from ntkverify.problems.pinn import heat_equation, problem_neuron
from ntkverify.symbolic.functions import Z
from ntkverify.symbolic.majorant import majorant


@pytest.mark.parametrize("activation", ["relu3", "tanh", "sin", "softplus"])
def test_majorant_bounds_value_and_rounding(activation):
    feature = problem_neuron(activation, heat_equation, 2).block("interior").features[0]
    symbols = sorted(feature.free_symbols, key=str)
    rng = np.random.default_rng(3)
    algebra = ArrayAlgebra(np)
    values = dict(zip(symbols, rng.standard_normal((len(symbols), 200)), strict=True))
    found = evaluate(feature, values, algebra)
    bound = evaluate(majorant(feature), values, algebra)
    eps = np.finfo(float).eps
    assert (np.abs(found) <= bound * (1 + int(sympy.count_ops(feature)) * eps)).all()
    for i in range(0, 200, 40):
        exact = feature.xreplace({s: sympy.Rational(float(v[i])) for s, v in values.items()}).evalf(30)
        assert abs(float(exact - sympy.Rational(float(found[i])))) <= int(sympy.count_ops(feature)) * eps * bound[i]


def test_cancellation_shows():
    x, y = sympy.symbols("x y", real=True)
    assert majorant(x - y) == sympy.Abs(x) + sympy.Abs(y)
    assert majorant(sympy.tanh(3 * x)) == 1 + 3 * sympy.Abs(x)


def test_unbounded_slopes_are_refused():
    with pytest.raises(NtkVerifyError, match="no bound of the rounding error of exp"):
        majorant(sympy.exp(Z))
