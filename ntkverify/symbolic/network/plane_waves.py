"""Differential operators applied to functions of one linear form: D^orders g(w.x + b) = w^orders g^(|orders|)(w.x + b).

The derivative is taken once per order, whatever the number of coordinates, and terms with the same derivative and the
same coefficient are written as one: the Laplacian is (w_1^2 + ... + w_d^2) g''(z), not a sum of d terms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy

from ntkverify.symbolic.network.differential import Coordinates, Operator


@dataclass(frozen=True)
class LinearForm:
    """The form w.x + b.

    Parameters
    ----------
    symbol : sympy.Symbol
        Stands for it in functions.
    coordinates, weights : tuple of sympy.Symbol
        x and w.
    bias : tuple of sympy.Symbol
        (b,), or none.
    """

    symbol: sympy.Symbol
    coordinates: Coordinates
    weights: tuple[sympy.Symbol, ...]
    bias: tuple[sympy.Symbol, ...] = ()

    def written_out(self, function: sympy.Expr) -> sympy.Expr:
        """A function of the symbol as one of the weights and the coordinates."""
        products = (w * x for w, x in zip(self.weights, self.coordinates, strict=True))
        return function.xreplace({self.symbol: sympy.Add(*products, *self.bias)})

    def combination(self, operator: Operator, functions: Sequence[sympy.Expr]) -> sympy.Expr:
        """The residual of a linear operator, for components that are functions of the symbol."""
        derivatives = self._derivatives(operator, functions)
        terms: dict[tuple[sympy.Expr, int, int], dict[tuple[int, ...], sympy.Expr]] = {}
        for slot, coefficient in zip(operator.slots, operator.coefficients or (), strict=True):
            number, rest = coefficient.as_coeff_Mul()
            terms.setdefault((rest, slot.component, slot.order), {})[slot.orders] = number
        return sympy.Add(
            *(
                number * rest * polynomial * derivatives[component, order]
                for (rest, component, order), numbers in terms.items()
                for number, polynomial in self._polynomials(numbers)
            )
        )

    def _derivatives(self, operator: Operator, functions: Sequence[sympy.Expr]) -> Mapping[tuple[int, int], sympy.Expr]:
        needed = {(s.component, s.order) for s in operator.slots}
        return {(c, n): self.written_out(sympy.diff(functions[c], self.symbol, n)) for c, n in needed}

    def _monomial(self, orders: Sequence[int]) -> sympy.Expr:
        return sympy.Mul(*(w**n for w, n in zip(self.weights, orders, strict=True) if n))

    def _polynomials(self, numbers: Mapping[tuple[int, ...], sympy.Expr]) -> list[tuple[sympy.Expr, sympy.Expr]]:
        """sum of number * w^orders over one degree, as sums with the same number each."""
        power = _isotropic_power(numbers)
        if power is not None:
            number, places, half = power
            return [(number, sympy.Add(*(self.weights[i] ** 2 for i in places)) ** half)]
        alike: dict[sympy.Expr, list[sympy.Expr]] = {}
        for orders, number in numbers.items():
            alike.setdefault(number, []).append(self._monomial(orders))
        return [(number, sympy.Add(*monomials)) for number, monomials in alike.items()]


def _isotropic_power(numbers: Mapping[tuple[int, ...], sympy.Expr]) -> tuple[sympy.Expr, list[int], int] | None:
    """number, places and k, if the polynomial is number * (sum of squares in these places)^k with k > 1."""
    degree = sum(next(iter(numbers)))
    half = degree // 2
    if degree % 2 or half < 2:
        return None
    pure = [orders for orders in numbers if max(orders) == degree]
    places = [orders.index(degree) for orders in pure]
    if len(numbers) != math.comb(len(places) + half - 1, half) or len(places) < 2:
        return None
    number = numbers[pure[0]]
    for orders, coefficient in numbers.items():
        if any(n % 2 or (n and i not in places) for i, n in enumerate(orders)):
            return None
        ways = math.factorial(half) // math.prod(math.factorial(n // 2) for n in orders)
        if coefficient != number * ways:
            return None
    return number, places, half
