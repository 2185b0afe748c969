"""Limit kernels as formulas."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.gaussian import Directions, half_space_power, moment_of_forms
from ntkverify.symbolic.expectation.halfspace import plane_moment, theta_symbol
from ntkverify.symbolic.expectation.terms import GroupKey
from ntkverify.symbolic.expectation.uniform import Box, wave_moment, wave_pieces
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.limit.splitting import Derivation, Slot

rho_left, rho_right = sympy.symbols("rho rho'", nonnegative=True)
inner_product = sympy.Symbol("q", real=True)


def primed(symbols: Sequence[sympy.Symbol]) -> tuple[sympy.Symbol, ...]:
    """The coordinates of the second point."""
    return tuple(sympy.Symbol(f"{s}'", real=True) for s in symbols)


def closed_form_kernel(
    derivation: Derivation,
    left: Slot,
    right: Slot,
    coordinates: Sequence[sympy.Symbol],
    *,
    covariance: bool = False,
    same_point: bool = False,
) -> sympy.Expr:
    """The kernel of two features in the coordinates of the two points (of one point, if `same_point`).

    Raises
    ------
    NtkVerifyError
        If no closed form is known for the activation.
    """
    size = len(derivation.weights)
    shift = {} if same_point else dict(zip(coordinates, primed(coordinates), strict=True))
    zero = (sympy.S.Zero,) * size
    total = []
    for (monomial, a, form_a, b, form_b), pairs in derivation.groups(left, right, covariance=covariance).items():
        u = derivation.forms[form_a] if form_a >= 0 else zero
        v = tuple(c.xreplace(shift) for c in derivation.forms[form_b]) if form_b >= 0 else zero
        if derivation.box is not None:
            key = (monomial, a, form_a, b, form_b)
            moment = _uniform_moment(key, u, v, derivation.box, same_point=same_point)
        else:
            moment = moment_of_forms(monomial, a, b, Directions.of(u, v, squares=size))
        total.append(_coefficient(pairs, shift) * moment)
    return sympy.expand(sympy.Add(*total)) if same_point else sympy.Add(*total)


def invariant_kernel(
    derivation: Derivation, left: Slot, right: Slot, coordinates: Sequence[sympy.Symbol]
) -> sympy.Expr:
    """The kernel in the norms, the inner product and the angle of the two linear forms, as far as possible.

    Raises
    ------
    NtkVerifyError
        If the feature has several linear forms (finite differences), or no closed form is known.
    """
    if derivation.box is not None:
        raise NtkVerifyError(
            "under a uniform law the kernel is no function of norms and angle; use kernel_expression, in coordinates."
        )
    shift = dict(zip(coordinates, primed(coordinates), strict=True))
    total = sympy.S.Zero
    for (monomial, a, form_a, b, form_b), pairs in derivation.groups(left, right).items():
        if max(form_a, form_b) > 0:
            raise NtkVerifyError("the kernel has several linear forms; use kernel_expression, which is in coordinates.")
        form = derivation.forms[max(form_a, form_b, 0)] if derivation.forms else ()
        other = tuple(c.xreplace(shift) for c in form)
        if monomial:
            u, v = (form, other)
            directions = Directions.of(u, v, squares=len(derivation.weights))
            total += _coefficient(pairs, shift) * moment_of_forms(monomial, a, b, directions)
            continue
        product = sympy.expand(sum((p * q for p, q in zip(form, other, strict=True)), sympy.S.Zero))
        coefficient = _in_inner_product(sympy.expand(_coefficient(pairs, shift)), product)
        i, j = half_space_power(a), half_space_power(b)
        if i is not None and j is not None and not (a == 1 and b == 1):
            angle = sympy.S.Zero if sympy.S.One in (a, b) else theta_symbol
            moment = rho_left**i * rho_right**j * plane_moment(0, 0, i, j).subs(theta_symbol, angle)
        else:
            gram = (rho_left**2, inner_product, rho_right**2)
            moment = moment_of_forms((), a, b, Directions(gram, (), ()))
        total += coefficient * moment
    return total


def _uniform_moment(
    key: GroupKey, left: Sequence[sympy.Expr], right: Sequence[sympy.Expr], box: Box, *, same_point: bool
) -> sympy.Expr:
    """E[w^monomial A(l.w) B(l'.w)] over a box: waves and polynomials, and positive parts of one form."""
    u, v = ([c * r for c, r in zip(form, box, strict=True)] for form in (left, right))
    scale = sympy.Mul(*(box[i] for i in key[0]))
    if wave_pieces(key) is not None:
        return scale * wave_moment(key, u, v, lambda value: value, _sinc_derivative)
    i, j = half_space_power(key[1]), half_space_power(key[3])
    if i is not None and j is not None and same_point and len({key[2], key[4]} - {-1}) == 1:
        degree = len(key[0]) + i + j
        if degree % 2 == 0:
            # the law does not change under w -> -w, which exchanges the two half spaces
            even = (key[0], Z**i, 0, Z**j, 0)
            form = u if key[2] >= 0 else v
            return scale * wave_moment(even, form, form, lambda value: value, _sinc_derivative) / 2
    raise NtkVerifyError(f"no closed form is known for {key[1]} times {key[3]} under a uniform law of the weights.")


def _sinc_derivative(order: int, x: sympy.Expr) -> sympy.Expr:
    if x == 0:
        return sympy.Integer(-1) ** (order // 2) / sympy.Integer(order + 1) if order % 2 == 0 else sympy.S.Zero
    t = sympy.Dummy("t")
    return sympy.diff(sympy.sinc(t), t, order).subs(t, x)


def _coefficient(pairs: Sequence[tuple[sympy.Expr, sympy.Expr]], shift: dict[sympy.Symbol, sympy.Symbol]) -> sympy.Expr:
    return sympy.Add(*(left * right.xreplace(shift) for left, right in pairs))


def _in_inner_product(coefficient: sympy.Expr, product: sympy.Expr) -> sympy.Expr:
    """Write a polynomial in the coordinates with `inner_product` in place of `product`, where it divides."""
    own, terms = coefficient.as_coefficients_dict(), product.as_coefficients_dict()
    first = next(iter(terms))
    ratio = own[first] / terms[first] if first in own else 0
    if ratio != 0 and all(own.get(t, 0) == ratio * c for t, c in terms.items() if not t.is_number):
        # the inner product itself but for numbers, which no division of long polynomials has to find
        rest = coefficient - ratio * product
        if not rest.free_symbols:
            return ratio * inner_product + rest
    symbols = sorted(product.free_symbols, key=str)
    if not symbols or not coefficient.is_polynomial(*symbols):
        return coefficient
    (quotient,), rest = sympy.reduced(coefficient, [product], *symbols)
    return inner_product * (_in_inner_product(quotient, product) if quotient.has(*symbols) else quotient) + rest
