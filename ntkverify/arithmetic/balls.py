"""Balls: what a number becomes, how precision escalates, and their algebra for the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ntkverify.arithmetic.evaluator import evaluate_all, integer_power
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import Softplus

DEFAULT_BITS = 128
DEFAULT_LIMIT = 4096


class Undecided(ArithmeticError):
    """A branch depends on the sign of a ball that contains zero; more bits may decide it."""


def _flint() -> Any:
    try:
        import flint
    except ImportError as error:
        raise NtkVerifyError(
            "backend 'ball' needs python-flint, which is not installed; pip install 'ntkverify[certify]'"
        ) from error
    return flint


def escalate(run: Callable[[int], Any], *, bits: int = DEFAULT_BITS, limit: int = DEFAULT_LIMIT) -> Any:
    """Repeat a computation with twice the precision for as long as it is undecided.

    Parameters
    ----------
    run : callable
        Takes the number of bits and does the whole computation from exact inputs; may itself raise
        `Undecided` when its result is too wide to conclude from.
    bits : int
        Precision of the first attempt.
    limit : int
        Largest precision tried.

    Raises
    ------
    Undecided
        If the last attempt within the limit is undecided.
    """
    while True:
        try:
            return run(bits)
        except Undecided:
            if 2 * bits > limit:
                raise
            bits *= 2


def as_ball(value: Any) -> Any:
    """The ball of one number: floats, integers and rationals exactly, constants such as pi or sqrt(2) enclosed."""
    flint = _flint()
    if isinstance(value, flint.arb):
        return value
    if isinstance(value, sympy.Basic):
        (result,) = BallAlgebra().constants([value])
        return result
    if isinstance(value, Fraction):
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    if isinstance(value, int | np.integer):
        return flint.arb(int(value))
    return flint.arb(float(value))


def as_balls(array: Any) -> Any:
    """An object array of balls with the entries of any array."""
    source = np.asarray(array, dtype=object)
    result = np.empty(source.shape, dtype=object)
    for index in np.ndindex(source.shape):
        result[index] = as_ball(source[index])
    return result


def midpoints(array: Any) -> Any:
    """Midpoints of an array of balls, rounded to float64."""
    return np.vectorize(lambda b: float(b.mid()), otypes=[float])(array)


def radii(array: Any) -> Any:
    """Radii of an array of balls, rounded up to float64 by less than a factor 2."""
    return np.vectorize(lambda b: float(b.rad()) * (1 + 2**-50), otypes=[float])(array)


class BallAlgebra:
    """Object arrays of balls at flint's current working precision."""

    def __init__(self) -> None:
        flint = self._flint = _flint()

        def each(function: Callable[..., Any], count: int = 1) -> Any:
            return np.frompyfunc(function, count, 1)

        self.functions: Mapping[type, Callable[..., Any]] = {
            sympy.exp: each(lambda z: z.exp()),
            sympy.log: each(lambda z: z.log()),
            sympy.sin: each(lambda z: z.sin()),
            sympy.cos: each(lambda z: z.cos()),
            sympy.tan: each(lambda z: z.tan()),
            sympy.sinh: each(lambda z: z.sinh()),
            sympy.cosh: each(lambda z: z.cosh()),
            sympy.tanh: each(lambda z: z.tanh()),
            sympy.atan: each(lambda z: z.atan()),
            sympy.asin: each(lambda z: z.asin()),
            sympy.acos: each(lambda z: z.acos()),
            sympy.Abs: each(abs),
            sympy.erf: each(lambda z: z.erf()),
            sympy.sign: each(self._sign),
            sympy.Max: lambda *args: self._fold(each(lambda a, b: a.max(b), 2), *args),
            sympy.Min: lambda *args: self._fold(each(lambda a, b: a.min(b), 2), *args),
            Softplus: each(lambda z: z.max(0) + (-abs(z)).exp().log1p()),
        }
        self._zero = flint.arb(0)

    def constant(self, value: sympy.Expr) -> Any:
        arb, fmpq = self._flint.arb, self._flint.fmpq
        if value.is_Float:
            value = sympy.Rational(value)
        if value.is_Rational:
            return arb(fmpq(int(value.p), int(value.q)))
        if value is sympy.pi:
            return arb.pi()
        if value is sympy.E:
            return arb.const_e()
        return None

    def constants(self, values: list[sympy.Expr]) -> list[Any]:
        """Enclosures of constant expressions."""
        return evaluate_all(values, {}, self)

    def power(self, base: Any, exponent: sympy.Rational) -> Any:
        if exponent.is_Integer:
            return integer_power(base, int(exponent))
        if exponent == sympy.Rational(1, 2):
            return np.frompyfunc(lambda z: z.sqrt(), 1, 1)(base)
        ball = self._flint.arb(self._flint.fmpq(int(exponent.p), int(exponent.q)))
        return np.frompyfunc(lambda z: z**ball, 1, 1)(base)

    def positive_power(self, z: Any, k: int) -> Any:
        if k == 0:
            return np.frompyfunc(self._step, 1, 1)(z)
        return integer_power(np.frompyfunc(lambda b: b.max(0), 1, 1)(z), k)

    def choose(self, test: Any, yes: Any, no: Any) -> Any:
        return np.frompyfunc(lambda t, a, b: a if self._step(t) == 1 else b, 3, 1)(test, yes, no)

    def _step(self, z: Any) -> Any:
        if z >= 0:
            return self._flint.arb(1)
        if z < 0:
            return self._zero
        raise Undecided(f"the sign of {z} is undecided at {self._flint.ctx.prec} bits")

    def _sign(self, z: Any) -> Any:
        if z > 0 or z < 0:
            return self._flint.arb(1 if z > 0 else -1)
        if z == 0:
            return self._zero
        raise Undecided(f"the sign of {z} is undecided at {self._flint.ctx.prec} bits")

    def _fold(self, function: Any, *args: Any) -> Any:
        result = args[0]
        for a in args[1:]:
            result = function(result, a)
        return result
