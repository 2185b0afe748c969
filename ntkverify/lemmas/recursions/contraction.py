"""A step of gradient descent on ||r||^2/2 as a perturbed linear map, and what lets it contract.

A1  the recursion r(k+1) = (I - eta H(k)) r(k) + I_1(k), an identity: I_1 is what the outputs move beyond their
    linearisation
A2  a step contracts ||r||^2 by 1 - eta rate/2 if lambda_min(H) >= kept rate, eta ||H|| <= 1 and
    ||I_1|| <= epsilon rate eta ||r||

`ntkverify.lemmas.gradient_descent` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import always, identity
from ntkverify.glossary import eta, k, lambda_0, limit_norm, loss, loss_0, residual, words
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import SHARP, ULP, descent_error, so_far, two_losses
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

HALF = Rational(1, 2)
WORST = "perturbed linear recursion"
Names = str | Sequence[str] | None


class Contraction(Part):
    """One step: constants, the recursion, and the contraction in the worst case and in training.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, claims and controls.
    rate : sympy.Expr
        What lambda_min(H) is measured in: lambda_0, or a sum over two sets of weights. The worst case takes it to be
        linear in its symbols.
    norm : sympy.Expr
        Norm of the limit Gram matrix, at least the rate; the step is at most 2/(3 norm).
    kept : sympy.Expr
        Share of the rate that lambda_min(H(k)) keeps, more than a quarter; may contain parameters of instances.
    splits : sequence of mappings of sympy.Symbol to number
        The values of those parameters that the worst case draws from.
    said : mapping of sympy.Symbol to str, optional
        How sentences write the theorem's own symbols; `ntkverify.glossary.WORDS` has those of the glossary.
    kept_words : str, optional
        How they write kept rate, where sympy's order of terms is not the theorem's.
    """

    name = "gradient descent"

    def __init__(
        self,
        theorem: Theorem,
        *,
        rate: sympy.Expr = lambda_0,
        norm: sympy.Expr = limit_norm,
        kept: sympy.Expr = HALF,
        splits: Sequence[Mapping[sympy.Symbol, Any]] = ({},),
        said: Mapping[sympy.Symbol, str] | None = None,
        kept_words: str = "",
    ) -> None:
        super().__init__(theorem)
        self.rate, self.norm, self.kept, self.splits = rate, norm, kept, splits
        self.rate_words, self.norm_words = words(rate, said), words(norm, said)
        self.kept_words = kept_words or words(kept * rate, said)
        a, mu, e = sympy.symbols("a mu epsilon", positive=True)
        constant, rated = theorem.constant, self.rate_words
        largest = solve_for(eta, sympy.Le(eta * Rational(3, 2) * norm, 1))
        self.eta_max = constant("eta_max", largest, "largest admissible step")
        self.largest_a = constant(
            "largest_a",
            derived(self.eta_max * norm / 2, f"eta {rated}/2 at the largest step and {rated} = {self.norm_words}"),
            f"eta {rated}/2 never exceeds it",
        )
        # with a = eta rate/2 a step contracts the norm by 1 - 2 a mu + 2 a epsilon, decreasing in a
        sharp = solve_for(e, sympy.Le(1 - 2 * a * mu + 2 * a * e, sqrt(1 - a)))
        self.epsilon = constant(
            "epsilon",
            derived(
                kept - 1 / (2 * (1 + sqrt(1 - self.largest_a))), "sharp threshold at mu = kept and the largest a", sharp
            ),
            f"||I_1|| <= epsilon {rated} eta ||r|| lets the loss contract",
        )
        self.drift_factor = constant(
            "drift_factor",
            derived(sympy.limit(2 * a / (1 - sqrt(1 - a)), a, 0), "sup over a of 2 a/(1 - sqrt(1 - a)), at a = 0"),
            f"eta sum_k ||r(k)|| <= drift_factor ||r(0)||/{rated}",
        )
        theorem.declare(rate=rate, largest_step=self.eta_max)

    @property
    def contracted(self) -> sympy.Expr:
        """(1 - eta rate/2)^k L(0)."""
        return (1 - eta * self.rate / 2) ** k * loss_0

    # -- events on a run ----------------------------------------------------------------------------------------------

    def chain(self, run: Any) -> Any:
        """At each step, whether both ends of the spectrum and I_1 allow the contraction, (K,)."""
        return (
            (run.eigenvalues[:-1, 0] >= run.evaluate(self.kept * self.rate))
            & (run.eta * run.eigenvalues[:-1, -1] <= 1)
            & (run.remainder <= run.epsilon * run.evaluate(self.rate) * run.eta * run.residual)
        )

    def chain_so_far(self, run: Any) -> Any:
        """The chain at every earlier step, for each k >= 1, (K+1,)."""
        return so_far(self.chain(run))

    def contracting_so_far(self, run: Any) -> Any:
        """L(i) <= (1 - eta rate/2)^i L(0) for every i < k, for each k, (K+1,)."""
        held = run.losses <= (1 - run.eta * run.evaluate(self.rate) / 2) ** run.k * run.loss_0 * (1 + 16 * ULP)
        return so_far(held[:-1], start=True)

    # -- A1 -----------------------------------------------------------------------------------------------------------

    def recursion(self, *, error: Callable[[Any], Any] = descent_error, **where: Any) -> None:
        """The recursion; ``on=`` and ``assumes=`` as for a claim."""

        @self.lemma("recursion: r(k+1) = (I - eta H(k)) r(k) + I_1(k)", holds=identity, error=error, **where)
        def recursion(run: Any) -> Any:
            r, grams = run.trajectory.residuals, run.trajectory.grams[:-1]
            return r[1:], r[:-1] - run.eta * np.einsum("kij,kj->ki", grams, r[:-1]) + run.trajectory.remainders

    def spectral_step(self, **where: Any) -> None:
        """What any step does to ||r||, at any step size."""
        spectral = self.theorem.quantity(
            "spectral_factor", lambda run: np.abs(1 - run.eta * run.eigenvalues[:-1, [0, -1]]).max(axis=1)
        )
        remainder = self.theorem.quantity("remainder_norm", lambda run: run.remainder)

        @self.lemma(
            "any step: ||r(k+1)|| <= max_i |1 - eta lambda_i(H(k))| ||r(k)|| + ||I_1(k)||",
            holds=always,
            bound=spectral * residual + remainder,
            error=lambda run: run.residuals_error[1:] + np.linalg.norm(descent_error(run), axis=1),
            attained=True,  # by one sample, or once r is along the slowest direction
            uses="recursion",
            **where,
        )
        def spectral_step(run: Any) -> Any:
            return run.residuals[1:]

    # -- A2 -----------------------------------------------------------------------------------------------------------

    def contraction(self, *, on: Names, assumes: Names = None) -> None:
        """The contraction: its worst case, its threshold exceeded (a control), and steps of training."""
        rated = f"eta {self.rate_words}/2"
        worst: dict[str, Any] = {"holds": always, "bound": 1 - eta * self.rate / 2, "assumes": (), "on": WORST}
        self.theorem.instances(WORST, run=AlgebraRun, quick=200, thorough=5000)(self.worst_recursion())
        self._every_eigenvalue()
        factor = self.theorem.quantity(
            "worst_factor", lambda run: np.abs(1 - run.eta * np.linalg.eigvalsh(run.matrix)).max()
        )

        @self.lemma(
            "reduction to one eigenvalue: a step's norm is at most max_i |1 - eta lambda_i(H)| ||r|| + ||I_1||",
            holds=always,
            bound=(factor + self.epsilon * self.rate * eta) ** 2,
            assumes=(),
            on=WORST,
            given=self.premises,
            error=one_step_error,
            attained=True,  # r along an end of the spectrum
        )
        def reduction(run: Any) -> Any:
            return self.one_step(run, 1.0)

        @self.lemma(
            f"contraction: I_1 up to the threshold leaves ||r||^2 shrinking by 1 - {rated}, worst case",
            given=self.premises,
            error=one_step_error,
            uses=("reduction", "every_eigenvalue"),
            **worst,
        )
        def contraction(run: Any) -> Any:
            return self.one_step(run, SHARP)

        @self.control(
            "the contraction with a perturbation 1% beyond its threshold, at the largest step",
            given=lambda run: run.eta * run.evaluate(self.rate) / 2 >= run.largest_a * (1 - 1e-12),
            error=one_step_error,
            **worst,
        )
        def threshold_exceeded(run: Any) -> Any:
            return self.one_step(run, 1.01)

        @self.lemma(
            "one step contracts the loss whenever lambda_min(H(k)), ||H(k)|| and I_1(k) allow it",
            holds=always,
            bound=(1 - eta * self.rate / 2) * loss,
            assumes=assumes,
            on=on,
            given=self.chain,
            error=two_losses,
            uses=("recursion", "contraction"),
        )
        def step_contracts(run: Any) -> Any:
            return run.losses[1:]

    @property
    def ranges(self) -> dict[sympy.Symbol, sympy.Interval]:
        """Of the step and of the symbols of the rate and of the split, shares of it: what a proof is for all of."""
        every = sympy.Interval.open(0, sympy.oo)
        rates = dict.fromkeys(sorted({eta, *self.rate.free_symbols}, key=str), every)
        shares = self.theorem.expand(self.kept).free_symbols - set(rates)
        return {**rates, **dict.fromkeys(sorted(shares, key=str), sympy.Interval.open(0, 1))}

    def _every_eigenvalue(self) -> None:
        """The contraction in one eigenvalue of H, for all of them, and 1% beyond its threshold."""
        value = sympy.Symbol("lambda_H", positive=True)
        spectrum = sympy.Le(self.kept * self.rate, value), sympy.Le(eta * value, 1)
        steps = sympy.Le(eta * self.rate / 2, self.largest_a, evaluate=False)
        claim: dict[str, Any] = {
            "holds": always,
            "bound": 1 - eta * self.rate / 2,
            "over": {**self.ranges, value: sympy.Interval.open(0, sympy.oo)},
        }

        def squared(push: sympy.Expr) -> sympy.Expr:
            return (1 - eta * value + push * self.epsilon * self.rate * eta) ** 2

        @self.lemma(
            f"(1 - eta lambda + epsilon {self.rate_words} eta)^2 <= 1 - eta {self.rate_words}/2 for every eigenvalue",
            # a threshold that is negative allows nothing
            given=(*spectrum, steps, sympy.Ge(self.epsilon, 0, evaluate=False)),
            **claim,
        )
        def every_eigenvalue() -> Any:
            return squared(sympy.Integer(1))

        self.control(
            f"the same with 1.01 epsilon: (1 - eta lambda + 1.01 epsilon {self.rate_words} eta)^2",
            of=squared(Rational(101, 100)),
            given=(*spectrum, steps),
            **claim,
        )

    def beyond_stability(self, top: float = 2.1) -> None:
        """A control: the contraction where eta ||H|| is more than 2."""
        family = "linear recursion beyond stability"
        self.theorem.instances(family, run=AlgebraRun, quick=20)(self.worst_recursion(top))
        self.control(
            f"the contraction where eta ||H|| = {top}",
            of=self.one_step,
            holds=always,
            bound=1 - eta * self.rate / 2,
            assumes=(),
            on=family,
            error=one_step_error,
        )

    def worst_recursion(self, top: float = 1.0) -> Callable[[Any], Instance]:
        """H with its spectrum from kept rate to top/eta, r along either end or at random, I_1 along (I - eta H) r."""

        def build(draw: Any) -> Instance:
            rng = generator(draw)
            size = draw(st.integers(2, 6))
            a = draw(st.sampled_from([1e-5, 1e-2, 0.5, 1.0])) * float(self.theorem.value(self.largest_a, {}))
            step = draw(st.sampled_from([0.01, 1.0, 100.0]))
            split = draw(st.sampled_from(self.splits))
            symbols = sorted(self.rate.free_symbols, key=str)
            parts = dict.fromkeys(symbols, 2 * a / step / float(self.rate.subs(dict.fromkeys(symbols, 1))))
            low = float((self.kept * self.rate).subs({**parts, **split}))
            basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
            high = max(low, top / step)
            spectrum = np.concatenate([[low], rng.uniform(low, high, size - 2), [high]])
            matrix = (basis * spectrum) @ basis.T
            random = rng.standard_normal(size)
            vector = draw(st.sampled_from([basis[:, 0], basis[:, -1], random / np.linalg.norm(random)]))
            push = vector - step * matrix @ vector
            norm = np.linalg.norm(push)
            return Instance(
                data={"matrix": matrix, "vector": vector, "push": push / norm if norm > 1e-6 else vector},
                parameters={s.name: float(value) for s, value in {**parts, **split}.items()},
                step=step,
            )

        return build

    def one_step(self, run: Any, push: float = SHARP) -> Any:
        """Squared norm after a step with ||I_1|| = push epsilon rate eta ||r||, relative to before."""
        moved = run.vector - run.eta * run.matrix @ run.vector
        vector = moved + push * run.epsilon * run.evaluate(self.rate) * run.eta * _along(run)
        return vector @ vector / (run.vector @ run.vector)

    def premises(self, run: Any) -> Any:
        """H symmetric, spectrum from kept rate to 1/eta; eta rate/2 <= largest_a; |I_1| at most |r|."""
        # moves the squared norm by half of what `one_step_error` allows
        rounding, rate = 4 * len(run.vector) * ULP, run.evaluate(self.rate)
        low, spectrum = run.evaluate(self.kept * self.rate), run.eta * np.linalg.eigvalsh(run.matrix)
        return (
            (run.eta > 0)
            & (low > 0)
            & (spectrum[0] >= run.eta * low - rounding)
            & (spectrum[-1] <= 1 + rounding)
            & (run.eta * np.abs(run.matrix - run.matrix.T).max() <= rounding)
            & (run.eta * rate / 2 <= run.largest_a * (1 + rounding))
            & (np.linalg.norm(_along(run)) <= np.linalg.norm(run.vector) * (1 + rounding))
        )

    def largest_step(self, moved: sympy.Expr) -> None:
        """The step keeps eta ||H|| <= 1 while H is within `moved` of its limit; a is within what epsilon allows.

        `moved` is a share of the rate, in symbols of the split, and at most half of the norm.
        """
        norms = dict.fromkeys(sorted(self.norm.free_symbols, key=str), sympy.Interval.open(0, sympy.oo))
        over, fits = {**self.ranges, **norms}, sympy.Le(self.rate, self.norm)
        self.lemma(
            "eta ||H(k)|| <= 1 at the largest step, by the triangle inequality",
            of=self.eta_max * (self.norm + moved),
            holds=always,
            bound=1,
            over=over,
            given=(fits, sympy.Le(moved, self.norm / 2)),
        )
        self.lemma(
            f"eta {self.rate_words}/2 stays within the range that epsilon was derived for, by arithmetic",
            of=eta * self.rate / 2,
            holds=always,
            bound=self.largest_a,
            over=over,
            given=(fits, sympy.Le(eta, self.eta_max, evaluate=False)),
        )


def _along(run: Any) -> Any:
    """The direction of I_1; along r where an instance has none."""
    return run.push if "push" in run.instance.data else run.vector


def one_step_error(run: Any) -> float:
    """A few roundings of numbers near 1, and the QR factor's loss of orthogonality."""
    return 16 * len(run.vector) * ULP
