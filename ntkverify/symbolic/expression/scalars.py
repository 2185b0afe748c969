"""Two exact-input arithmetics for the closed forms: mpmath numbers and python-flint balls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.choices import Where
from ntkverify.symbolic.expression.functions import PositivePower


def _flint() -> Any:
    try:
        import flint
    except ImportError as error:
        raise NtkVerifyError(
            "ball arithmetic needs python-flint, which is not installed: pip install 'ntkverify[certify]'."
        ) from error
    return flint


@dataclass(frozen=True)
class MpmathArithmetic:
    """Numbers of a given precision in bits."""

    bits: int

    @contextmanager
    def precision(self, extra: int) -> Iterator[None]:
        """Work with `extra` guard bits."""
        with mpmath.workprec(self.bits + extra):
            yield

    def rational(self, value: Fraction) -> Any:
        """An exact fraction, rounded."""
        return mpmath.mpf(value.numerator) / value.denominator

    def number(self, value: sympy.Expr) -> Any:
        """A sympy number."""
        return evaluate(value, {}, self)

    def pi(self) -> Any:
        """pi."""
        return +mpmath.pi

    def knows(self, name: str) -> bool:
        """Whether there is an elementary function of this name."""
        return hasattr(mpmath, name)

    def call(self, name: str, *arguments: Any) -> Any:
        """An elementary function."""
        return getattr(mpmath, name)(*arguments)

    def sinc_derivative(self, order: int, x: Any) -> Any:
        """The derivative of the given order of sin(x)/x."""
        first, parameters, square, odd = _sinc_series(order)
        factor = mpmath.mpf(first.numerator) / first.denominator * (x if odd else 1)
        a, b, c = (mpmath.mpf(p.numerator) / p.denominator for p in parameters)
        return factor * mpmath.hyp1f2(a, b, c, -x * x / square)


@dataclass(frozen=True)
class BallArithmetic:
    """Enclosures of a given precision in bits."""

    bits: int

    @contextmanager
    def precision(self, extra: int) -> Iterator[None]:
        """Work with `extra` guard bits."""
        context = _flint().ctx
        before = context.prec
        context.prec = self.bits + extra
        try:
            yield
        finally:
            context.prec = before

    def rational(self, value: Fraction) -> Any:
        """An enclosure of an exact fraction."""
        flint = _flint()
        return flint.arb(flint.fmpq(value.numerator, value.denominator))

    def number(self, value: sympy.Expr) -> Any:
        """An enclosure of a sympy number."""
        return evaluate(value, {}, self)

    def pi(self) -> Any:
        """An enclosure of pi."""
        return _flint().arb.pi()

    def knows(self, name: str) -> bool:
        """Whether there is an elementary function of this name."""
        return hasattr(_flint().arb, name)

    def call(self, name: str, *arguments: Any) -> Any:
        """An elementary function."""
        if name == "atan2":
            return _flint().arb.atan2(*arguments)
        return getattr(arguments[0], name)(*arguments[1:])

    def sinc_derivative(self, order: int, x: Any) -> Any:
        """The derivative of the given order of sin(x)/x."""
        first, parameters, square, odd = _sinc_series(order)
        a, b, c = map(self.rational, parameters)
        return self.rational(first) * (x if odd else 1) * (-x * x / square).hypgeom([a], [b, c])


def _sinc_series(order: int) -> tuple[Fraction, tuple[Fraction, Fraction, Fraction], int, bool]:
    """d^n sin(x)/x as first * (x if n is odd) * 1F2(a; b, c; -x^2/4), which is entire: no division by x.

    sin(x)/x is the mean of cos(s x) over s in [0, 1], hence d^n that of s^n cos(s x) or s^n sin(s x), up to sign.
    """
    half, odd = Fraction(1, 2), bool(order % 2)
    sign = (-1) ** ((order + 1) // 2)
    low = Fraction(order + 1 + odd, 2)
    return sign * Fraction(1, order + 1 + odd), (low, half + odd, low + 1), 4, odd


Arithmetic = MpmathArithmetic | BallArithmetic


def guard_bits(sine_squared: Fraction, degree: int) -> int:
    """Bits that the closed forms lose at a small angle: a value of order sine^(degree + 1) among terms of order 1."""
    if sine_squared == 0:
        return 32
    lost = math.log2(sine_squared.denominator) - math.log2(sine_squared.numerator)
    return 32 + max(0, math.ceil(0.5 * lost * (degree + 2)))


def evaluate(expression: sympy.Expr, values: dict[sympy.Symbol, Any], arithmetic: Arithmetic) -> Any:
    """Walk an expression with exact rationals at the leaves (lambdify would round 1/7 to a float first)."""
    if expression in values:
        return values[expression]
    if expression.is_Rational:
        return arithmetic.rational(Fraction(int(expression.p), int(expression.q)))
    if expression is sympy.pi:
        return arithmetic.pi()
    if expression == sympy.E:
        return arithmetic.call("exp", arithmetic.rational(Fraction(1)))
    if expression.is_Pow:
        base, power = evaluate(expression.base, values, arithmetic), expression.exp
        if not (2 * power).is_Integer:
            raise NtkVerifyError(f"{expression} has a power that is neither an integer nor a half-integer.")
        if not power.is_Integer:
            base, power = arithmetic.call("sqrt", base), 2 * power
        return base ** int(power) if power >= 0 else 1 / base ** int(-power)
    if expression.is_Float:
        return arithmetic.rational(Fraction(int(sympy.Rational(expression).p), int(sympy.Rational(expression).q)))
    if isinstance(expression, Where):
        test, yes, no = expression.args
        return evaluate(yes if _at_least_zero(evaluate(test, values, arithmetic), test) else no, values, arithmetic)
    if isinstance(expression, PositivePower):
        base = evaluate(expression.args[0], values, arithmetic)
        power = int(expression.args[1])
        if not _at_least_zero(base, expression.args[0]):
            return arithmetic.rational(Fraction(0))
        return base**power if power else arithmetic.rational(Fraction(1))
    arguments = [evaluate(a, values, arithmetic) for a in expression.args]
    if isinstance(expression, sympy.Max | sympy.Min):
        result, sign = arguments[0], 1 if isinstance(expression, sympy.Max) else -1
        for value in arguments[1:]:
            result = value if _at_least_zero(sign * (value - result), expression) else result
        return result
    if expression.is_Add:
        return sum(arguments[1:], arguments[0])
    if expression.is_Mul:
        return math.prod(arguments[1:], start=arguments[0])
    if isinstance(expression, sympy.Abs):
        return abs(arguments[0])
    if not expression.args or not arithmetic.knows(type(expression).__name__):
        raise NtkVerifyError(f"{expression} can't be evaluated exactly; use the float64 matrix.")
    return arithmetic.call(type(expression).__name__, *arguments)


def _at_least_zero(value: Any, part: sympy.Expr) -> bool:
    if value >= 0:
        return True
    if value < 0:
        return False
    raise NtkVerifyError(f"the sign of {part} is not decided at this precision; ask for more bits.")


def exact_rows(points: Any, columns: int, block: str) -> list[tuple[Fraction, ...]]:
    """Points as exact fractions (floats are dyadic fractions; nothing is rounded).

    Raises
    ------
    NtkVerifyError
        For a wrong number of columns or a coordinate that is not a finite rational number.
    """
    rows = []
    for row in points:
        if not hasattr(row, "__iter__"):
            raise NtkVerifyError(
                f"points of block {block!r} must be rows of {columns} coordinates, but {row} is no row."
            )
        entries: Sequence[Any] = list(row)
        if len(entries) != columns:
            raise NtkVerifyError(
                f"block {block!r} has {columns} coordinates per point, but a point with {len(entries)} was given."
            )
        try:
            rows.append(tuple(_fraction(e) for e in entries))
        except (TypeError, ValueError, OverflowError) as error:
            raise NtkVerifyError(
                f"points of block {block!r} must be finite rational numbers, but {entries} is not."
            ) from error
    return rows


def _fraction(value: Any) -> Fraction:
    if isinstance(value, sympy.Expr):
        if not value.is_Rational:
            raise ValueError(value)
        return Fraction(int(value.p), int(value.q))
    if hasattr(value, "p") and hasattr(value, "q"):  # python-flint's fmpq
        return Fraction(int(value.p), int(value.q))
    if isinstance(value, (int, Fraction, str)):
        return Fraction(value)
    return Fraction(float(value)) if not hasattr(value, "__index__") else Fraction(int(value))
