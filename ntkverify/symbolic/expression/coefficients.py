"""Coefficients at samples: what of a block depends on the sample alone, and whether it is finite there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.choices import ARRAY_FUNCTIONS


@lru_cache(maxsize=256)
def coefficients(expressions: tuple[sympy.Expr, ...], coordinates: tuple[sympy.Symbol, ...]) -> tuple[sympy.Expr, ...]:
    """The largest parts of expressions that hold coordinates only and are no polynomial in them."""
    places, found = set(coordinates), dict[sympy.Expr, None]()

    def visit(e: sympy.Basic) -> None:
        if not e.free_symbols & places:
            return
        if e.free_symbols <= places:
            if not e.is_polynomial(*e.free_symbols):
                found[e] = None
            return
        if e.is_Add or e.is_Mul:
            own = [a for a in e.args if a.free_symbols and a.free_symbols <= places]
            if own:
                visit(e.func(*own))
            for a in e.args:
                if a not in own:
                    visit(a)
            return
        for a in e.args:
            visit(a)

    for e in expressions:
        visit(sympy.sympify(e))
    return tuple(found)


def check_coefficients(
    block: str, expressions: tuple[sympy.Expr, ...], coordinates: tuple[sympy.Symbol, ...], points: Any
) -> None:
    """Refuse samples at which a coefficient is not a finite real number.

    Parameters
    ----------
    block : str
        The name of the family of samples.
    expressions : tuple of sympy.Expr
        Its features and residual.
    coordinates : tuple of sympy.Symbol
    points : array (n, len(coordinates))
        Whatever float() takes.

    Raises
    ------
    NtkVerifyError
        Naming the block, the sample and the coefficient.
    """
    wanted = coefficients(expressions, coordinates)
    if not wanted:
        return
    columns = np.array([[float(v) for v in row] for row in points], dtype=np.float64).T
    with np.errstate(all="ignore"):
        for e in wanted:
            function = sympy.lambdify(coordinates, e, [ARRAY_FUNCTIONS, "scipy", "numpy"])
            values = np.broadcast_to(np.asarray(function(*columns), dtype=np.float64), columns.shape[1:])
            if not np.all(np.isfinite(values)):
                row = int(np.argmin(np.isfinite(values)))
                at = ", ".join(f"{s} = {float(v):g}" for s, v in zip(coordinates, columns[:, row], strict=True))
                raise NtkVerifyError(
                    f"the coefficient {e} of block {block!r} is {values[row]} at sample {row} ({at}); move the "
                    "sample, or write the term's value there with Piecewise."
                )
