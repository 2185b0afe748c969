"""Second-order training: natural gradient by N x N systems, Levenberg-Marquardt by the smaller of N x N and P x P."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.linalg

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.measures.snapshot import Snapshot
from ntkverify.symbolic.network.directional import directional_neuron
from ntkverify.training.least_norm import LeastNorm, least_norm
from ntkverify.training.loop import Stopped, follow
from ntkverify.training.record import Measurements, Trajectory, check_finite, prepare


class NaturalGradient:
    """``theta <- theta - eta J^T (J J^T)^-1 r``, undamped unless asked for; options of `least_norm`.

    The notes hold, per step, the solver used, the reason where it was not the one meant, the rank, and the condition
    number of what was inverted.
    """

    name = "natural gradient"
    copies = 2

    def __init__(
        self, eta: Any = 1.0, *, solver: str = "auto", damping: float = 0.0, rcond: float | None = None
    ) -> None:
        self.eta, self.solver, self.damping, self.rcond = eta, solver, damping, rcond
        self._solutions: list[LeastNorm] = []

    def change(self, at: Snapshot) -> Any:
        """Minus the step times the shortest solution of ``J d = r``."""
        check_finite(at.executor, at.forward, at.step)
        # what a measure asks for besides is formed once
        jacobian = vars(at).get("jacobian")
        gram = at.gram if self.solver in ("auto", "cholesky") and not at.executor.is_exact else vars(at).get("gram")
        solution = least_norm(
            at.executor, at.weights, at.frozen, at.forward, at.forward.residuals,
            solver=self.solver, damping=self.damping, rcond=self.rcond,
            gram=gram, jacobian=jacobian,
        )  # fmt: skip
        self._solutions.append(dataclasses.replace(solution, direction=None))
        return -self.eta * solution.direction

    def notes(self) -> dict[str, Any]:
        """Name, settings, and what every solution was like."""
        return {
            "method": self.name,
            "eta": self.eta,
            "damping": self.damping,
            "rcond": self.rcond,
            "solvers": [s.solver for s in self._solutions],
            "reasons": [s.reason for s in self._solutions],
            "ranks": np.array([s.rank for s in self._solutions], dtype=int),
            "conditions": np.array([s.condition for s in self._solutions]),
        }


class _Damped:
    """``(J^T J + lam)^-1 J^T = J^T (J J^T + lam)^-1`` at a moment, by whichever of the two matrices is smaller."""

    def __init__(self, at: Snapshot) -> None:
        self._at = at
        weights = at.executor.width_of(at.weights) * at.weights.shape[1]
        self._is_wide = weights >= len(at.forward.residuals)
        if self._is_wide:
            self._matrix = at.executor.to_host(at.gram)
        else:
            rows = at.executor.to_host(at.jacobian)
            self._matrix = rows.T @ rows
        self._factor: Any = None
        self.largest = float(np.diag(self._matrix).max(initial=0.0))

    @property
    def rounding(self) -> float:
        """Below it a damping does nothing to the matrix: n eps times its largest entry."""
        return len(self._matrix) * float(np.finfo(np.float64).eps) * self.largest

    def damp(self, damping: float) -> bool:
        """Factor the matrix with this lam; False where that is below its rounding, or beyond float64."""
        try:
            self._factor = scipy.linalg.cho_factor(self._matrix + damping * np.eye(len(self._matrix)), lower=True)
        except (scipy.linalg.LinAlgError, ValueError):  # not positive definite, or not finite
            return False
        return True

    def solve(self, residuals: Any) -> Any:
        """What it makes of residuals, in the shape of the weights."""
        at, executor = self._at, self._at.executor
        if self._is_wide:
            solution = scipy.linalg.cho_solve(self._factor, executor.to_host(residuals))
            return executor.vjp(at.weights, at.frozen, at.forward, executor.from_host(solution))
        downhill = executor.to_host(executor.vjp(at.weights, at.frozen, at.forward, residuals))
        solution = scipy.linalg.cho_solve(self._factor, downhill.reshape(-1))
        return executor.from_host(solution.reshape(downhill.shape))


class LevenbergMarquardt:
    """Levenberg-Marquardt with geodesic acceleration; see `levenberg_marquardt`."""

    name = "Levenberg-Marquardt"
    copies = 5
    eta = 1.0  # times count accepted steps

    def __init__(
        self, *, damping: float = 1.0, most_damping: float = 1e10, accept: float = 1e-3, acceleration: float = 0.75
    ) -> None:
        if not (0 < damping < most_damping and 0 <= accept < 0.25 and acceleration >= 0):
            raise NtkVerifyError(
                "Levenberg-Marquardt needs 0 < damping < most_damping, 0 <= accept < 1/4, acceleration >= 0"
            )
        self.damping, self.most_damping, self.accept, self.acceleration = damping, most_damping, accept, acceleration
        self._dampings: list[float] = []
        self._gains: list[float] = []
        self._stopped = "steps done"
        self._second: Any = None

    def change(self, at: Snapshot) -> Any:
        """The step that is accepted, bent where that is no worse."""
        executor, forward, w, frozen = at.executor, at.forward, at.weights, at.frozen
        check_finite(executor, forward, at.step)
        if not float(forward.loss):
            self._stopped = "converged: the loss is 0"
            raise Stopped
        system = _Damped(at)
        gradient = executor.gradient(w, frozen, forward)
        if not float(executor.dot(gradient, gradient)) and not np.any(executor.to_host(gradient)):
            self._stopped = "stalled: the gradient is 0 where the loss is not; start elsewhere"
            raise Stopped
        # what lam does is relative to the matrix, which targets of another unit scale
        self.damping = max(self.damping, system.rounding)
        most, promised = self.most_damping * max(1.0, system.largest), 0.0
        while True:
            if system.damp(self.damping):
                v = -system.solve(forward.residuals)
                predicted = executor.dot(v, self.damping * v - gradient)
                trial = executor.forward(w + v, frozen)
                gain = 2 * float(forward.loss - trial.loss) / predicted if predicted > 0 else 0.0
                if gain >= self.accept and predicted > 0:
                    break
                promised = max(promised, predicted / 2)
            self.damping *= 2
            if not self.damping <= most:
                self._stopped = self._why_none(at, promised)
                raise Stopped
        if self.acceleration:
            bent, loss = self._bent(at, system, v)
            if bent is not None and loss <= float(trial.loss):
                v, gain = bent, 2 * (float(forward.loss) - loss) / predicted
        self._dampings.append(self.damping)
        self._gains.append(gain)
        self.damping = max(self.damping / 3, 1 / self.most_damping)
        return v

    def _why_none(self, at: Snapshot, promised: float) -> str:
        """Why no step was accepted, of which the best promised to lower the loss by so much."""
        executor, w, frozen = at.executor, at.weights, at.frozen
        still = executor.measured_step(executor.copy(w), frozen, at.forward, 0, start=executor.copy(w), gram=False)
        error = float(np.linalg.norm(executor.to_host(still.errors)))
        size = float(np.linalg.norm(executor.to_host(at.forward.residuals)))
        if not (np.isfinite(error) and np.isfinite(size)):  # squares beyond float64 say nothing
            return "stalled: the residuals are too large for float64 to add up their squares"
        if size <= error:
            return "converged: the residuals are down to their rounding error"
        if promised <= size * error:  # the rounding of |r|^2 / 2
            return "converged: what a step could still gain is below the rounding error of the loss"
        return "stalled: no damping below the largest gave a step that is accepted"

    def _bent(self, at: Snapshot, system: _Damped, v: Any) -> tuple[Any, float]:
        """The accelerated step and its loss; none where the acceleration is too long."""
        executor, w, frozen = at.executor, at.weights, at.frozen
        if self._second is None:
            self._second = executor.for_neuron(directional_neuron(executor.neuron, 2))
        along = v if frozen is None else executor.concatenate([frozen, v], axis=1)
        a = -system.solve(self._second.forward(w, along).residuals)
        if 4 * executor.dot(a, a) > self.acceleration**2 * executor.dot(v, v):
            return None, 0.0
        # what is taken is what was tried: where the curvature misleads, the plain step stays
        bent = v + a / 2
        return bent, float(executor.forward(w + bent, frozen).loss)

    def notes(self) -> dict[str, Any]:
        """Name, dampings and gain ratios of the accepted steps, and why the run ended."""
        return {
            "method": self.name,
            "dampings": np.array(self._dampings),
            "gains": np.array(self._gains),
            "stopped": self._stopped,
        }


def natural_gradient_descent(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    eta: float = 1.0,
    steps: int,
    solver: str = "auto",
    damping: float = 0.0,
    rcond: float | None = None,
    every: int = 1,
    record: Measurements | None = None,
) -> Trajectory:
    """Train by `NaturalGradient`; options of `least_norm`."""
    prepare(weights, NaturalGradient.name, copies=0, steps=steps, eta=eta)
    method = NaturalGradient(eta, solver=solver, damping=damping, rcond=rcond)
    return follow(executor, weights, frozen, method, steps=steps, every=every, record=record)


def levenberg_marquardt(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    steps: int,
    damping: float = 1.0,
    most_damping: float = 1e10,
    accept: float = 1e-3,
    acceleration: float = 0.75,
    every: int = 1,
    record: Measurements | None = None,
) -> Trajectory:
    """Levenberg-Marquardt with geodesic acceleration.

    A step solves ``(J^T J + lam) v = -J^T r`` and is taken if the gain ratio
    ``2 (L(theta) - L(theta + v)) / <v, lam v - grad L>``, which is 1 for linear residuals, is at least `accept`;
    otherwise lam doubles. An accepted step divides lam by 3 and adds a/2 where ``2 |a| <= acceleration |v|`` and the
    loss is then no larger than without, with ``(J^T J + lam) a = -J^T (v^T H_i v)_i`` (Transtrum and Sethna,
    arXiv:1201.5885, with J^T in the right-hand side).

    Parameters
    ----------
    executor, weights, frozen
        The problem and its initial weights.
    steps : int
        Largest number of accepted steps.
    damping, most_damping : float
        First lam, and the lam, times the largest entry of J J^T where that is above 1, at which the run gives up
        instead of trying forever: "converged" in the notes where the residuals, or what a step could gain, are down to
        rounding, else "stalled". lam stays above 1 / most_damping and the rounding of J J^T.
    accept : float
        Least gain ratio of a step that is taken, in [0, 1/4).
    acceleration : float
        How long the acceleration may be; 0 switches it off.
    every, record
        As for gradient descent; times count accepted steps.
    """
    method = LevenbergMarquardt(damping=damping, most_damping=most_damping, accept=accept, acceleration=acceleration)
    return follow(executor, weights, frozen, method, steps=steps, every=every, record=record)
