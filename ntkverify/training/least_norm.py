"""The shortest direction that solves J direction = right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor, Forward
from ntkverify.execution.machine.memory import refuse_beyond_memory

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


def least_norm_step(jacobian: Array, residual: Array) -> Array:
    """The shortest step with J step = residual, (p, m), by QR of J^T, which does not square its condition.

    Raises
    ------
    NtkVerifyError
        If the Jacobian has not full row rank to rounding.
    """
    p, count, width = jacobian.shape
    q, r = np.linalg.qr(np.moveaxis(jacobian, 1, 2).reshape(p * width, count))
    diagonal = np.abs(np.diag(r))
    if p * width < count or diagonal.min() <= count * np.finfo(float).eps * diagonal.max():
        raise NtkVerifyError(
            f"natural gradient descent needs a Jacobian of full row rank, and that of {count} residuals has none "
            "to rounding: remove repeated samples or widen the network."
        )
    step: Array = (q @ scipy.linalg.solve_triangular(r, residual, trans="T")).reshape(p, width)
    return step
