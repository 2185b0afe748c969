"""How far Gram matrix and Jacobian move while the weights stay near their start.

ReLU regression: neuron r changes entry (i, j) of H only if one of its signs at x_i and x_j switches. With `near` the
largest share of neurons within reach of switching, ||H(k) - H(0)||_F <= 2 n near and ||I_1(k)|| <= n near eta ||r(k)||.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from ntkverify import always, with_probability
from ntkverify.glossary import delta, eta, lambda_0, n, residual
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP, remainder_error
from ntkverify.theorem.theorem import Theorem


class SwitchingStability(Part):
    """Stability of the Gram matrix of two-layer ReLU regression by the neurons that may switch.

    Parameters
    ----------
    theorem : Theorem
        Receives the quantity `near`.
    size : sympy.Expr
        What |x . x'| of two samples is at most in the Gram matrix: the square of the output's scale.
    """

    name = "stability"

    def __init__(self, theorem: Theorem, *, size: sympy.Expr = sympy.S.One) -> None:
        super().__init__(theorem)
        self.size = size
        self.near = theorem.quantity("near", within_reach)

    def gram(self, *, on: Any, worst: str, assumes: Any) -> None:
        """The Gram matrix along a run, and after the worst shift of weights by `radius`; without n it is false."""
        near_radius = self.theorem.quantity("near_radius", lambda run: run.worst_shift(run.radius).near.max())
        self.lemma(
            "||H(k) - H(0)||_F <= 2 n near: only neurons within reach of switching count",
            of="gram_drift",
            holds=always,
            bound=2 * n * self.size * self.near,
            assumes=assumes,
            on=on,
            error=lambda run: run.gram_drift_error,
        )

        @self.control(
            "Gram stability without n", holds=always, bound=2 * self.size * near_radius, assumes=assumes, on=worst
        )
        @self.lemma(
            "the same for the worst shift of every weight by at most R towards switching off",
            holds=always,
            bound=2 * n * self.size * near_radius,
            assumes=assumes,
            on=worst,
            uses="||H(k) - H(0)||_F <= 2 n near: only neurons within reach of switching count",
        )
        def gram_stability(run: Any) -> Any:
            return run.worst_shift(run.radius).change

    def perturbation(self, *, on: Any, short: str, assumes: Any) -> None:
        """The perturbation I_1 by the same count, where it is above its rounding; without n it is false on `short`."""
        claim = {"of": "remainder", "holds": always, "given": self.measurable, "error": remainder_error}
        bound = n * self.size * self.near * eta * residual
        self.lemma(
            "||I_1(k)|| <= n near eta ||r(k)||: only neurons within reach of switching count",
            bound=bound,
            assumes=assumes,
            on=on,
            **claim,
        )
        self.control("the perturbation bound without n", bound=bound / n, assumes=assumes, on=short, **claim)

    def in_ball(
        self,
        flips: Flips,
        *,
        radius: sympy.Expr,
        zeta: sympy.Expr,
        sigma: sympy.Expr,
        share: sympy.Expr,
        on: Any,
        closes: Any,
        counted: Any = "flip lemma",
    ) -> Callable[[], None]:
        """While no weight leaves the ball of `radius` and at most 1 + zeta times the expected share is near switching.

        The Gram matrix moves by at most sigma lambda_0, and I_1 is at most sigma/2 lambda_0 eta ||r||; the count fails
        with probability `share` at most; `counted` is what that rests on. What is returned adds the conclusions: with
        probability 1 - delta, for all k.
        """
        few, ball = (1 + zeta) * flips.kappa * radius, " while no weight leaves the ball and few are near switching"

        @flips.lemma(
            "at most (1 + zeta) kappa R of the neurons are within R of switching",
            holds=with_probability(1 - share),
            bound=few,
            on=on,
            uses=counted,
        )
        def few_flips(run: Any) -> Any:
            return run.initial(run.evaluate(radius)).near.max()

        def held(run: Any, drift: Any) -> Any:
            return (drift <= run.evaluate(radius)) & (few_flips(run) <= run.evaluate(few))

        moved = {"bound": sigma * lambda_0, "on": on}
        pushed = {"bound": sigma / 2 * lambda_0 * eta * residual, "on": on, "error": remainder_error}
        gram, remainder = "||H(k) - H(0)||_F <= sigma lambda_0", "||I_1(k)|| <= sigma/2 lambda_0 eta ||r(k)||"

        @self.lemma(
            gram + ball,
            holds=always,
            given=lambda run: held(run, run.drift),
            uses=("few_flips", "gram_stability", *closes),
            **moved,
        )
        def gram_in_ball(run: Any) -> Any:
            return run.gram_drift

        @self.lemma(
            remainder + ball,
            holds=always,
            given=lambda run: held(run, run.drift[1:]),
            uses=("few_flips", "||I_1(k)|| <= n near", *closes),
            **pushed,
        )
        def remainder_in_ball(run: Any) -> Any:
            return run.remainder

        def concluded() -> None:
            sure, stays = with_probability(1 - delta), "no weight moves further than R"
            self.conclusion(stays, of="drift", holds=sure, bound=radius, on=on, uses=closes)
            uses = (stays, "gram_in_ball")
            self.conclusion(f"{gram} for all k", of="gram_drift", holds=sure, uses=uses, **moved)
            uses = (stays, "remainder_in_ball")
            self.conclusion(f"{remainder} for all k", of="remainder", holds=sure, uses=uses, **pushed)

        return concluded

    def measurable(self, run: Any) -> Any:
        """Where the rounding of I_1 is below its bound: some neuron is near, the residual is no rounding itself."""
        return run.evaluate(self.size) * run.near * run.eta * run.residual > run.remainder_error


def within_reach(run: Any) -> Any:
    """Largest share of neurons, over the samples, whose sign the run's own drift could have switched."""
    return run.initial(run.drift.max()).near.max()


