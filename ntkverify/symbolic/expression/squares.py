"""Sums of squares of many weights, as the Laplacian makes them, written as one symbol."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sympy

SQUARES = sympy.Symbol("|w|^2", nonnegative=True)
"""Stands for a sum of squares."""
# fewer squares are written out
MANY = 8


@dataclass(frozen=True)
class InSquares:
    """Expressions that hold many weights in one sum of their squares only.

    Parameters
    ----------
    expressions : tuple of sympy.Expr
        With `SQUARES` in place of the sum.
    members : tuple of sympy.Symbol
        The weights whose squares are summed.
    """

    expressions: tuple[sympy.Expr, ...]
    members: tuple[sympy.Symbol, ...]


def in_squares(
    expressions: Sequence[sympy.Expr], weights: Sequence[sympy.Symbol], *, least: int | None = None
) -> InSquares | None:
    """Expressions with one symbol for the sum of the squares of many of the weights, or None if they hold none.

    The same weights everywhere, at least `least` of them (`MANY` by default), and none of them in another place.
    """
    least = MANY if least is None else least
    present = set().union(*(e.free_symbols for e in expressions)) & set(weights)
    if len(present) < least:
        return None
    found = {frozenset(s) for s in (_most_squares(e, present) for e in expressions) if s}
    if len(found) != 1:
        return None
    (members,) = found
    written = tuple(_with_sum(e, members) for e in expressions)
    if len(members) < least or any(e.free_symbols & members for e in written):
        return None
    return InSquares(written, tuple(w for w in weights if w in members))


def _most_squares(e: sympy.Expr, weights: Collection[sympy.Symbol]) -> set[sympy.Symbol]:
    """The weights of the longest sum of squares with the same factor."""
    best: set[sympy.Symbol] = set()
    for part in (p for p in sympy.preorder_traversal(e) if p.is_Add):
        for alike in _squares(part.args, weights).values():
            best = max(best, set(alike), key=len)
    return best if len(best) > 1 else set()


def _squares(
    terms: Iterable[sympy.Expr], weights: Collection[sympy.Symbol]
) -> dict[sympy.Expr, dict[sympy.Symbol, sympy.Expr]]:
    """Terms c w_i^2 by their factor c: the weight and the term."""
    result: dict[sympy.Expr, dict[sympy.Symbol, sympy.Expr]] = {}
    for term in terms:
        for factor in sympy.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if power == 2 and base in weights:
                result.setdefault(term / factor, {})[base] = term
    return result


def _with_sum(e: sympy.Expr, members: frozenset[sympy.Symbol]) -> sympy.Expr:
    if not e.args or not e.free_symbols & members:
        return e
    if e.is_Add:
        rest, replaced = list(e.args), []
        for factor, alike in _squares(e.args, members).items():
            if alike.keys() == members and not factor.free_symbols & members:
                replaced.append(factor * SQUARES)
                rest = [a for a in rest if a not in alike.values()]
        return sympy.Add(*replaced, *(_with_sum(a, members) for a in rest))
    return e.func(*(_with_sum(a, members) for a in e.args))
