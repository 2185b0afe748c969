"""What is to be decided: an inequality between expressions at every point of a box that meets side conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy
from sympy.core.relational import Relational

from ntkverify.errors import NtkVerifyError

Point = Mapping[sympy.Symbol, sympy.Expr]


@dataclass(frozen=True)
class Question:
    """``gap >= 0``, or ``gap > 0`` where strict, for all points of a box that meet the side conditions.

    Parameters
    ----------
    left, right : sympy.Expr
        The smaller and the larger side.
    strict : bool
        Whether equality refutes.
    box : tuple of (sympy.Symbol, sympy.Interval)
        The range of every symbol; ends are exact numbers, or infinite.
    given : tuple of sympy relations
        Side conditions; points that miss one are none of the question's.
    """

    left: sympy.Expr
    right: sympy.Expr
    strict: bool
    box: tuple[tuple[sympy.Symbol, sympy.Interval], ...]
    given: tuple[Relational, ...] = ()

    @property
    def gap(self) -> sympy.Expr:
        """right - left."""
        return self.right - self.left

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the box, in its order."""
        return tuple(symbol for symbol, _ in self.box)

    @property
    def text(self) -> str:
        """The question in a line."""
        sign = "<" if self.strict else "<="
        ranges = ", ".join(f"{symbol} in {spelled(interval)}" for symbol, interval in self.box)
        conditions = " and ".join(map(str, self.given))
        for_all = f" for all {ranges}" if ranges else ""
        return f"{self.left} {sign} {self.right}{for_all}{f' where {conditions}' if conditions else ''}"


def spelled(interval: sympy.Interval) -> str:
    """An interval with its brackets: (0, 1/3]."""
    left, right = "(" if interval.left_open else "[", ")" if interval.right_open else "]"
    return f"{left}{interval.start}, {interval.end}{right}"


def question(
    inequality: sympy.Basic, box: Mapping[sympy.Symbol, sympy.Interval], given: Iterable[sympy.Basic] | sympy.Basic = ()
) -> Question:
    """An inequality, its box and side conditions, put into one form.

    Raises
    ------
    NtkVerifyError
        If a symbol has no range, a range is no interval of exact numbers or contradicts what its symbol is declared to
        be, or an inequality is none.
    """
    if not isinstance(inequality, sympy.Le | sympy.Lt | sympy.Ge | sympy.Gt):
        raise NtkVerifyError(
            f"prove needs an inequality, such as sympy.Le(left, right, evaluate=False), not {inequality}."
        )
    conditions = tuple(_conditions(given))
    for symbol, interval in box.items():
        _refuse_range(symbol, interval)
    names = [str(symbol) for symbol in box]
    if twice := {name for name in names if names.count(name) > 1}:
        raise NtkVerifyError(f"two symbols of the ranges are called {min(twice)}; rename one.")
    known = set(box)
    for expression in (inequality, *conditions):
        if missing := sorted(map(str, expression.free_symbols - known)):
            raise NtkVerifyError(f"{expression} has the symbol {missing[0]}, for which over= names no range.")
        if expression.has(sympy.Float):
            raise NtkVerifyError(f"{expression} contains a rounded number; write it with sympy.Rational.")
    left, right = inequality.lts, inequality.gts
    return Question(left, right, isinstance(inequality, sympy.Lt | sympy.Gt), tuple(box.items()), conditions)


def _conditions(given: Iterable[sympy.Basic] | sympy.Basic) -> Iterable[Relational]:
    for condition in (given,) if isinstance(given, sympy.Basic | bool) else given:
        if isinstance(condition, sympy.And):
            yield from _conditions(condition.args)
        elif isinstance(condition, Relational) and not isinstance(condition, sympy.Ne):
            yield condition
        elif condition is not sympy.true and condition is not True:
            raise NtkVerifyError(
                f"a side condition must be an equation or inequality between numbers, not {condition}."
            )


def _refuse_range(symbol: sympy.Symbol, interval: object) -> None:
    if not isinstance(interval, sympy.Interval) or interval.free_symbols:
        raise NtkVerifyError(f"the range of {symbol} must be a sympy.Interval of numbers, not {interval}.")
    if interval.has(sympy.Float):
        raise NtkVerifyError(f"the range {interval} of {symbol} contains a rounded number; write sympy.Rational.")
    start, end = interval.start, interval.end
    declared = {
        "positive": symbol.is_positive and (start < 0 or (start == 0 and not interval.left_open)),
        "nonnegative": symbol.is_nonnegative and start < 0,
        "negative": symbol.is_negative and (end > 0 or (end == 0 and not interval.right_open)),
        "nonpositive": symbol.is_nonpositive and end > 0,
    }
    # what sympy simplified may be false beyond what a symbol was declared to be
    for word, contradicts in declared.items():
        if contradicts:
            raise NtkVerifyError(f"{symbol} is declared {word}, but its range is {spelled(interval)}.")
