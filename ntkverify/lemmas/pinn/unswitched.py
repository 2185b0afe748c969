"""ReLU^3 in pairs, scaled by alpha: no neuron starts so close to a sample that its drift could switch its sign.

Of m/2 independent neurons one has |w . x| <= R |x| at one of n samples with probability at most n kappa R m/2; R makes
twice that its share of delta. While none has and none moves further than R, every sign is what it was, the gradients
psi and chi are polynomials in w, and

    ||J_r||_F <= alpha C_g B^2/sqrt(m),      ||J_r(w) - J_r(w')||_F <= alpha C_L B |w - w'|/sqrt(m)

for |w| <= B: the square root of the radius, and with it the twelfth power of the weights, is gone. R does not know
alpha, and what a weight moves falls like 1/alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, log, sqrt

from ntkverify import always, identity, with_probability
from ntkverify.glossary import d, delta, lambda_0, limit_norm, m, n, residual_0
from ntkverify.instances import SEPARATED
from ntkverify.lemmas.concentration import chebyshev_width
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.neuron_bounds import relu_cubed_block
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.pinn import moments
from ntkverify.lemmas.stability import LipschitzJacobian
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

alpha = sympy.Symbol("alpha", positive=True)  #: scale of the output
GAMMA = ("gamma leaves 1/2 of 3/4 of lambda_0, by arithmetic", "gamma leaves 3/2 of 5/4 of ||H^inf||, by arithmetic")
SHARE = delta / 4  #: of delta for the weights, and for the neurons near a sample; a half is the initial Gram matrix's


class Unswitched(Part):
    """The constants, the width for the initial Gram matrix, and what holds while no sign changes.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, quantities and the claims.
    """

    name = "unswitched"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        constant, radius = theorem.constant, sympy.Symbol("radius", positive=True)
        flips = Flips(theorem)
        self.C_g = constant("C_g", relu_cubed_block(), "||J_r||_F <= alpha C_g |w_r|^2/sqrt(m)")
        self.C_L = constant(
            "C_L",
            derived(2 * self.C_g, "psi and chi are homogeneous of degree 2 on each side of their kinks"),
            "||J_r(w) - J_r(w')||_F <= alpha C_L B |w - w'|/sqrt(m), no sign changed",
        )
        t = log(m / 2 / SHARE)
        self.B_2 = constant(
            "B_2",
            derived((sqrt(d + 2 * sqrt(d * t) + 2 * t) + 1) ** 2, "chi-square tail over m/2 neurons, a drift of 1"),
            "|w_r(k)|^2 <= B_2 for all r",
        )
        self.R = constant(
            "R",
            # the union over few events is nearly an equality: half of it, so that draws can tell the claim from false
            solve_for(radius, sympy.Le(n * m * flips.kappa * radius, SHARE)),
            "no neuron starts within R of a sample's hyperplane, none moves further",
        )
        self.V = theorem.quantity("V", moments.spread)
        least = lambda_0 / alpha**2
        # m/2 draws and delta/2
        sufficient = chebyshev_width(self.V, least / 4).expression.subs({delta: delta / 2}, simultaneous=True) * 2
        self.width = constant(
            "width", derived(sufficient, "Chebyshev, m/2 neurons, delta/2"), "||H(0) - H^inf||_F <= lambda_0/4"
        )
        self.slope = self.slope_at(sqrt(self.B_2))
        self.gradient = alpha * self.C_g * self.B_2 / sqrt(m)
        # 4/lambda_0: natural gradient's 2 (sum of steps) over lambda_0/2, and gradient descent's drift_factor
        self.drift = 4 * self.gradient * residual_0 / lambda_0
        theorem.declare(width=self.width)

    def slope_at(self, reach: sympy.Expr) -> sympy.Expr:
        """How fast J moves while weights are no longer than `reach`."""
        return alpha * self.C_L * reach / sqrt(m)

    def scale(self, *requirements: tuple[sympy.Expr, sympy.Expr]) -> sympy.Symbol:
        """The scale from which on every left side, of the order of 1/alpha, is at most its right side."""
        every = ((self.drift, self.R), *requirements)
        found: sympy.Symbol = self.theorem.constant(
            "alpha_0",
            derived(alpha * sympy.Max(*(left / right for left, right in every)), "each requirement, relative to alpha"),
            "sufficient output scale; it grows like sqrt(m), or falls like 1/sqrt(m)",
        )

        @self.theorem.assumption("width at least that of the initial Gram matrix")
        def wide(run: Any) -> Any:
            return run.m - run.width

        @self.theorem.assumption("neurons in pairs, output scale at least alpha_0")
        def scaled(run: Any) -> Any:
            return run.alpha / run.alpha_0 - 1 - run.instance.width % 2

        return found

    def path(self, factor: sympy.Expr) -> tuple[sympy.Symbol, sympy.Symbol]:
        """The constants gamma and path of a theorem on steps whose eta ||r|| add up to factor ||r(0)||/lambda_0."""
        self.gamma = self.theorem.constant(
            "gamma",
            derived(Rational(1, 10), "a simple number below (sqrt 3 - sqrt 2)/2 and sqrt(3/2) - sqrt(5/4)"),
            "||J(w) - J(0)|| <= gamma sqrt(lambda_0) leaves both ends of the spectrum",
        )
        self.way = self.theorem.constant(
            "path",
            derived(
                factor * sqrt(Rational(3, 2) * limit_norm) * residual_0 / lambda_0,
                "|dw| = eta |J^T r| <= eta sqrt(||H||) ||r||, ||H|| <= 3/2 ||H^inf||",
            ),
            "||w(k) - w(0)|| <= path",
        )
        return self.gamma, self.way

    # -- events -------------------------------------------------------------------------------------------------------

    def stays(self, run: Any) -> Any:
        """Whether so far no neuron moved as far as one starts from a hyperplane, nor became longer than B, (K+1,)."""
        kept = (run.drift < least_distance(run)) & (run.trajectory.weight_norm**2 <= run.B_2)
        return np.logical_and.accumulate(kept)

    def zero_start(self, *, on: Any) -> None:
        """Pairs cancel."""

        @self.lemma(
            "the output is zero at the start: r(0) = -(f, g), scaled",
            holds=identity,
            assumes=(),
            on=on,
            error=lambda run: run.trajectory.residuals_error[0],
        )
        def zero_start(run: Any) -> Any:
            return run.trajectory.residuals[0], run.given_residuals

    def events(self, *, starts: str, on: str, narrow: str) -> None:
        """Each of the three, with its share of delta; the Gram matrix is not that close at a hundredth of the width.

        `starts` are networks of any width, for the two that hold at any.
        """
        shared: dict[str, Any] = {"holds": with_probability(1 - SHARE), "on": starts, "assumes": ()}
        near: dict[str, Any] = {"of": least_distance, "from_below": True, **shared}
        self.lemma("no neuron starts within R of a sample's hyperplane", bound=self.R, **near)
        self.control("no neuron starts within 20 R of a sample's hyperplane", bound=20 * self.R, **near)
        self.lemma("(|w_r(0)| + 1)^2 <= B_2 for all r", of=longest, bound=self.B_2, **shared)
        gram: dict[str, Any] = {"holds": with_probability(1 - delta / 2), "of": "initial_gram_error"}
        self.lemma("||H(0) - H^inf||_F <= lambda_0/4", bound=lambda_0 / 4, on=on, **gram)
        # nothing else asks for the width: a hundredth of it trains as well, where the start is good
        self.control(
            "a hundredth of the width: ||H(0) - H^inf||_F <= lambda_0/4",
            bound=lambda_0 / 4,
            on=narrow,
            assumes=(),
            **gram,
        )

    def gram(self, *, on: Any, uses: Any = ()) -> None:
        """How far the Gram matrix moves while no sign changes, by the way of all weights."""
        moved = self.slope * self.theorem.quantity("distance", lambda run: run.drift_rms * np.sqrt(run.m))
        norm_0 = self.theorem.quantity("norm_0", lambda run: run.eigenvalues[0, -1])
        self.lemma(
            "||H(k) - H(0)||_F <= 2 ||J(0)|| q + q^2, q = alpha C_L B ||w - w(0)||/sqrt(m), while no sign changes",
            of="gram_drift",
            holds=always,
            bound=2 * sqrt(norm_0) * moved + moved**2,
            on=on,
            assumes=(),
            uses=uses,
            given=self.stays,
            error=lambda run: run.gram_drift_error,
        )

    def lipschitz(self, *, on: Any) -> None:
        """How far the Jacobian moves while no sign changes, and that no neuron moves further than R."""
        LipschitzJacobian(self.theorem, self.slope).way(
            "||J(w) - J(0)|| <= alpha C_L B ||w - w(0)||/sqrt(m) while no sign changes",
            distance=self.theorem.quantity("distance", lambda run: run.drift_rms[1:] * np.sqrt(run.m)),
            on=on,
            assumes=(),
            given=lambda run: self.stays(run)[1:],
        )

    def moved(self, *, on: Any, given: Callable[[Any], Any], uses: Any = (), **where: Any) -> None:
        """The drift of the neurons, which the scale makes small, while the loss falls as claimed."""
        self.lemma(
            "max_r |w_r(k) - w_r(0)| <= 4 alpha C_g B^2 ||r(0)||/(sqrt(m) lambda_0) while the loss contracts",
            of="drift",
            holds=always,
            bound=self.drift,
            on=on,
            given=lambda run: given(run) & np.logical_and.accumulate(run.trajectory.weight_norm**2 <= run.B_2),
            uses=uses,
            **where,
        )

    def stays_on_path(self, *, on: Any, chain: Callable[[Any], Any], **where: Any) -> None:
        """The way of all weights, and what gamma leaves of the spectrum."""
        self.lemma(
            "||w(k) - w(0)|| <= path while the chain holds and ||H(k)|| <= 3/2 ||H^inf||",
            of=lambda run: run.drift_rms * np.sqrt(run.m),
            holds=always,
            bound=self.way,
            on=on,
            given=lambda run: chain(run) & (run.eigenvalues[:, -1].max() <= 1.5 * run.limit_norm),
            uses="sums",
            **where,
        )
        left: dict[str, Any] = {"of": self.gamma, "holds": always, "over": {}}
        for sentence, bound in zip(GAMMA, ((sqrt(3) - sqrt(2)) / 2, (sqrt(6) - sqrt(5)) / 2), strict=True):
            self.lemma(sentence, bound=bound, **left)


# -- instances: few samples, far apart --------------------------------------------------------------------------------


def targets(draw: Any, count: int, size: float) -> dict[str, Any]:
    """Targets of two blocks of `count` samples each, constant on a block, of this length together."""
    angle = draw(st.integers(0, 7)) * np.pi / 4
    return {"source": [size * np.cos(angle)] * count, "values": [size * np.sin(angle)] * count}


def two_samples(draw: Any, *, width: int, steps: int, step: Any = None) -> Instance:
    """lambda_0 = 107 or 99 at scale 1, ||r(0)|| over a factor of 100, two deltas."""
    interior, boundary = draw(st.sampled_from([([[0.1, 0.5]], [[0.5, 1.0]]), ([[1.0, 0.0]], [[0.0, 1.0]])]))
    # smaller ones, of residual or delta, would bring I_1 near the rounding of outputs at such scales
    size, delta = draw(st.sampled_from([10.0, 100.0, 1000.0])), draw(st.sampled_from([0.3, 0.4]))
    data = {"interior": interior, "boundary": boundary, **targets(draw, 1, size)}
    return Instance(
        data=data, parameters={"delta": delta}, width=width, step=0.0 if step is None else step, steps=steps
    )


def few_pairs(draw: Any, **options: Any) -> Instance:
    """Where what bounds the changes of J is met at less than its rounding: few neurons start near a hyperplane."""
    found = two_samples(draw, width=2 ** draw(st.integers(5, 6)), **options)
    return replace(found, parameters={**found.parameters, "alpha": 30.0})


def four_samples(draw: Any, *, alpha: float, steps: int, step: Any = None) -> Instance:
    """1000 neurons at a given scale, ||r(0)|| = 10."""
    data, parameters = {**SEPARATED, **targets(draw, 2, 10.0)}, {"delta": 0.1, "alpha": alpha}
    return Instance(data=data, parameters=parameters, width=1000, step=0.0 if step is None else step, steps=steps)


def least_distance(run: Any) -> Any:
    """The least |w_r(0) . x_p|/|x_p| over neurons and samples; the weights are not kept."""
    weights, inputs = run.numbers(run.drawn()[0]), run.sample_inputs
    return (abs(weights @ inputs.T) / np.linalg.norm(inputs, axis=1)).min()


def longest(run: Any) -> Any:
    """(max_r |w_r(0)| + 1)^2; the weights are not kept."""
    return (np.linalg.norm(run.numbers(run.drawn()[0]), axis=1).max() + 1) ** 2
