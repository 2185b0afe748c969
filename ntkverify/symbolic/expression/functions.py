"""sympy functions that sympy lacks, with derivatives that stay inside the family."""

from __future__ import annotations

from typing import Any

import sympy

Z = sympy.Symbol("z", real=True)
"""The argument of an activation."""


def exact_number(value: Any) -> sympy.Expr:
    """`value` without floats: each counts as the decimal fraction that it prints as, the shortest that rounds to it.

    Examples
    --------
    >>> exact_number(0.1), exact_number("1/3"), exact_number(0.5000000000000001) == sympy.Rational(1, 2)
    (1/10, 1/3, False)
    """
    expression = sympy.sympify(value)
    floats = (f for f in expression.atoms(sympy.Float) if f.is_finite)
    return expression.xreplace({f: sympy.Rational(repr(float(f)) if f._prec <= 53 else str(f)) for f in floats})


def _has_no_sign(e: sympy.Expr) -> bool:
    return e.is_extended_nonnegative is None and e.is_extended_nonpositive is None


class PositivePower(sympy.Function):  # type: ignore[misc]
    """``PositivePower(z, k)`` is z_+^k: z**k where z >= 0, else 0; k = 0 is the step 1{z >= 0}.

    The derivative of the step is 0 almost everywhere; whether a network may be
    differentiated that often is for the operator to refuse, not for this class.
    """

    nargs = 2

    @classmethod
    def eval(cls, z: sympy.Expr, k: sympy.Expr) -> sympy.Expr | None:
        if not (k.is_Integer and k >= 0):
            raise ValueError(f"PositivePower needs an integer power k >= 0, not {k}")
        if z.is_Add and len(z.free_symbols) > 1 and any(map(_has_no_sign, z.args)):
            return None  # sympy would look long at a form of many weights, and find no sign
        if z.is_nonnegative:
            return z**k
        if z.is_negative:
            return sympy.S.Zero
        return None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        if argindex != 1:
            raise sympy.ArgumentIndexError(self, argindex)
        z, k = self.args
        return sympy.S.Zero if k == 0 else k * PositivePower(z, k - 1)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        z, k = self.args
        base = rf"\left({printer._print(z)}\right)_+^{{{k}}}" if k != 0 else rf"1_{{\{{{printer._print(z)} \ge 0\}}}}"
        return base if exp is None else rf"\left({base}\right)^{{{exp}}}"


class Softplus(sympy.Function):  # type: ignore[misc]
    """log(1 + exp(z)), kept whole so that executors can evaluate it without overflow."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        (z,) = self.args
        return (1 + sympy.tanh(z / 2)) / 2
