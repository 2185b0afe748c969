"""Balls that the weights of a neural operator never leave, and the width that this takes, every constant written out.

For neurons in pairs that cancel, so that r(0) = -z: the m/2 independent neurons are close to their limit, few of them
start near switching, features are bounded; then gradient descent moves w_r by at most R and v_r by at most S, which
leaves both Gram matrices and I_1 within what a contraction allows. The width stands on both sides, in logarithms.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Rational, log, sqrt, symbols

from ntkverify import always, with_probability
from ntkverify.glossary import C, delta, eta, m, n, residual
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.bounds import Lambda, alpha, lambda_branch, lambda_trunk, n_1, n_2, norm_sum, p
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP
from ntkverify.symbolic.constants.chain import Chain, Requirement, derived

# shares of the least eigenvalues for the initial Gram matrices and for their change; slack of the count of switching
# neurons; growth of the features on the way; shares of delta
tau, sigma, zeta, theta = symbols("tau sigma zeta theta", positive=True)
share_gram, share_flips, share_branch, share_trunk = symbols(
    "share_gram share_flips share_branch share_trunk", positive=True
)
SHARES = (share_gram, share_flips, share_branch, share_trunk)


def split(**parts: Any) -> Mapping[sympy.Symbol, Any]:
    """A split of the slack: a number for each of tau, sigma, zeta, theta and the four shares."""
    return {symbol: parts[symbol.name] for symbol in (tau, sigma, zeta, theta, *SHARES)}


#: splits that the worst case of the contraction is tried at
SPLITS = ({tau: Rational(1, 4), sigma: Rational(1, 4)}, {tau: Rational(1, 3), sigma: Rational(1, 8)})


class OperatorBalls(Part):
    """Radii, what moves within them, the events and the width; `descent` keeps 1 - tau - sigma of Lambda."""

    name = "operator balls"

    def __init__(self, theorem: Any, descent: GradientDescent) -> None:
        super().__init__(theorem)
        self.kappa = theorem.constant("kappa", operators.kappa(), "P(|g| <= R) <= kappa R")
        self._radii(descent)
        self._changes()
        self.requirements = self._required(descent)

    def _radii(self, descent: GradientDescent) -> None:
        """What features are at most at the start, and how far that lets weights move."""
        constant, draws = self.theorem.constant, m / 2
        self.beta = constant(
            "beta",
            derived(
                sqrt(2 * log(2 * draws * n_1 / (share_branch * delta))), "P(|b| > t) <= 2 exp(-t^2/2), m n_1/2 values"
            ),
            "|b_r(u_i)(0)| <= beta for all r, i",
        )
        self.gamma = constant(
            "gamma",
            derived(sqrt(2 * log(2 * draws * n_2 / (share_trunk * delta))), "P(relu(g) > t) <= 2 exp(-t^2/2)"),
            "relu(w_r . y_j)(0) <= gamma for all r, j",
        )
        later = (1 + theta) * self.beta, (1 + theta) * self.gamma
        moved = [descent.drift_factor * operators.gradient(f) * C * sqrt(n) / Lambda for f in later]
        self.R = constant("R", derived(moved[0], "drift at (1 + theta) beta, ||r(0)|| = ||z||"), "no w_r moves further")
        self.S = constant("S", derived(moved[1], "the same at (1 + theta) gamma"), "no v_r moves further")

    @property
    def _unit(self) -> sympy.Expr:
        """How far a unit moves at most: its gradient is at most gamma_1 sqrt(N/(m p)) ||r||."""
        return self.S / sqrt(p)

    def _changes(self) -> None:
        """What moves within the balls."""
        constant, draws, kappa = self.theorem.constant, m / 2, self.kappa
        self.near = constant(
            "near", derived((1 + zeta) * kappa * self.R, "Chernoff"), "share of neurons within R of switching"
        )
        self.near_unit = constant(
            "near_unit",
            derived((1 + zeta) * kappa * self._unit, "Chernoff"),
            "share of units within S/sqrt(p) of switching",
        )
        self.gram_error = constant(
            "gram_error", operators.gram_deviation(share_gram * delta, draws), "||H(0) - H^inf||_F, and of the twin"
        )
        self.changes = {
            "trunk": constant(
                "trunk_change",
                operators.trunk_gram_change(self.beta, self.S, self.near),
                "||H(k) - H(0)||_F",
            ),
            "branch": constant(
                "branch_change",
                operators.branch_gram_change(self.gamma, self.R, self.near_unit),
                "||H~(k) - H~(0)||_F",
            ),
        }
        later = (1 + theta) * self.beta, (1 + theta) * self.gamma
        self.remainder = constant(
            "remainder", operators.remainder(*later, self.near, self.near_unit, self.R), "||I_1|| over eta ||r||"
        )

    def _required(self, descent: GradientDescent) -> list[Requirement]:
        """What the width is asked for."""
        draws, unit = m / 2, self._unit

        implicit = functools.partial(Requirement, closed=False)

        def flips(name: str, radius: Any, count: Any, independent: Any, reason: str) -> Requirement:
            """Chernoff for `count` binomial counts with mean at most kappa radius to exceed 1 + zeta times that."""
            exponent = zeta**2 / (2 + zeta) * self.kappa * independent * radius
            return implicit(name, log(2 * count / (share_flips * delta)), exponent, reason)

        return [
            implicit("initial Gram matrix", self.gram_error, tau * lambda_trunk, "Bernstein"),
            implicit("initial twin", self.gram_error, tau * lambda_branch, "Bernstein"),
            flips("flips, trunk", self.R, n_2, draws, "Chernoff, n_2 queries"),
            flips("flips, branch", unit, n_1, draws * p, "Chernoff, n_1 functions"),
            implicit("growth of b", self.S, theta * self.beta, "|b_r(u_i)(k)| <= (1 + theta) beta"),
            implicit("growth of the trunk", self.R, theta * self.gamma, "relu(w_r . y_j)(k) <= (1 + theta) gamma"),
            implicit("Gram matrix", self.changes["trunk"], sigma * lambda_trunk, "it keeps its eigenvalue"),
            implicit("twin", self.changes["branch"], sigma * lambda_branch, "it keeps its eigenvalue"),
            implicit("perturbation", self.remainder, descent.epsilon * Lambda, "I_1 leaves the contraction intact"),
            Requirement("step", descent.eta_max * norm_sum * (1 + tau + sigma), 1, "eta ||H(k) + H~(k)|| <= 1"),
            Requirement("probability", sum(SHARES), 1, "union bound over the events"),
        ]

    @property
    def chain(self) -> Chain:
        """The requirements with the theorem's constants written out, those of a mutant as it has them."""
        free = tau, sigma, zeta, theta, *SHARES
        return Chain(m, self.requirements, free=free).mapped(self.theorem.expand)

    @property
    def wanted(self) -> sympy.Expr:
        """The even width that a network of m neurons is asked for; at the sufficient width it is m itself.

        No requirement's left side falls faster than 1/m against its right: what is asked for stays below the least
        sufficient width until m is there, so that going from m to what it asks for ends at that.
        """
        grows = [r.left / r.right for r in self.requirements if not r.closed]
        return 2 * sympy.ceiling(m * sympy.Max(1, *grows) / 2)

    def assumption(self, name: str = "the width meets every requirement") -> None:
        """The requirements, each relative to its right side, at the run's own width, data and split."""
        self.theorem.declare(width=self.wanted)

        @self.theorem.assumption(name)
        def wide(run: Any) -> Any:
            margins = [run.evaluate((r.right - r.left) / r.right) for r in self.requirements]
            return run.numbers(margins).min() + 4 * ULP

    @functools.cached_property
    def _widths(self) -> dict[Any, int]:
        return {}

    def width(
        self, functions: Any, queries: Any, *, split: Mapping[sympy.Symbol, Any], scale: float, **sizes: float
    ) -> int:
        """The least even width that meets every requirement at unit samples: where `wanted` leads, decided exactly.

        Parameters
        ----------
        functions, queries : array_like
            (n_1, q) and (n_2, d).
        split : mapping of sympy.Symbol to number
        scale : float
            alpha.
        **sizes : float
            p, C and delta.
        """
        known = {symbol: sizes[symbol.name] for symbol in (p, C, delta)} | operators.spectra(functions, queries, scale)
        known |= {n: len(functions) * len(queries), n_1: len(functions), n_2: len(queries), alpha: scale, **split}
        chain = self.chain
        key = *known.items(), *((r.left, r.right) for r in chain.requirements)
        if key not in self._widths:
            found = chain.width(known).width
            self._widths[key] = found + found % 2
        return self._widths[key]

    # -- the events ---------------------------------------------------------------------------------------------------

    def events(self, *, on: Any, tight: str) -> None:
        """Each random event at its share of delta; the Gram matrices within a quarter of that is a control."""

        def sure(share: Any) -> Any:
            return with_probability(1 - share * delta)

        @self.control(
            "the initial Gram matrices within a quarter of that",
            holds=sure(share_gram),
            bound=self.gram_error / 4,
            on=tight,
        )
        @self.lemma(
            "||H(0) - H^inf||_F and the same of the twin are at most gram_error",
            holds=sure(share_gram),
            bound=self.gram_error,
            on=on,
        )
        def gram_close(run: Any) -> Any:
            return run.initial_gram_errors.max()

        @self.lemma(
            "at most (1 + zeta) kappa R of the neurons are within R of switching",
            holds=sure(share_flips / 2),
            bound=self.near,
            on=on,
        )
        def few_flips(run: Any) -> Any:
            return run.trunk_near(run.R)

        @self.lemma(
            "at most (1 + zeta) kappa S/sqrt(p) of the units are within S/sqrt(p) of switching",
            holds=sure(share_flips / 2),
            bound=self.near_unit,
            on=on,
        )
        def few_units(run: Any) -> Any:
            return run.branch_near(run.S / np.sqrt(run.p))

        @self.lemma("|b_r(u_i)(0)| <= beta for all r, i", holds=sure(share_branch), bound=self.beta, on=on)
        def branch_bounded(run: Any) -> Any:
            return run.beta

        @self.lemma("relu(w_r . y_j)(0) <= gamma for all r, j", holds=sure(share_trunk), bound=self.gamma, on=on)
        def trunk_bounded(run: Any) -> Any:
            return run.gamma

    def features_bounded(self, run: Any) -> bool:
        """Whether features at the start are what R and S were computed from."""
        return bool((run.beta <= run.evaluate(self.beta)) & (run.gamma <= run.evaluate(self.gamma)))

    def start_is_inside(self, run: Any) -> bool:
        """Whether features are bounded and few neurons and units near switching."""
        few = (run.trunk_near(run.R) <= run.near) & (run.branch_near(run.S / np.sqrt(run.p)) <= run.near_unit)
        return self.features_bounded(run) & bool(few)

    def moved(self, run: Any) -> Any:
        """The farthest that a w_r, a v_r or one of its units has moved, in radii of its ball, (K+1,)."""
        trunk, branch = (run.of_group("drift", group) for group in ("trunk", "branch"))
        return np.maximum(np.maximum(trunk / run.R, branch / run.S), run.unit_drift / (run.S / np.sqrt(run.p)))

    def inside(self, run: Any) -> Any:
        """The same, per step, while weights are in their balls, those of each unit too: near_unit counts by them."""
        return (self.moved(run) <= run.number(1)) & self.start_is_inside(run)

    def step_inside(self, run: Any) -> Any:
        """Per step of training, whether both its ends are inside, and so all between."""
        held = self.inside(run)
        return held[1:] & held[:-1]

    def within(self, *, on: Any, carried_on: Any) -> None:
        """What the balls bound: the change of both Gram matrices, at the edge of the balls too, and I_1."""
        for group, letter, own, other in (("trunk", "H", self.R, self.S), ("branch", "H~", self.S / sqrt(p), self.R)):
            self.lemma(
                f"in the balls ||{letter}(k) - {letter}(0)||_F <= {group}_change",
                holds=always,
                bound=self.changes[group],
                on=on,
                given=self.inside,
                error=gram_rounding,
            )(_of_group(group))
            self.lemma(
                f"carried across by the radius of its ball, features grown: ||{letter}' - {letter}(0)||_F "
                f"<= {group}_change",
                holds=always,
                bound=self.changes[group],
                on=carried_on,
                given=self.start_is_inside,
                error=lambda run: run.n * run.m * run.d * ULP * run.initial_grams["trunk"].max(),
            )(_carried(group, own, other))

        @self.lemma(
            "in the balls ||I_1(k)|| <= remainder eta ||r(k)||",
            holds=always,
            bound=self.remainder * eta * residual,
            on=on,
            given=self.step_inside,
            error=lambda run: run.remainder_error,
        )
        def remainder_within(run: Any) -> Any:
            return run.remainder


def _of_group(group: str) -> Any:
    return lambda run: run.gram_drift_of(group)


def _carried(group: str, radius: Any, reach: Any) -> Any:
    return lambda run: run.carried(group, run.evaluate(radius), run.evaluate(reach))


def gram_rounding(run: Any) -> Any:
    """Rounding of H(k) - H(0): products of J, summed over the neurons."""
    return 2 * run.m * run.d * ULP * np.trace(run.trajectory.grams[0])
