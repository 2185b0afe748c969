"""Evaluating grouped Gaussian moments for one pair of exact points: in balls or in mpmath numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation import uniform
from ntkverify.symbolic.expectation.closed_forms import LEFT, RIGHT, Geometry, smooth_moment
from ntkverify.symbolic.expectation.gaussian import half_space_power
from ntkverify.symbolic.expectation.geometry import FIRST, SECOND
from ntkverify.symbolic.expectation.halfspace import angular_integral, radial_moment
from ntkverify.symbolic.expectation.terms import GroupKey, Groups
from ntkverify.symbolic.expectation.wick import PlanePolynomials, Squares
from ntkverify.symbolic.expression.scalars import Arithmetic, BallArithmetic, evaluate, guard_bits
from ntkverify.symbolic.limit.analytic import gaussian_moment, is_analytic
from ntkverify.symbolic.limit.moments import has_smooth_form
from ntkverify.symbolic.limit.splitting import Derivation

Point = tuple[Fraction, ...]


@dataclass
class ScalarMoments:
    """Moments for one pair of exact points at a time, in balls or in mpmath numbers.

    Parameters
    ----------
    derivation : Derivation
    coordinates : tuple of sympy.Symbol
    arithmetic : Arithmetic
    """

    derivation: Derivation
    coordinates: tuple[sympy.Symbol, ...]
    arithmetic: Arithmetic
    _forms: dict[tuple[int, Point], Point] = field(default_factory=dict)
    _values: dict[tuple[sympy.Expr, Point], Any] = field(default_factory=dict)

    def kernel(self, groups: Groups, x: Point, y: Point) -> Any:
        """Sum over the groups at the points x and y."""
        total = self.arithmetic.rational(Fraction(0))
        for key, pairs in groups.items():
            u, v = self.form_values(key[2], x), self.form_values(key[4], y)
            i, j = half_space_power(key[1]), half_space_power(key[3])
            if self.derivation.box is not None:
                moment = uniform.exact_moment(key, u, v, self.derivation.box, self.arithmetic)
            else:
                moment = self._smooth(key, u, v) if i is None or j is None else self._half_space(key[0], i, j, u, v)
            with self.arithmetic.precision(0):
                coefficient = sum(
                    (self._value(a, x) * self._value(b, y) for a, b in pairs), self.arithmetic.rational(Fraction(0))
                )
                total = total + coefficient * moment
        return total

    def _smooth(self, key: GroupKey, u: Point, v: Point) -> Any:
        if not has_smooth_form(key):
            if isinstance(self.arithmetic, BallArithmetic) and is_analytic(key[1]) and is_analytic(key[3]):
                with self.arithmetic.precision(0):
                    return gaussian_moment(key[0], key[1], key[3], u, v)
            raise NtkVerifyError(
                f"no closed form is known for the Gaussian expectation of {key[1]} times {key[3]}, so it has no "
                "enclosure; use the float64 matrix, whose quadrature carries an error estimate."
            )
        with self.arithmetic.precision(32):
            forms = {(LEFT, LEFT): _dot(u, u), (RIGHT, LEFT): _dot(u, v), (RIGHT, RIGHT): _dot(v, v)}

            def covariance(a: int, b: int) -> Any:
                exact = Fraction(int(a == b)) if a >= 0 else forms[a, b] if b < 0 else (u if a == LEFT else v)[b]
                return self.arithmetic.rational(exact)

            if len(self.derivation.weights) in key[0]:
                return self._smooth_in_plane(key, u, v)
            gap = forms[LEFT, LEFT] * forms[RIGHT, RIGHT] - forms[RIGHT, LEFT] ** 2
            geometry = Geometry(self.arithmetic, covariance, self.arithmetic.rational(gap))
            return smooth_moment(key[0], key[1], key[3], geometry)

    def _smooth_in_plane(self, key: GroupKey, u: Point, v: Point) -> Any:
        """The same with a sum of squares, which is a polynomial in the coordinates of the plane of the two forms."""
        arithmetic = self.arithmetic
        plane = _ExactPlane(u, v, arithmetic)
        degree = 2 * len(key[0]) + 2
        with arithmetic.precision(guard_bits(plane.sine_squared, degree)):
            zero, one = arithmetic.rational(Fraction(0)), arithmetic.rational(Fraction(1))
            left, right = plane.root(plane.q11), plane.root(plane.q22)
            cosine, sine = plane.angle()
            values = {
                (LEFT, FIRST): left,
                (LEFT, SECOND): zero,
                (RIGHT, FIRST): right * cosine,
                (RIGHT, SECOND): right * sine,
                (LEFT, LEFT): arithmetic.rational(plane.q11),
                (RIGHT, LEFT): arithmetic.rational(plane.q12),
                (RIGHT, RIGHT): arithmetic.rational(plane.q22),
            }

            def covariance(a: int, b: int) -> Any:
                return values[a, b] if a < 0 else one if a == b else zero

            gap = arithmetic.rational(plane.q11 * plane.q22 - plane.q12**2)
            geometry = Geometry(arithmetic, covariance, gap)
            total = zero
            for (a, b), c in self._polynomial(plane, key[0]).items():
                tokens = (FIRST,) * a + (SECOND,) * b
                total = total + c * smooth_moment(tokens, key[1], key[3], geometry)
            return total

    def _polynomial(self, plane: _ExactPlane, monomial: tuple[int, ...]) -> dict[tuple[int, int], Any]:
        first, second = plane.frame()
        derivation = self.derivation
        seen = (int(plane.q11 != 0 or plane.q22 != 0), int(plane.sine_squared != 0))
        squares = Squares(len(derivation.weights), len(derivation.inside), *seen)
        one = self.arithmetic.rational(Fraction(1))
        return PlanePolynomials(first.__getitem__, second.__getitem__, one, squares=squares)(monomial)

    def _value(self, expression: sympy.Expr, point: Point) -> Any:
        key = (expression, point)
        if key not in self._values:
            own = expression.free_symbols
            values = {c: self.arithmetic.rational(p) for c, p in zip(self.coordinates, point, strict=True) if c in own}
            self._values[key] = evaluate(expression, values, self.arithmetic)
        return self._values[key]

    def form_values(self, form: int, point: Point) -> Point:
        """Exact coefficients of a linear form."""
        if form < 0:
            return (Fraction(0),) * len(self.derivation.weights)
        if (form, point) not in self._forms:
            exact = {
                c: sympy.Rational(p.numerator, p.denominator) for c, p in zip(self.coordinates, point, strict=True)
            }
            values = [c.subs({s: exact[s] for s in c.free_symbols}) for c in self.derivation.forms[form]]
            if not all(v.is_Rational for v in values):
                raise NtkVerifyError(
                    f"the linear form {values} at {point} is not rational, so it has no exact geometry."
                )
            self._forms[form, point] = tuple(Fraction(int(v.p), int(v.q)) for v in values)
        return self._forms[form, point]

    def _half_space(self, monomial: tuple[int, ...], i: int, j: int, u: Point, v: Point) -> Any:
        r"""The closed form with cos and sin of the angle as square roots of exact rationals."""
        arithmetic = self.arithmetic
        zero = arithmetic.rational(Fraction(0))
        left_zero, right_zero = not any(u), not any(v)
        if (left_zero and i > 0) or (right_zero and j > 0):
            return zero
        factor = 2 if left_zero and right_zero else 1
        plane = _ExactPlane(v if left_zero else u, u if right_zero else v, arithmetic)
        degree = len(monomial) + i + j
        with arithmetic.precision(guard_bits(plane.sine_squared, degree)):
            cosine, sine = plane.angle()
            supplement = (
                arithmetic.pi()
                if plane.sine_squared == 0 and plane.q12 >= 0
                else (zero if plane.sine_squared == 0 else arithmetic.call("atan2", sine, -cosine))
            )
            norms = plane.root(plane.q11) ** i * plane.root(plane.q22) ** j
            moment = zero
            for (a, b), c in self._polynomial(plane, monomial).items():
                integral = angular_integral(a, b, i, j, supplement, sine, -cosine)
                moment = moment + c * integral * evaluate(radial_moment(a + b + i + j), {}, arithmetic)
            return factor * norms * moment / (2 * arithmetic.pi())


class _ExactPlane:
    """The plane of two exact vectors; a zero vector has the direction of the other."""

    def __init__(self, u: Point, v: Point, arithmetic: Arithmetic) -> None:
        self._u, self._v, self._arithmetic = u, v, arithmetic
        self.q11, self.q12, self.q22 = _dot(u, u), _dot(u, v), _dot(v, v)
        both = self.q11 * self.q22
        self.sine_squared = (both - self.q12 * self.q12) / both if both else Fraction(0)

    def root(self, value: Fraction) -> Any:
        """A square root."""
        return self._arithmetic.call("sqrt", self._arithmetic.rational(value))

    def angle(self) -> tuple[Any, Any]:
        """Its cosine and sine."""
        both = self.q11 * self.q22
        cosine = (
            self._arithmetic.rational(self.q12) / self.root(both) if both else self._arithmetic.rational(Fraction(1))
        )
        return cosine, self.root(self.sine_squared)

    def frame(self) -> tuple[list[Any], list[Any]]:
        """e_1, the direction of the first vector, and e_2, that of what the second has orthogonal to it."""
        rational, q11 = self._arithmetic.rational, self.q11
        zero = rational(Fraction(0))
        if not q11:
            size = self.root(self.q22)
            return [rational(b) / size if self.q22 else zero for b in self._v], [zero] * len(self._v)
        orthogonal = [b - a * self.q12 / q11 for a, b in zip(self._u, self._v, strict=True)]
        size = self.root(_dot(orthogonal, orthogonal))
        first = [rational(a) / self.root(q11) for a in self._u]
        return first, [rational(a) / size if self.sine_squared else zero for a in orthogonal]


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))
