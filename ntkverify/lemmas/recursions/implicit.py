"""Implicit gradient descent, w+ = w - eta J(w+)^T r(w+): r(k) = (I + eta H(k+1)) r(k+1) + I(k), at any step.

G1  the recursion, an identity: I = r(w) - r(w+) - J(w+)(w - w+), what outputs miss of their linearisation at the end
G2  ||r(k+1)|| <= (||r(k)|| + ||I(k)||)/(1 + eta lambda_min(H(k+1))); so a step contracts ||r|| by 1/(1 + eta left), and
    ||r||^2 by 1/(1 + eta rate/2), if lambda_min(H(k+1)) >= kept rate and ||I(k)|| <= epsilon rate eta ||r(k+1)||, with
    left = (kept - epsilon) rate; eta is any positive number
G3  eta sum_k ||r(k+1)|| <= drift_factor ||r(0)||/rate, whatever eta is
G4  |w(k+1) - w(k)|^2 = eta <r(k+1), r(k) - r(k+1) - I(k)>, so that a Jacobian with ||J(w) - J(w')|| <= slope |w - w'|
    has ||I|| <= slope/(2 - q) ||r(k)|| eta ||r(k+1)|| where slope eta ||r(k+1)|| <= q < 1; there the step exists too,
    on the branch of solutions that leaves w (`ntkverify.lemmas.recursions.branch`)

What claims call I(k) is measured as a whole, r(k) - (I + eta H(k+1)) r(k+1), so that what an inner solver leaves is in
it; the recursion compares it with the sum over neurons where the solver has converged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import always, identity, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, loss_0, residual_0, words
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.recursions.runs import converged, norm_error, solved, solved_error
from ntkverify.lemmas.rounding import SHARP, ULP, so_far, started
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

HALF, POSITIVE = Rational(1, 2), sympy.Interval.open(0, sympy.oo)
WORST = "implicit step, worst case"
Names = str | Sequence[str] | None


class ImplicitDescent(Part):
    """The chain of a theorem on implicit gradient descent; runs are `ImplicitSteps`.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, claims and controls.
    rate : sympy.Expr
        What lambda_min(H) is measured in.
    kept : sympy.Expr
        Share of the rate that lambda_min(H(k)) keeps, more than a quarter.
    said : mapping of sympy.Symbol to str, optional
        How sentences write the theorem's own symbols.
    """

    name = "implicit gradient descent"

    def __init__(
        self,
        theorem: Theorem,
        *,
        rate: sympy.Expr = lambda_0,
        kept: sympy.Expr = HALF,
        said: Mapping[sympy.Symbol, str] | None = None,
    ) -> None:
        super().__init__(theorem)
        self.rate, self.kept, self.rated = rate, kept, words(rate, said)
        e, x = sympy.symbols("e x", positive=True)
        # (1 + x (kept - e))^2 against 1 + x/2, x = eta rate: to first order in x, of which the square has more
        first = sympy.diff((1 + x * (kept - e)) ** 2 - (1 + x / 2), x).subs(x, 0)
        self.epsilon = theorem.constant(
            "epsilon",
            solve_for(e, sympy.Ge(sympy.expand(first), 0)),
            f"||I|| <= epsilon {self.rated} eta ||r(k+1)|| lets the loss contract by 1/(1 + eta {self.rated}/2)",
        )
        self.left = kept - self.epsilon
        self.drift_factor = theorem.constant(
            "drift_factor",
            derived(1 / (kept - theorem.expand(self.epsilon)), "geometric series, q/(1 - q) at q = 1/(1 + eta left)"),
            f"eta sum_k ||r(k+1)|| <= drift_factor ||r(0)||/{self.rated}",
        )
        theorem.declare(rate=rate)

    @property
    def contracted(self) -> sympy.Expr:
        """(1 + eta left)^-k ||r(0)||, left = (kept - epsilon) rate."""
        return residual_0 / (1 + eta * self.left * self.rate) ** k

    @property
    def loss_contracted(self) -> sympy.Expr:
        """(1 + eta rate/2)^-k L(0), which is weaker."""
        return loss_0 / (1 + eta * self.rate / 2) ** k

    # -- events on a run ----------------------------------------------------------------------------------------------

    def chain(self, run: Any) -> Any:
        """At each step, whether the end's spectrum and I allow the contraction, (K,)."""
        return (run.eigenvalues[1:, 0] >= run.evaluate(self.kept * self.rate)) & (run.push_norm <= self._allowed(run))

    def chain_so_far(self, run: Any) -> Any:
        """The chain at every earlier step, for each k >= 1, (K+1,)."""
        return so_far(self.chain(run))

    # -- G1 -----------------------------------------------------------------------------------------------------------

    def recursion(self, *, narrow: Names = None, **where: Any) -> None:
        """The recursion with I summed neuron by neuron; on `narrow` networks false with H(k) in place of H(k+1)."""
        claim: dict[str, Any] = {"holds": identity, "given": solved, "error": solved_error}

        def sides(run: Any, grams: Any) -> Any:
            r, rests = run.trajectory.residuals, run.trajectory.back_remainders
            return r[:-1], r[1:] + run.eta * np.einsum("kij,kj->ki", grams, r[1:]) + rests

        self.lemma(
            "recursion: r(k) = (I + eta H(k+1)) r(k+1) + I(k)",
            of=lambda run: sides(run, run.trajectory.grams[1:]),
            **claim,
            **where,
        )
        self.lemma(
            "|w(k+1) - w(k)|^2 = eta <r(k+1), r(k) - r(k+1) - I(k)>",
            of=lambda run: (
                run.trajectory.lengths**2,
                run.eta * (run.trajectory.residuals[1:] * run.trajectory.back_linear).sum(axis=1),
            ),
            holds=identity,
            given=lambda run: solved(run)[:, 0],
            error=lambda run: 4 * run.eta * run.residuals[1:] * solved_error(run)[:, 0],
            uses="recursion",
            **where,
        )
        if narrow:
            self.control(
                "the recursion with the old H: r(k) = (I + eta H(k)) r(k+1) + I(k)",
                of=lambda run: sides(run, run.trajectory.grams[:-1]),
                **claim,
                **{**where, "on": narrow},
            )

    def any_step(self, **where: Any) -> None:
        """What any step does to ||r||, at any width."""
        least = self.theorem.quantity("least_after", lambda run: run.eigenvalues[1:, 0])
        largest = self.theorem.quantity("largest_after", lambda run: run.eigenvalues[1:, -1])
        before = self.theorem.quantity("before", lambda run: run.residual + run.push_norm)
        claim: dict[str, Any] = {
            "of": lambda run: run.residuals[1:],
            "holds": always,
            "error": lambda run: 2 * run.push_error / (1 + run.eta * run.eigenvalues[1:, 0]),
            **where,
        }
        self.lemma(
            "any step: ||r(k+1)|| <= (||r(k)|| + ||I(k)||)/(1 + eta lambda_min(H(k+1)))",
            bound=before / (1 + eta * least),
            attained=True,  # by one sample, or once r is along the slowest direction
            **claim,
        )
        self.control("the same with lambda_max(H(k+1))", bound=before / (1 + eta * largest), **claim)

    # -- G2 -----------------------------------------------------------------------------------------------------------

    def contraction(self, *, on: Names, assumes: Names = None) -> None:
        """The contraction: its worst case, its threshold exceeded (a control), and steps of training."""
        value, rate = sympy.Symbol("lambda_H", positive=True), self.rate
        self.theorem.instances(WORST, run=AlgebraRun, quick=200, thorough=5000)(self.worst_step)
        least = self.theorem.quantity("worst_least", lambda run: np.linalg.eigvalsh(run.matrix)[0])

        self.lemma(
            "reduction to one eigenvalue: ||(I + eta H) r+ + I|| >= (1 + eta lambda_min(H)) ||r+|| - ||I||",
            of=self.before_step,
            holds=always,
            bound=1 + eta * (least - self.epsilon * rate),
            from_below=True,
            assumes=(),
            on=WORST,
            given=self.premises,
            error=worst_error,
            attained=True,  # r+ along the slowest direction, I against it
        )
        claim: dict[str, Any] = {"holds": always, "of": 1 + eta * rate / 2}
        claim |= {"over": {**dict.fromkeys(sorted({eta, *rate.free_symbols}, key=str), POSITIVE), value: POSITIVE}}
        claim |= {"given": sympy.Ge(value, self.kept * rate)}

        def squared(push: sympy.Expr) -> sympy.Expr:
            return (1 + eta * (value - push * self.epsilon * rate)) ** 2

        one, more = sympy.Integer(1), Rational(101, 100)
        half = f"1 + eta {self.rated}/2"
        self.lemma(
            f"{half} <= (1 + eta lambda - epsilon {self.rated} eta)^2 for every eigenvalue, at any step",
            bound=squared(one),
            **claim,
        )
        self.control(
            f"the same with 1.01 epsilon: {half} <= (1 + eta lambda - 1.01 epsilon {self.rated} eta)^2",
            bound=squared(more),
            **claim,
        )
        self.lemma(
            f"contraction: I up to the threshold leaves ||r||^2 shrinking by {half}, worst case",
            of=lambda run: self.before_step(run) ** 2,
            holds=always,
            bound=1 + eta * rate / 2,
            from_below=True,
            assumes=(),
            on=WORST,
            given=self.premises,
            error=lambda run: 2 * worst_error(run) * self.before_step(run),
            uses=("reduction", half + " <= (1 + eta lambda - epsilon"),
        )

        @self.lemma(
            f"one step shrinks ||r|| by 1 + eta {words(self.left_value * rate)} if lambda_min(H(k+1)), I(k) allow it",
            holds=always,
            bound=1 / (1 + eta * self.left * rate),
            assumes=assumes,
            on=on,
            given=self.chain,
            error=lambda run: 2 * run.residuals_error[1:] / run.residual,
            uses=("any step", "contraction"),
        )
        def step_contracts(run: Any) -> Any:
            return run.residuals[1:] / run.residual

    @property
    def left_value(self) -> sympy.Expr:
        """kept - epsilon as a number."""
        return sympy.simplify(self.theorem.expand(self.left))

    def worst_step(self, draw: Any) -> Instance:
        """H with its spectrum from kept rate on, r+ along either end or at random, I against (I + eta H) r+."""
        rng = generator(draw)
        size, x = draw(st.integers(2, 6)), draw(st.sampled_from([1e-6, 1e-3, 1.0, 1e2, 1e4]))
        step = draw(st.sampled_from([0.01, 1.0, 1e4]))
        symbols = sorted(self.rate.free_symbols, key=str)
        parts = dict.fromkeys(symbols, x / step / float(self.rate.subs(dict.fromkeys(symbols, 1))))
        low = float((self.kept * self.rate).subs(parts))
        basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
        spectrum = low * np.concatenate([[1], rng.uniform(1, 10, size - 2), [10]])
        matrix, random = (basis * spectrum) @ basis.T, rng.standard_normal(size)
        vector = draw(st.sampled_from([basis[:, 0], basis[:, -1], random / np.linalg.norm(random)]))
        push = -(vector + step * matrix @ vector)
        return Instance(
            data={"matrix": matrix, "vector": vector, "push": push / np.linalg.norm(push)},
            parameters={s.name: float(value) for s, value in parts.items()},
            step=step,
        )

    def before_step(self, run: Any) -> Any:
        """||(I + eta H) r+ + I||/||r+|| with I at the threshold."""
        size = np.linalg.norm(run.vector)
        push = SHARP * run.epsilon * run.evaluate(self.rate) * run.eta * size * run.push
        return np.linalg.norm(run.vector + run.eta * run.matrix @ run.vector + push) / size

    def premises(self, run: Any) -> Any:
        """H symmetric, its spectrum from kept rate on; |I| at most epsilon rate eta |r+|."""
        rounding, low = 4 * len(run.vector) * ULP, run.evaluate(self.kept * self.rate)
        spectrum = np.linalg.eigvalsh(run.matrix)
        return (
            (run.eta > 0)
            & (low > 0)
            & (spectrum[0] >= low - rounding * spectrum[-1])
            & (np.abs(run.matrix - run.matrix.T).max() <= rounding * spectrum[-1])
            & (np.linalg.norm(run.push) <= 1 + rounding)
        )

    # -- G3 -----------------------------------------------------------------------------------------------------------

    def sums(self) -> None:
        """The geometric sum behind every drift, an equality: eta is in it no more."""
        factor = self.theorem.expand(self.drift_factor)
        self.lemma(
            f"sums: eta sum_k ||r(k+1)|| <= {factor} ||r(0)||/{self.rated}, whatever eta is",
            of=eta / ((1 + eta * self.left * self.rate) - 1),
            holds=always,
            bound=self.drift_factor / self.rate,
            over=dict.fromkeys(sorted({eta, *self.rate.free_symbols}, key=str), POSITIVE),
            attained=True,
        )

    # -- G4 -----------------------------------------------------------------------------------------------------------

    def perturbation(self, slope: sympy.Expr, sentence: str, *, most: sympy.Expr, **where: Any) -> None:
        """||I|| by the slope of the Jacobian and the length of the step; with slope eta ||r(k+1)|| up to `most`."""
        q, a, i = sympy.symbols("q a i", positive=True)
        self.lemma(
            f"||I|| <= q ||r(k)||/(2 - {most}) where ||I|| <= q/2 (||r(k)|| + ||I||) and q <= {most}, by arithmetic",
            of=i,
            holds=always,
            bound=q * a / (2 - most),
            over={q: sympy.Interval.Lopen(0, most), a: POSITIVE, i: POSITIVE},
            given=sympy.Le(i, q / 2 * (a + i)),
            attained=True,
        )
        length = self.theorem.quantity("step_length", lambda run: run.trajectory.lengths)
        self.lemma(
            sentence,
            of=lambda run: np.linalg.norm(run.trajectory.back_remainders, axis=1),
            holds=always,
            bound=slope * length**2 / 2,
            error=lambda run: 8 * (run.residuals_error[1:] + run.residuals_error[:-1]),
            **where,
        )

    # -- what it concludes --------------------------------------------------------------------------------------------

    def implication(self, *, fast: sympy.Expr, **where: Any) -> None:
        """The rate for as long as the chain holds; at the eigenvalue `fast`, a control, it is too fast."""
        claim: dict[str, Any] = {"of": "residuals", "holds": always, "error": norm_error, **where}
        self.lemma(
            f"implication: {self.sentence} for all k up to which the chain holds",
            bound=self.contracted,
            given=self.chain_so_far,
            uses="step_contracts",
            **claim,
        )
        self.control(
            f"the rate of the largest eigenvalue, (1 + eta {words(fast)})^-k",
            bound=residual_0 / (1 + eta * fast) ** k,
            given=lambda run: run.k >= 1,
            **claim,
        )

    @property
    def sentence(self) -> str:
        """The rate in words."""
        return f"||r(k)|| <= (1 + eta {words(self.left_value * self.rate)})^-k ||r(0)||"

    def shares(self, run: Any, rounded: int = 1) -> Any:
        """The larger of both conditions of G2 at each step, met where it is at most 1, (K,); rounding on one side."""
        spectrum = 2 - run.eigenvalues[1:, 0] / run.evaluate(self.kept * self.rate)
        return np.maximum(spectrum, run.push_norm / self._allowed(run) + rounded * self._unknown(run))

    def _unknown(self, run: Any) -> Any:
        """The rounding of the second, (K,): eta multiplies that of r(k+1)."""
        return run.push_error * np.sqrt(run.n) / self._allowed(run)

    def _allowed(self, run: Any) -> Any:
        """epsilon rate eta ||r(k+1)||, (K,)."""
        return run.epsilon * run.evaluate(self.rate) * run.eta * run.residuals[1:]

    def at_width(self, width: str, *, on: Names, large: str, size: str) -> None:
        """At a stated width the chain holds and, with it, the rate; of residuals of another `size` it does not."""
        chain: dict[str, Any] = {"bound": 1, "assumes": ()}
        sure, name = with_probability(1 - delta), f"{width}: the chain holds at every step"
        # after long steps ||r(k+1)|| is not known well enough
        known = {"given": lambda run: self._unknown(run) <= 0.5}
        self.conclusion(name, of=self.shares, holds=sure, on=on, **known, **chain)
        # a step that is not solved is no implicit step
        surely = {"of": lambda run: self.shares(run, rounded=-1), "given": converged}
        self.control(f"{size}: the chain holds at every step", holds=always, on=large, **surely, **chain)
        self.conclusion(
            f"{width}: {self.sentence} for all k",
            of="residuals",
            bound=self.contracted,
            holds=sure,
            on=on,
            assumes=(),
            error=norm_error,
            given=started,
            uses=(name, "implication"),
        )

    def spectrum_and_push(self, *, on: Names, uses: Names = (), **where: Any) -> None:
        """lambda_min(H(k)) >= kept rate and I up to the threshold with probability 1 - delta, concluded."""
        sure: dict[str, Any] = {"holds": with_probability(1 - delta), "on": on, "uses": uses, **where}

        def share(run: Any, of: Any) -> Any:
            return of / (run.eta * run.residuals[1:]) / run.evaluate(self.rate)

        @self.conclusion(
            f"lambda_min(H(k)) >= {words(self.kept * self.rate)} for all k",
            bound=self.kept * self.rate,
            from_below=True,
            **sure,
        )
        def eigenvalue_kept(run: Any) -> Any:
            return run.eigenvalues[:, 0]

        @self.conclusion(
            f"||I(k)|| <= epsilon {self.rated} eta ||r(k+1)|| at every step",
            bound=self.epsilon,
            # after long steps at great scales ||r(k+1)|| is not known well enough
            given=lambda run: share(run, run.push_error * np.sqrt(run.n)) <= run.epsilon / 2,
            **sure,
        )
        def push_small(run: Any) -> Any:
            """Its rounding counted: eta multiplies that of r(k+1)."""
            return share(run, run.push_norm + run.push_error * np.sqrt(run.n))


def worst_error(run: Any) -> Any:
    """A few roundings of numbers up to eta ||H||, and the QR factor's loss of orthogonality."""
    return 32 * len(run.vector) * ULP * (1 + run.eta * np.linalg.norm(run.matrix, 2))
