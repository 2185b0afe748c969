"""Stochastic gradient descent on single samples as a perturbed random recursion: r(k+1) = r - eta n r_i H e_i + I_i.

S1  E ||r - eta n r_i H e_i||^2 <= factor ||r||^2, factor = 1 - 2 eta lambda_min(H) + eta^2 n max_i ||H e_i||^2
S2  E ||r(k+1)||^2 <= (sqrt(factor) + rms_i ||I_i||/||r||)^2 ||r||^2, by Minkowski's inequality
S3  that is at most (1 - slowed eta lambda_0) ||r||^2 while lambda_min(H) >= kept lambda_0, max_i ||H e_i||^2 <= grown c
    and rms_i ||I_i|| <= epsilon lambda_0 eta ||r||, at eta <= lambda_0/(grown n c), c = max_i ||H^inf e_i||^2
S4  L over the product of what S2 has is a supermartingale, so that by Ville's inequality it exceeds L(0)/delta at some
    time with probability delta at most

Runs have every step that might have been drawn, so that expectations over the sample are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import always, identity, with_probability
from ntkverify.glossary import delta, eta, lambda_0, loss, loss_0, n
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP, descent_error, loss_error, so_far
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

a, least, largest = sympy.symbols("a least largest", positive=True)
LINEAR, APART = "one linear step", "two samples apart"


class SingleSamples(Part):
    """The chain of a theorem on single samples; its families train a `SingleSampleRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, quantities, claims and controls.
    """

    name = "single samples"
    #: share of lambda_0, more than a half, and of c that H(k) has
    kept, grown = Rational(3, 4), Rational(5, 4)

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        kept, grown, constant = self.kept, self.grown, theorem.constant
        self.column = sympy.Symbol("column", positive=True)
        theorem.quantity("column", lambda run: (run.limit_gram**2).sum(axis=0).max())
        theorem.quantity("least", lambda run: np.linalg.eigvalsh(run.matrix)[0])
        theorem.quantity("largest", lambda run: (run.matrix**2).sum(axis=0).max())
        self.mean = theorem.quantity("mean_column", lambda run: (run.matrix**2).sum(axis=0).sum() / run.n)
        self.factor_k = theorem.quantity("factor_k", lambda run: run.factors)
        self.growth = sympy.Symbol("growth", positive=True)
        self.eta_max = constant(
            "eta_max",
            derived(lambda_0 / (grown * n * self.column), "the best step for lambda_0 and grown c"),
            "largest step",
        )
        left, slowed = 2 * kept - 1, (2 * kept - 1) / 2
        self.left = constant("left", derived(left, "1 - 2 kept a + a"), "the factor of a step is at most 1 - left a")
        self.slowed = constant("slowed", derived(slowed, "half of it is left to I"), "rate 1 - slowed eta lambda_0")
        roots = [sqrt(1 - part * a) for part in (slowed, left)]
        self.epsilon = constant(
            "epsilon",
            derived(sympy.limit((roots[0] - roots[1]) / a, a, 0), "the least over a of the room in S3, at a = 0"),
            "rms_i ||I_i|| <= epsilon lambda_0 eta ||r|| lets the expected loss contract",
        )
        self.path_factor = constant(
            "path_factor",
            derived(sympy.limit(a / (1 - roots[0]), a, 0), "sup over a of a/(1 - sqrt(1 - slowed a)), at a = 0"),
            "eta sum_k (1 - slowed eta lambda_0)^(k/2) <= path_factor/lambda_0",
        )
        self.contracted = 1 - self.slowed * eta * lambda_0
        theorem.declare(rate=self.slowed * lambda_0, largest_step=self.eta_max)

    def shares(self, run: Any) -> Any:
        """Each of the three conditions of S3 at each step, met where it is at most 1, (3, K)."""
        return run.numbers(
            [
                2 - run.eigenvalues[:-1, 0] / run.evaluate(self.kept * lambda_0),
                run.columns[:-1] / run.evaluate(self.grown * self.column),
                run.relative_push / run.evaluate(self.epsilon * lambda_0 * eta),
            ]
        )

    def chain(self, run: Any) -> Any:
        """At each step, whether all three hold, (K,)."""
        return (self.shares(run) <= 1).all(axis=0)

    def chain_so_far(self, run: Any) -> Any:
        """Whether the chain held at every earlier step, (K+1,)."""
        return so_far(self.chain(run), start=True)

    def linear_steps(self) -> None:
        """S1 on matrices, reached by multiples of the identity, and its best step."""
        factor = 1 - 2 * eta * least + eta**2 * n * largest
        best = least / (n * largest)
        one: dict[str, Any] = {"of": _expected_square, "holds": always, "assumes": (), "on": LINEAR}
        one["error"] = lambda run: 64 * run.n * ULP
        self.theorem.instances(LINEAR, run=AlgebraRun, quick=100)(_linear_step)
        self.lemma(
            "E ||r - eta n r_i H e_i||^2 <= (1 - 2 eta lambda_min + eta^2 n max_i ||H e_i||^2) ||r||^2",
            bound=factor,
            attained=True,
            **one,
        )
        self.control("the same without n", bound=factor.subs(n, 1), **one)
        self.control("the same with the mean of ||H e_i||^2", bound=factor.subs(largest, self.mean), **one)
        self.control("the same with 2.02 eta lambda_min", bound=factor - eta * least / 50, **one)
        positive = dict.fromkeys((eta, least, largest, n), sympy.Interval.open(0, sympy.oo))
        self.lemma(
            "no step makes that factor smaller than 1 - lambda_min^2/(n max_i ||H e_i||^2)",
            of=factor,
            holds=always,
            bound=1 - least * best,
            from_below=True,
            over=positive,
        )

        @self.lemma("the step lambda_min/(n max_i ||H e_i||^2) does", holds=identity)
        def best_step() -> Any:
            return sympy.expand(factor.subs(eta, best)), sympy.expand(1 - least * best)

        self.lemma(
            "the factor is at most 1 - left eta lambda_0 where lambda_min and max_i ||H e_i||^2 are near their limits",
            of=factor,
            holds=always,
            bound=1 - self.left * eta * lambda_0,
            over={**positive, **dict.fromkeys((lambda_0, self.column), sympy.Interval.open(0, sympy.oo))},
            given=(
                sympy.Le(eta, self.eta_max, evaluate=False),
                sympy.Ge(least, self.kept * lambda_0),
                sympy.Le(largest, self.grown * self.column),
            ),
        )

    def room(self) -> None:
        """What S3 leaves to I, and the sum behind every drift."""
        claim: dict[str, Any] = {"holds": always, "over": {a: sympy.Interval.open(0, 1)}}

        def pushed(share: Any) -> Any:
            return (sqrt(1 - self.left * a) + share * self.epsilon * a) ** 2

        room = "(sqrt(1 - left a) + epsilon a)^2 <= 1 - slowed a for all a below 1"
        self.lemma(room, of=pushed(1), bound=1 - self.slowed * a, **claim)
        self.control("the same with 1.01 epsilon", of=pushed(Rational(101, 100)), bound=1 - self.slowed * a, **claim)
        self.lemma(
            "eta sum_k (1 - slowed eta lambda_0)^(k/2) <= path_factor/lambda_0",
            of=a / (1 - sqrt(1 - self.slowed * a)),
            bound=self.path_factor,
            **claim,
        )

    def steps(self, *, on: Any) -> None:
        """The recursion, and S2 and S3 at every step of training."""
        step: dict[str, Any] = {"holds": identity, "on": on, "assumes": (), "error": descent_error}

        def recursion(run: Any, share: Any) -> Any:
            r, drawn = run.trajectory.residuals, (np.arange(run.steps), run.drawn_samples)
            return r[1:], r[:-1] + share * run.linear_steps[drawn] + run.trajectory.remainders

        name = "r(k+1) = r(k) - eta n r_i H e_i + I for the sample i that is drawn"
        self.lemma(name, of=lambda run: recursion(run, 1), **step)
        self.control("r(k+1) = r(k) - eta r_i H e_i + I", of=lambda run: recursion(run, 1 / run.n), **step)
        taken = "the step that is taken is the branch of the sample that is drawn"

        def branch(run: Any) -> Any:
            return run.trajectory.residuals[1:], run.trajectory.branches[np.arange(run.steps), run.drawn_samples]

        self.lemma(taken, of=branch, **step)
        expected: dict[str, Any] = {"of": "expected_losses", "holds": always, "on": on}
        expected["error"] = lambda run: run.expected_losses_error + run.losses_error[:-1]
        self.lemma(
            "E L(k+1) <= (sqrt(1 - 2 eta lambda_min + eta^2 n max_i ||H e_i||^2) + rms_i ||I_i||/||r||)^2 L(k)",
            bound=self.factor_k * loss,
            assumes=(),
            attained=True,  # by orthonormal inputs, up to what I is
            uses=("E ||r - eta", name, taken),
            **expected,
        )
        self.lemma(
            "E L(k+1) <= (1 - slowed eta lambda_0) L(k) wherever H(k) and I(k) allow it",
            bound=self.contracted * loss,
            given=self.chain,
            uses=("E L(k+1) <= (sqrt", "the factor is at most", "(sqrt(1 - left a)"),
            **expected,
        )

    def supermartingale(self, *, on: Any, where: str) -> None:
        """S4 in training, `where` as `on` has it; and for two samples apart, where half of its bound is exceeded."""
        sure = with_probability(1 - delta)
        bound: dict[str, Any] = {"of": "losses", "error": loss_error, "bound": self.growth * loss_0 / delta}
        name = f"L(k) <= q_0 ... q_(k-1) L(0)/delta for all k, {where}"
        self.conclusion(name, holds=sure, on=on, assumes=(), uses="E L(k+1) <= (sqrt", **bound)
        self.theorem.instances(APART, run=AlgebraRun, quick=40)(_apart)
        linear: dict[str, Any] = {"of": _fairest, "holds": sure, "on": APART, "assumes": ()}
        self.lemma(
            "two samples apart, H = 1, the best step: 2^k L(k) <= L(0)/delta for all k", bound=1 / delta, **linear
        )
        self.control("half of that", bound=1 / (2 * delta), **linear)


def _apart(draw: Any) -> Instance:
    """r(0) of two samples, one as large as the other; 1/delta is between two powers of 2."""
    signs = [draw(st.sampled_from([-1.0, 1.0])) for _ in range(2)]
    return Instance(data={"vector": signs}, parameters={"delta": 0.35}, steps=8)


def _fairest(run: Any) -> Any:
    """max_k 2^k L(k)/L(0), where a step sets the residual of its sample to 0."""
    drawn = np.random.default_rng(run.instance.seed).integers(2, size=run.steps)
    left = run.vector**2
    found = [run.number(1.0)]
    for k, i in enumerate(drawn, start=1):
        left = np.where(np.arange(2) == i, 0 * left, left)
        found.append(left.sum() / (run.vector @ run.vector) * 2**k)
    return max(found)


def _linear_step(draw: Any) -> Instance:
    """Any matrix, a multiple of the identity, or one column twice the others and r along it; n, its size, is given."""
    size, rng = draw(st.integers(2, 6)), generator(draw)
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    uneven = (np.eye(size) + np.diag(np.eye(size)[0])) / 2
    matrix = draw(st.sampled_from([np.eye(size), (basis * rng.uniform(0.1, 1, size)) @ basis.T, uneven]))
    step = draw(st.sampled_from([0.1, 1.0, 2.0])) / (size * (matrix**2).sum(axis=0).max())
    data = {"matrix": matrix, "vector": uneven[0] if matrix is uneven else rng.standard_normal(size)}
    return Instance(data=data, parameters={"n": float(size)}, step=float(step))


def _expected_square(run: Any) -> Any:
    """The mean over i of ||r - eta n r_i H e_i||^2, relative to ||r||^2."""
    moved = run.vector[None] - run.eta * run.n * run.vector[:, None] * run.matrix
    return np.square(moved).sum() / run.n / (run.vector @ run.vector)
