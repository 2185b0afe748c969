"""Gradient descent on ||r||^2/2 as a perturbed linear recursion: r(k+1) = (I - eta H(k)) r(k) + I_1(k).

A1, A2  what one step does (`ntkverify.lemmas.recursions.contraction`)
A3      eta sum_k ||r(k)|| <= drift_factor ||r(0)||/rate

A theorem says what its rate is, how much of it the Gram matrix keeps and which norm bounds the step, as expressions,
and on which families of instances each link is put to the test; claims speak in its symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy import Rational, sqrt

from ntkverify import always, scales_as, with_probability
from ntkverify.glossary import delta, eta, k, loss, loss_0, m, residual_0
from ntkverify.lemmas.part import Register
from ntkverify.lemmas.recursions.contraction import Contraction, Names
from ntkverify.lemmas.rounding import loss_error, started, two_losses


class GradientDescent(Contraction):
    """The chain of a theorem on gradient descent; declares its rate and its largest step.

    Parameters as for `Contraction`.
    """

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

    def at_width(
        self,
        width: str,
        *,
        on: Names,
        narrow: Names,
        few: str,
        until: str = "",
        pushed: Mapping[str, Names] | None = None,
        uses: Names = (),
    ) -> None:
        """At a stated width hypotheses and rate hold with probability 1 - delta; with few neurons they do not.

        Parameters
        ----------
        width, few : str
            The networks of `on` and of `narrow` in words, with what they are trained on.
        until : str
            The steps of `on` in words; "for all k" by default.
        pushed : mapping of str to str or sequence of str, optional
            By words the families where I_1 is too large, each a control; those of few neurons by default. I_1 over
            eta ||r|| is as large as the way of the weights, of the order of ||r(0)||/sqrt(m).
        """
        sure, rated, normed = with_probability(1 - delta), self.rate_words, self.norm_words
        small = f"||I_1(k)|| <= epsilon {rated} eta ||r(k)|| {until or 'at every step'}"
        until, step = until or "for all k", f"2/(3 {normed})"

        @self.conclusion(f"{width}: {small}", holds=sure, bound=self.epsilon, on=on, uses=uses)
        def remainder_small(run: Any) -> Any:
            return (run.remainder / (run.eta * run.residual)).max() / run.evaluate(self.rate)

        for where, families in ({few: narrow} if pushed is None else pushed).items():
            self.control(f"{where}: {small}", holds=sure, bound=self.epsilon, on=families)(remainder_small)

        self.spectrum(self.conclusion, on=on, before=f"{width}: ", until=until, step=f" at the step {step}", uses=uses)

        @self.control(
            f"the rate on networks of {few}, the chain ignored",
            holds=always,
            bound=self.contracted,
            on=narrow,
            given=started,
            error=loss_error,
        )
        @self.conclusion(
            f"{width}, step {step}: L(k) <= (1 - eta {rated}/2)^k L(0) {until}",
            holds=sure,
            bound=self.contracted,
            on=on,
            uses=("remainder_small", "eigenvalue_kept", "step_kept", "implication"),
        )
        def linear_rate(run: Any) -> Any:
            return run.losses

    def spectrum(
        self,
        add: Callable[..., Register],
        *,
        on: Names,
        before: str = "",
        until: str = "for all k",
        step: str = "",
        uses: Names = (),
    ) -> None:
        """lambda_min(H(k)) >= kept rate and eta ||H(k)|| <= 1 with probability 1 - delta; `add` says as what."""
        sure = with_probability(1 - delta)

        @add(
            f"{before}lambda_min(H(k)) >= {self.kept_words} {until}",
            holds=sure,
            bound=self.kept * self.rate,
            from_below=True,
            on=on,
            uses=uses,
        )
        def eigenvalue_kept(run: Any) -> Any:
            return run.eigenvalues[:, 0]

        @add(f"{before}eta ||H(k)|| <= 1 {until}{step}", holds=sure, bound=1, on=on, uses=uses)
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
