"""Derived expressions that keep the steps that led to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sympy
from sympy.core.relational import Relational

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.cache import cached


@dataclass(frozen=True)
class Derived:
    """A derived expression together with the steps that led to it.

    Parameters
    ----------
    expression : sympy.Expr
        The result.
    steps : tuple of (str, sympy.Basic)
        One line per step: what was done, and the formula it left.
    """

    expression: sympy.Expr
    steps: tuple[tuple[str, sympy.Basic], ...]

    def text(self) -> str:
        """The derivation, one step a line."""
        return "\n".join(f"{what}: {formula}" for what, formula in self.steps)

    def latex(self, *, printer: Callable[[sympy.Basic], str] = sympy.latex) -> str:
        """The derivation as the body of a LaTeX ``align*`` environment."""
        return " \\\\\n".join(
            rf"& \text{{{plain_latex(what)}:}} \quad {printer(formula)}" for what, formula in self.steps
        )


def plain_latex(text: str) -> str:
    """`text` with the characters escaped that LaTeX gives a meaning in text mode."""
    special = {c: "\\" + c for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}"}
    special |= {"|": r"\textbar{}", '"': r"\textquotedbl{}"}
    return "".join(special.get(c, c) for c in text)


def derived(expression: sympy.Expr, reason: str, *earlier: Derived) -> Derived:
    """`expression` with `reason` as its last step, after the steps of what it was built from."""
    steps = tuple(step for part in earlier for step in part.steps)
    return Derived(expression, (*steps, (reason, expression)))


@lru_cache(maxsize=256)  # families of instances ask for their width at every draw
def solve_for(symbol: sympy.Symbol, inequality: Relational) -> Derived:
    """Solve ``left <= right`` for `symbol` at equality.

    Parameters
    ----------
    symbol : sympy.Symbol
        What to solve for; its assumptions (positive) select the branch.
    inequality : sympy.Rel
        An inequality that is monotone in `symbol`.

    Returns
    -------
    Derived
        The extreme value of `symbol`, with the inequality as first step.

    Raises
    ------
    NtkVerifyError
        If the equality has no solution, or more than one, in closed form.
    """
    solution = isolate(symbol, inequality.lhs, inequality.rhs)
    if solution is None:
        raise NtkVerifyError(f"{inequality} has no unique closed-form solution for {symbol}; state a simpler bound.")
    return Derived(solution, (("requirement", inequality), (f"solved for {symbol}", sympy.Eq(symbol, solution))))


def isolate(symbol: sympy.Symbol, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr | None:
    """The one positive solution of ``left = right``, or None where sympy finds none or several."""
    # solving takes sympy as long as drawing hundreds of small networks
    return cached("solution", sympy.srepr((symbol, left, right)), lambda: _isolated(symbol, left, right))


def _isolated(symbol: sympy.Symbol, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr | None:
    try:
        found = sympy.solve(left - right, symbol)
    except NotImplementedError:  # sympy's word for "no algorithm"; the caller falls back to root finding
        return None
    # Lambert's W has two real branches and sympy returns one: such an equation is left to root finding
    positive = [s for s in found if s.is_positive is not False and not s.has(sympy.I)]
    if len(positive) != 1 or positive[0].has(sympy.LambertW):
        return None
    # sympy leaves log(b**e), which overflows when evaluated; b > 0 here, so the exponent may come out
    return sympy.simplify(positive[0]).replace(
        lambda e: isinstance(e, sympy.log) and e.args[0].is_Pow,
        lambda e: e.args[0].exp * sympy.log(e.args[0].base),
    )
