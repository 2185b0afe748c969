"""Majorants: what the rounding error of an expression is relative to, when its parts cancel."""

from __future__ import annotations

import functools

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.functions import PositivePower, Softplus

#: |f| <= size + slope |z| and |f(y) - f(z)| <= slope |y - z|
_LIPSCHITZ: dict[type, tuple[sympy.Expr, sympy.Expr]] = {
    sympy.tanh: (sympy.S.One, sympy.S.One),
    sympy.sin: (sympy.S.One, sympy.S.One),
    sympy.cos: (sympy.S.One, sympy.S.One),
    sympy.erf: (sympy.S.One, 2 / sympy.sqrt(sympy.pi)),
    Softplus: (sympy.S.One, sympy.S.One),
}


@functools.lru_cache(maxsize=4096)
def majorant(expression: sympy.Expr) -> sympy.Expr:
    """A bound M >= |e| such that evaluating e in floating point errs by at most (operations) * eps * M, to first order.

    Sums become sums of majorants, so that cancellation shows; a Lipschitz function turns the error of its argument
    into at most its slope times that.

    Raises
    ------
    NtkVerifyError
        For a function that is neither a power nor Lipschitz and known.
    """
    e = sympy.sympify(expression)
    if e.is_number or e.is_Symbol:
        return sympy.Abs(e)
    if e.is_Add or e.is_Mul:
        return e.func(*map(majorant, e.args))
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        return majorant(e.base) ** e.exp
    if isinstance(e, PositivePower):
        power = int(e.args[1])
        return majorant(e.args[0]) ** power if power else sympy.S.One
    if e.func in _LIPSCHITZ:
        size, slope = _LIPSCHITZ[e.func]
        return size + slope * majorant(e.args[0])
    raise NtkVerifyError(f"no bound of the rounding error of {e.func.__name__} is known; use another activation.")
