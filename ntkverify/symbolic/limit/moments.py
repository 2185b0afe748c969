"""Evaluating grouped Gaussian moments: in float64 for all pairs of points, or exactly for one pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation import uniform
from ntkverify.symbolic.expectation.closed_forms import LEFT, RIGHT, Geometry, smooth_moment
from ntkverify.symbolic.expectation.gaussian import half_space_power
from ntkverify.symbolic.expectation.geometry import Frames, PlaneGeometry, pair_frames
from ntkverify.symbolic.expectation.halfspace import PlaneMoments, angular_integral, radial_moment
from ntkverify.symbolic.expectation.hermite import HermiteTables
from ntkverify.symbolic.expectation.quadrature import plane_expectations
from ntkverify.symbolic.expectation.terms import GroupKey, Groups
from ntkverify.symbolic.expectation.wick import PlanePolynomials
from ntkverify.symbolic.expression.pieces import pieces_of
from ntkverify.symbolic.expression.running_error import UNIT
from ntkverify.symbolic.expression.scalars import Arithmetic, BallArithmetic, evaluate, guard_bits
from ntkverify.symbolic.limit.analytic import gaussian_moment, is_analytic
from ntkverify.symbolic.limit.splitting import Derivation


@dataclass
class ArrayMoments:
    """Moments for all pairs of points in float64.

    Parameters
    ----------
    derivation : Derivation
    coordinates : tuple of sympy.Symbol
    """

    derivation: Derivation
    coordinates: tuple[sympy.Symbol, ...]
    _tables: HermiteTables = field(default_factory=HermiteTables)

    def kernel(self, groups: Groups, x: Array, y: Array) -> tuple[Array, Array]:
        """Sum over the groups for the points x (n, d) and y (n', d), and its error; both have shape (n, n').

        The error is estimated where a quadrature was taken, and bounded by a running analysis for the closed forms of
        erf, sin and cos, in which large terms cancel far out. Those of half-spaces are good to rounding: theirs is 0.
        """
        total, error = np.zeros((len(x), len(y))), np.zeros((len(x), len(y)))
        by_forms: dict[tuple[int, int], list[tuple[GroupKey, Array]]] = {}
        for key, pairs in groups.items():
            coefficient = self.columns([c for c, _ in pairs], x) @ self.columns([c for _, c in pairs], y).T
            by_forms.setdefault((key[2], key[4]), []).append((key, coefficient))
        for (left, right), members in by_forms.items():
            u, v = self.form_values(left, x), self.form_values(right, y)
            if self.derivation.box is not None:
                value, uncertain = uniform.array_sum(members, u, v, self.derivation.box)
                total += value
                error += uncertain
                continue
            half = [(k, c) for k, c in members if None not in (half_space_power(k[1]), half_space_power(k[3]))]
            rest = [(k, c) for k, c in members if None in (half_space_power(k[1]), half_space_power(k[3]))]
            if half:
                total += half_space_sum(half, u, v)
            if rest:
                value, uncertain = self._smooth(rest, u, v)
                total += value
                error += uncertain
        return total, error

    def _smooth(self, members: list[tuple[GroupKey, Array]], u: Array, v: Array) -> tuple[Array, Array]:
        """Groups with other functions: by closed form where there is one, else by quadrature; and the error."""
        total, error = np.zeros((len(u), len(v))), np.zeros((len(u), len(v)))
        closed = [m for m in members if has_smooth_form(m[0])]
        rest = [m for m in members if not has_smooth_form(m[0])]
        if closed:
            frames = pair_frames(u, v, with_second=any(key[0] for key, _ in closed))
            geometry = PlaneGeometry.of(u, v, frames)
            known: dict[tuple[Any, ...], Any] = {}
            polynomials = _pair_polynomials(frames)
            for key, coefficient in closed:
                for powers, c in polynomials(key[0]).items():
                    request = (key[1], key[3], powers)
                    if request not in known:
                        known[request] = smooth_moment(geometry.tokens(*powers), key[1], key[3], geometry)
                    found, scale = known[request], coefficient * c
                    total += scale * found.value
                    error += np.abs(scale) * (found.error + 4 * UNIT * np.abs(found.value))
        if rest:
            value, uncertain = quadrature_sum(rest, u, v, self._tables)
            total += value
            error += uncertain
        return total, error

    def columns(self, expressions: Sequence[sympy.Expr], points: Array) -> Array:
        """Values (n, k) of k expressions in the coordinates."""
        result = np.empty((len(points), len(expressions)))
        for k, value in enumerate(_compiled(tuple(expressions), self.coordinates)(*points.T)):
            result[:, k] = value
        return result

    def form_values(self, form: int, points: Array) -> Array:
        """Coefficients (n, number of weights) of a linear form; zeros for the form of a constant."""
        if form < 0:
            return np.zeros((len(points), len(self.derivation.weights)))
        return self.columns(self.derivation.forms[form], points)


@lru_cache(maxsize=4096)
def _compiled(expressions: tuple[sympy.Expr, ...], arguments: tuple[sympy.Symbol, ...]) -> Callable[..., Any]:
    return sympy.lambdify(arguments, expressions, "numpy", cse=True)  # type: ignore[no-any-return]


def has_smooth_form(key: GroupKey) -> bool:
    """Whether both functions of a group are analytic and their product has a closed form."""
    left, right = pieces_of(key[1]), pieces_of(key[3])
    if left is None or right is None:
        return False
    every = (*left, *right)
    return not (any(p.scale != 0 for p in every) and any(p.frequency != 0 for p in every))


def quadrature_sum(
    members: list[tuple[GroupKey, Array]], u: Array, v: Array, tables: HermiteTables
) -> tuple[Array, Array]:
    """sum of coefficient * E[w^monomial A(w.u) B(w.v)] over the groups, by Hermite series, and its error estimate."""
    frames = pair_frames(u, v, with_second=any(key[0] for key, _ in members))
    polynomials = list(map(_pair_polynomials(frames), (key[0] for key, _ in members)))
    requests = list(
        dict.fromkeys((key[1], key[3], a, b) for (key, _), p in zip(members, polynomials, strict=True) for a, b in p)
    )
    values, errors = plane_expectations(
        requests, frames.norms_left, frames.norms_right, np.cos(frames.angle), np.sin(frames.angle), tables
    )
    known = dict(zip(requests, zip(values, errors, strict=True), strict=True))
    total, error = np.zeros((len(u), len(v))), np.zeros((len(u), len(v)))
    for (key, coefficient), polynomial in zip(members, polynomials, strict=True):
        for (a, b), c in polynomial.items():
            value, uncertain = known[key[1], key[3], a, b]
            total += coefficient * c * value
            error += np.abs(coefficient * c) * uncertain
    return total, error


def _pair_polynomials(frames: Frames) -> PlanePolynomials:
    """Products of weights, given the two linear forms, for all pairs of points."""
    second = frames.second
    return PlanePolynomials(
        lambda k: frames.first[:, :, k],
        lambda k: second[:, :, k] if second is not None else 0.0,
        1.0,
    )


def half_space_sum(members: list[tuple[GroupKey, Array]], u: Array, v: Array) -> Array:
    """sum of coefficient * E[w^monomial (w.u)_+^i (w.v)_+^j] over the groups, for all pairs of rows.

    A zero vector makes (w.u)_+^0 = 1 and other powers 0. It takes the direction of its partner, because
    E[w^monomial (w.v)_+^j] = E[w^monomial 1{w.v >= 0} (w.v)_+^j]; two zero vectors see only half of space, hence the 2.
    """
    powers = [(half_space_power(k[1]) or 0, half_space_power(k[3]) or 0) for k, _ in members]
    with_second = any(k[0] for k, _ in members)
    frames = pair_frames(u, v, with_second=with_second)
    degree = max(len(k[0]) + i + j for (k, _), (i, j) in zip(members, powers, strict=True))
    plane = PlaneMoments(frames.supplement, degree=degree)
    polynomials = _pair_polynomials(frames)
    total = np.zeros((len(u), len(v)))
    for (key, coefficient), (i, j) in zip(members, powers, strict=True):
        moment = sum((c * plane(a, b, i, j) for (a, b), c in polynomials(key[0]).items()), np.zeros(()))
        norms = np.multiply.outer(frames.norms_left**i, frames.norms_right**j)
        total += coefficient * norms * moment
    total[np.ix_(frames.norms_left == 0, frames.norms_right == 0)] *= 2
    return total


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
    _forms: dict[tuple[int, tuple[Fraction, ...]], tuple[Fraction, ...]] = field(default_factory=dict)

    def kernel(self, groups: Groups, x: tuple[Fraction, ...], y: tuple[Fraction, ...]) -> Any:
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

    def _smooth(self, key: GroupKey, u: tuple[Fraction, ...], v: tuple[Fraction, ...]) -> Any:
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

            gap = forms[LEFT, LEFT] * forms[RIGHT, RIGHT] - forms[RIGHT, LEFT] ** 2
            geometry = Geometry(self.arithmetic, covariance, self.arithmetic.rational(gap))
            return smooth_moment(key[0], key[1], key[3], geometry)

    def _value(self, expression: sympy.Expr, point: tuple[Fraction, ...]) -> Any:
        values = dict(zip(self.coordinates, map(self.arithmetic.rational, point), strict=True))
        return evaluate(expression, values, self.arithmetic)

    def form_values(self, form: int, point: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        """Exact coefficients of a linear form."""
        if form < 0:
            return (Fraction(0),) * len(self.derivation.weights)
        if (form, point) not in self._forms:
            exact = {
                c: sympy.Rational(p.numerator, p.denominator) for c, p in zip(self.coordinates, point, strict=True)
            }
            values = [c.subs(exact) for c in self.derivation.forms[form]]
            if not all(v.is_Rational for v in values):
                raise NtkVerifyError(
                    f"the linear form {values} at {point} is not rational, so it has no exact geometry."
                )
            self._forms[form, point] = tuple(Fraction(int(v.p), int(v.q)) for v in values)
        return self._forms[form, point]

    def _half_space(
        self, monomial: tuple[int, ...], i: int, j: int, u: tuple[Fraction, ...], v: tuple[Fraction, ...]
    ) -> Any:
        r"""The closed form with cos and sin of the angle as square roots of exact rationals."""
        arithmetic = self.arithmetic
        zero, one = arithmetic.rational(Fraction(0)), arithmetic.rational(Fraction(1))
        left_zero, right_zero = not any(u), not any(v)
        if (left_zero and i > 0) or (right_zero and j > 0):
            return zero
        factor = 2 if left_zero and right_zero else 1
        u, v = (v if left_zero else u), (u if right_zero else v)
        q11, q12, q22 = _dot(u, u), _dot(u, v), _dot(v, v)
        sine_squared = (q11 * q22 - q12 * q12) / (q11 * q22) if q11 else Fraction(0)
        degree = len(monomial) + i + j
        with arithmetic.precision(guard_bits(sine_squared, degree)):

            def root(value: Fraction) -> Any:
                return arithmetic.call("sqrt", arithmetic.rational(value))

            sine = root(sine_squared)
            cosine = arithmetic.rational(Fraction(q12)) / root(q11 * q22) if q11 else one
            supplement = (
                arithmetic.pi()
                if sine_squared == 0 and q12 >= 0
                else (zero if sine_squared == 0 else arithmetic.call("atan2", sine, -cosine))
            )
            norms = root(q11) ** i * root(q22) ** j
            orthogonal = [b - a * q12 / q11 for a, b in zip(u, v, strict=True)] if q11 else list(v)
            size = root(_dot(orthogonal, orthogonal))
            first = [arithmetic.rational(a) / root(q11) if q11 else zero for a in u]
            second = [arithmetic.rational(a) / size if sine_squared else zero for a in orthogonal]
            polynomial = PlanePolynomials(first.__getitem__, second.__getitem__, one)(monomial)
            moment = zero
            for (a, b), c in polynomial.items():
                integral = angular_integral(a, b, i, j, supplement, sine, -cosine)
                moment = moment + c * integral * evaluate(radial_moment(a + b + i + j), {}, arithmetic)
            return factor * norms * moment / (2 * arithmetic.pi())


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))
