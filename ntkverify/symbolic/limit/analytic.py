r"""Gaussian expectations of analytic functions without closed form, such as tanh and softplus, enclosed in balls.

E[w^\alpha A(w.u) B(w.v)] becomes one of derivatives by Gaussian integration by parts, E[w_k h(w)] = E[dh/dw_k]. With
s = |u|, t = |v|, the cosine rho and a_k, b_k the coefficients of A(s x), B(t x) in normalised Hermite polynomials he_k,

    E[A(w.u) B(w.v)] = \sum_k a_k b_k rho^k ,     what is left out after K terms is at most
    |rho|^(K+1) (E A(s x)^2 - \sum_{k<=K} a_k^2)^(1/2) (E B(t x)^2 - \sum_{k<=K} b_k^2)^(1/2) .

Coefficients and squares are sums over equidistant nodes h j: for F analytic in |Im z| < a the trapezoidal rule errs by
at most 2 M/(e^(2 pi a/h) - 1), M the largest \int |F(x + ib)| dx over |b| < a (Trefethen and Weideman, SIAM Review 56,
2014, theorem 5.1). There |A| is below a polynomial in |x|, by the rules of `_majorant`, |phi| <= phi(x) e^(a^2/2), and
E|he_k(X + ia)|^2 = \sum_j binom(k, j) a^(2j)/j!. Beyond the last node |he_k(x)| <= 1.09 e^(x^2/4) (Cramer).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import Softplus, Z

#: terms of the Hermite series; more where the tail is what makes the enclosure wide
TERMS = (32, 128, 512)
#: bits that the expectation is asked for beyond which more terms are not worth their time
_ENOUGH = 64
#: distances of nodes are multiples of its inverse, so that nodes are exact
_DENOMINATOR = 2**20

Polynomial = list[Any]  # of balls: coefficients of 1, r, r^2, ..., none negative


def is_analytic(function: sympy.Expr) -> bool:
    """Whether a function of ``Z`` is built of what `_majorant` has rules for."""
    return all(_known(part) for part in sympy.preorder_traversal(function))


def _known(part: sympy.Basic) -> bool:
    if part.is_Add or part.is_Mul or part == Z or part.is_Rational:
        return True
    if part.is_Pow:
        return bool(part.exp.is_Integer and part.exp > 0)
    return isinstance(part, sympy.tanh | Softplus) and _slope(part) is not None


def _slope(part: sympy.Basic) -> sympy.Rational | None:
    """c of a function of c z; None of any other argument."""
    slope = part.args[0] / Z
    return slope if slope.is_Rational else None


def gaussian_moment(
    monomial: Sequence[int], left: sympy.Expr, right: sympy.Expr, u: Sequence[Fraction], v: Sequence[Fraction]
) -> Any:
    r"""The ball of E[w_{i_1} w_{i_2} ... A(w.u) B(w.v)] for standard normal w, at flint's precision.

    Parameters
    ----------
    monomial : sequence of int
        Indices of the weights before the functions, repeated ones for powers.
    left, right : sympy.Expr
        A and B, functions of ``Z`` for which `is_analytic`.
    u, v : sequence of Fraction
        The linear forms.
    """
    import flint

    s, t, inner = (sum((a * b for a, b in zip(x, y, strict=True)), Fraction(0)) for x, y in ((u, u), (v, v), (u, v)))

    @functools.cache
    def by_parts(rest: tuple[int, ...], i: int, j: int) -> Any:
        """E[w^rest A^(i)(w.u) B^(j)(w.v)]."""
        if not rest:
            return _expectation(_derivative(left, i), _derivative(right, j), s, t, inner)
        k, others = rest[0], rest[1:]
        total = flint.arb(0)
        for place, other in enumerate(others):
            if other == k:
                total += by_parts(others[:place] + others[place + 1 :], i, j)
        if u[k]:
            total += _ball(u[k]) * by_parts(others, i + 1, j)
        if v[k]:
            total += _ball(v[k]) * by_parts(others, i, j + 1)
        return total

    return by_parts(tuple(sorted(monomial)), 0, 0)


@functools.lru_cache(maxsize=1024)
def _derivative(function: sympy.Expr, order: int) -> sympy.Expr:
    return function if order == 0 else sympy.expand(_derivative(function, order - 1).diff(Z))


def _ball(value: Any) -> Any:
    """The ball of an exact fraction, of Python's or of sympy's."""
    import flint

    if isinstance(value, Fraction):
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    return flint.arb(flint.fmpq(int(value.p), int(value.q)))


def _expectation(left: sympy.Expr, right: sympy.Expr, s: Fraction, t: Fraction, inner: Fraction) -> Any:
    """E[A(w.u) B(w.v)] from |u|^2, |v|^2 and u.v."""
    import flint

    bits = flint.ctx.prec
    with flint.ctx.workprec(bits + 32):
        if inner == 0:
            return _coefficients(left, s, 0, bits).first * _coefficients(right, t, 0, bits).first
        cosine = _ball(inner) / _ball(s * t).sqrt()
        for terms in TERMS:
            one, other = (_coefficients(f, x, terms, bits) for f, x in ((left, s), (right, t)))
            total, power = flint.arb(0), flint.arb(1)
            for a, b in zip(one.values, other.values, strict=True):
                total += a * b * power
                power *= cosine
            tail = (one.rest.upper() * other.rest.upper()).sqrt() * abs(power)
            if tail.abs_upper() < flint.arb(2) ** -min(bits, _ENOUGH) * (one.square * other.square).sqrt():
                break
        return total + flint.arb(0, tail.upper())


@dataclass(frozen=True)
class _Series:
    """Hermite coefficients of f(s x), E f^2, and what of it is left for the later ones."""

    values: list[Any]
    square: Any
    rest: Any

    @property
    def first(self) -> Any:
        """E f(s X)."""
        return self.values[0]


_SERIES: dict[Any, _Series] = {}


def _coefficients(function: sympy.Expr, squared: Fraction, terms: int, bits: int) -> _Series:
    """The coefficients 0 to `terms` of f(s x), s^2 being given."""
    import flint

    key = function, squared, terms, bits
    if key not in _SERIES:
        if len(_SERIES) > 4096:
            _SERIES.clear()
        if squared == 0:
            at = _value(function, flint.arb(0))
            _SERIES[key] = _Series([at] + terms * [flint.arb(0)], at * at, flint.arb(0))
        else:
            # in balls the recurrence of he_k loses up to e^(k/2), the largest of e^(x sqrt(k) - x^2/2)
            with flint.ctx.workprec(bits + 32 + (3 * terms) // 4):
                _SERIES[key] = _integrated(function, _ball(squared).sqrt(), terms, bits)
    return _SERIES[key]


def _integrated(function: sympy.Expr, scale: Any, terms: int, bits: int) -> _Series:
    import flint

    strip = _width_of_strip(function, float(scale.upper()))
    growth = 2 * strip * math.sqrt(terms + 1) + strip**2
    numerator = math.floor(_DENOMINATOR * 2 * math.pi * strip / (bits * math.log(2) + 40 + growth))
    step = flint.arb(numerator) / _DENOMINATOR
    square = function**2
    inside = _majorant(function, scale, flint.arb(0))
    degree = 2 * (len(inside) - 1)
    last = math.ceil(max(math.sqrt(4 * (bits + 20) * math.log(2)), math.sqrt(4 * degree) + 1) / float(step.lower()))
    nodes, weights, table = _nodes(numerator, last, terms, bits)
    at = [_value(function, scale * x) for x in nodes]
    sums = table * flint.arb_mat([[w * y] for w, y in zip(weights, at, strict=True)])
    error = _symmetric(_rule(function, scale, strip, step, last, terms))
    values = [sums[k, 0] + error for k in range(terms + 1)]
    whole = sum((w * y * y for w, y in zip(weights, at, strict=True)), flint.arb(0))
    whole += _symmetric(_rule(square, scale, strip, step, last, 0))
    rest = (whole - sum((a * a for a in values), flint.arb(0))).nonnegative_part()
    return _Series(values, whole, rest)


@functools.lru_cache(maxsize=64)
def _nodes(numerator: int, last: int, terms: int, bits: int) -> tuple[list[Any], list[Any], Any]:
    """Nodes h j, weights h phi(h j), and he_k at the nodes, row by row."""
    import flint

    h = flint.arb(numerator) / _DENOMINATOR
    nodes = [h * j for j in range(-last, last + 1)]
    root = (2 * flint.arb.pi()).sqrt()
    weights = [h * (-(x * x) / 2).exp() / root for x in nodes]
    rows = [[flint.arb(1)] * len(nodes), nodes]
    for k in range(1, terms):
        up, down = flint.arb(k + 1).sqrt(), flint.arb(k).sqrt()
        rows.append([(x * b - down * a) / up for x, a, b in zip(nodes, rows[-2], rows[-1], strict=True)])
    return nodes, weights, flint.arb_mat(rows[: terms + 1])


def _rule(function: sympy.Expr, scale: Any, strip: float, step: Any, last: int, k: int) -> Any:
    """What the sum over the nodes errs by, for f(s x) he_i(x) under the normal law, i <= k."""
    import flint

    a = flint.arb(strip)
    # |phi(x + ia)| = phi(x) e^(a^2/2), and |f| <= P(|x|); then the inequality of Cauchy and Schwarz
    bound = _majorant(function, scale, a)
    root = _mean(_product(bound, bound)).sqrt()
    hermite = sum((flint.arb(math.comb(k, j)) * a ** (2 * j) / math.factorial(j) for j in range(k + 1)), flint.arb(0))
    discrete = 2 * (a * a / 2).exp() * root * hermite.sqrt() / ((2 * flint.arb.pi() * a / step).exp() - 1)
    end = step * last
    inside = _majorant(function, scale, flint.arb(0))
    at_end = sum((c * end**i for i, c in enumerate(inside)), flint.arb(0))
    # r^i e^(-r^2/8) falls beyond 2 sqrt(i), and the sum beyond the last node is below an integral from there
    cut = 2 * flint.arb(1.09) / (2 * flint.arb.pi()).sqrt() * at_end * (-(end * end) / 4).exp() * 4 / end
    return discrete + cut


def _mean(polynomial: Polynomial) -> Any:
    """E P(|X|): moments of a normal's absolute value, 2^(i/2) Gamma((i + 1)/2)/sqrt(pi)."""
    import flint

    root = flint.arb.pi().sqrt()
    return sum(
        (c * (flint.arb(2) ** i).sqrt() * (flint.arb(i + 1) / 2).gamma() / root for i, c in enumerate(polynomial)),
        flint.arb(0),
    )


