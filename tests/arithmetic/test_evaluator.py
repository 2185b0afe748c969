"""Expressions at arrays: what is written down once finds, bit by bit, what the walk finds; mistakes are a sentence."""

import numpy as np
import pytest
import sympy

from ntkverify import NtkVerifyError
from ntkverify.arithmetic import evaluator
from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate, evaluate_all
from ntkverify.symbolic.expression.functions import PositivePower, Softplus

x, y = sympy.symbols("x y", real=True)
AT = {x: np.linspace(-2, 3, 7)[:, None], y: np.array([0.5, -1.5])}
EXPRESSIONS = [
    x * y + 3,
    (x * y + 3) ** 4 - sympy.sqrt(1 + x**2) * sympy.pi / 7,
    sympy.tanh(x * y) * PositivePower(x - y, 3) + sympy.Heaviside(x, 1) * x,
    sympy.Max(x, y, 1) + sympy.Abs(y) - sympy.erf(x) + Softplus(y),
    1 / (1 + x**2) - (x * y + 3) * sympy.Rational(1, 3) * y**-2,
    sympy.Integer(2),
    y,
]


def test_written_down_once_and_walked_agree_to_the_last_bit():
    algebra = ArrayAlgebra()
    known = dict(AT)
    walked = [evaluator._walk(e, known, algebra) for e in EXPRESSIONS]
    for _ in range(2):
        for found, wanted in zip(evaluate_all(EXPRESSIONS, AT, algebra), walked, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_symbol_without_a_value_is_named_every_time():
    for _ in range(2):
        with pytest.raises(NtkVerifyError, match="no value was given for the symbol y"):
            evaluate(x + y, {x: AT[x]}, ArrayAlgebra())


def test_a_function_that_nobody_knows_is_named():
    with pytest.raises(NtkVerifyError, match="does not know gamma"):
        evaluate(sympy.gamma(x), AT, ArrayAlgebra())
