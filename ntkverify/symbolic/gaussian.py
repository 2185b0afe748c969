r"""Gaussian expectations in closed form.

E over w ~ N(0, Sigma) of monomial(w) * A(l.w) * B(l'.w), where A and B are

* powers of a positive part: polar coordinates in the plane of the two directions (`halfspace`), or
* sums of z^p e^{ikz - c z^2} (erf(az) or 1), which covers polynomials, sin, cos, Gaussians, erf and its
  derivatives: tilt the measure by the Gaussian factor, take powers off by Stein's identity
  E[w_i F] = sum_j Sigma_ij E[d_j F], and end at a characteristic function or at
  E[erf(a z) erf(b z')] = (2/pi) arctan(2ab q12 / sqrt((1 + 2a^2 q11)(1 + 2b^2 q22) - 4a^2 b^2 q12^2)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.functions import PositivePower, Z
from ntkverify.symbolic.halfspace import plane_moment, theta_symbol
from ntkverify.symbolic.terms import Splitter
from ntkverify.symbolic.wick import plane_polynomial

Gram = tuple[sympy.Expr, sympy.Expr, sympy.Expr]


def half_space_power(atom: sympy.Expr) -> int | None:
    """k if the atom is z_+^k or 1 (then 0), else None."""
    if atom == 1:
        return 0
    if isinstance(atom, PositivePower) and atom.args[0] == Z:
        return int(atom.args[1])
    return None


@dataclass(frozen=True)
class _Piece:
    """coefficient * z^power * exp(i frequency z - damping z^2) * (erf(scale z) if scale else 1)."""

    coefficient: sympy.Expr
    power: int
    frequency: sympy.Expr
    damping: sympy.Expr
    scale: sympy.Expr


@lru_cache(maxsize=1024)
def _pieces(atom: sympy.Expr) -> tuple[_Piece, ...] | None:
    """The atom as a sum of pieces, or None if it is none."""
    waves = atom.replace(sympy.sin, lambda a: (sympy.exp(sympy.I * a) - sympy.exp(-sympy.I * a)) / (2 * sympy.I))
    waves = waves.replace(sympy.cos, lambda a: (sympy.exp(sympy.I * a) + sympy.exp(-sympy.I * a)) / 2)
    result = []
    for term in sympy.Add.make_args(sympy.expand(waves, power_exp=False)):
        coefficient, exponent, scale, power = sympy.S.One, sympy.S.Zero, sympy.S.Zero, 0
        for factor in sympy.Mul.make_args(term):
            base, exp = factor.as_base_exp()
            if not factor.has(Z):
                coefficient *= factor
            elif isinstance(factor, sympy.exp):
                exponent += factor.args[0]
            elif base is sympy.E:
                exponent += exp
            elif base == Z and exp.is_Integer and exp > 0:
                power += int(exp)
            elif isinstance(factor, sympy.erf) and scale == 0 and not sympy.diff(factor.args[0], Z).has(Z):
                scale = sympy.diff(factor.args[0], Z)
                if sympy.expand(factor.args[0] - scale * Z) != 0:
                    return None
            else:
                return None
        quadratic = sympy.Poly(exponent, Z) if exponent.is_polynomial(Z) else None
        if quadratic is None or quadratic.degree() > 2:
            return None
        c2, c1, c0 = (quadratic.coeff_monomial(Z**k) for k in (2, 1, 0))
        if (-c2).is_negative or not (c1 / sympy.I).is_real:
            return None
        result.append(_Piece(coefficient * sympy.exp(c0), power, c1 / sympy.I, -c2, scale))
    return tuple(result)


def has_closed_form(atom: sympy.Expr) -> bool:
    """Whether expectations with this function of one linear form have a closed form here."""
    return half_space_power(atom) is not None or _pieces(atom) is not None


def bivariate_moment(left: sympy.Expr, right: sympy.Expr, gram: Gram) -> sympy.Expr:
    """E[A(z) B(z')] for centred normal (z, z') with covariance entries ``gram`` = (q11, q12, q22).

    Parameters
    ----------
    left, right : sympy.Expr
        Functions of ``Z``, both smooth (see the module) or both powers of the positive part.

    Raises
    ------
    NtkVerifyError
        If no closed form is known.
    """
    i, j = half_space_power(left), half_space_power(right)
    if i is not None and j is not None and not (left == 1 and right == 1):
        q11, q12, q22 = gram
        # a constant is the step of its partner, see moment_of_forms
        q11, q12, i = (q22, q22, 0) if left == 1 else (q11, q12, i)
        q22, q12, j = (q11, q11, 0) if right == 1 else (q22, q12, j)
        angle = sympy.atan2(sympy.sqrt(sympy.expand(q11 * q22 - q12**2)), q12)
        return sympy.sqrt(q11) ** i * sympy.sqrt(q22) ** j * plane_moment(0, 0, i, j).xreplace({theta_symbol: angle})
    pieces_left, pieces_right = _pieces(left), _pieces(right)
    if pieces_left is None or pieces_right is None:
        raise NtkVerifyError(f"no closed form is known for the Gaussian expectation of {left} times {right}.")
    total = sympy.S.Zero
    for s in pieces_left:
        for t in pieces_right:
            total += s.coefficient * t.coefficient * _reduce(s, t, gram)
    return sympy.expand(total) if total.has(sympy.I) else total


def _reduce(s: _Piece, t: _Piece, gram: Gram) -> sympy.Expr:
    """E of two pieces without their coefficients."""
    if s.damping != 0 or t.damping != 0:
        # completing the square: new covariance Q (I + 2 C Q)^-1, C = diag(dampings), and a determinant in front
        q11, q12, q22 = gram
        c, d = 2 * s.damping, 2 * t.damping
        determinant = 1 + c * q11 + d * q22 + c * d * (q11 * q22 - q12**2)
        gap = q11 * q22 - q12**2
        tilted = ((q11 + d * gap) / determinant, q12 / determinant, (q22 + c * gap) / determinant)
        undamped = [_Piece(p.coefficient, p.power, p.frequency, sympy.S.Zero, p.scale) for p in (s, t)]
        return _reduce(undamped[0], undamped[1], tilted) / sympy.sqrt(determinant)
    q11, q12, q22 = gram
    if s.power:
        lower = _with(s, power=s.power - 1)
        return q11 * _derivative(lower, t, gram, of_left=True) + q12 * _derivative(lower, t, gram, of_left=False)
    if t.power:
        lower = _with(t, power=t.power - 1)
        return q12 * _derivative(s, lower, gram, of_left=True) + q22 * _derivative(s, lower, gram, of_left=False)
    if s.scale == 0 and t.scale == 0:
        k, h = s.frequency, t.frequency
        return sympy.exp(-sympy.expand(k**2 * q11 + 2 * k * h * q12 + h**2 * q22) / 2)
    if s.frequency != 0 or t.frequency != 0:
        raise NtkVerifyError("no closed form is known for the Gaussian expectation of erf times sin or cos.")
    if s.scale == 0 or t.scale == 0:
        return sympy.S.Zero
    a, b = s.scale, t.scale
    discriminant = (1 + 2 * a**2 * q11) * (1 + 2 * b**2 * q22) - 4 * a**2 * b**2 * q12**2
    return 2 / sympy.pi * sympy.atan(2 * a * b * q12 / sympy.sqrt(discriminant))


def _with(piece: _Piece, **changes: object) -> _Piece:
    fields = {f: getattr(piece, f) for f in ("coefficient", "power", "frequency", "damping", "scale")}
    return _Piece(**(fields | changes))


def _derivative(s: _Piece, t: _Piece, gram: Gram, *, of_left: bool) -> sympy.Expr:
    """E[(d/dz of one piece) * the other], both undamped."""
    piece = s if of_left else t
    parts = []
    if piece.power:
        parts.append((sympy.Integer(piece.power), _with(piece, power=piece.power - 1)))
    if piece.frequency != 0:
        parts.append((sympy.I * piece.frequency, piece))
    if piece.scale != 0:
        gaussian = _with(piece, damping=piece.scale**2, scale=sympy.S.Zero)
        parts.append((2 * piece.scale / sympy.sqrt(sympy.pi), gaussian))
    return sum((c * (_reduce(p, t, gram) if of_left else _reduce(s, p, gram)) for c, p in parts), sympy.S.Zero)


@dataclass(frozen=True)
class Directions:
    """Two linear forms under a covariance: inner products and Sigma l, Sigma l'.

    Parameters
    ----------
    gram : tuple
        (l.Sigma l, l.Sigma l', l'.Sigma l').
    left, right : sequences of sympy.Expr
        Sigma l and Sigma l'.
    covariance : sympy.Matrix
        Sigma.
    """

    gram: Gram
    left: tuple[sympy.Expr, ...]
    right: tuple[sympy.Expr, ...]
    covariance: sympy.Matrix

    @classmethod
    def of(cls, left: Sequence[sympy.Expr], right: Sequence[sympy.Expr], covariance: sympy.Matrix) -> Directions:
        """From the coefficients of the two forms."""
        u, v = sympy.Matrix(list(left)), sympy.Matrix(list(right))
        su, sv = covariance * u, covariance * v
        gram = (u.dot(su), u.dot(sv), v.dot(sv))
        return cls(tuple(sympy.expand(g) for g in gram), tuple(su), tuple(sv), covariance)


def moment_of_forms(monomial: Sequence[int], left: sympy.Expr, right: sympy.Expr, directions: Directions) -> sympy.Expr:
    """E[prod_i w_i * A(l.w) * B(l'.w)] in closed form.

    Raises
    ------
    NtkVerifyError
        If no closed form is known.
    """
    i, j = half_space_power(left), half_space_power(right)
    if i is not None and j is not None and not (left == 1 and right == 1):
        return _half_space_moment(monomial, left, right, directions)
    if not monomial:
        return bivariate_moment(left, right, directions.gram)
    first, *rest = monomial
    total = directions.left[first] * moment_of_forms(rest, sympy.diff(left, Z), right, directions)
    total += directions.right[first] * moment_of_forms(rest, left, sympy.diff(right, Z), directions)
    for position, k in enumerate(rest):
        others = rest[:position] + rest[position + 1 :]
        total += directions.covariance[first, k] * moment_of_forms(others, left, right, directions)
    return total


def _half_space_moment(
    monomial: Sequence[int], left: sympy.Expr, right: sympy.Expr, directions: Directions
) -> sympy.Expr:
    i, j = half_space_power(left) or 0, half_space_power(right) or 0
    q11, q12, q22 = directions.gram
    su, sv = directions.left, directions.right
    # E[w^monomial (w.v)_+^j] = E[w^monomial 1{w.v >= 0} (w.v)_+^j], so a constant becomes its partner's step
    if left == 1:
        q11, q12, su = q22, q22, sv
    if right == 1:
        q22, q12, sv = q11, q11, su
    gap = sympy.expand(q11 * q22 - q12**2)

    def covariance(k: int, m: int) -> sympy.Expr:
        return directions.covariance[k, m]

    def first(k: int) -> sympy.Expr:
        return su[k] / sympy.sqrt(q11)

    if gap == 0:
        if not sympy.expand(q11 - q12) == 0:
            raise NtkVerifyError(
                "the two linear forms are proportional but not equal; write the product as one function."
            )
        # all terms hold powers of the norm of one parity; taking it out leaves a rational function of the coordinates
        parity = (len(monomial) + i + j) % 2
        polynomial = plane_polynomial(monomial, first, lambda k: sympy.S.Zero, sympy.S.One, covariance)
        total = sum((c * _half_line_moment(a + i + j) for (a, _), c in polynomial.items()), sympy.S.Zero)
        return sympy.cancel(sympy.expand(total * sympy.sqrt(q11) ** (i + j - parity))) * sympy.sqrt(q11) ** parity

    def second(k: int) -> sympy.Expr:
        return (q11 * sv[k] - q12 * su[k]) / sympy.sqrt(q11 * gap)

    angle = sympy.atan2(sympy.sqrt(gap), q12)
    polynomial = plane_polynomial(monomial, first, second, sympy.S.One, covariance)
    total = sum((c * plane_moment(a, b, i, j) for (a, b), c in polynomial.items()), sympy.S.Zero)
    cosine, sine = q12 / sympy.sqrt(q11 * q22), sympy.sqrt(gap / (q11 * q22))
    total = total.subs({sympy.sin(theta_symbol): sine, sympy.cos(theta_symbol): cosine}).subs(theta_symbol, angle)
    return total * sympy.sqrt(q11) ** i * sympy.sqrt(q22) ** j


def _half_line_moment(n: int) -> sympy.Expr:
    """E[(u)_+^n] for a standard normal u."""
    return sympy.sqrt(2) ** n * sympy.gamma(sympy.Rational(n + 1, 2)) / (2 * sympy.sqrt(sympy.pi))


def gaussian_expectation(
    expression: sympy.Expr, variables: Sequence[sympy.Symbol], *, covariance: sympy.Matrix | None = None
) -> sympy.Expr:
    """E[expression] over centred normal variables.

    The expression is a sum of polynomials times products of functions of at most two different linear forms.

    Parameters
    ----------
    expression : sympy.Expr
    variables : sequence of sympy.Symbol
        Real symbols.
    covariance : sympy.Matrix, optional
        The identity by default.

    Raises
    ------
    NtkVerifyError
        If no closed form is known, or the covariance does not fit the variables.

    Examples
    --------
    >>> w = sympy.symbols("w_0 w_1", real=True)
    >>> gaussian_expectation(w[0] ** 2 * PositivePower(w[0], 2), w)
    3/2
    """
    size = len(variables)
    sigma = sympy.eye(size) if covariance is None else sympy.Matrix(covariance)
    if sigma.shape != (size, size) or not sigma.is_symmetric():
        raise NtkVerifyError(f"{size} variables need a symmetric ({size}, {size}) covariance, not shape {sigma.shape}.")
    splitter = Splitter(tuple(variables))
    total = sympy.S.Zero
    for coefficient, monomial, factors in splitter.split_products(expression):
        (left, l), (right, m) = [*factors, (sympy.S.One, None), (sympy.S.One, None)][:2]
        zero = (sympy.S.Zero,) * size
        directions = Directions.of(l or zero, m or zero, sigma)
        if half_space_power(left) is None and half_space_power(right) is None and not _smooth(left, right):
            raise NtkVerifyError(f"no closed form is known for the Gaussian expectation of {left} times {right}.")
        total += coefficient * moment_of_forms(monomial, left, right, directions)
    return sympy.simplify(total) if total.is_number else sympy.expand(total)


def _smooth(left: sympy.Expr, right: sympy.Expr) -> bool:
    return _pieces(left) is not None and _pieces(right) is not None
