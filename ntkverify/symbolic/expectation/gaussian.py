"""Gaussian expectations in closed form, as sympy expressions.

E over w ~ N(0, Sigma) of monomial(w) * A(l.w) * B(l'.w), where A and B are powers of a positive part
(polar coordinates in the plane of the two directions, `halfspace`), or polynomials, sin, cos, Gaussians,
erf and their products (Stein's identity, `smooth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.closed_forms import LEFT, RIGHT, Geometry, SymbolicFunctions, smooth_moment
from ntkverify.symbolic.expectation.halfspace import plane_moment, theta_symbol
from ntkverify.symbolic.expectation.terms import Splitter
from ntkverify.symbolic.expectation.wick import PlanePolynomials, Squares
from ntkverify.symbolic.expression.functions import PositivePower, Z

Gram = tuple[sympy.Expr, sympy.Expr, sympy.Expr]
# variables up to which a product of two inner products is multiplied out
_SHORT = 12


def half_space_power(atom: sympy.Expr) -> int | None:
    """k if the atom is z_+^k or 1 (then 0), else None."""
    if atom == 1:
        return 0
    if isinstance(atom, PositivePower) and atom.args[0] == Z:
        return int(atom.args[1])
    return None


@dataclass(frozen=True)
class Directions:
    """Two linear forms under a covariance: inner products and Sigma l, Sigma l'.

    Parameters
    ----------
    gram : tuple
        (l.Sigma l, l.Sigma l', l'.Sigma l').
    left, right : sequences of sympy.Expr
        Sigma l and Sigma l'.
    covariance : sympy.Matrix, optional
        Sigma; the identity by default.
    squares : int, optional
        The index of the sum of squares of all variables in products, if Sigma is the identity.
    """

    gram: Gram
    left: tuple[sympy.Expr, ...]
    right: tuple[sympy.Expr, ...]
    covariance: sympy.Matrix | None = None
    squares: int | None = None

    def entry(self, i: int, k: int) -> sympy.Expr:
        """An entry of Sigma."""
        return sympy.Integer(int(i == k)) if self.covariance is None else self.covariance[i, k]

    @property
    def gap(self) -> sympy.Expr:
        """The determinant of `gram`; multiplied out only where that is short."""
        q11, q12, q22 = self.gram
        determinant = q11 * q22 - q12**2
        return sympy.expand(determinant) if len(self.left) <= _SHORT else determinant

    def geometry(self) -> Geometry:
        """The same for `smooth_moment`."""
        q11, q12, q22 = self.gram
        forms = {(LEFT, LEFT): q11, (RIGHT, LEFT): q12, (RIGHT, RIGHT): q22}

        def covariance(a: int, b: int) -> sympy.Expr:
            if a >= 0:
                return self.entry(a, b)
            return forms[a, b] if b < 0 else (self.left if a == LEFT else self.right)[b]

        return Geometry(SymbolicFunctions(), covariance, self.gap)

    @classmethod
    def of(
        cls,
        left: Sequence[sympy.Expr],
        right: Sequence[sympy.Expr],
        covariance: sympy.Matrix | None = None,
        squares: int | None = None,
    ) -> Directions:
        """From the coefficients of the two forms."""
        if covariance is None:
            sides = ((left, left), (left, right), (right, right))
            products = [sympy.Add(*(a * b for a, b in zip(*pair, strict=True))) for pair in sides]
            return cls(tuple(map(sympy.expand, products)), tuple(left), tuple(right), None, squares)
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
    total, geometry = sympy.S.Zero, directions.geometry()
    for product in _without_squares(tuple(monomial), directions):
        total += smooth_moment(product, left, right, geometry)
    return total


def _without_squares(monomial: tuple[int, ...], directions: Directions) -> list[tuple[int, ...]]:
    """A product with sums of squares as the sum of products of weights."""
    if directions.squares not in monomial:
        return [monomial]
    rest = list(monomial)
    rest.remove(directions.squares)
    return [
        (i, i, *product)
        for i in range(len(directions.left))
        if directions.left[i] != 0 or directions.right[i] != 0
        for product in _without_squares(tuple(rest), directions)
    ]


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
    gap = Directions((q11, q12, q22), su, sv).gap
    covariance = directions.entry

    def first(k: int) -> sympy.Expr:
        return su[k] / sympy.sqrt(q11)

    if gap == 0:
        ratio = sympy.cancel(q12 / q11)  # the right form is this multiple of the left one
        if ratio.is_negative:
            return sympy.S.Zero  # the two half lines meet in a point
        if not ratio.is_positive:
            raise NtkVerifyError(f"the linear forms are proportional, but the sign of {ratio} is not known.")
        scale = ratio**j
        # all terms hold powers of the norm of one parity; taking it out leaves a rational function of the coordinates
        parity = (len(monomial) + i + j) % 2
        squares = _squares(directions, sympy.S.Zero)
        polynomial = PlanePolynomials(first, lambda k: sympy.S.Zero, sympy.S.One, covariance, squares)(monomial)
        total = sum((c * _half_line_moment(a + i + j) for (a, _), c in polynomial.items()), sympy.S.Zero)
        rational = sympy.cancel(sympy.expand(total * scale * sympy.sqrt(q11) ** (i + j - parity)))
        return rational * sympy.sqrt(q11) ** parity

    def second(k: int) -> sympy.Expr:
        return (q11 * sv[k] - q12 * su[k]) / sympy.sqrt(q11 * gap)

    angle = sympy.atan2(sympy.sqrt(gap), q12)
    squares = _squares(directions, sympy.S.One)
    polynomial = PlanePolynomials(first, second, sympy.S.One, covariance, squares)(monomial)
    total = sum((c * plane_moment(a, b, i, j) for (a, b), c in polynomial.items()), sympy.S.Zero)
    cosine, sine = q12 / sympy.sqrt(q11 * q22), sympy.sqrt(gap / (q11 * q22))
    total = total.subs({sympy.sin(theta_symbol): sine, sympy.cos(theta_symbol): cosine}).subs(theta_symbol, angle)
    return total * sympy.sqrt(q11) ** i * sympy.sqrt(q22) ** j


def _squares(directions: Directions, second: sympy.Expr) -> Squares | None:
    if directions.squares is None:
        return None
    size = sum(a != 0 or b != 0 for a, b in zip(directions.left, directions.right, strict=True))
    return Squares(directions.squares, size, sympy.S.One, second)


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
        If no closed form is known, the covariance does not fit the variables or is none.

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
    if not sigma.free_symbols and not sigma.is_positive_semidefinite:
        raise NtkVerifyError(f"{sigma} is no covariance: it is not positive semidefinite.")
    splitter = Splitter(tuple(variables))
    total = sympy.S.Zero
    for coefficient, monomial, factors in splitter.split_products(expression):
        (left, l), (right, m) = [*factors, (sympy.S.One, None), (sympy.S.One, None)][:2]
        zero = (sympy.S.Zero,) * size
        directions = Directions.of(l or zero, m or zero, sigma)
        total += coefficient * moment_of_forms(monomial, left, right, directions)
    if total.is_number:
        return sympy.simplify(total)
    return sympy.expand(total) if total.is_polynomial(*total.free_symbols) else total
