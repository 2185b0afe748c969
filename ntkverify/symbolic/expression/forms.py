"""The linear forms through which weights meet a sample, each written as one symbol: z = w . x + b.

Many inputs are cheap where a form stays one thing: a derivative in a weight is the derivative in z times what
multiplies the weight, and no sum of hundreds of terms is differentiated, sorted or multiplied out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sympy

Linear = tuple[dict[sympy.Symbol, sympy.Expr], sympy.Expr]


def linear_parts(e: sympy.Expr, symbols: Collection[sympy.Symbol]) -> Linear | None:
    """The coefficient of each symbol and what is without symbols, or None if the expression is not written linearly.

    Sums and products are multiplied out as far as that needs; powers and functions of the symbols are not looked into.

    Examples
    --------
    >>> x, y = sympy.symbols("x y")
    >>> linear_parts(3 * (x + 1), {x}), linear_parts(x * y, {x}), linear_parts(x * y, {x, y})
    (({x: 3}, 3), ({x: y}, 0), None)
    """
    if e in symbols:
        return {e: sympy.S.One}, sympy.S.Zero
    if not e.free_symbols & set(symbols):
        return {}, e
    if e.is_Mul:
        others, linear = [], None
        for factor in e.args:
            if not factor.free_symbols & set(symbols):
                others.append(factor)
            elif linear is None:
                linear = linear_parts(factor, symbols)
                if linear is None:
                    return None
            else:
                return None
        rest, (coefficients, offset) = sympy.Mul(*others), linear or ({}, sympy.S.Zero)
        return {s: rest * c for s, c in coefficients.items()}, rest * offset
    if not e.is_Add:
        return None
    collected: dict[sympy.Symbol, list[sympy.Expr]] = {}
    offsets = []
    for term in e.args:
        part = linear_parts(term, symbols)
        if part is None:
            return None
        offsets.append(part[1])
        for s, c in part[0].items():
            collected.setdefault(s, []).append(c)
    return {s: sympy.Add(*cs) for s, cs in collected.items()}, sympy.Add(*offsets)


def ratio_of(one: dict[sympy.Symbol, sympy.Expr], other: dict[sympy.Symbol, sympy.Expr]) -> sympy.Expr | None:
    """The number by which the coefficients `other` must be multiplied to give `one`, or None if there is none."""
    if one.keys() != other.keys() or not one:
        return None
    first = next(iter(one))
    ratio = sympy.cancel(one[first] / other[first])
    if not ratio.is_number or ratio == 0:
        return None
    same = all(c == ratio * other[s] or sympy.expand(c - ratio * other[s]) == 0 for s, c in one.items())
    return ratio if same else None


@dataclass(frozen=True)
class InForms:
    """Expressions with a symbol for each linear form.

    Parameters
    ----------
    expressions : tuple of sympy.Expr
    forms : dict of sympy.Expr to sympy.Symbol
        What each symbol stands for, in the weights and the coordinates.
    coefficients : dict of sympy.Symbol to dict of sympy.Symbol to sympy.Expr
        Per form's symbol: what multiplies each weight.
    """

    expressions: tuple[sympy.Expr, ...]
    forms: dict[sympy.Expr, sympy.Symbol]
    coefficients: dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]]

    def gradient(self, k: int, weights: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...]:
        """The derivatives of an expression in the weights, with the forms written out again."""
        e, back = self.expressions[k], {s: form for form, s in self.forms.items()}
        slopes = {s: sympy.diff(e, s).xreplace(back) for s in back if s in e.free_symbols}
        own = e.free_symbols
        parts = []
        for w in weights:
            through = [slope * self.coefficients[s].get(w, sympy.S.Zero) for s, slope in slopes.items()]
            direct = [sympy.diff(e, w).xreplace(back)] if w in own else []
            parts.append(sympy.Add(*through, *direct))
        return tuple(parts)


def in_forms(
    expressions: Sequence[sympy.Expr],
    weights: Collection[sympy.Symbol],
    coordinates: Collection[sympy.Symbol],
    *,
    first: int = 0,
) -> InForms:
    """Expressions with symbols ``z_first, ..`` for the linear forms of the weights that meet coordinates.

    A form stands inside a function or a power, or is a factor by itself. Multiples of a form that is there already,
    also as part of a longer sum, are written by its symbol.
    """
    finder = _Finder(frozenset(weights), frozenset(coordinates), first)
    for e in expressions:
        finder.find(e, False)
    results = tuple(finder.rewritten(e) for e in expressions)
    return InForms(results, finder.forms, {s: coefficients for s, (coefficients, _) in finder.parts.items()})


class _Finder:
    """Finds the linear forms of expressions, and writes these in their symbols; see `in_forms`."""

    def __init__(self, of_weights: frozenset[sympy.Symbol], of_samples: frozenset[sympy.Symbol], first: int) -> None:
        self.of_weights, self.of_samples, self.first = of_weights, of_samples, first
        self.forms: dict[sympy.Expr, sympy.Symbol] = {}
        self.parts: dict[sympy.Symbol, Linear] = {}
        self._written: dict[sympy.Expr, sympy.Expr] = {}

    def _mixed(self, e: sympy.Basic) -> bool:
        free = e.free_symbols
        return not free.isdisjoint(self.of_weights) and not free.isdisjoint(self.of_samples)

    def _linear(self, e: sympy.Basic) -> Linear | None:
        return linear_parts(e, self.of_weights)

    def _known(self, part: Linear) -> sympy.Expr | None:
        """A linear part as a multiple of a form that is there, plus what stands without weights."""
        for symbol, (coefficients, offset) in self.parts.items():
            ratio = ratio_of(part[0], coefficients)
            if ratio is not None:
                return ratio * symbol + sympy.expand(part[1] - ratio * offset)
        return None

    def _register(self, e: sympy.Expr, part: Linear) -> sympy.Expr:
        found = self._known(part)
        if found is None:
            found = self.forms[e] = sympy.Symbol(f"z_{self.first + len(self.forms)}", real=True)
            self.parts[found] = part
        return found

    def find(self, e: sympy.Basic, inside: bool) -> None:
        """The forms inside functions and powers, in the order in which they stand there."""
        if not self._mixed(e):
            return
        if inside and e.args:
            part = self._linear(e)
            if part is not None:
                self._written.setdefault(e, self._register(e, part))
                return
        inside = inside or isinstance(e, sympy.Function | sympy.Pow)
        linear = [a for a in e.args if self._linear(a) is not None] if inside and e.is_Add else []
        for a in e.args:
            if a not in linear:
                self.find(a, inside)
        together = sympy.Add(*linear)
        if self._mixed(together):  # w . x + (w . x)^3 holds the terms of w . x one by one
            self._register(together, self._linear(together) or ({}, together))

    def rewritten(self, e: sympy.Expr) -> sympy.Expr:
        """An expression in the symbols of the forms."""
        if e in self._written:
            return self._written[e]
        if not e.args or not self._mixed(e):
            return e
        if e.is_Add and (found := self._sum_rewritten(e)) is not None:
            return found
        return e.func(*(self.rewritten(a) if isinstance(a, sympy.Expr) else a for a in e.args))

    def _sum_rewritten(self, e: sympy.Expr) -> sympy.Expr | None:
        """A sum some of whose terms make a form; None if there is none."""
        linear = [a for a in e.args if self._mixed(a) and self._linear(a) is not None]
        part = self._linear(sympy.Add(*linear)) if len(linear) > 1 or self.parts else None
        if not part or not part[0]:
            return None
        if len(linear) > 1 and all(a in linear or self._linear(a) is not None for a in e.args):
            return self._register(e, self._linear(e) or part)
        # a weight without a coordinate, such as a bias, may belong to the form as well
        bare = [a for a in e.args if a not in linear and self._linear(a) is not None]
        for chosen in ([*linear, *bare], linear) if bare else (linear,):
            found = self._known(self._linear(sympy.Add(*chosen)) or part)
            if found is not None:
                return sympy.Add(found, *(self.rewritten(a) for a in e.args if a not in chosen))
        return None
