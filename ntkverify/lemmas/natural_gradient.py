"""Natural gradient descent J (theta+ - theta) = -eta r as a perturbed contraction: r(k+1) = (1 - eta) r(k) + E(k).

A4  the recursion, an identity, with |theta+ - theta| <= eta ||r||/sqrt(lambda_min(H)) and
    ||E|| <= sup ||J(theta_s) - J(theta)|| |theta+ - theta| over the step
A5  a step contracts ||r||^2 by 1 - eta if ||E|| <= epsilon eta ||r||, epsilon = sqrt(1 - eta)/(1 + sqrt(1 - eta)); and
    along a run while ||J - J(0)|| <= gamma sqrt((1 - eta) lambda_0), if lambda_min(H(0)) >= 3/4 lambda_0
A6  eta = 1: r(k+1) = E(k), so that a Jacobian with ||J(w) - J(w')|| <= slope |w - w'| makes it quadratic,
    ||r(k+1)|| <= slope ||r(k)||^2/(2 lambda_min(H(k)))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import always, identity
from ntkverify.glossary import eta, k, lambda_0, loss, loss_0, residual
from ntkverify.instances import generator, is_decomposition
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP, loss_error, so_far, solve_error, two_losses
from ntkverify.lemmas.stability import visited
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

Names = str | Sequence[str] | None
STEP = {eta: sympy.Interval.open(0, 1)}  #: what is proved for one step is so for every step below 1
STEPS = (1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999)


class NaturalGradient(Part):
    """The chain of a theorem on natural gradient descent with step eta < 1; declares the rate 1.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, claims and controls.
    """

    name = "natural gradient"
    contracted = (1 - eta) ** k * loss_0  #: (1 - eta)^k L(0)
    solves = False  #: whether what a step solves is a claim

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        e = sympy.Symbol("e", positive=True)
        # one step: ||r+|| <= (1 - eta + eta e) ||r||, and the loss contracts by 1 - eta up to here
        self.solved = solve_for(e, sympy.Le(1 - eta + eta * e, sqrt(1 - eta)))
        self.epsilon = theorem.constant(
            "epsilon",
            derived(sqrt(1 - eta) / (1 + sqrt(1 - eta)), "the same, without cancellation for small steps", self.solved),
            "||E|| <= epsilon eta ||r|| lets the loss contract by 1 - eta",
        )
        theorem.declare(rate=sympy.Integer(1))

    def epsilon_forms(self) -> None:
        """Solved and rewritten."""

        @self.lemma("the two forms of epsilon agree", holds=identity)
        def epsilon_forms() -> Any:
            root = sympy.Symbol("root", positive=True)  # sqrt(1 - eta)
            at = {eta: 1 - root**2}
            written = self.theorem.expand(self.epsilon)
            return sympy.simplify(self.solved.expression.subs(at)), sympy.simplify(written.subs(at))

    # -- A4 -----------------------------------------------------------------------------------------------------------

    def recursion(self, how: str = "", **where: Any) -> None:
        """The recursion; `how` ends the sentence."""

        @self.lemma(
            f"recursion: r(k+1) = (1 - eta) r(k) + E(k){how}",
            holds=identity,
            error=solve_error,
            uses="solves" if self.solves else (),
            **where,
        )
        def recursion(run: Any) -> Any:
            r = run.trajectory.residuals
            return r[1:], (1 - run.eta) * r[:-1] + run.trajectory.remainders

    def step(self, **where: Any) -> None:
        """What a step solves, and how long it is."""

        @self.lemma("the step solves J (theta+ - theta) = -eta r", holds=identity, error=solve_error, **where)
        def solves(run: Any) -> Any:
            return run.trajectory.linear, -run.eta * run.trajectory.residuals[:-1]

        self.solves = True
        least = least_eigenvalue(self.theorem)
        self.lemma(
            "||theta+ - theta|| <= eta ||r||/sqrt(lambda_min(H))",
            of="trajectory.lengths",
            holds=always,
            bound=eta * residual / sqrt(least),
            error=lambda run: 4 * run.trajectory.lengths * _eigenvalue_share(run),
            attained=True,  # once r is along the least eigenvector, or for one sample
            uses="solves",
            **where,
        )

    # -- A5: one step -------------------------------------------------------------------------------------------------

    def contraction(self) -> None:
        """The contraction where E is along r, which is its worst direction, and 1% beyond its threshold."""
        worst: dict[str, Any] = {"holds": always, "bound": 1 - eta, "over": STEP}

        @self.lemma(
            "contraction: E up to the threshold leaves ||r||^2 shrinking by 1 - eta, worst case",
            uses="epsilon_forms",
            **worst,
        )
        def contraction() -> Any:
            return self._squared(sympy.Integer(1))

        self.control(
            "the contraction with E 1% beyond its threshold, at eta = 1/2",
            of=self._squared(Rational(101, 100)),
            given=sympy.Eq(eta, Rational(1, 2)),
            **worst,
        )

        @self.lemma(
            "sqrt(1 - eta)/2 is below the threshold", holds=always, bound=self.epsilon, over=STEP, uses="epsilon_forms"
        )
        def simple_threshold() -> Any:
            return sqrt(1 - eta) / 2

    def _squared(self, push: sympy.Expr) -> sympy.Expr:
        """||r||^2 after a step with E = push epsilon eta r, relative to before."""
        return ((1 - eta) + push * self.epsilon * eta) ** 2

    def small(self, run: Any) -> Any:
        """Whether E is below the threshold at each step, its rounding counted, (K,)."""
        return run.remainder + run.remainder_error <= run.epsilon * run.eta * run.residual

    def small_so_far(self, run: Any) -> Any:
        """The same at every earlier step, for each k >= 1, (K+1,)."""
        return so_far(self.small(run))

    def one_step(
        self,
        sentence: str,
        *,
        given: Callable[[Any], Any] | None = None,
        error: Callable[[Any], Any] = two_losses,
        uses: Names = ("recursion", "contraction"),
        **where: Any,
    ) -> None:
        """Each step of training contracts the loss where E is below the threshold, or the event that is given."""

        @self.lemma(
            sentence, holds=always, bound=(1 - eta) * loss, given=given or self.small, error=error, uses=uses, **where
        )
        def step_contracts(run: Any) -> Any:
            return run.losses[1:]

    def rate(
        self, sentence: str, *, kind: str = "lemma", given: Callable[[Any], Any] | None = None, **where: Any
    ) -> None:
        """L(k) <= (1 - eta)^k L(0) for as long as E is below the threshold, or the event that is given."""
        {"lemma": self.lemma, "conclusion": self.conclusion}[kind](
            sentence,
            of="losses",
            holds=always,
            bound=self.contracted,
            given=given or self.small_so_far,
            error=loss_error,
            **{"uses": "step_contracts", **where},
        )

    def too_fast(self, sentence: str, **where: Any) -> None:
        """A control: three times the rate."""
        self.control(sentence, of="losses", bound=(1 - eta) ** (3 * k) * loss_0, **where)


class StableJacobian(Part):
    """A5 along a run: gamma, how far the Jacobian may move from its start, over sqrt((1 - eta) lambda_0).

    In units of sqrt(lambda_0), singular values fall from sqrt(3)/2 by at most the change and stay above 1/sqrt(2);
    and E = (mean of J(theta_s) - J) (theta+ - theta) is at most 2 change/sqrt(1/2) eta ||r||, where
    epsilon >= sqrt(1 - eta)/2.
    """

    name = "stable Jacobian"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        g, half = sympy.Symbol("g", positive=True), Rational(1, 2)
        self.gamma_eigenvalue = theorem.constant(
            "gamma_eigenvalue",
            solve_for(g, sympy.Le(sqrt(half), sqrt(Rational(3, 4)) - g)),
            "lambda_min(H(k)) >= lambda_0/2 up to this change of J",
        )
        self.gamma_contraction = theorem.constant(
            "gamma_contraction",
            solve_for(g, sympy.Le(2 * g / sqrt(half), half)),
            "the contraction holds up to this change of J, over sqrt(1 - eta)",
        )
        self.gamma = theorem.constant(
            "gamma",
            derived(Rational(1, 7), "a simple number below both"),
            "||J(w) - J(0)|| <= gamma sqrt((1 - eta) lambda_0)",
        )
        self.allowed = self.gamma * sqrt((1 - eta) * lambda_0)

    def stays(self, run: Any) -> Any:
        """J within what is allowed of J(0) at every w so far, the middles of the steps included, (K+1,)."""
        start = run.eigenvalues[0, 0] >= 3 / 4 * run.lambda_0
        return so_far(visited(run) <= run.evaluate(self.allowed)) & start

    def thresholds(self) -> None:
        """gamma is below both of its thresholds, and the second one makes E half of what it may be."""
        number: dict[str, Any] = {"holds": always, "over": {}}
        self.lemma("gamma leaves the eigenvalue", of=self.gamma, bound=self.gamma_eigenvalue, **number)
        self.lemma("gamma leaves the contraction", of=self.gamma, bound=self.gamma_contraction, **number)

        @self.lemma(
            "E is at most half of eta sqrt(1 - eta) ||r|| at gamma_contraction",
            bound=Rational(1, 2),
            uses="simple_threshold",
            **number,
        )
        def contraction_constant() -> Any:
            """2 g/sqrt(lambda_min(J J^T)/lambda_0) with lambda_min(J J^T) = lambda_0/2."""
            return 2 * self.gamma_contraction / sqrt(Rational(1, 2))

    def _in_one_direction(self) -> None:
        """The worst case where every vector is along the least singular direction, in units of sqrt(lambda_0)."""
        start, share = sqrt(Rational(3, 4)), sympy.Symbol("share", positive=True)

        @self.lemma(
            "a singular value from sqrt(3)/2 on keeps its square at 1/2 after gamma_eigenvalue",
            holds=always,
            bound=Rational(1, 2),
            from_below=True,
            over={share: sympy.Interval(start, sympy.oo)},
            uses="gamma leaves the eigenvalue",
        )
        def least_square() -> Any:
            return (share - self.gamma_eigenvalue) ** 2

        moved = sqrt(1 - eta) * self.gamma

        @self.lemma(
            "(1 - eta + 2 eta c/(s - c))^2 <= 1 - eta for c = gamma sqrt(1 - eta) and every s from sqrt(3)/2 on",
            holds=always,
            bound=1 - eta,
            over={**STEP, share: sympy.Interval(start, sympy.oo)},
            uses=("gamma leaves the contraction", "contraction_constant", "contraction"),
        )
        def one_direction() -> Any:
            return ((1 - eta) + 2 * eta * moved / (share - moved)) ** 2

    def worst_case(self, *, assumes: Names = None) -> None:
        """J(0) with its least singular value at sqrt(3 lambda_0)/2, J and a step's mean J at the largest change."""
        self._in_one_direction()
        self.theorem.instances("worst Jacobians", run=AlgebraRun, quick=100, thorough=2000)(_worst_jacobians)
        worst: dict[str, Any] = {"holds": always, "on": "worst Jacobians", "assumes": assumes}
        step: dict[str, Any] = {**worst, "bound": 1 - eta, "error": worst_error}

        @self.lemma(
            "lambda_min(J J^T) >= lambda_0/2 after the change of J that is allowed, worst case",
            bound=lambda_0 / 2,
            from_below=True,
            given=_least_is_kept,
            error=lambda run: 64 * ULP * run.singular.max() ** 2,
            attained=True,
            uses="least_square",
            **worst,
        )
        def eigenvalue_kept(run: Any) -> Any:
            jacobian = weakened(run, run.gamma_eigenvalue * np.sqrt(run.lambda_0))
            return np.linalg.eigvalsh(jacobian @ jacobian.T)[0]

        @self.lemma(
            "one step contracts the loss when J changes by gamma sqrt((1 - eta) lambda_0), worst case",
            given=_least_is_kept,
            uses=("one_direction", "eigenvalue_kept"),
            **step,
        )
        def run_step(run: Any) -> Any:
            return self._run_step(run, run.gamma)

        @self.control(
            "one step contracts the loss when J changes by sqrt((1 - eta) lambda_0)/2",
            given=lambda run: run.eta == 0.9,
            **step,
        )
        def jacobian_too_far(run: Any) -> Any:
            return self._run_step(run, 1 / 2)

    def _run_step(self, run: Any, share: Any) -> Any:
        return worst_step(run, run.residual_vector, share * np.sqrt(1 - run.eta) * np.sqrt(run.lambda_0))


