"""Rounding errors of what claims measure, and the margins that premises leave for rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

ULP = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)  # a positive number is at least that
SHARP = 1 - 1e-9  # a threshold that is attained: stay below it by more than the rounding of one step


def two_losses(run: Any) -> Any:
    """Rounding of the losses before and after each step, (K,)."""
    return run.losses_error[1:] + run.losses_error[:-1]


def loss_error(run: Any) -> Any:
    """Rounding of L(k) and, in the bound, of L(0), (K+1,)."""
    return run.losses_error + run.losses_error[0]


def descent_error(run: Any) -> Any:
    """Rounding of r(k), r(k+1), of the remainder's terms and of H(k) r(k), a sum over the neurons, (K, N)."""
    errors = run.trajectory.residuals_error
    depth = run.m * run.d * run.n * ULP
    traces = np.trace(run.trajectory.grams[:-1], axis1=1, axis2=2)
    return 4 * (errors[1:] + errors[:-1]) + run.eta * depth * (traces * run.residual)[:, None]


def regression_error(run: Any) -> Any:
    """The same where eta ||H|| <= 1 or so and the Gram matrix is rounded relatively: ReLU regression, (K, N)."""
    errors, r = run.trajectory.residuals_error, np.abs(run.trajectory.residuals[:-1])
    return 4 * (errors[1:] + errors[:-1]) + 8 * run.n * ULP * r.max(1, keepdims=True)


def remainder_error(run: Any) -> Any:
    """Each neuron's remainder cancels terms of the size of its output, (K,)."""
    return run.remainder_error


def solve_error(run: Any) -> Any:
    """Rounding of both residuals, of the remainder's terms and of a natural gradient step's solve, (K, N)."""
    errors = run.trajectory.residuals_error
    return 4 * (errors[1:] + errors[:-1]) + run.trajectory.linear_error


def solve_norm_error(run: Any) -> Any:
    """The same for norms, (K,)."""
    return np.linalg.norm(solve_error(run), axis=1)


def so_far(held: Any, start: bool = False) -> Any:
    """From what held at each step, for each k whether it held at all earlier ones; `start` is what k = 0 is worth."""
    return np.append(start, np.logical_and.accumulate(held))


def started(run: Any) -> Any:
    """k >= 1: at k = 0 a rate is an equality."""
    return run.k >= 1
