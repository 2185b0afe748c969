"""Initial outputs of a two-layer ReLU network at unit inputs: 1-sub-Gaussian at any width, Gaussian in the limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from sympy import Rational, exp, log, pi, sqrt

from ntkverify import in_law, with_probability
from ntkverify.glossary import m, n
from ntkverify.lemmas.part import Part
from ntkverify.symbolic.constants.derived import derived
from ntkverify.theorem.theorem import Theorem

_g = sympy.Symbol("g", real=True)
#: density on (0, inf) of relu(g), g standard normal
_half_normal = exp(-(_g**2) / 2) / sqrt(2 * pi)
second_moment = sympy.integrate(_g**2 * _half_normal, (_g, 0, sympy.oo))
third_moment = sympy.integrate(_g**3 * _half_normal, (_g, 0, sympy.oo))


class InitialOutputs(Part):
    """Bounds of the initial outputs u_i(0).

    Parameters
    ----------
    theorem : Theorem
        Receives the constant output_bound.
    probability : sympy.Expr
        With which some output may exceed it.
    """

    name = "initial outputs"

    def __init__(self, theorem: Theorem, probability: sympy.Expr) -> None:
        super().__init__(theorem)
        self.probability = probability
        self.bound = theorem.constant(
            "output_bound",
            derived(sqrt(2 * log(2 * n / probability)), "1-sub-Gaussian tail 2 exp(-t^2/2) over n outputs"),
            "|u_i(0)| <= output_bound for all i",
        )

    @property
    def failure(self) -> sympy.Expr:
        """Probability that some output exceeds the bound."""
        return 2 * n * exp(-(self.bound**2) / 2)

    def bounded(self, sentence: str, **where: Any) -> None:
        """At any width every output keeps the bound."""

        @self.lemma(sentence, holds=with_probability(1 - self.probability), bound=self.bound, **where)
        def outputs_bounded(run: Any) -> Any:
            return np.abs(run.initial_outputs).max()

    def law(self, **where: Any) -> None:
        """One output is Gaussian with variance 1/2 up to the Berry-Esseen distance; variance 2 is a control."""
        # Shevtsova's constant (arXiv 1111.6554): sup |F - Phi| <= 0.4748 E|X|^3 / (sd^3 sqrt(m))
        distance = self.theorem.constant(
            "berry_esseen",
            derived(
                Rational(4748, 10000) * third_moment / second_moment ** Rational(3, 2) / sqrt(m),
                "Berry-Esseen for a relu(g)",
            ),
            "Kolmogorov distance of an initial output from its Gaussian limit",
        )

        @self.control(
            "an initial output has variance 2", holds=in_law(normal_law(2.0), within=distance, name="N(0, 2)"), **where
        )
        @self.lemma(
            "an initial output is Gaussian with variance 1/2 up to Berry-Esseen",
            holds=in_law(normal_law(float(second_moment)), within=distance, name="N(0, 1/2)"),
            uses="outputs_bounded",
            **where,
        )
        def outputs_in_law(run: Any) -> Any:
            return run.initial_outputs[:1]


def normal_law(variance: float) -> Callable[[Any], Any]:
    """Distribution function of a centred Gaussian."""
    return lambda x: (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2 * variance))) / 2