# -- a Jacobian given by its singular values --------------------------------------------------------------------------


def decomposed(run: Any) -> bool:
    """Whether J(0) has full rank and these are its singular values and vectors."""
    return is_decomposition(run.left, run.singular, run.right)


def random_decomposition(draw: Any, least: float) -> dict[str, Any]:
    """J(0) of one to four rows by its singular values, from `least` to 3."""
    rng = generator(draw)
    size = draw(st.integers(1, 4))
    left, _ = np.linalg.qr(rng.standard_normal((size, size)))
    right, _ = np.linalg.qr(rng.standard_normal((size + 2, size)))
    return {"left": left, "right": right, "singular": np.append(least, rng.uniform(least, 3, size - 1))}


def weakened(run: Any, amount: Any) -> Any:
    """J after the change of spectral norm `amount` that lowers its least singular value most."""
    change = np.zeros_like(run.singular)
    change[0] = amount
    return (run.left * (run.singular - change)) @ run.right.T


def worst_parts(run: Any, residuals: Any, amount: Any) -> tuple[Any, Any]:
    """Step and E when J is weakened most and the mean Jacobian of the step lies on the other side of J(0)."""
    jacobian, other = weakened(run, amount), weakened(run, -amount)
    step = -run.eta * np.linalg.pinv(jacobian) @ residuals
    return jacobian @ step, -(other - jacobian) @ step


