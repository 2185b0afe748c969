"""Exact suprema of |f| on the line, by solving for the critical points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import PositivePower, Softplus

_DIGITS = 50


@dataclass(frozen=True)
class Supremum:
    """sup |f|, with the point where it is reached.

    Parameters
    ----------
    value : sympy.Expr
        The supremum; ``oo`` if f is unbounded.
    point : sympy.Expr
        Where it is reached; ``oo`` or ``-oo`` if only in the limit.
    exact : bool
        False if the critical equation is transcendental and `value` and `point` are 50-digit numbers.
    """

    value: sympy.Expr
    point: sympy.Expr
    exact: bool = True

    @property
    def is_attained(self) -> bool:
        """Whether the supremum is a maximum."""
        return bool(self.point.is_finite)


def supremum_of(expression: sympy.Expr, z: sympy.Symbol) -> Supremum:
    """Supremum of |expression| over real `z`.

    Exact for functions whose critical points solve a polynomial: polynomials in one tanh, trigonometric
    polynomials, polynomials times a Gaussian (also with erf in the function itself), and what is one of these between
    any two kinks.

    Raises
    ------
    NtkVerifyError
        If the function is of none of these kinds and not bounded and smooth either.
    """
    expression = sympy.sympify(expression)
    if not expression.has(z):
        return Supremum(sympy.Abs(expression), sympy.S.Zero)
    if expression.has(PositivePower):
        return _piecewise_supremum(expression, z)
    pace = _common_frequency(expression, z)
    if pace != 1:
        slow = supremum_of(sympy.expand_trig(sympy.expand(expression.xreplace({z: z / pace}))), z)
        return Supremum(slow.value, slow.point / pace, exact=slow.exact)
    ends = [(_limit(expression, z, sign), sign * sympy.oo) for sign in (1, -1)]
    if any(value in (sympy.oo, -sympy.oo) for value, _ in ends):
        return Supremum(sympy.oo, next(point for value, point in ends if not value.is_finite))
    points = _critical_points(sympy.diff(expression, z), z)
    exact = points is not None
    if points is None:
        points = _transcendental_roots(sympy.diff(expression, z), z)
    candidates = [(expression.subs(z, p), p) for p in points]
    # an end goes last: a supremum that is reached is reported where it is reached
    return Supremum(*_largest([*candidates, *((v, p) for v, p in ends if isinstance(v, sympy.Expr))]), exact=exact)


def _largest(candidates: Iterable[tuple[sympy.Expr, sympy.Expr]]) -> tuple[sympy.Expr, sympy.Expr]:
    best: tuple[sympy.Expr, sympy.Expr] | None = None
    best_size = sympy.Float(-1)
    for value, point in candidates:
        size = abs(sympy.N(value, _DIGITS))
        if best is None or size > best_size * (1 + sympy.Float(10) ** (10 - _DIGITS)):
            best, best_size = (value if sympy.N(value) >= 0 else -value, point), size
    if best is None:
        raise NtkVerifyError("a supremum needs at least one candidate point, but the function has none.")
    return sympy.radsimp(best[0]) if best[0].is_algebraic else best[0], best[1]


def _limit(expression: sympy.Expr, z: sympy.Symbol, sign: int) -> sympy.Expr:
    """Limit at sign * infinity; 0, which is never the largest, where sin or cos leave none."""
    if expression.has(sympy.sin, sympy.cos):
        return _wave_limit(expression, z, sign)
    expression = expression.replace(Softplus, lambda a: sympy.log(1 + sympy.exp(a)))
    t = sympy.Dummy("t")
    (atom, *others) = expression.atoms(sympy.tanh) or {None}
    if atom is not None and not others and (atom.args[0] / z).is_positive:
        # sign - tanh decays exponentially, so that a polynomial factor in z does not matter
        end = sympy.expand(expression.xreplace({atom: t}).subs(t, sign))
        if expression.xreplace({atom: t}).is_polynomial(z, t):
            return sympy.limit(end, z, sign * sympy.oo)
    return sympy.limit(expression.rewrite(sympy.exp), z, sign * sympy.oo)


def _common_frequency(expression: sympy.Expr, z: sympy.Symbol) -> sympy.Expr:
    """The frequency of which those of all waves are multiples, if the expression is a trigonometric polynomial."""
    waves = expression.atoms(sympy.sin, sympy.cos)
    if not waves or expression.xreplace({w: sympy.Dummy() for w in waves}).has(z):
        return sympy.S.One
    frequencies = [sympy.cancel(w.args[0] / z) for w in waves]
    ratios = [sympy.nsimplify(f / frequencies[0]) for f in frequencies]
    if any(f.has(z) or not r.is_Rational for f, r in zip(frequencies, ratios, strict=True)):
        return sympy.S.One
    return sympy.Abs(frequencies[0] * sympy.gcd_list(ratios))


def _wave_limit(expression: sympy.Expr, z: sympy.Symbol, sign: int) -> sympy.Expr:
    """0 for waves that die out, or for a trigonometric polynomial of one period, whose critical points suffice.

    Raises
    ------
    NtkVerifyError
        For other waves, whose supremum no finite list of points shows.
    """
    waves = {w: sympy.Dummy("s", real=True) for w in expression.atoms(sympy.sin, sympy.cos)}
    envelope = sympy.expand(expression.xreplace(waves))
    if not envelope.has(z) and all(w.args[0] == z for w in waves):
        return sympy.S.Zero
    parts = envelope.as_coefficients_dict() if not envelope.has(z) else {t: 1 for t in sympy.Add.make_args(envelope)}
    sizes = [sympy.limit(t.xreplace(dict.fromkeys(waves.values(), sympy.S.One)), z, sign * sympy.oo) for t in parts]
    if any(size != 0 for size in sizes):
        raise NtkVerifyError(
            f"no supremum is known for {expression}, whose waves neither die out nor have one period together."
        )
    return sympy.S.Zero


def _piecewise_supremum(expression: sympy.Expr, z: sympy.Symbol) -> Supremum:
    """The largest of the suprema over the intervals between the kinks, where the function is smooth."""
    kinks = set()
    for argument in {p.args[0] for p in expression.atoms(PositivePower)}:
        slope = sympy.diff(argument, z)
        if slope.has(z) or not slope.is_real or slope == 0:
            raise NtkVerifyError(f"no supremum is known for {expression}, as {argument} is not of the form a*z + b.")
        kinks.add(sympy.cancel(z - argument / slope))
    ends = [-sympy.oo, *sorted(kinks, key=lambda k: sympy.N(k, _DIGITS)), sympy.oo]
    candidates, exact = [], True
    # from the right, so that of two equal suprema the one at the larger point is reported
    for low, high in reversed(list(itertools.pairwise(ends))):
        inside = (low + high) / 2 if low.is_finite and high.is_finite else low + 1 if low.is_finite else high - 1
        piece = expression.replace(PositivePower, lambda a, k, at=inside: a**k if a.subs(z, at) > 0 else sympy.S.Zero)
        if not piece.has(z):
            candidates.append((piece, inside))
            continue
        found = _interval_candidates(piece, z, low, high)
        if found is None:
            rising = not high.is_finite and not _limit(piece, z, 1).is_finite
            return Supremum(sympy.oo, high if rising else low)
        candidates += found[0]
        exact = exact and found[1]
    return Supremum(*_largest(candidates), exact=exact)


def _interval_candidates(
    piece: sympy.Expr, z: sympy.Symbol, low: sympy.Expr, high: sympy.Expr
) -> tuple[list[tuple[sympy.Expr, sympy.Expr]], bool] | None:
    """Values and points among which the largest modulus over [low, high] is; None if there is none."""
    if piece.has(sympy.sin, sympy.cos):
        raise NtkVerifyError(f"no supremum is known for waves with kinks, here {piece} between {low} and {high}.")
    ends = []
    for end, sign in ((low, -1), (high, 1)):
        value = piece.subs(z, end) if end.is_finite else _limit(piece, z, sign)
        if not value.is_finite:
            return None
        ends.append((value, end))
    slope = sympy.diff(piece, z)
    points = _critical_points(slope, z)
    exact = points is not None
    every = _transcendental_roots(slope, z) if points is None else points
    within = [p for p in every if sympy.N(low, _DIGITS) < sympy.N(p, _DIGITS) < sympy.N(high, _DIGITS)]
    # an end at infinity goes last: a supremum that is reached is reported where it is reached
    ends.sort(key=lambda pair: not pair[1].is_finite)
    return [*((piece.subs(z, p), p) for p in within), *ends], exact


def _critical_points(slope: sympy.Expr, z: sympy.Symbol) -> list[sympy.Expr] | None:
    """Exact real zeros of `slope`, or None if they solve no polynomial."""
    hyperbolic, gaussians = slope.atoms(sympy.tanh), slope.atoms(sympy.exp)
    t = sympy.Dummy("t")
    if slope.is_polynomial(z):
        return _real_roots(slope, z)
    if len(hyperbolic) == 1 and not gaussians:
        (atom,) = hyperbolic
        polynomial = sympy.expand(slope.xreplace({atom: t}))
        scale = atom.args[0] / z
        if polynomial.is_polynomial(t) and not polynomial.has(z) and not scale.has(z):
            return [sympy.atanh(r) / scale for r in _real_roots(polynomial, t) if abs(sympy.N(r, _DIGITS)) < 1]
    if len(gaussians) == 1 and not hyperbolic and not slope.has(sympy.erf):
        polynomial = sympy.expand(sympy.expand(slope) / next(iter(gaussians)))
        if polynomial.is_polynomial(z):
            return _real_roots(polynomial, z)
    if slope.has(sympy.sin, sympy.cos) and not gaussians and not hyperbolic:
        # t = tan(z/2) turns a trigonometric polynomial into a rational function; z = pi is t = oo
        rational = sympy.together(
            slope.subs({sympy.sin(z): 2 * t / (1 + t**2), sympy.cos(z): (1 - t**2) / (1 + t**2)}, simultaneous=True)
        )
        if not rational.has(z):
            return [sympy.pi, *(2 * sympy.atan(r) for r in _real_roots(sympy.numer(rational), t))]
    return None


def _real_roots(polynomial: sympy.Expr, variable: sympy.Symbol) -> list[sympy.Expr]:
    """Distinct real roots in increasing order; a common irrational factor is divided out first."""
    coefficients = sympy.Poly(polynomial, variable).all_coeffs()
    ratios = [sympy.radsimp(sympy.simplify(c / coefficients[0])) for c in coefficients]
    if len(ratios) < 2:
        return []
    return sorted(set(sympy.real_roots(sympy.Poly(ratios, variable))), key=sympy.N)


def _centres(expression: sympy.Expr, z: sympy.Symbol) -> set[tuple[sympy.Expr, sympy.Expr]]:
    """Where the functions in an expression vary, and on which scale: from their polynomial arguments."""
    found = {(sympy.S.Zero, sympy.S.One)}
    for function in expression.atoms(sympy.Function, sympy.exp):
        argument = function.args[0]
        if not argument.is_polynomial(z) or not argument.has(z):
            continue
        polynomial = sympy.Poly(argument, z)
        scale = sympy.N(abs(polynomial.LC()) ** sympy.Rational(-1, polynomial.degree()), 15)
        for factor in (polynomial, polynomial.diff(z)):
            # distinct roots, as multiple ones leave the iteration without convergence
            distinct = factor.sqf_part() if factor.degree() > 0 else factor
            roots = distinct.nroots(n=15) if distinct.degree() > 0 else ()
            found |= {(sympy.N(sympy.re(r), 15), scale) for r in roots}
    return found


def _transcendental_roots(slope: sympy.Expr, z: sympy.Symbol) -> list[sympy.Expr]:
    """Zeros of `slope` to 50 digits, bracketed on grids of 30 scales around every place where its functions vary.

    Outside, the slopes of the smooth activations are below 30^2 exp(-30) of their scale.
    """
    function = sympy.lambdify(z, slope, "mpmath")
    with mpmath.workdps(_DIGITS + 15):
        spots = _centres(slope, z)
        grid = sorted({mpmath.mpf(c) + mpmath.mpf(s) * k / 8 for c, s in spots for k in range(-240, 241)})
        values = [function(g) for g in grid]
        roots = []
        for left, right, below, above in zip(grid, grid[1:], values, values[1:], strict=False):
            if below == 0:
                roots.append(left)
            elif below * above < 0:
                roots.append(mpmath.findroot(function, (left, right), solver="anderson"))
        return [sympy.Float(r, _DIGITS) for r in roots]


def in_radicals(expression: sympy.Expr) -> sympy.Expr:
    """Roots of biquadratic polynomials written out, so that an exact supremum can be compiled."""

    def closest(root: Any) -> sympy.Expr:
        return min(sympy.roots(root.poly), key=lambda candidate: abs(sympy.N(candidate - root)))

    return expression.replace(lambda part: isinstance(part, sympy.CRootOf), closest)
