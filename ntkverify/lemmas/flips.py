"""How many neurons are near a sign change: w . x of a Gaussian w is within R |x| of 0 with probability at most kappa R.

Of m neurons more than (1 + zeta) kappa R m are with probability at most exp(-zeta^2/(2 + zeta) kappa m R) for each of
the samples (Chernoff's bound for a binomial count, whose mean may be smaller).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import sympy
from sympy import exp, sqrt

from ntkverify import always, with_probability
from ntkverify.glossary import delta, m
from ntkverify.lemmas.part import Part
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.theorem import Theorem

samples, radius_ = sympy.symbols("samples radius", positive=True)


class Flips(Part):
    """The flip lemma, for a theorem that counts neurons near a sign change.

    Parameters
    ----------
    theorem : Theorem
        Receives the constant kappa.
    """

    name = "flips"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        density = sympy.diff(sympy.erf(radius_ / sqrt(2)), radius_).subs(radius_, 0)
        self.kappa = theorem.constant(
            "kappa",
            derived(density, "derivative at 0 of P(|g| <= R) = erf(R/sqrt 2), its largest"),
            "P(|w . x| <= R |x|) <= kappa R",
        )

    def failure(self, count: sympy.Expr, radius: sympy.Expr, zeta: sympy.Expr, *, draws: sympy.Expr = m) -> sympy.Expr:
        """Probability that for one of `count` samples more than (1 + zeta) times the expected share is near.

        Of `draws` independent neurons; pairs are near together, and count once.
        """
        return count * exp(-(zeta**2) / (2 + zeta) * self.kappa * draws * radius)

    def width(self, count: int, radius: sympy.Rational, share: sympy.Rational) -> int:
        """The lemma's own width: at most twice the expected share but for a probability of `share`."""
        needed = solve_for(m, sympy.Le(self.failure(samples, radius_, sympy.Integer(1)), delta)).expression
        least: int = math.ceil(self.theorem.value(needed, {samples: count, radius_: radius, delta: share}))
        return least

    def few(
        self,
        sentence: str,
        *,
        of: Callable[[Any], Any],
        radius: sympy.Expr,
        half: str | None = None,
        uses: str | tuple[str, ...] = (),
        **where: Any,
    ) -> None:
        """At the lemma's own width at most twice the expected share is near; `half` of it names a control.

        A hundredth of the width is no control: 0.03 log(samples/delta) neurons are expected to be near there, so that
        for one sample and delta = 1/10 none is in 93 draws of a hundred.
        """
        self.tail()
        claim = {"holds": with_probability(1 - delta), "of": of, **where}
        uses = ((uses,) if isinstance(uses, str) else uses) + ("Chernoff: from",)
        self.lemma(sentence, bound=2 * self.kappa * radius, uses=uses, **claim)
        if half is not None:
            self.control(half, bound=self.kappa * radius / 2, **claim)

    def density(self, radius: sympy.Symbol) -> None:
        """kappa bounds P(|g| <= R)/R for a standard normal g, and is its limit."""
        every: dict[str, Any] = {"holds": always, "over": {radius: sympy.Interval.open(0, sympy.oo)}}
        inside = sympy.erf(radius / sqrt(2))
        self.lemma("P(|g| <= R) <= kappa R", of=inside, bound=self.kappa * radius, **every)
        self.lemma(
            "kappa is the limit of P(|g| <= R)/R as R -> 0",
            of=inside,
            bound=self.kappa * radius * (1 - radius**2 / 6),
            from_below=True,
            uses="P(|g| <= R) <= kappa R",
            **every,
        )

    def tail(self) -> None:
        """Chernoff's tail for `samples` counts is delta from the derived width on, and smaller beyond it."""
        beyond, zeta = sympy.symbols("beyond zeta", positive=True)
        failure = self.failure(samples, radius_, zeta)
        width = solve_for(m, sympy.Le(failure, delta)).expression
        half_line = sympy.Interval.open(0, sympy.oo)
        self.lemma(
            "Chernoff: from its width on more than (1 + zeta) times the expected share is near with probability delta",
            of=failure.subs(m, width + beyond),
            holds=always,
            bound=delta,
            over={
                samples: sympy.Interval(1, sympy.oo),
                radius_: half_line,
                zeta: half_line,
                delta: sympy.Interval.open(0, 1),
                beyond: half_line,
            },
        )
