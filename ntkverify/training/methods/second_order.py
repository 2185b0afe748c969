"""Second-order training by N x N systems: natural gradient, Levenberg-Marquardt."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.linalg

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.symbolic.network.directional import directional_neuron
from ntkverify.training.least_norm import least_norm
from ntkverify.training.record import Measurements, Recorder, Trajectory, check_finite, prepare


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
    """Natural gradient ``theta <- theta - eta J^T (J J^T)^-1 r``, undamped unless asked for; options of `least_norm`.

    The notes hold, per step, the solver used, the reason where it was not the one meant, the rank, and the condition
    number of what was inverted.
    """
    prepare(weights, "natural gradient", copies=3, steps=steps, eta=eta)
    w = executor.copy(weights)
    recorder = Recorder(executor, frozen, record, every)
    forward = executor.forward(w, frozen)
    recorder.see(0, 0.0, w, forward)
    solutions = []
    for k in range(1, steps + 1):
        check_finite(executor, forward, k - 1)
        solution = least_norm(
            executor, w, frozen, forward, forward.residuals, solver=solver, damping=damping, rcond=rcond
        )
        solutions.append(dataclasses.replace(solution, direction=None))
        w -= eta * solution.direction
        forward = executor.forward(w, frozen)
        recorder.see(k, k * eta, w, forward)
    return recorder.finish(
        w,
        {
            "method": "natural gradient",
            "eta": eta,
            "steps": steps,
            "damping": damping,
            "rcond": rcond,
            "solvers": [s.solver for s in solutions],
            "reasons": [s.reason for s in solutions],
            "ranks": np.array([s.rank for s in solutions], dtype=int),
            "conditions": np.array([s.condition for s in solutions]),
        },
    )


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
