"""Gradient flow on ||r||^2/2, in continuous time: dr/dt = -H(t) r.

F1  ||r(t)||^2 <= exp(-2 kept rate t) ||r(0)||^2 as long as lambda_min(H(s)) >= kept rate for s <= t
F2  the integral of ||r|| is at most path ||r(0)||, path = 1/(kept rate); a weight with |dL/dw_r| <= gradient ||r||
    moves by at most gradient path ||r(0)||

The counterpart of `ntkverify.lemmas.gradient_descent`; a run of a flow answers for the symbol t, its kept times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, exp

from ntkverify import always, with_probability
from ntkverify.glossary import delta, lambda_0, loss_0, residual_0, words
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP, loss_error, started
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

WORST = "linear flow"
HALF = Rational(1, 2)
Names = str | Sequence[str] | None
t = sympy.Symbol("t", nonnegative=True)  #: time


class GradientFlow(Part):
    """The chain of a theorem on gradient flow; declares its rate.

    Parameters
    ----------
    theorem : Theorem
        Receives the constant path, claims and controls.
    rate : sympy.Expr
        What lambda_min(H) is measured in, linear in its symbols.
    kept : sympy.Rational
        Share of it that lambda_min(H(t)) keeps; a half makes the loss fall like exp(-rate t).
    said : mapping of sympy.Symbol to str, optional
        How sentences write the theorem's own symbols.
    """

    name = "gradient flow"

    def __init__(
        self, theorem: Theorem, *, rate: sympy.Expr = lambda_0, kept: sympy.Expr = HALF, said: Any = None
    ) -> None:
        super().__init__(theorem)
        self.rate, self.kept = rate, kept
        self.rate_words, self.kept_words = words(rate, said), words(kept * rate, said)
        self.loss_words = words(2 * kept * rate * t, said)
        r = sympy.Symbol("rate", positive=True)
        self.path = theorem.constant(
            "path",
            derived(
                sympy.integrate(exp(-kept * r * t), (t, 0, sympy.oo)).subs(r, rate), "integral of exp(-kept rate t)"
            ),
            "int ||r|| dt <= path ||r(0)||",
        )
        theorem.declare(rate=rate)

    @property
    def shrunk(self) -> sympy.Expr:
        """exp(-2 kept rate t), by which the loss falls."""
        return exp(-2 * self.kept * self.rate * t)

    @property
    def contracted(self) -> sympy.Expr:
        """exp(-2 kept rate t) L(0)."""
        return self.shrunk * loss_0

    def kept_so_far(self, run: Any) -> Any:
        """For each kept time whether lambda_min(H(s)) >= kept rate at all of them up to it."""
        return np.logical_and.accumulate(run.eigenvalues[:, 0] >= run.evaluate(self.kept * self.rate))

    # -- the worst case -----------------------------------------------------------------------------------------------

    def contraction(self) -> None:
        """F1 and F2 where r is along the slowest direction, or moves from piece to piece of a flow; and controls."""
        self.theorem.instances(WORST, run=AlgebraRun, quick=100, thorough=2000)(self._worst_flow)
        worst: dict[str, Any] = {"holds": always, "assumes": (), "on": WORST, "given": self.premises}

        beyond = sympy.Symbol("beyond", positive=True)

        @self.lemma(
            f"exp(-2 lambda t) <= exp(-{self.loss_words}) for every eigenvalue from {self.kept_words} on",
            holds=always,
            bound=self.shrunk,
            over={
                symbol: sympy.Interval(0, sympy.oo, left_open=bool(symbol.is_positive))
                for symbol in (t, beyond, *sorted(self.rate.free_symbols, key=str))
            },
        )
        def every_eigenvalue() -> Any:
            return exp(-2 * (self.kept * self.rate + beyond) * t)

        @self.control(
            "contraction: the squared norm falls at twice the rate",
            bound=self.shrunk**2,
            error=_shrinking_error,
            **worst,
        )
        @self.lemma(
            f"contraction: ||r(t)||^2 <= exp(-{self.loss_words}) ||r(0)||^2 while lambda_min(H) >= {self.kept_words}, "
            "worst case",
            bound=self.shrunk,
            error=_shrinking_error,
            attained=True,  # by one sample
            uses="every_eigenvalue",
            **worst,
        )
        def contraction(run: Any) -> Any:
            return np.sum(_flown(run) ** 2) / (run.vector @ run.vector)

        every = dict.fromkeys(sorted({t, *self.rate.free_symbols}, key=str), sympy.Interval.open(0, sympy.oo))

        @self.control(
            "the integral of ||r|| is at most half of path ||r(0)||", holds=always, bound=self.path / 2, over=every
        )
        @self.lemma(
            f"the integral of ||r|| is at most ||r(0)||/({self.kept_words}), worst case",
            holds=always,
            bound=self.path,
            over=every,
            uses="contraction",
        )
        def integral() -> Any:
            """Of exp(-kept rate s) from 0 to t, the largest that F1 allows."""
            low = self.kept * self.rate
            return (1 - exp(-low * t)) / low

    def _worst_flow(self, draw: Any) -> Instance:
        """Up to three pieces in which H is constant, its spectrum from kept rate to ten times that."""
        rng = generator(draw)
        size, pieces = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        scale, time = draw(st.sampled_from([0.01, 1.0, 100.0])), draw(st.sampled_from([0.1, 1.0, 40.0]))
        symbols = sorted(self.rate.free_symbols, key=str)
        parts = dict.fromkeys(symbols, scale / float(self.rate.subs(dict.fromkeys(symbols, 1))))
        low = float(self.kept) * scale
        bases = np.array([np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(pieces)])
        spectra = np.concatenate([np.full((pieces, 1), low), rng.uniform(low, 10 * low, (pieces, size - 1))], axis=1)
        shares = rng.dirichlet(np.ones(pieces))
        data = {"bases": bases, "spectra": spectra, "durations": shares * time / scale, "vector": bases[0][:, 0]}
        parameters = {s.name: value for s, value in parts.items()}
        return Instance(data=data, parameters={**parameters, "t": float(np.sum(data["durations"]))})

    def premises(self, run: Any) -> Any:
        """Orthonormal bases, spectra at least kept rate, durations that are not negative and add up to t."""
        size = len(run.vector)
        gaps = [np.abs(basis.T @ basis - np.eye(size)).max() for basis in run.bases]
        return (
            (max(gaps) <= 16 * size * ULP)
            & (np.min(run.spectra) >= run.evaluate(self.kept * self.rate) * (1 - 4 * ULP))
            & (np.min(run.durations) >= 0)
            & (abs(np.sum(run.durations) - run.t) <= 8 * ULP * run.t)
        )

    # -- on the flow of a network -------------------------------------------------------------------------------------

    def implication(self, **where: Any) -> None:
        """The rate for as long as the eigenvalue is kept."""

        @self.lemma(
            f"implication: L(t) <= exp(-{self.loss_words}) L(0) as long as lambda_min(H) >= {self.kept_words}",
            holds=always,
            bound=self.contracted,
            given=lambda run: self.kept_so_far(run) & started(run),
            error=loss_error,
            uses="contraction",
            **where,
        )
        def implication(run: Any) -> Any:
            return run.losses

    def drift(
        self,
        gradient: sympy.Expr,
        name: str,
        *,
        measured: Callable[[Any], Any] = lambda run: run.drift,
        uses: Names = ("gradient_bound",),
        **where: Any,
    ) -> None:
        """The drift of a set of weights, from max_r ||dL/dw_r|| <= gradient ||r||, while the eigenvalue is kept."""
        self.lemma(
            name,
            of=measured,
            holds=always,
            bound=gradient * self.path * residual_0,
            given=self.kept_so_far,
            uses=(*((uses,) if isinstance(uses, str) else uses or ()), "integral"),
            **where,
        )

    def at_width(
        self,
        width: str,
        *,
        on: Names,
        narrow: Names,
        few: str,
        uses: Names = (),
        error: Callable[[Any], Any] | None = None,
    ) -> None:
        """At a stated width eigenvalue and rate are kept with probability 1 - delta; with few neurons not the rate.

        `error` is that of lambda_min(H(t)), rounding and integration.
        """
        sure = with_probability(1 - delta)

        @self.conclusion(
            f"{width}: lambda_min(H(t)) >= {self.kept_words} at all times",
            holds=sure,
            bound=self.kept * self.rate,
            from_below=True,
            error=error,
            on=on,
            uses=uses,
        )
        def eigenvalue_kept(run: Any) -> Any:
            return run.eigenvalues[:, 0]

        @self.control(
            f"{few}: the rate, whatever the eigenvalue", holds=sure, bound=self.contracted, on=narrow, given=started
        )
        @self.conclusion(
            f"{width}: L(t) <= exp(-{self.loss_words}) L(0) at all times",
            holds=sure,
            bound=self.contracted,
            on=on,
            given=started,
            error=loss_error,
            uses=("eigenvalue_kept", "implication"),
        )
        def linear_rate(run: Any) -> Any:
            return run.losses


def _flown(run: Any) -> Any:
    """r after all pieces."""
    r = run.vector
    for basis, spectrum, duration in zip(run.bases, run.spectra, run.durations, strict=True):
        r = basis @ (np.exp(-spectrum * duration) * (basis.T @ r))
    return r


def _shrinking_error(run: Any) -> Any:
    """Products with three orthonormal bases, and exponents of relative rounding, of a squared norm that starts at 1."""
    exponent = np.max(np.sum(run.spectra * run.durations[:, None], axis=0))
    return 64 * len(run.vector) ** 2 * ULP * (1 + exponent) * np.exp(-2 * np.min(run.spectra) * run.t)
