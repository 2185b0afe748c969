"""Central finite-difference stencils on uniform grids, derived by solving the moment equations exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import exact_number
from ntkverify.symbolic.network.differential import Operator


@dataclass(frozen=True)
class Stencil:
    """sum_k coefficients[k] * u(x + offsets[k] h) / h^derivative = u^(derivative)(x) + O(h^accuracy).

    Parameters
    ----------
    derivative, accuracy : int
        Order of the derivative, order of the error.
    offsets : tuple of int
    coefficients : tuple of sympy.Rational
    """

    derivative: int
    accuracy: int
    offsets: tuple[int, ...]
    coefficients: tuple[sympy.Rational, ...]

    @property
    def error_constant(self) -> sympy.Rational:
        """c in the leading error c h^accuracy u^(derivative + accuracy)."""
        power = self.derivative + self.accuracy
        pairs = zip(self.coefficients, self.offsets, strict=True)
        return sum((c * sympy.Integer(k) ** power for c, k in pairs), sympy.S.Zero) / sympy.factorial(power)

    @property
    def absolute_sum(self) -> sympy.Rational:
        """Sum of the coefficients' moduli, the amplification of rounding errors (times h^-derivative)."""
        return sum((abs(c) for c in self.coefficients), sympy.S.Zero)

    def apply(self, expression: sympy.Expr, variable: sympy.Symbol, spacing: sympy.Expr) -> sympy.Expr:
        """The stencil applied to an expression in one variable."""
        terms = (
            c * expression.subs(variable, variable + k * spacing)
            for c, k in zip(self.coefficients, self.offsets, strict=True)
        )
        return sum(terms, sympy.S.Zero) / spacing**self.derivative

    def matrix(self, size: int, spacing: float) -> Array:
        """Differentiation matrix (size, size + 2 s) from a grid extended by s = max offset on both sides."""
        reach = max(self.offsets)
        result = np.zeros((size, size + 2 * reach))
        for c, k in zip(self.coefficients, self.offsets, strict=True):
            result[np.arange(size), np.arange(size) + reach + k] = float(c)
        return result / spacing**self.derivative


@lru_cache(maxsize=64)
def central_stencil(derivative: int, accuracy: int = 2) -> Stencil:
    """The shortest central stencil for a derivative up to the fourth, of order 2 or 4.

    It is found by solving sum_k c_k k^j = derivative! * [j == derivative] for all powers j below its length.

    Raises
    ------
    NtkVerifyError
        For another derivative or another order.
    """
    if derivative not in range(5) or accuracy not in (2, 4):
        raise NtkVerifyError(
            f"stencils exist for derivatives 0 to 4 with accuracy 2 or 4, not for derivative {derivative} "
            f"with accuracy {accuracy}."
        )
    if derivative == 0:
        return Stencil(0, accuracy, (0,), (sympy.S.One,))
    reach = (derivative + 1) // 2 + accuracy // 2 - 1
    offsets = tuple(range(-reach, reach + 1))
    powers = range(len(offsets))
    moments = sympy.Matrix([[sympy.Integer(k) ** j for k in offsets] for j in powers])
    wanted = sympy.Matrix([sympy.factorial(derivative) if j == derivative else 0 for j in powers])
    solved = moments.LUsolve(wanted)
    kept = [(k, c) for k, c in zip(offsets, solved, strict=True) if c != 0]
    return Stencil(derivative, accuracy, tuple(k for k, _ in kept), tuple(c for _, c in kept))


def finite_difference(
    expression: sympy.Expr,
    orders: Mapping[sympy.Symbol, int],
    spacings: Mapping[sympy.Symbol, sympy.Expr],
    *,
    accuracy: int = 2,
) -> sympy.Expr:
    """A mixed derivative by the product of one-dimensional stencils."""
    for variable, order in orders.items():
        if order:
            expression = central_stencil(order, accuracy).apply(expression, variable, spacings[variable])
    return expression


def check_spacings(
    operator: Operator, spacings: Mapping[sympy.Symbol, sympy.Expr | int | str]
) -> dict[sympy.Symbol, sympy.Expr]:
    """Spacings of all coordinates that the operator differentiates in, as exact positive expressions."""
    exact = {v: exact_number(h) for v, h in spacings.items()}
    for variable, position in zip(operator.coordinates, range(operator.dimension), strict=True):
        if any(s.orders[position] for s in operator.slots) and variable not in exact:
            raise NtkVerifyError(
                f"the operator differentiates in {variable}, but spacings are given for {sorted(map(str, exact))} only."
            )
    for variable, h in exact.items():
        if h.is_number and not (h.is_positive and h.is_finite):
            raise NtkVerifyError(f"the grid spacing in {variable} must be positive and finite, not {h}.")
    return exact


def difference_features(
    operator: Operator,
    functions: Sequence[sympy.Expr],
    spacings: Mapping[sympy.Symbol, sympy.Expr | int | str],
    *,
    accuracy: int = 2,
) -> tuple[sympy.Expr, ...]:
    """The operator's slots with every derivative replaced by its stencil.

    Raises
    ------
    NtkVerifyError
        If a spacing is missing or not positive, or no stencil exists.
    """
    exact = check_spacings(operator, spacings)
    return tuple(
        finite_difference(
            functions[s.component], dict(zip(operator.coordinates, s.orders, strict=True)), exact, accuracy=accuracy
        )
        for s in operator.slots
    )


def apply_difference(
    operator: Operator,
    *functions: sympy.Expr,
    spacings: Mapping[sympy.Symbol, sympy.Expr | int | str],
    accuracy: int = 2,
) -> sympy.Expr:
    """The finite-difference residual of explicit functions of the coordinates."""
    values = difference_features(operator, functions, spacings, accuracy=accuracy)
    return operator.residual.subs(dict(zip(operator.symbols, values, strict=True)), simultaneous=True)