# -- the Jacobian ------------------------------------------------------------------------------------------------


def jacobian_error(run: Any) -> Any:
    """Rounding of the norm of a difference of Jacobians, a sum over neurons, (K,)."""
    return run.n * run.m * run.d * ULP * np.sqrt(run.eigenvalues[:-1, -1])


def visited(run: Any) -> Any:
    """||J(w) - J(0)|| after each step, or at its middle if that is more, (K,)."""
    return np.maximum(run.trajectory.jacobian_change[1:], run.trajectory.path_from_start)


def farthest(run: Any) -> Any:
    """The largest of these."""
    return max(run.trajectory.jacobian_change.max(), run.trajectory.path_from_start.max())


class LipschitzJacobian(Part):
    """A Jacobian whose blocks, one a neuron, are Lipschitz in its weights: ||J(w) - J(w')|| <= slope ||w - w'||.

    Parameters
    ----------
    theorem : Theorem
        Receives the claims.
    slope : sympy.Expr
        C_L B^2/sqrt(m) of `ntkverify.lemmas.neuron_bounds`.
    """

    name = "Lipschitz Jacobian"

    def __init__(self, theorem: Theorem, slope: sympy.Expr) -> None:
        super().__init__(theorem)
        self.slope = slope

    def step(self, sentence: str, *, length: sympy.Expr, **where: Any) -> None:
        """Along each step, of this length."""
        self.lemma(
            sentence,
            of="trajectory.path_change",
            holds=always,
            bound=self.slope * length,
            error=jacobian_error,
            **where,
        )

    def way(self, sentence: str, *, distance: sympy.Expr, given: Callable[[Any], Any], **where: Any) -> None:
        """From the start, at this distance from it."""
        self.lemma(
            sentence,
            of=lambda run: run.trajectory.jacobian_change[1:],
            holds=always,
            bound=self.slope * distance,
            given=given,
            error=jacobian_error,
            **where,
        )
