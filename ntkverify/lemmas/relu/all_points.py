"""The kernel of two-layer ReLU regression between inputs and further points: its start, and what it moves.

Terms of the entry of x and x' range over [0, |x . x'|] at scale 1, and neuron r changes it only if its sign at x or x'
switches. So deviations of H are in units of S = ||X X^T||_F, from sqrt(n) for orthonormal to n for parallel inputs, and
those of a row of K_x in units of ||X x|| <= sqrt(S): none moves by more than 2 alpha^2 near of these, no step leaves
more than alpha^2 near eta ||r|| of these beyond its linear part, where `near` is the largest share of neurons, over all
points, within reach of switching.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from sympy import sqrt

from ntkverify import always
from ntkverify.glossary import eta, m, n, residual
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.part import Part
from ntkverify.theorem.theorem import Theorem


class AllPoints(Part):
    """Stability at inputs and test points at once, for runs of `ntkverify.problems.field.FieldRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives the quantity `near`.
    alpha : sympy.Expr
        Scale of the output.
    """

    name = "all points"

    def __init__(self, theorem: Theorem, alpha: sympy.Expr) -> None:
        super().__init__(theorem)
        self.alpha = alpha
        self.S = theorem.quantity("S", inputs_size)
        self.near = theorem.quantity("near", lambda run: run.start_at_all_points(run.drift.max()).near.max())

    def start(self, *, entry: sympy.Expr, share: sympy.Expr, radius: sympy.Symbol, **where: Any) -> None:
        """No entry starts further than `entry` |x . x'| from its limit; at most `share` is near switching.

        The theorem has `Flips.density`.
        """

        @self.lemma(
            "H(0) is within tau lambda_0 of its limit, every row of K_x within tau lambda_0/sqrt(S)",
            bound=entry * self.S,
            **where,
        )
        def initial_kernel(run: Any) -> Any:
            count, moved = len(run.targets), run.start_at_all_points().gram - run.limit_at_all_points
            return _larger(run, np.linalg.norm(moved[:count, :count][None], axis=(1, 2)), moved[count:, :count])

        @self.lemma(
            "at most (1 + zeta) kappa R of the neurons are within R of switching at any point",
            bound=share,
            uses="P(|g| <= R) <= kappa R",
            **where,
        )
        def few_flips(run: Any) -> Any:
            return run.start_at_all_points(run.evaluate(radius)).near.max()

    def moves(self, descent: GradientDescent, **where: Any) -> None:
        """What moves while the neurons near switching are so few, and how far the weights go."""

        @self.lemma(
            "H moves by at most 2 alpha^2 S near, every row of K_x by 2 alpha^2 sqrt(S) near",
            holds=always,
            bound=2 * self.alpha**2 * self.S * self.near,
            given=lambda run: bool(run.near > 0),
            error=lambda run: run.n * run.gram_drift_error.max(),
            **where,
        )
        def kernel_moves(run: Any) -> Any:
            crosses = run.trajectory.cross_kernels
            return _larger(run, run.gram_drift, crosses - crosses[0])

        def rounding(run: Any) -> Any:
            return run.remainder_error + np.sqrt(run.S) * run.field_remainder_error.max(axis=1)

        @self.lemma(
            "a step leaves at most alpha^2 S near eta ||r(k)||, at any test point alpha^2 sqrt(S) near eta ||r(k)||",
            holds=always,
            bound=self.alpha**2 * self.S * self.near * eta * residual,
            given=lambda run: run.alpha**2 * run.near * run.eta * run.residual > rounding(run),
            error=rounding,
            **where,
        )
        def steps_leave(run: Any) -> Any:
            return np.maximum(run.remainder, np.sqrt(run.S) * np.abs(run.field_remainders).max(axis=1))

        gradient = self.alpha * sqrt(n / m)

        @self.lemma(
            "max_r ||dL/dw_r|| <= alpha sqrt(n/m) ||r||",
            holds=always,
            bound=gradient * residual,
            attained=True,  # by a single input, wherever a neuron is active
            **where,
        )
        def gradient_bound(run: Any) -> Any:
            return run.largest_gradient

        descent.drift(
            gradient,
            "max_r ||w_r(k) - w_r(0)|| <= 4 alpha sqrt(n) ||r(0)||/(sqrt(m) lambda_0) while the loss contracts",
            given=descent.contracting_so_far,
            **where,
        )


def inputs_size(run: Any) -> Any:
    """S = ||X X^T||_F."""
    return np.linalg.norm((run.inputs @ run.inputs.T)[None], axis=(1, 2))[0]


def _larger(run: Any, grams: Any, rows: Any) -> Any:
    """The largest norm of a Gram matrix, or of a row of the cross kernel in units of sqrt(S) as large."""
    return np.maximum(grams.max(), np.sqrt(run.S) * np.linalg.norm(rows, axis=-1).max())
