"""Where a bound's symbols meet numbers: compiled expressions, their symbols answered by a run."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import sympy

from ntkverify.theorem.theorem import Theorem


@functools.lru_cache(maxsize=4096)
def _compiled(expression: sympy.Expr) -> tuple[tuple[str, ...], Any]:
    symbols = sorted(expression.free_symbols, key=str)
    return tuple(map(str, symbols)), sympy.lambdify(symbols, expression, "numpy", cse=True)


def evaluate(theorem: Theorem, expression: sympy.Expr, run: Any) -> Any:
    """`expression` in float64 with the theorem's constants expanded and its symbols answered by `run`."""
    names, function = _compiled(theorem.expand(expression))
    with np.errstate(all="ignore"):
        # NumPy numbers rather than Python's: 1/0 is inf, to be refused by name, and not an exception
        return function(*(np.asarray(getattr(run, name), np.float64)[()] for name in names))
