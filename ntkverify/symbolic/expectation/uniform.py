r"""Moments E[w^p A(l.w) B(l'.w)] of weights that are uniform on a box, [-R_1, R_1] x ... x [-R_d, R_d].

Coordinates are independent, so that products of polynomials, sin and cos come apart by the addition theorems into
one-dimensional integrals. Two positive parts are integrated over the square by the divergence theorem (`polygon`); all
other analytic functions by a tensor Gauss rule, whose error is estimated by a second one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.gaussian import half_space_power
from ntkverify.symbolic.expectation.polygon import exact_square_moment, square_moment
from ntkverify.symbolic.expectation.tensor_gauss import gauss_sum, wave_rule
from ntkverify.symbolic.expectation.terms import GroupKey
from ntkverify.symbolic.expression.pieces import Piece, pieces_of
from ntkverify.symbolic.expression.scalars import Arithmetic

Box = tuple[sympy.Expr, ...]
"""Half the width of the interval of each weight; 0 for weights that stand in no linear form."""

# sin(x + y) and cos(x + y) as sums of (sign, function of x, function of y)
_ADDITION = {
    "cos": ((1, "cos", "cos"), (-1, "sin", "sin")),
    "sin": ((1, "sin", "cos"), (1, "cos", "sin")),
}


def wave_pieces(key: GroupKey) -> tuple[tuple[Piece, ...], tuple[Piece, ...]] | None:
    """Both functions of a group as sums of powers times sin or cos, or None if they are none."""
    sides = pieces_of(key[1]), pieces_of(key[3])
    if sides[0] is None or sides[1] is None:
        return None
    if any(p.damping != 0 or p.scale != 0 for side in sides for p in side or ()):
        return None
    return sides[0], sides[1]


def has_kinks(key: GroupKey) -> bool:
    """Whether a group is a product of two powers of positive parts."""
    return None not in (half_space_power(key[1]), half_space_power(key[3])) and (key[1], key[3]) != (1, 1)


def array_sum(members: list[tuple[GroupKey, Array]], u: Array, v: Array, box: Box) -> tuple[Array, Array]:
    """sum of coefficient * E[w^monomial A(w.u) B(w.v)] over the groups, for all pairs of rows, with error estimates."""
    total, error = np.zeros((len(u), len(v))), np.zeros((len(u), len(v)))
    radii = np.array([float(r) for r in box])
    by_quadrature = []
    for key, coefficient in members:
        if has_kinks(key):
            total += coefficient * _kinks(key, u, v, box)
        elif wave_pieces(key) is not None:
            scale = math.prod(radii[i] for i in key[0])
            total += coefficient * scale * _array_waves(key, u * radii, v * radii)
        else:
            by_quadrature.append((key, coefficient))
    if by_quadrature:
        value, error = gauss_sum(by_quadrature, u * radii, v * radii, radii)
        total += value
    return total, error


def _exponents(monomial: Sequence[int], weights: int) -> tuple[int, ...]:
    return tuple(monomial.count(i) for i in range(weights))


def _powers(form: Sequence[Any], power: int) -> Iterator[tuple[tuple[int, ...], Any]]:
    """(l.w)^power as monomials of w and their coefficients."""
    for exponents in itertools.product(range(power + 1), repeat=len(form)):
        if sum(exponents) == power:
            many = math.factorial(power) // math.prod(map(math.factorial, exponents))
            factors = [c**e for c, e in zip(form, exponents, strict=True) if e]
            yield exponents, math.prod(factors, start=many)


def _kinks(key: GroupKey, u: Array, v: Array, box: Box) -> Array:
    inside, common = _inside(key, box)
    i, j = half_space_power(key[1]) or 0, half_space_power(key[3]) or 0
    scale = 1.0
    if common is not None:  # homogeneous: the forms stay as they are, so that their angle is exact
        scale = float(common) ** (len(key[0]) + i + j)
    else:
        radii = np.array([float(r) for r in box])
        u, v, scale = u * radii, v * radii, math.prod(radii[k] for k in key[0])
    powers = _square_powers(key[0], inside)
    left, right = ([_column(form, k) for k in inside] for form in (u, v))
    while len(left) < 2:
        left, right = [*left, np.zeros((len(u), 1))], [*right, np.zeros((len(v), 1))]
    moment = square_moment(powers, i, j, left, [c.T for c in right])
    return np.asarray(scale * moment)


def _column(array: Array, k: int) -> Array:
    return array[:, k : k + 1]


def _square_powers(monomial: Sequence[int], inside: Sequence[int]) -> tuple[int, int]:
    counts = [monomial.count(k) for k in inside]
    return (counts[0], counts[1] if len(counts) > 1 else 0)


def _inside(key: GroupKey, box: Box) -> tuple[list[int], sympy.Expr | None]:
    """The weights in linear forms, at most two, and their common half-width if there is one."""
    inside = [k for k, r in enumerate(box) if r != 0]
    if len(inside) > 2:
        raise NtkVerifyError(
            f"no exact rule is known for {key[1]} times {key[3]} under a uniform law of {len(inside)} weights inside "
            "an activation, only for up to 2; use normal weights or a smooth activation."
        )
    return inside, box[inside[0]] if len({box[k] for k in inside}) == 1 else None


def _array_waves(key: GroupKey, u: Array, v: Array) -> Array:
    """E[w^monomial A(w.u) B(w.v)] over [-1, 1]^d for sums of powers times waves."""
    pieces = wave_pieces(key)
    base = _exponents(key[0], u.shape[1])
    total = np.zeros((len(u), len(v)))
    for s, t in itertools.product(*(pieces or ((), ()))):
        for e, c in _powers(list(u.T), s.power):
            for f, d in _powers(list(v.T), t.power):
                exponents = tuple(map(sum, zip(base, e, f, strict=True)))
                weight = np.multiply.outer(np.broadcast_to(c, len(u)), np.broadcast_to(d, len(v)))
                waves = _product_of_waves(exponents, float(s.frequency) * u, s.wave, float(t.frequency) * v, t.wave)
                total += float(s.coefficient * t.coefficient) * weight * waves
    return total


def _product_of_waves(exponents: Sequence[int], u: Array, left: str, v: Array, right: str) -> Array:
    """E[w^exponents left(w.u) right(w.v)] over [-1, 1]^d, one coordinate after the other by the addition theorems."""
    states: dict[tuple[str, str], Any] = {("cos", "cos"): np.ones((len(u), len(v)))}
    for i, exponent in enumerate(exponents):
        nodes, weights = wave_rule(float(np.max(np.abs(u[:, i]), initial=0.0) + np.max(np.abs(v[:, i]), initial=0.0)))
        values = {
            (side, wave): function(form[:, i, None] * nodes)
            for side, form in (("left", u), ("right", v))
            for wave, function in (("cos", np.cos), ("sin", np.sin))
        }
        mass = weights * nodes**exponent / 2
        found: dict[tuple[str, str], Any] = {}
        for a, b in itertools.product(_ADDITION, repeat=2):
            for (p, a_old, a_new), (q, b_old, b_new) in itertools.product(_ADDITION[a], _ADDITION[b]):
                if (a_old, b_old) not in states or (exponent + (a_new == "sin") + (b_new == "sin")) % 2:
                    continue
                moment = (values["left", a_new] * mass) @ values["right", b_new].T
                found[a, b] = found.get((a, b), 0.0) + p * q * states[a_old, b_old] * moment
        states = found
    return np.asarray(states.get((left, right), np.zeros((len(u), len(v)))))


def exact_moment(key: GroupKey, u: Sequence[Fraction], v: Sequence[Fraction], box: Box, arithmetic: Arithmetic) -> Any:
    """E[w^monomial A(w.u) B(w.v)] for one pair of rational forms, in balls or mpmath numbers.

    Raises
    ------
    NtkVerifyError
        If no closed form is known.
    """
    if has_kinks(key):
        return _exact_kinks(key, u, v, box, arithmetic)
    pieces = wave_pieces(key)
    if pieces is None:
        raise NtkVerifyError(
            f"no closed form is known for {key[1]} times {key[3]} under a uniform law, so it has no enclosure; use the "
            "float64 matrix, whose quadrature carries an error estimate."
        )
    # E cos(k w) is a sum of terms of size e^|k| that cancel
    fastest = max((abs(float(p.frequency)) for side in pieces for p in side), default=0.0)
    spread = sum(float(r) * (abs(a) + abs(b)) for a, b, r in zip(u, v, map(float, box), strict=True))
    with arithmetic.precision(64 + math.ceil(2.9 * fastest * float(spread))):
        rational, number = arithmetic.rational, arithmetic.number
        forms = [[rational(c) * number(r) for c, r in zip(form, box, strict=True)] for form in (u, v)]
        scale = math.prod((number(box[i]) for i in key[0]), start=rational(Fraction(1)))
        return scale * wave_moment(key, forms[0], forms[1], number, arithmetic.sinc_derivative)


def _exact_kinks(key: GroupKey, u: Sequence[Fraction], v: Sequence[Fraction], box: Box, arithmetic: Arithmetic) -> Any:
    inside, common = _inside(key, box)
    i, j = half_space_power(key[1]) or 0, half_space_power(key[3]) or 0
    radii = [Fraction(1)] * len(inside)
    if common is None:
        if not all(box[k].is_Rational for k in inside):
            raise NtkVerifyError(f"the half-widths {box} are neither equal nor rational, so they have no enclosure.")
        radii = [Fraction(int(box[k].p), int(box[k].q)) for k in inside]
    left, right = ([form[k] * r for k, r in zip(inside, radii, strict=True)] for form in (u, v))
    padding = [Fraction(0)] * (2 - len(inside))
    powers = _square_powers(key[0], inside)
    exact = exact_square_moment(powers, i, j, [*left, *padding], [*right, *padding])
    exact *= math.prod((r ** key[0].count(k) for k, r in zip(inside, radii, strict=True)), start=Fraction(1))
    with arithmetic.precision(32):
        result = arithmetic.rational(exact)
        return result if common is None else result * arithmetic.number(common) ** (len(key[0]) + i + j)


def wave_moment(key: GroupKey, left: Sequence[Any], right: Sequence[Any], number: Any, sinc_derivative: Any) -> Any:
    """E[w^monomial A(l.w) B(l'.w)] over [-1, 1]^d for sums of powers times waves, in any arithmetic.

    Parameters
    ----------
    key : GroupKey
    left, right : sequences
        Coefficients of the linear forms.
    number : callable
        A sympy number in this arithmetic.
    sinc_derivative : callable
        (n, x) to the derivative of order n of sin(x)/x.
    """
    pieces = wave_pieces(key)
    base = _exponents(key[0], len(left))
    total = number(sympy.S.Zero)
    for s, t in itertools.product(*(pieces or ((), ()))):
        k, h = number(s.frequency), number(t.frequency)
        plus = [k * a + h * b for a, b in zip(left, right, strict=True)]
        minus = [k * a - h * b for a, b in zip(left, right, strict=True)]
        for (e, c), (f, d) in itertools.product(_powers(left, s.power), _powers(right, t.power)):
            exponents = tuple(map(sum, zip(base, e, f, strict=True)))
            # cos cos = (cos(-) + cos(+))/2, sin sin = (cos(-) - cos(+))/2, sin cos = (sin(+) + sin(-))/2, ...
            wave = "cos" if s.wave == t.wave else "sin"
            sums = [_one_wave(exponents, form, wave, number, sinc_derivative) for form in (plus, minus)]
            signs = {"cos": (1, 1), "sin": (-1, 1) if s.wave == "sin" else (1, -1)}[t.wave]
            both = signs[0] * sums[0] + signs[1] * sums[1]
            total = total + number(s.coefficient * t.coefficient / 2) * c * d * both
    return total


def _one_wave(exponents: Sequence[int], form: Sequence[Any], wave: str, number: Any, sinc_derivative: Any) -> Any:
    """E[w^exponents wave(form.w)] on [-1, 1]^d: the real or imaginary part of the product of E[w^p e^(ikw)].

    E[w^p e^(ikw)] = (-i)^p d^p/dk^p sin(k)/k.
    """
    quarter_turns = sum(exponents) % 4
    if quarter_turns % 2 != (wave == "sin"):
        return number(sympy.S.Zero)
    # (-i)^n is 1, -i, -1, i: its real part for cos, its imaginary part for sin
    sign = {0: 1, 1: -1, 2: -1, 3: 1}[quarter_turns]
    factors = [sinc_derivative(p, k) for p, k in zip(exponents, form, strict=True)]
    return math.prod(factors, start=number(sympy.Integer(sign)))
