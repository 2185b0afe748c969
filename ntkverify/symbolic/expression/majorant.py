"""Majorants: what the rounding error of an expression is relative to, when its parts cancel."""

from __future__ import annotations

import functools

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.choices import Where
from ntkverify.symbolic.expression.functions import PositivePower, Softplus, Z

#: |f| <= size + slope |z| and |f(y) - f(z)| <= slope |y - z|
_LIPSCHITZ: dict[type, tuple[sympy.Expr, sympy.Expr]] = {
    sympy.tanh: (sympy.S.One, sympy.S.One),
    sympy.sin: (sympy.S.One, sympy.S.One),
    sympy.cos: (sympy.S.One, sympy.S.One),
    sympy.erf: (sympy.S.One, 2 / sympy.sqrt(sympy.pi)),
    Softplus: (sympy.S.One, sympy.S.One),
}


#: units in the last place that an elementary function may be off, here and in the generated kernels
FUNCTION_UNITS = 4
UNIT = 2.0**-53  #: unit roundoff of float64


def relative_error(roundings: int) -> float:
    """How far so many roundings take a value, relative to its majorant, itself computed with as many.

    The classical ``n u / (1 - n u)`` (Higham, Accuracy and Stability of Numerical Algorithms, lemma 3.1), divided by
    another 1 - n u for the majorant.
    """
    return roundings * UNIT / (1 - 2 * roundings * UNIT)


@functools.lru_cache(maxsize=4096)
def roundings(expression: sympy.Expr, given: frozenset[sympy.Symbol] = frozenset()) -> int:
    """Most roundings that meet any monomial of an expression on its way into the value, in whatever order of addition.

    All operations of a sum count for each of its terms; a power of a base that met b roundings meets k b + k - 1;
    a function adds its own, `FUNCTION_UNITS` units in the last place of two roundings each.

    Parameters
    ----------
    expression : sympy.Expr
    given : frozenset of sympy.Symbol, optional
        The sample's coordinates: what holds only these may be any function that can be evaluated.

    Raises
    ------
    NtkVerifyError
        For a function that `majorant` does not know.
    """
    e = sympy.sympify(expression)
    if e.is_number:
        # a constant that is no small integer is rounded on its way into a float, with room for a detour by decimals
        return 0 if e.is_Integer and abs(e) < 2**53 else 2
    if e.is_Symbol:
        return 0
    if e.is_Add or e.is_Mul:
        return sum(roundings(a, given) for a in e.args) + len(e.args) - 1
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        return int(e.exp) * (roundings(e.base, given) + 1) - 1
    if isinstance(e, PositivePower):
        power = int(e.args[1])
        return power * (roundings(e.args[0], given) + 1) - 1 if power else 0
    if e.func in _LIPSCHITZ or (e.free_symbols <= given and len(e.args) == 1) or (e.is_Pow and e.free_symbols <= given):
        return roundings(e.args[0], given) + 2 * FUNCTION_UNITS
    if e.free_symbols <= given and isinstance(e, sympy.Max | sympy.Min | Where):
        return max(roundings(a, given) for a in e.args)
    raise NtkVerifyError(f"no bound of the rounding error of {e.func.__name__} is known; use another activation.")


@functools.lru_cache(maxsize=4096)
def majorant(expression: sympy.Expr, given: frozenset[sympy.Symbol] = frozenset()) -> sympy.Expr:
    """A bound M >= |e| such that evaluating e in floating point errs by at most `relative_error` (roundings(e)) * M.

    Sums become sums of majorants, so that cancellation shows; a Lipschitz function turns the error of its argument
    into at most its slope times that. M does not change when products are multiplied out or factored.

    A function of what is given, such as a coefficient 1/(1 + x), turns the error of its argument into its slope there
    times that, to first order; M holds that slope, and is to be evaluated at the sample itself.

    Parameters
    ----------
    expression : sympy.Expr
    given : frozenset of sympy.Symbol, optional
        The sample's coordinates.

    Raises
    ------
    NtkVerifyError
        For a function that is neither a power nor Lipschitz and known.
    """
    e = sympy.sympify(expression)
    if e.is_number or e.is_Symbol:
        return sympy.Abs(e)
    if e.is_Add or e.is_Mul:
        return e.func(*(majorant(a, given) for a in e.args))
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        return majorant(e.base, given) ** e.exp
    if isinstance(e, PositivePower):
        power = int(e.args[1])
        return majorant(e.args[0], given) ** power if power else sympy.S.One
    if e.func in _LIPSCHITZ:
        size, slope = _LIPSCHITZ[e.func]
        return size + slope * majorant(e.args[0], given)
    if e.free_symbols <= given:
        return _of_sample(e, given)
    raise NtkVerifyError(f"no bound of the rounding error of {e.func.__name__} is known; use another activation.")


def _of_sample(e: sympy.Expr, given: frozenset[sympy.Symbol]) -> sympy.Expr:
    """The majorant of a function of the sample alone."""
    if isinstance(e, sympy.Abs):
        return majorant(e.args[0], given)
    if isinstance(e, sympy.Max | sympy.Min):
        return sympy.Max(*(majorant(a, given) for a in e.args))
    if isinstance(e, Where):
        return Where(e.args[0], *(majorant(a, given) for a in e.args[1:]))
    inner, rest = e.args[0], e.args[1:]
    slope = sympy.diff(e.func(Z, *rest), Z).xreplace({Z: inner})
    return sympy.Abs(e) + sympy.Abs(slope) * majorant(inner, given)
