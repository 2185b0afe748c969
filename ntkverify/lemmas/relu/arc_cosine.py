"""The limit Gram matrix of ReLU regression, the arc-cosine kernel of order 0 times x . x'."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import pi

from ntkverify import identity
from ntkverify.glossary import n
from ntkverify.lemmas.part import Part
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.theorem.theorem import Theorem


class ArcCosine(Part):
    """The kernel from the Gaussian expectation of the neuron's gradients, and the trace for unit inputs."""

    name = "limit Gram matrix"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)

        @self.lemma(
            "H^inf(x, x') = x.x' (pi - theta) / (2 pi), from the Gaussian expectation of the neuron's gradients",
            holds=identity,
        )
        def limit_gram_formula() -> Any:
            kernel, inner, angle = _kernel()
            return kernel, inner * (pi - angle) / (2 * pi)

        @self.lemma("tr H^inf = n/2 for unit inputs", holds=identity, uses="limit_gram_formula")
        def limit_trace() -> Any:
            kernel, inner, angle = _kernel()
            return n * kernel.subs({inner: 1, angle: 0}), n / 2


def _kernel() -> tuple[sympy.Expr, sympy.Symbol, sympy.Symbol]:
    """The kernel, and the symbols of x . x' and of the angle in it."""
    kernel = limit_gram(regression_neuron("relu", dimension=3)).kernel
    named = {s.name: s for s in kernel.free_symbols}
    return kernel, named["q"], named["theta"]
