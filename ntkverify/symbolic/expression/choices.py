"""Coefficients of equations in one normal form: whatever chooses between values becomes steps and `Where`.

Every executor and the limit evaluate the normal form; what has none is refused where the equation is read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import PositivePower, Softplus


class Where(sympy.Function):  # type: ignore[misc]
    """``Where(test, yes, no)`` is `yes` where test >= 0 and `no` elsewhere, whatever the other one is there."""

    nargs = 3

    @classmethod
    def eval(cls, test: sympy.Expr, yes: sympy.Expr, no: sympy.Expr) -> sympy.Expr | None:
        if yes == no or test.is_nonnegative:
            return yes
        return no if test.is_negative else None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        if argindex == 1:
            return sympy.S.Zero
        one, zero = sympy.S.One, sympy.S.Zero
        return Where(self.args[0], one, zero) if argindex == 2 else Where(self.args[0], zero, one)


#: what `sympy.lambdify` needs besides NumPy
ARRAY_FUNCTIONS: dict[str, Any] = {
    "PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0),
    "Softplus": lambda z: np.logaddexp(0.0, z),
    "Where": lambda test, yes, no: np.where(test >= 0, yes, no),
    "Max": lambda *values: _folded(np.maximum, values),
    "Min": lambda *values: _folded(np.minimum, values),
}


def _folded(function: Any, values: Any) -> Any:
    result = values[0]
    for value in values[1:]:
        result = function(result, value)
    return result


# what all evaluators know of one variable
_KNOWN = (
    *(sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.tanh, sympy.atan),
    *(sympy.Abs, sympy.erf, sympy.Max, sympy.Min, Softplus, PositivePower, Where),
)  # fmt: skip


def normal_form(expression: sympy.Expr, unknowns: Collection[sympy.Symbol]) -> sympy.Expr:
    """An equation with its choices as steps and `Where`, and other functions by those that all evaluators know.

    Parameters
    ----------
    expression : sympy.Expr
    unknowns : collection of sympy.Symbol
        Stand for the solution and its derivatives; no choice may depend on them.

    Raises
    ------
    NtkVerifyError
        For a function without normal form, a choice that leaves values open, or one that depends on the solution.
    """
    return _normal(expression, frozenset(unknowns))


def _normal(e: sympy.Expr, unknowns: frozenset[sympy.Symbol]) -> sympy.Expr:
    if not e.args:
        return e
    if isinstance(e, sympy.Piecewise):
        return _piecewise(e, unknowns)
    args = [_normal(a, unknowns) for a in e.args]
    if isinstance(e, sympy.Heaviside):
        z, at_zero = args[0], args[1]
        up, down = PositivePower(z, sympy.S.Zero), PositivePower(-z, sympy.S.Zero)
        return up if at_zero == 1 else up - (1 - at_zero) * (up + down - 1)
    if isinstance(e, sympy.sign):
        return PositivePower(args[0], sympy.S.Zero) - PositivePower(-args[0], sympy.S.Zero)
    if e.is_Pow and not args[1].is_Rational:
        if args[0].is_positive:
            return sympy.exp(args[1] * sympy.log(args[0]), evaluate=not args[0].is_number)
        raise NtkVerifyError(f"{e} is a power with a varying exponent; write it as exp(exponent*log(base)).")
    if e.is_Add or e.is_Mul or e.is_Pow or isinstance(e, _KNOWN):
        return e.func(*args)
    if isinstance(e, sympy.sinc):  # 1 at 0, and sin(z)/z has no value there
        z = args[0]
        return Where(-sympy.Abs(z), sympy.S.One, sympy.sin(z) / z)
    for better in (sympy.Piecewise, sympy.exp, sympy.log, sympy.cos, sympy.erf):
        written = e.rewrite(better)
        if written != e and not written.has(e.func, sympy.I, sympy.zoo, sympy.oo, sympy.Integral, sympy.Sum):
            return _normal(written, unknowns)
    raise NtkVerifyError(
        f"the equation holds {e}, which is not evaluated everywhere; write it by exp, log, sin, cos, tan, sinh, cosh, "
        "tanh, atan, erf, sqrt, Abs, Max, Min, sign, Heaviside, Piecewise or PositivePower."
    )


def _piecewise(e: sympy.Piecewise, unknowns: frozenset[sympy.Symbol]) -> sympy.Expr:
    if e.args[-1][1] is not sympy.true:
        raise NtkVerifyError(f"{e} leaves values open; add (value, True) as its last piece.")
    result = _normal(e.args[-1][0], unknowns)
    for value, condition in reversed(e.args[:-1]):
        if condition.free_symbols & unknowns:
            raise NtkVerifyError(
                f"{e} chooses by the solution itself; write positive parts of it as PositivePower(u, 1) or Max(u, 0)."
            )
        result = _chosen(condition, _normal(value, unknowns), result, unknowns)
    return result


def _chosen(condition: Boolean, yes: sympy.Expr, no: sympy.Expr, unknowns: frozenset[sympy.Symbol]) -> sympy.Expr:
    """`yes` where the condition holds, else `no`."""
    if condition is sympy.true or condition is sympy.false:
        return yes if condition is sympy.true else no
    if isinstance(condition, sympy.Not):
        return _chosen(condition.args[0], no, yes, unknowns)
    if isinstance(condition, sympy.And):
        return _chosen(condition.args[0], _chosen(sympy.And(*condition.args[1:]), yes, no, unknowns), no, unknowns)
    if isinstance(condition, sympy.Or):
        return _chosen(condition.args[0], yes, _chosen(sympy.Or(*condition.args[1:]), yes, no, unknowns), unknowns)
    if not isinstance(condition, Relational):
        raise NtkVerifyError(f"the condition {condition} is no comparison; write it with <, <=, >, >=, &, | and ~.")
    if (yes.free_symbols | no.free_symbols) & unknowns:
        # terms of the solution stay sums of products
        one = _chosen(condition, sympy.S.One, sympy.S.Zero, unknowns)
        return one * yes + (1 - one) * no
    low, high = (_normal(side, unknowns) for side in (condition.lhs, condition.rhs))
    if isinstance(condition, sympy.Ge):
        return Where(low - high, yes, no)
    if isinstance(condition, sympy.Le):
        return Where(high - low, yes, no)
    if isinstance(condition, sympy.Gt):
        return Where(high - low, no, yes)
    if isinstance(condition, sympy.Lt):
        return Where(low - high, no, yes)
    equal, unequal = (yes, no) if isinstance(condition, sympy.Eq) else (no, yes)
    return Where(low - high, Where(high - low, equal, unequal), unequal)
