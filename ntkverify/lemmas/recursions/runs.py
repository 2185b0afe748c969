"""Runs of methods other than gradient descent: how they train, and what their recursions speak of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ntkverify.lemmas.rounding import ULP
from ntkverify.measures.steps import Measure, Steps, WayBack
from ntkverify.problems.regression import RegressionRun
from ntkverify.training import HeavyBall, ImplicitGradient, Method

#: Gauss-Newton rounds of an implicit step at most
ROUNDS = 30
#: the last Gauss-Newton round's share of a step up to which it counts as solved
SOLVED = 2.0**-20


class ImplicitSteps:
    """A mixin of `TrainedRun`: trains by implicit gradient descent, and looks back from where each step ends."""

    def training(self: Any) -> Method:
        """Steps of length eta, as many Gauss-Newton rounds as they need."""
        return ImplicitGradient(self.eta.arb if self.is_exact else self.eta, rounds=ROUNDS)

    def measures(self) -> list[Measure]:
        """What is seen of every step, from both of its ends."""
        return [Steps(), WayBack()]

    @property
    def push(self: Any) -> Any:
        """r(k) - (I + eta H(k+1)) r(k+1), (K, N)."""
        r, grams = self.trajectory.residuals, self.trajectory.grams[1:]
        return r[:-1] - r[1:] - self.eta * np.einsum("kij,kj->ki", grams, r[1:])

    @property
    def push_norm(self: Any) -> Any:
        """Its norm, (K,)."""
        return np.linalg.norm(self.push, axis=1)

    @property
    def push_error(self: Any) -> Any:
        """Bound of the rounding error of each entry, (K,): r(k+1) and H(k+1) are multiplied by eta."""
        depth = self.m * self.d * self.n * ULP
        grown = 1 + self.eta * np.trace(self.trajectory.grams[1:], axis1=1, axis2=2)
        after = self.residuals_error[1:] + depth * self.residuals[1:]
        return 4 * (self.residuals_error[:-1] + grown * after)


def converged(run: Any) -> Any:
    """At each step, whether the inner solver converged, (K,)."""
    return run.trajectory.notes["left"] <= SOLVED


def solved(run: Any) -> Any:
    """Where the inner solver converged, (K, N)."""
    return _columns(converged(run), run)


def solved_error(run: Any) -> Any:
    """Rounding, and what the inner solver leaves: the last round's move through J and I + eta H, (K, N)."""
    traces = np.trace(run.trajectory.grams[1:], axis1=1, axis2=2)
    last = run.numbers(run.trajectory.notes["left"]) * run.trajectory.lengths
    left = 2 * last * np.sqrt(traces) * (1 + run.eta * traces)
    return _columns(run.push_error + run.trajectory.linear_error.max(axis=1) + left, run)


def _columns(values: Any, run: Any) -> Any:
    """What holds of a step said of each of its residuals."""
    return np.repeat(values[:, None], run.trajectory.residuals.shape[1], axis=1)


def norm_error(run: Any) -> Any:
    """Rounding of ||r(k)|| and, in the bound, of ||r(0)||, (K+1,)."""
    return run.residuals_error + run.residuals_error[0]


class MomentumRun(RegressionRun):
    """Two-layer ReLU regression with momentum; Hbar = H(0), eta = 1/||H(0)||, beta by its condition number."""

    nesterov = False

    @property
    def spectrum(self) -> Any:
        """Eigenvalues of H(0), ascending."""
        return np.linalg.eigvalsh(self.at_start.gram)

    @property
    def eta(self) -> Any:
        """1/||H(0)||."""
        return 1 / self.spectrum[-1]

    @property
    def u(self) -> Any:
        """1/sqrt(kappa) of H(0)."""
        return np.sqrt(self.spectrum[0] / self.spectrum[-1])

    def training(self) -> Method:
        """Momentum from rest."""
        eta, beta = ((x.arb if self.is_exact else float(x)) for x in (self.eta, self.beta))
        return HeavyBall(eta, beta, nesterov=self.nesterov)

    @property
    def history(self) -> Any:
        """r(0), r(0), ..., r(K), at rest; Nesterov's method has a velocity at once, and begins with r(0), r(1)."""
        r = self.trajectory.residuals
        return r if self.nesterov else self.numbers(np.concatenate([r[:1], r]))

    @property
    def since(self) -> Any:
        """0, 1, ..., of the sizes."""
        return self.numbers(np.arange(len(self.history) - 1))

    @property
    def sizes(self) -> Any:
        """|x(k)|, of each two residuals that follow one another."""
        squares = (self.history**2).sum(axis=1)
        return np.sqrt(squares[1:] + squares[:-1])

    @property
    def phi(self) -> Any:
        """|phi(k)|, one fewer."""
        r, beta = self.history, self.beta
        ahead = (1 + beta) * r[1:-1] - beta * r[:-2]
        linear = ahead - self.eta * (ahead if self.nesterov else r[1:-1]) @ self.at_start.gram
        return np.linalg.norm(r[2:] - linear, axis=1)

    @property
    def phi_error(self) -> Any:
        """Bound of its rounding error: residuals of three moments, and a product with H(0)."""
        return 8 * self.residuals_error.max() + 2.0**10 * ULP * self.sizes[:-1]

    @property
    def falling(self) -> Any:
        """rate^k |x(0)|, of each phi."""
        return self.rate ** self.since[:-1] * self.sizes[0]


class WithoutMomentum(MomentumRun):
    """Gradient descent at the same step, of which the same is measured."""

    def training(self) -> Method:
        """No momentum, whatever beta is."""
        return HeavyBall(self.eta.arb if self.is_exact else float(self.eta), 0.0)
