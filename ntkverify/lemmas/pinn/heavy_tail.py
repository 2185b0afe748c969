"""A mean of squared ReLU^3 gradients has no one-term deviation bound: one neuron spoils it.

One boundary sample with (y, 1) = e_bias: ||chi||^2 = 9 g_+^4 with g standard normal. With probability at least
1/2 P(||chi(w_1)||^2 >= 2 t m + mean) the first neuron alone lifts the mean over neurons by t, for the others stay above
their mean minus t with probability at least 1/2 (Chebyshev, m >= 2 variance / t^2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
import sympy
from hypothesis import strategies as st
from sympy import Float, log, pi, sqrt

from ntkverify import always, identity
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.pinn.moments import fourth_moment, second_moment
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

deviation_, rate_, neurons = sympy.symbols("deviation rate neurons", positive=True)
ONE_TERM = rate_ * neurons * deviation_**2 - log(2)  #: minus the logarithm of 2 exp(-c m t^2)
RATES = "rates of a one-term bound"


class HeavyTail(Part):
    """The probability of one bad neuron against any one-term bound 2 exp(-c m t^2), which is a control.

    Parameters
    ----------
    theorem : Theorem
        Receives the width from which on one neuron is the likelier.
    """

    name = "heavy tail"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        origin = {sympy.Symbol("x_0", real=True): 0}
        self.mean = second_moment(1, "boundary").subs(origin)
        self.variance = fourth_moment(1, "boundary").subs(origin) - self.mean**2
        s = sympy.Symbol("s", positive=True)  # the square root of the width
        # minus the logarithm of 1/2 P(g >= x), x^2 = sqrt(2 t m + mean)/3 >= 1, is at most x^2 + log(4 sqrt(2 pi)) by
        # Mills' ratio x/(1 + x^2) and log x <= x^2/2; and x^2 <= (sqrt(2 t m) + sqrt(mean))/3
        tail = (sqrt(2 * deviation_) * s + sqrt(self.mean)) / 3 + log(4 * sqrt(2 * pi))
        root = max(
            sympy.solve(ONE_TERM.subs(neurons, s**2) - tail, s),
            key=lambda root: root.subs({deviation_: 1, rate_: 1}),
        )
        least = sympy.Max(root**2, 2 * self.variance / deviation_**2)
        self.width = theorem.constant(
            "spoiled_width",
            derived(least, "Mills' ratio and Chebyshev's inequality"),
            "one neuron is likelier to spoil the Gram matrix by t than 2 exp(-c m t^2) from this width on",
        )
        theorem.instances(RATES, run=AlgebraRun, quick=40)(self._rates)

    def _rates(self, draw: Any) -> Instance:
        """A deviation t and a rate c of a one-term bound, at the derived width or beyond."""
        deviation = float(generator(draw).uniform(0.1, 3))
        rate = 2.0 ** -draw(st.integers(0, 20)) / (2 * float(self.variance))
        least = float(self.theorem.value(self.width, {deviation_: Float(deviation), rate_: Float(rate)}))
        times = draw(st.sampled_from([1, 4, 64]))
        return Instance(parameters={"deviation": deviation, "rate": rate, "neurons": least * times})

    def log_tail(self, deviation: Any, width: Any) -> float:
        """Logarithm of 1/2 P(9 g_+^4 >= 2 t m + mean)."""
        return float(-np.log(2) + scipy.stats.norm.logsf(((2 * deviation * width + float(self.mean)) / 9) ** 0.25))

    def in_the_limit(self, sentence: str) -> None:
        """The exponent of that probability over the width tends to 0."""

        @self.lemma(sentence, holds=identity)
        def one_neuron_is_likelier() -> Any:
            x, t = sympy.symbols("x t", positive=True)
            width = (9 * x**4 - self.mean) / (2 * t)  # at which the threshold 2 t m + mean is 9 x^4
            density = -(x**2) / 2 - log(sqrt(2 * pi))
            log_probability = density + log(x / (1 + x**2)) - log(2)  # Mills' ratio from below
            return sympy.limit(log_probability / width, x, sympy.oo), sympy.S.Zero

    def one_term(self, likelier: str, *, false: str, hundredth: str) -> None:
        """From the derived width on one bad neuron is likelier than the bound.

        The claims `false`, that it is not, and `hundredth`, that it is from a hundredth of that width on, are controls.
        """
        claim: dict[str, Any] = {"holds": always, "bound": ONE_TERM, "on": RATES}

        @self.control(false, from_below=True, **claim)
        @self.lemma(
            likelier,
            # the width itself is drawn, and has been rounded in some hundred operations
            given=lambda run: run.neurons >= run.spoiled_width * (1 - 1e-12),
            uses="one_neuron_is_likelier",
            **claim,
        )
        def one_term_fails(run: Any) -> Any:
            return -self.log_tail(run.deviation, run.neurons)

        @self.control(hundredth, holds=always, bound=ONE_TERM.subs(neurons, neurons / 100), on=RATES)
        def too_early(run: Any) -> Any:
            return -self.log_tail(run.deviation, run.neurons / 100)
