"""Sums that are linear in some symbols, found in one pass: a sum of many terms is never differentiated term by term."""

from __future__ import annotations

from collections.abc import Collection

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
