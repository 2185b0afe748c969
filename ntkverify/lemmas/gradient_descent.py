"""Gradient descent on ||r||^2/2 as a perturbed linear recursion: r(k+1) = (I - eta H(k)) r(k) + I_1(k).

A1  the recursion, an identity: I_1 is what the outputs move beyond their linearisation
A2  a step contracts ||r||^2 by 1 - eta rate/2 if lambda_min(H) >= kept rate, eta ||H|| <= 1 and
    ||I_1|| <= epsilon rate eta ||r||
A3  eta sum_k ||r(k)|| <= drift_factor ||r(0)||/rate

A theorem says what its rate is, how much of it the Gram matrix keeps and which norm bounds the step, as expressions,
and on which families of instances each link is put to the test; claims speak in its symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import always, identity, scales_as, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, limit_norm, loss, loss_0, m, residual, residual_0, words
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part, Register
from ntkverify.lemmas.rounding import SHARP, ULP, descent_error, loss_error, so_far, started, two_losses
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

HALF = Rational(1, 2)
WORST = "perturbed linear recursion"
Names = str | Sequence[str] | None


class GradientDescent(Part):
    """The chain of a theorem on gradient descent; declares its rate and its largest step.

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

    # -- A3 -----------------------------------------------------------------------------------------------------------

    def sums(self, name: str | None = None) -> None:
        """The geometric sum behind every drift."""

        @self.lemma(
            name or f"sums: eta sum_k sqrt(1 - eta {self.rate_words}/2)^k <= 4/{self.rate_words}",
            holds=always,
            bound=self.drift_factor / self.rate,
            over=self.ranges,
            given=sympy.Le(eta * self.rate / 2, self.largest_a, evaluate=False),
        )
        def sums() -> Any:
            return eta / (1 - sqrt(1 - eta * self.rate / 2))

    def drift(
        self,
        gradient: sympy.Expr,
        name: str,
        *,
        given: Callable[[Any], Any] | None = None,
        measured: Callable[[Any], Any] = lambda run: run.drift,
        uses: Names = ("gradient_bound",),
        **where: Any,
    ) -> None:
        """The drift of a set of weights, from max_r ||dL/dw_r|| <= gradient ||r||, while the chain holds."""
        self.lemma(
            name,
            holds=always,
            bound=self.drift_factor * gradient * residual_0 / self.rate,
            given=given or self.chain_so_far,
            uses=(*((uses,) if isinstance(uses, str) else uses or ()), "sums"),
            **where,
        )(measured)

    def mean_drift(self, *, on: Names, ladder: str) -> None:
        """The root mean square drift, which needs no bound of a neuron's gradient, and its rate in the width."""

        @self.lemma(
            f"root mean square drift <= 4 ||r(0)||/(sqrt(eta m) {self.rate_words}) while the chain holds",
            holds=always,
            bound=self.drift_factor * residual_0 / (sqrt(eta * m) * self.rate),
            on=on,
            given=self.chain_so_far,
            uses="sums",
        )
        def mean_drift(run: Any) -> Any:
            """||theta(k+1) - theta(k)|| = eta ||J^T r|| <= sqrt(eta) ||r|| as eta ||H|| <= 1."""
            return run.drift_rms

        self.shrinks(
            "the root mean square drift", lambda run: run.drift_rms[-1] / run.residual_0, on=ladder, uses="mean_drift"
        )

    def shrinks(self, what: str, of: Callable[[Any], Any], *, uses: Names = (), **where: Any) -> None:
        """Something is of the order of m^(-1/2), and not, a control, of 1/m."""
        slow, fast = scales_as(Rational(-1, 2), tolerance=0.1), scales_as(-1, tolerance=0.1)
        self.lemma(f"{what} shrinks like m^(-1/2)", of=of, holds=slow, uses=uses, **where)
        self.control(f"{what} shrinks like 1/m", of=of, holds=fast, **where)

    # -- what it concludes --------------------------------------------------------------------------------------------

    def implication(self, **where: Any) -> None:
        """The rate for as long as the chain holds."""

        @self.lemma(
            f"implication: L(k) <= (1 - eta {self.rate_words}/2)^k L(0) for all k up to which the chain holds",
            holds=always,
            bound=self.contracted,
            given=self.chain_so_far,
            error=loss_error,
            uses="step_contracts",
            **where,
        )
        def implication(run: Any) -> Any:
            return run.losses

    def at_width(self, width: str, *, on: Names, narrow: Names, few: str, uses: Names = ()) -> None:
        """At a stated width hypotheses and rate hold with probability 1 - delta; with few neurons they do not."""
        sure, rated, normed = with_probability(1 - delta), self.rate_words, self.norm_words
        small = f"||I_1(k)|| <= epsilon {rated} eta ||r(k)|| at every step"
        step = f"2/(3 {normed})"

        @self.control(f"{few}: {small}", holds=sure, bound=self.epsilon, on=narrow)
        @self.conclusion(f"{width}: {small}", holds=sure, bound=self.epsilon, on=on, uses=uses)
        def remainder_small(run: Any) -> Any:
            return (run.remainder / (run.eta * run.residual)).max() / run.evaluate(self.rate)

        self.spectrum(self.conclusion, on=on, before=f"{width}: ", step=f" at the step {step}", uses=uses)

        @self.control(
            f"the rate on networks of {few}, the chain ignored",
            holds=always,
            bound=self.contracted,
            on=narrow,
            given=started,
            error=loss_error,
        )
        @self.conclusion(
            f"{width}, step {step}: L(k) <= (1 - eta {rated}/2)^k L(0) for all k",
            holds=sure,
            bound=self.contracted,
            on=on,
            uses=("remainder_small", "eigenvalue_kept", "step_kept", "implication"),
        )
        def linear_rate(run: Any) -> Any:
            return run.losses

    def spectrum(
        self, add: Callable[..., Register], *, on: Names, before: str = "", step: str = "", uses: Names = ()
    ) -> None:
        """lambda_min(H(k)) >= kept rate and eta ||H(k)|| <= 1 with probability 1 - delta; `add` says as what."""
        sure = with_probability(1 - delta)

        @add(
            f"{before}lambda_min(H(k)) >= {self.kept_words} for all k",
            holds=sure,
            bound=self.kept * self.rate,
            from_below=True,
            on=on,
            uses=uses,
        )
        def eigenvalue_kept(run: Any) -> Any:
            return run.eigenvalues[:, 0]

        @add(f"{before}eta ||H(k)|| <= 1 for all k{step}", holds=sure, bound=1, on=on, uses=uses)
        def step_kept(run: Any) -> Any:
            return run.eta * run.eigenvalues[:, -1]

    def controls(self, *, on: Names, unstable: Names, assumes: Names) -> None:
        """The rate of the largest eigenvalue; and a loss that never increases at 5/2 over the norm."""

        @self.control(
            f"the rate of the largest eigenvalue, (1 - eta {self.norm_words})^k",
            holds=always,
            bound=(1 - eta * self.norm) ** k * loss_0,
            on=on,
            given=started,
            error=loss_error,
        )
        def too_fast(run: Any) -> Any:
            return run.losses

        @self.control(
            f"the loss never increases at 2.5/{self.norm_words}",
            holds=always,
            bound=loss,
            assumes=assumes,
            on=unstable,
            error=two_losses,
        )
        def beyond_stability(run: Any) -> Any:
            return run.losses[1:]


def _along(run: Any) -> Any:
    """The direction of I_1; along r where an instance has none."""
    return run.push if "push" in run.instance.data else run.vector


def one_step_error(run: Any) -> float:
    """A few roundings of numbers near 1, and the QR factor's loss of orthogonality."""
    return 16 * len(run.vector) * ULP