def worst_step(run: Any, residuals: Any, amount: Any) -> Any:
    """||r+||^2/||r||^2 in that case."""
    linear, remainder = worst_parts(run, residuals, amount)
    after = residuals + linear + remainder
    return after @ after / (residuals @ residuals)


def worst_error(run: Any) -> Any:
    """Products and pseudo-inverse of matrices with this condition number."""
    return 64 * ULP * (run.singular.max() / run.singular.min()) ** 2


def least_eigenvalue(theorem: Theorem) -> sympy.Symbol:
    """The quantity lambda_min(H(k)) before each step."""
    return theorem.quantity("least", lambda run: run.eigenvalues[:-1, 0])


def _eigenvalue_share(run: Any) -> Any:
    """Relative backward error of the least eigenvalue."""
    return run.n * ULP * run.eigenvalues[:-1, -1] / run.eigenvalues[:-1, 0]


def _least_is_kept(run: Any) -> Any:
    """J(0) by its singular values, the least of them at least sqrt(3 lambda_0)/2."""
    if not decomposed(run):
        return False
    return run.lambda_0 > 0 and run.singular.min() ** 2 >= 3 * run.lambda_0 / 4 * (1 - 16 * ULP)


def _worst_jacobians(draw: Any) -> Instance:
    data = random_decomposition(draw, np.sqrt(3 / 4))
    scale = 10.0 ** draw(st.integers(-3, 3))  # lambda_0
    data = {**data, "singular": data["singular"] * np.sqrt(scale), "residual_vector": data["left"][:, 0]}
    return Instance(data=data, parameters={"lambda_0": scale}, step=draw(st.sampled_from(STEPS)))
