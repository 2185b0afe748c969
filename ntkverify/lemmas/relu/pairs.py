"""Constants of gradient descent for ReLU regression from pairs of neurons that cancel, with an output scale.

With l = lambda_0/alpha^2, the least eigenvalue at scale 1, and m/2 independent neurons

    initial kernel   no entry is off by more than tau l/size, at scale 1: Hoeffding
    radius R         2 size (1 + zeta) kappa R = sigma l: in the ball ||H(k) - H(0)|| <= sigma lambda_0
    sign flips       more than (1 + zeta) times the expected share within R of switching: Chernoff
    scale            drift_factor alpha sqrt(n/m) sqrt(n) C/lambda_0 <= R: what a weight moves falls like 1/alpha, and R
                     does not know alpha

which together give the width m_0 and the scale alpha_0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy import Rational, sqrt

from ntkverify.glossary import C, delta, lambda_0, limit_norm, m, n
from ntkverify.lemmas import premises
from ntkverify.lemmas.concentration import hoeffding
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.part import Part
from ntkverify.symbolic.constants.chain import Chain, Derived, Requirement, derived, solve_for
from ntkverify.theorem.theorem import Theorem

HALF = Rational(1, 2)


class PairsAndScale(Part):
    """The radius, and the chain of requirements that says how many neurons, and which scale, are enough.

    The theorem receives the constants of `Flips` and of `GradientDescent`, which are attributes, and R.

    Parameters
    ----------
    theorem : Theorem
        Receives constants and premises.
    entries, points : sympy.Expr
        How many entries of the kernel are to start near their limits, and at how many points neurons may switch.
    size : sympy.Expr
        Frobenius norm of the matrix of what an entry's terms range over; n where no more is known than that it is 1.
    shares : pair of sympy.Expr
        Of delta, for the initial kernel and for the count of sign flips.
    words : pair of str
        What "union over" stands before, for entries and points.
    """

    name = "pairs and scale"
    tau, sigma, zeta, radius, alpha = sympy.symbols("tau sigma zeta radius alpha", positive=True)

    def __init__(
        self,
        theorem: Theorem,
        *,
        entries: sympy.Expr = n**2,
        points: sympy.Expr = n,
        size: sympy.Expr = n,
        shares: tuple[sympy.Expr, sympy.Expr] = (HALF, HALF),
        words: tuple[str, str] = ("n^2 entries", "n samples"),
    ) -> None:
        super().__init__(theorem)
        tau, sigma, zeta = self.tau, self.sigma, self.zeta
        self.least = lambda_0 / self.alpha**2
        self.gradient = self.alpha * sqrt(n / m)
        self.flips = Flips(theorem)
        room = sympy.Le(2 * size * (1 + zeta) * self.flips.kappa * self.radius, sigma * self.least)
        self.R = theorem.constant("R", solve_for(self.radius, room), "no weight moves further")
        self.descent = GradientDescent(theorem, kept=1 - tau - sigma, kept_words="(1 - tau - sigma) lambda_0")
        self.drift = self.descent.drift_factor * self.gradient * sqrt(n) * C / lambda_0  # ||r(0)|| = ||y|| <= sqrt(n) C
        gram = hoeffding(entries, tau * self.least / size, draws=m / 2)
        near = self.flips.failure(points, self.R, zeta, draws=m / 2)
        self.shares = shares
        self.likely = (
            Requirement("initial Gram matrix", gram, shares[0] * delta, f"Hoeffding, union over {words[0]}"),
            Requirement("sign flips", near, shares[1] * delta, f"Chernoff, union over {words[1]}"),
        )

    def chain(self, free: Sequence[sympy.Symbol]) -> Chain:
        """All that a width and a split of the slack must meet at a scale; tau, sigma, zeta and more are `free`."""
        descent, moved = self.descent, self.tau + self.sigma
        step = descent.eta_max * limit_norm * (1 + moved)
        requirements = [
            *self.likely,
            Requirement("drift", self.drift, self.R, "the weights stay in the ball in which the Gram matrix is stable"),
            Requirement("step", step, 1, "eta ||H(k)|| <= 1 at the largest step"),
            Requirement("perturbation", self.sigma / 2, descent.epsilon, "||I_1|| leaves the contraction intact"),
            Requirement("probability", sum(self.shares), 1, "union bound over the two events"),
        ]
        return Chain(m, requirements, free=(self.tau, self.sigma, self.zeta, *free))

    def width(self, width: Derived | None = None) -> sympy.Symbol:
        """The constant m_0: `width`, or what the two events ask for, drift being left to the scale."""
        likely = Chain(m, self.likely).mapped(self.theorem.expand)
        return self.theorem.constant("m_0", width or likely.sufficient(), "sufficient width")

    def scale(self, meaning: str) -> sympy.Symbol:
        """The constant alpha_0, from which on drift asks for no width."""
        least = derived(self.alpha * self.drift / self.R, "drift <= R, ||r(0)|| <= sqrt(n) C")
        return self.theorem.constant("alpha_0", least, meaning)

    def premises(self, width: sympy.Expr) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Assumptions on data, step, width and pairs; returns names of those on the data, and of those and the step."""
        data, step = premises.unit_inputs(self.theorem), "step at most 2/(3 ||H^inf||)"
        premises.step_at_most(self.theorem, step, self.descent.eta_max)
        premises.width_at_least(self.theorem, "width at least m_0", width)

        @self.theorem.assumption("neurons in pairs")
        def paired(run: Any) -> Any:
            return 0.5 - run.instance.width % 2 if run.coupled else -1.0

        return data, (*data, step)