def _symmetric(bound: Any) -> Any:
    import flint

    return flint.arb(0, bound.upper())


# ---- functions on a line of the complex plane -----------------------------------------------------------------------


def _value(function: sympy.Expr, z: Any) -> Any:
    """f(z) for a ball z."""
    if function == Z:
        return z
    if function.is_Rational:
        return _ball(function)
    if function.is_Pow:
        return _value(function.base, z) ** int(function.exp)
    parts = [_value(part, z) for part in function.args]
    if function.is_Add:
        return sum(parts[1:], parts[0])
    if function.is_Mul:
        return math.prod(parts[1:], start=parts[0])
    if isinstance(function, sympy.tanh):
        return parts[0].tanh()
    return parts[0].max(0) + (-abs(parts[0])).exp().log1p()


def _width_of_strip(function: sympy.Expr, scale: float) -> float:
    """a such that f(s z) is analytic and bounded well in |Im z| <= a: |c s a| <= 1 for each tanh(c s z)."""
    slopes = [_slope(p) for p in sympy.preorder_traversal(function) if isinstance(p, sympy.tanh | Softplus)]
    steepest = max((abs(float(slope)) for slope in slopes if slope is not None), default=0.5) * scale
    return min(1.0, 1 / steepest)


def _majorant(function: sympy.Expr, scale: Any, height: Any) -> Polynomial:
    """P with |f(s (x + iy))| <= P(|x|) for all |y| <= height.

    Of z itself s (|x| + height). |tanh(x + iy)|^2 = (sinh^2 x + sin^2 y)/(sinh^2 x + cos^2 y), which is at most
    max(1, tan^2 y). For |y| <= pi/2 the real part of e^z is not negative, so that 1 <= |1 + e^z| <= 2 e^|x| and
    |log(1 + e^z)| <= log 2 + |x| + pi/2.
    """
    import flint

    if function == Z:
        return [scale * height, scale]
    if function.is_Rational:
        return [abs(_ball(function))]
    if function.is_Pow:
        base = _majorant(function.base, scale, height)
        return functools.reduce(_product, [base] * int(function.exp))
    if function.is_Add or function.is_Mul:
        parts = [_majorant(part, scale, height) for part in function.args]
        return functools.reduce(_sum if function.is_Add else _product, parts)
    slope = _slope(function)
    assert slope is not None
    steep = abs(_ball(slope)) * scale
    if isinstance(function, sympy.tanh):
        if not steep * height < flint.arb.pi() / 2:
            raise NtkVerifyError(f"{function} has a pole in the strip that its enclosure goes by.")
        return [(steep * height).tan().max(1)]
    if not steep * height <= flint.arb.pi() / 2:
        raise NtkVerifyError(f"{function} is not bounded in the strip that its enclosure goes by.")
    return [flint.arb(2).log() + flint.arb.pi() / 2, steep]


def _sum(p: Polynomial, q: Polynomial) -> Polynomial:
    import flint

    size = max(len(p), len(q))
    p, q = (x + [flint.arb(0)] * (size - len(x)) for x in (p, q))
    return [a + b for a, b in zip(p, q, strict=True)]


def _product(p: Polynomial, q: Polynomial) -> Polynomial:
    import flint

    result = [flint.arb(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            result[i + j] += a * b
    return result
