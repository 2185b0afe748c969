"""Suprema of an activation's derivatives, exact, and put to a grid: they bound it, and are reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy
from sympy import Rational

from ntkverify import always
from ntkverify.lemmas.part import Part
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import Derived, derived
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.expression.suprema import in_radicals
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

ONE_RUN = "one run"


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

    def reached(self, on: str | None = None) -> None:
        """Each is an upper bound on a grid, and within 1e-6 of it; in a family of one run unless one is named."""
        if on is None:
            self.theorem.instances(ONE_RUN, run=AlgebraRun, quick=1)(lambda: Instance())
        where: dict[str, Any] = {"holds": always, "assumes": (), "on": on or ONE_RUN}
        for order, symbol in self.symbols.items():
            peak = self._peak(order)
            bounds = f"|{self.activation}^({order})| <= s_{order}"
            self.lemma(bounds, of=peak, bound=symbol, attained=True, **where)
            self.lemma(
                f"s_{order} is reached, up to 1e-6",
                of=peak,
                bound=symbol * (1 - Rational(1, 10**6)),
                from_below=True,
                uses=bounds,
                **where,
            )

    def _peak(self, order: int) -> Any:
        derivative = sympy.lambdify(Z, get_activation(self.activation).derivative(order), "numpy")

        def peak(run: Any) -> Any:
            """On a grid of spacing 1e-4 around the origin, off the supremum by at most its square."""
            return np.abs(derivative(np.linspace(-6, 6, 120001))).max()

        return peak
