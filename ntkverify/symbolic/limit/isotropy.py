"""Finding out that a neuron depends on many of its weights through one form and the sum of their squares only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from ntkverify.symbolic.expectation.terms import SQUARES

# fewer weights are multiplied out: their moments have no differences that cancel
_MANY = 8
# weights in the form besides those whose squares are summed, such as a bias and that of time
_MOST_OTHERS = 4


@dataclass(frozen=True)
class Isotropy:
    """Features in which sums of squares are written by one symbol.

    Parameters
    ----------
    features : tuple of sympy.Expr
        With `SQUARES`, the sum of the squares of all weights in the form, and the squares of the others.
    members, others : tuple of int
        The weights that enter through the form and the sum of squares only, and those of the form that do not.
    """

    features: tuple[sympy.Expr, ...]
    members: tuple[int, ...]
    others: tuple[int, ...]


def isotropy(
    features: Sequence[sympy.Expr], weights: Sequence[sympy.Symbol], inside: Collection[int]
) -> Isotropy | None:
    """How features that hold sums of squares of many weights depend on them, or None if they hold none.

    Parameters
    ----------
    features : sequence of sympy.Expr
        With a symbol in place of the form.
    weights : sequence of sympy.Symbol
    inside : collection of int
        The weights of the form.
    """
    places = {weights[i]: i for i in inside}
    if sum(s in places for s in set().union(*(f.free_symbols for f in features))) < _MANY:
        return None
    found: set[frozenset[sympy.Symbol]] = set()
    sums = {f: _longest_sum_of_squares(f, places) for f in features}
    found = {frozenset(s) for s in sums.values() if s}
    if len(found) != 1:
        return None
    (members,) = found
    others = [w for w in places if w not in members]
    if len(members) < _MANY or len(others) > _MOST_OTHERS:
        return None
    whole = SQUARES - sympy.Add(*(w**2 for w in others))
    written = tuple(_with_sum(f, members, whole) for f in features)
    if any(f.free_symbols & members for f in written):
        return None
    return Isotropy(written, tuple(sorted(places[w] for w in members)), tuple(sorted(places[w] for w in others)))


def _longest_sum_of_squares(e: sympy.Expr, places: Mapping[sympy.Symbol, int]) -> set[sympy.Symbol]:
    best: set[sympy.Symbol] = set()
    for part in (p for p in sympy.preorder_traversal(e) if p.is_Add):
        for alike in _squares(part.args, places).values():
            best = max(best, alike.keys(), key=len)
    return set(best)


def _squares(
    terms: Iterable[sympy.Expr], places: Collection[sympy.Symbol]
) -> dict[sympy.Expr, dict[sympy.Symbol, sympy.Expr]]:
    """Terms c w_i^2 by their factor c: the weight and the term."""
    result: dict[sympy.Expr, dict[sympy.Symbol, sympy.Expr]] = {}
    for term in terms:
        for factor in sympy.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if power == 2 and base in places:
                result.setdefault(term / factor, {})[base] = term
    return result


def _with_sum(e: sympy.Expr, members: frozenset[sympy.Symbol], whole: sympy.Expr) -> sympy.Expr:
    if not e.args or not e.free_symbols & members:
        return e
    if e.is_Add:
        rest, replaced = list(e.args), []
        for factor, alike in _squares(e.args, members).items():
            if alike.keys() == members and not factor.free_symbols & members:
                replaced.append(factor * whole)
                rest = [a for a in rest if a not in alike.values()]
        return sympy.Add(*replaced, *(_with_sum(a, members, whole) for a in rest))
    return e.func(*(_with_sum(a, members, whole) for a in e.args))
