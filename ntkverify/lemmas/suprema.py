"""Suprema of an activation's derivatives, exact: they bound it everywhere, and are reached."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy import Rational

from ntkverify import always
from ntkverify.lemmas.part import Part
from ntkverify.symbolic.constants.derived import Derived, derived
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.expression.suprema import in_radicals
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.theorem.theorem import Theorem


def supremum(activation: str, order: int) -> Derived:
    """sup |sigma^(order)| in radicals."""
    return derived(in_radicals(get_activation(activation).supremum(order).value), "critical points")


class Suprema(Part):
    """Constants s_k = sup |sigma^(k)| for the orders k that a theorem needs, by order: ``suprema[2]``.

    Parameters
    ----------
    theorem : Theorem
        Receives the constants.
    activation : str
        Name of the activation.
    orders : sequence of int
        Orders of the derivatives.
    """

    name = "suprema"

    def __init__(self, theorem: Theorem, activation: str, orders: Sequence[int]) -> None:
        super().__init__(theorem)
        self.activation = activation
        self.symbols = {
            order: theorem.constant(f"s_{order}", supremum(activation, order), f"sup |{activation}^({order})|")
            for order in orders
        }

    def __getitem__(self, order: int) -> sympy.Symbol:
        return self.symbols[order]

    def at(self, *orders: int) -> tuple[sympy.Symbol, ...]:
        """Several of them."""
        return tuple(self.symbols[order] for order in orders)

    def reached(self) -> None:
        """Each is an upper bound, for every z or every t = tanh(z), and within 1e-6 of the value at some point."""
        for order, symbol in self.symbols.items():
            modulus, variable, interval, point = self._modulus(order)
            bounds = f"|{self.activation}^({order})| <= s_{order}"
            self.lemma(bounds, of=modulus, holds=always, bound=symbol, over={variable: interval})
            self.lemma(
                f"s_{order} is reached, up to 1e-6",
                of=modulus.subs(variable, point),
                holds=always,
                bound=symbol * (1 - Rational(1, 10**6)),
                from_below=True,
                over={},
                uses=bounds,
            )

    def _modulus(self, order: int) -> tuple[sympy.Expr, sympy.Symbol, sympy.Interval, sympy.Expr]:
        """|sigma^(order)| in one variable, the variable with its range, and where the supremum is reached."""
        activation, t = get_activation(self.activation), sympy.Symbol("t", real=True)
        derivative, point = activation.derivative(order), activation.supremum(order).point
        polynomial = sympy.expand(derivative.xreplace({sympy.tanh(Z): t}))
        if polynomial.has(Z):
            return sympy.Abs(derivative), Z, sympy.Interval(-sympy.oo, sympy.oo), point
        return sympy.Abs(polynomial), t, sympy.Interval(-1, 1), in_radicals(sympy.tanh(point))
