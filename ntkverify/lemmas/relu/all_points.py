"""The kernel of two-layer ReLU regression between inputs and further points: its start, and what it moves.

Neuron r changes the entry of x and x' only if its sign at x or x' switches: no entry of H or of K_x moves by more than
2 alpha^2 near, and no output by more than alpha^2 sqrt(n) near eta ||r|| beyond its linear part, where `near` is the
largest share of neurons, over all points, within reach of switching.
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
        self.near = theorem.quantity("near", lambda run: run.start_at_all_points(run.drift.max()).near.max())

    def start(self, *, entry: sympy.Expr, share: sympy.Expr, radius: sympy.Symbol, **where: Any) -> None:
        """No entry of the kernel starts further than `entry` from its limit; at most `share` is near switching."""

        @self.lemma(
            "no entry of the kernel at all points starts further than tau lambda_0/n from its limit",
            bound=entry,
            **where,
        )
        def initial_kernel(run: Any) -> Any:
            return np.abs(run.start_at_all_points().gram - run.limit_at_all_points).max()

        @self.lemma(
            "at most (1 + zeta) kappa R of the neurons are within R of switching at any point", bound=share, **where
        )
        def few_flips(run: Any) -> Any:
            return run.start_at_all_points(run.evaluate(radius)).near.max()

    def moves(self, descent: GradientDescent, **where: Any) -> None:
        """What moves while the neurons near switching are so few, and how far the weights go."""

        @self.lemma(
            "no entry of H or K_x moves by more than 2 alpha^2 near",
            holds=always,
            bound=2 * self.alpha**2 * self.near,
            given=lambda run: bool(run.near > 0),
            error=lambda run: run.gram_drift_error.max(),
            **where,
        )
        def entries_move(run: Any) -> Any:
            moved = [np.abs(part - part[0]).max() for part in (run.trajectory.grams, run.trajectory.cross_kernels)]
            return run.numbers(moved).max()

        def rounding(run: Any) -> Any:
            return run.remainder_error + run.field_remainder_error.max(axis=1)

        @self.lemma(
            "what a step leaves at any point is at most alpha^2 sqrt(n) near eta ||r(k)||",
            holds=always,
            bound=self.alpha**2 * sqrt(n) * self.near * eta * residual,
            given=lambda run: run.alpha**2 * run.near * run.eta * run.residual > rounding(run),
            error=rounding,
            **where,
        )
        def steps_leave(run: Any) -> Any:
            return np.maximum(np.abs(run.trajectory.remainders).max(axis=1), np.abs(run.field_remainders).max(axis=1))

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
