"""Second-order training by N x N systems: natural gradient, Gauss-Newton flow, Levenberg-Marquardt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor, Forward
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.symbolic.network.directional import directional_neuron
from ntkverify.training.methods.first_order import integrate
from ntkverify.training.record import Measurements, Recorder, Trajectory, check_finite, prepare

# the solution of the normal equations is off by about cond(J J^T) eps; beyond this limit that is no longer small
CHOLESKY_LIMIT = 1e8
SOLVERS = ("auto", "cholesky", "qr")


@dataclass(frozen=True)
class LeastNorm:
    """The shortest direction that solves ``J direction = right``.

    Parameters
    ----------
    direction : array, shape (m, p)
        ``J^T (J J^T)^-1 right``.
    solver : {"cholesky", "qr"}
        How it was found.
    condition : float
        Condition number of J J^T, as well as the solver can see it.
    """

    direction: Any
    solver: str
    condition: float


def least_norm(
    executor: Executor, weights: Any, frozen: Any, forward: Forward, right: Any, *, solver: str = "auto"
) -> LeastNorm:
    """Solve ``J direction = right`` with the least Euclidean norm.

    Parameters
    ----------
    executor, weights, frozen, forward
        The problem, and its forward pass at the weights.
    right : array, shape (N,)
        Right-hand side. Systems of this size are solved on the host.
    solver : {"auto", "cholesky", "qr"}
        Cholesky of J J^T never stores J but squares its condition number; QR of J^T does not. "auto" takes
        Cholesky while cond(J J^T) <= 1e8.

    Raises
    ------
    NtkVerifyError
        If Cholesky is asked for where cond(J J^T) is beyond its limit, or J has not full rank to rounding.
    """
    if solver not in SOLVERS:
        raise NtkVerifyError(f"unknown solver {solver!r}; choose one of {', '.join(SOLVERS)}")
    if solver != "qr":
        gram = executor.to_host(executor.gram(weights, frozen))
        eigenvalues = np.linalg.eigvalsh(gram)
        condition = float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else np.inf
        if condition <= CHOLESKY_LIMIT:
            y = scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, lower=True), executor.to_host(right))
            direction = executor.vjp(weights, frozen, forward, executor.from_host(y))
            return LeastNorm(direction, "cholesky", condition)
        if solver == "cholesky":
            raise NtkVerifyError(
                f"J J^T has condition number {condition:.2g}, beyond {CHOLESKY_LIMIT:.0e}, where its Cholesky factor "
                "is noise in float64; use solver='qr' or 'auto'"
            )
    refuse_beyond_memory(
        # J, its transpose laid out for LAPACK, Q, and the factorisation's own copy
        4 * 8 * len(right) * math.prod(weights.shape),
        f"QR of the Jacobian of {len(right)} residuals of {weights.shape[0]} neurons",
    )
    jacobian = executor.to_host(executor.jacobian(weights, frozen))
    q, r = np.linalg.qr(jacobian.T)
    singular = np.linalg.svd(r, compute_uv=False)
    if len(singular) < len(right) or singular[-1] <= len(right) * np.finfo(float).eps * singular[0]:
        raise NtkVerifyError(
            f"the Jacobian of {len(right)} residuals has not full rank to rounding (singular values from "
            f"{singular[0]:.2g} to {singular[-1]:.2g}); remove repeated samples or widen the network"
        )
    flat = q @ scipy.linalg.solve_triangular(r, executor.to_host(right), trans="T")
    direction = executor.from_host(flat.reshape(weights.shape))
    return LeastNorm(direction, "qr", float((singular[0] / singular[-1]) ** 2))


def natural_gradient_descent(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    eta: float = 1.0,
    steps: int,
    solver: str = "auto",
    every: int = 1,
    record: Measurements | None = None,
) -> Trajectory:
    """Undamped natural gradient ``theta <- theta - eta J^T (J J^T)^-1 r``.

    The notes hold, per step, the solver used and the condition number of J J^T.
    """
    prepare(weights, "natural gradient", copies=3, steps=steps, eta=eta)
    w = executor.copy(weights)
    recorder = Recorder(executor, frozen, record, every)
    forward = executor.forward(w, frozen)
    recorder.see(0, 0.0, w, forward)
    solvers, conditions = [], []
    for k in range(1, steps + 1):
        check_finite(executor, forward, k - 1)
        solution = least_norm(executor, w, frozen, forward, forward.residuals, solver=solver)
        solvers.append(solution.solver)
        conditions.append(solution.condition)
        w -= eta * solution.direction
        forward = executor.forward(w, frozen)
        recorder.see(k, k * eta, w, forward)
    return recorder.finish(
        w,
        {
            "method": "natural gradient",
            "eta": eta,
            "steps": steps,
            "solvers": solvers,
            "conditions": np.array(conditions),
        },
    )


def gauss_newton_flow(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    times: Any,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    solver: str = "auto",
    record: Measurements | None = None,
) -> Trajectory:
    """Gauss-Newton flow ``d theta / dt = -J^T (J J^T)^-1 r``, along which r(t) = e^-t r(0) while J has full rank.

    The notes hold the tolerances and the largest condition number of J J^T met.
    """
    conditions: list[float] = []

    def velocity(w: Any) -> Any:
        forward = executor.forward(w, frozen)
        solution = least_norm(executor, w, frozen, forward, forward.residuals, solver=solver)
        conditions.append(solution.condition)
        return -solution.direction

    recorder = Recorder(executor, frozen, record, 1)
    notes: dict[str, Any] = {"method": "Gauss-Newton flow", "conditions": conditions}
    return integrate(velocity, recorder, weights, times, rtol=rtol, atol=atol, notes=notes)


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
        First lam, and the lam at which the run gives up ("stalled" in the notes) instead of trying forever; lam stays
        above 1 / most_damping.
    accept : float
        Least gain ratio of a step that is taken, in [0, 1/4).
    acceleration : float
        How long the acceleration may be; 0 switches it off.
    every, record
        As for gradient descent; times count accepted steps.
    """
    if not (0 < damping < most_damping and 0 <= accept < 0.25 and acceleration >= 0):
        raise NtkVerifyError(
            "Levenberg-Marquardt needs 0 < damping < most_damping, 0 <= accept < 1/4, acceleration >= 0"
        )
    prepare(weights, "Levenberg-Marquardt", copies=6, steps=steps)
    w = executor.copy(weights)
    recorder = Recorder(executor, frozen, record, every)
    forward = executor.forward(w, frozen)
    recorder.see(0, 0.0, w, forward)
    second = executor.for_neuron(directional_neuron(executor.neuron, 2)) if acceleration else None
    dampings, gains, stopped = [], [], "steps done"
    for k in range(1, steps + 1):
        check_finite(executor, forward, k - 1)
        gram = executor.to_host(executor.gram(w, frozen))
        gradient = executor.gradient(w, frozen, forward)
        while True:
            factor = scipy.linalg.cho_factor(gram + damping * np.eye(len(gram)), lower=True)
            # (J^T J + lam)^-1 J^T = J^T (J J^T + lam)^-1 keeps the system N x N
            solution = scipy.linalg.cho_solve(factor, executor.to_host(forward.residuals))
            v = -executor.vjp(w, frozen, forward, executor.from_host(solution))
            predicted = executor.dot(v, damping * v - gradient)
            trial = executor.forward(w + v, frozen)
            gain = 2 * float(forward.loss - trial.loss) / predicted if predicted > 0 else 0.0
            if gain >= accept and predicted > 0:
                break
            damping *= 2
            if damping > most_damping:
                stopped = "stalled: no damping below the largest gave a step that is accepted"
                break
        if stopped != "steps done":
            break
        if second is not None:
            curvature = second.forward(w, v if frozen is None else executor.concatenate([frozen, v], axis=1)).residuals
            solution = scipy.linalg.cho_solve(factor, executor.to_host(curvature))
            a = -executor.vjp(w, frozen, forward, executor.from_host(solution))
            if 4 * executor.dot(a, a) <= acceleration**2 * executor.dot(v, v):
                # what is taken is what was tried: where the curvature misleads, the plain step stays
                bent = executor.forward(w + (v + a / 2), frozen)
                if float(bent.loss) <= float(trial.loss):
                    v, trial = v + a / 2, bent
                    gain = 2 * float(forward.loss - trial.loss) / predicted
        dampings.append(damping)
        gains.append(gain)
        damping = max(damping / 3, 1 / most_damping)
        w += v
        forward = trial
        recorder.see(k, float(k), w, forward)
    return recorder.finish(
        w,
        {"method": "Levenberg-Marquardt", "dampings": np.array(dampings), "gains": np.array(gains), "stopped": stopped},
    )
