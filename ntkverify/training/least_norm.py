"""The shortest solution of ``J d = r``, the direction of natural gradient steps: one solver and one test of rank.

J has a row for each of N residuals and a column for each weight. Systems of N x N are solved on the host.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from ntkverify.arithmetic.ball_linear import least_norm_balls
from ntkverify.arithmetic.balls import as_ball
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor, Forward
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.execution.samples import Samples
from ntkverify.symbolic.limit.coincident import PARALLEL, alike_rows, in_words, named, rows_of
from ntkverify.training.orthonormal_rows import EPS, NumPy, Rows, by_gram_matrices, by_householder

# the solution of the normal equations is off by about cond(J J^T) eps; beyond this limit that is no longer small
CHOLESKY_LIMIT = 1e8
# for a Jacobian at hand; where one fails, the next is tried
DENSE_SOLVERS = ("qr", "householder")
SOLVERS = ("auto", "cholesky", *DENSE_SOLVERS)  #: ways to a least-norm solution, to choose from by name
# with fewer columns per row, eigenvectors take longer than Householder's QR: measured at 100 to 1000 rows, one thread
LEAST_COLUMNS = 8
# a round of refinement gains digits, or there are none left to gain
MOST_ROUNDS = 8


@dataclasses.dataclass(frozen=True)
class LeastNorm:
    """The shortest direction that solves ``J direction = right``.

    Parameters
    ----------
    direction : array, shape (m, p), or (P,) for a Jacobian (N, P)
        ``J^T (J J^T)^-1 right``, or what damping and truncation make of it.
    solver : {"cholesky", "qr", "householder"}
        How it was found.
    condition : float
        Condition number of what was inverted, ``J J^T + damping`` on the singular vectors kept, as well as the solver
        can see it.
    rank : int
        Number of singular vectors kept.
    reason : str
        Why it took Householder's QR though "qr" or "auto" was asked for; empty where it did not.
    """

    direction: Any
    solver: str
    condition: float
    rank: int
    reason: str = ""


class Inverse(NamedTuple):
    """``factor^T (factor factor^T + damping)^-1`` on the singular vectors kept."""

    singular: Array  # those kept, falling
    left: Array  # (N, rank), which span what can be solved for
    solve: Array  # (K, N)
    pull: Array  # (N, N), ``damping (factor factor^T + damping)^-1``, which damping leaves of a right-hand side


def least_norm(
    executor: Executor,
    weights: Any,
    frozen: Any,
    forward: Forward,
    right: Any,
    *,
    solver: str = "auto",
    damping: float = 0.0,
    rcond: float | None = None,
    gram: Any = None,
    jacobian: Any = None,
) -> LeastNorm:
    """Solve ``J direction = right`` with the least Euclidean norm.

    Parameters
    ----------
    executor, weights, frozen, forward
        The problem, and its forward pass at the weights.
    right : array, shape (N,)
        Right-hand side. Systems of this size are solved on the host.
    solver : {"auto", "cholesky", "qr", "householder"}
        Cholesky of J J^T never stores J but squares its condition number; the other two are `dense_least_norm`'s.
        "auto" takes Cholesky while cond(J J^T) <= 1e8 and J is not given, and "qr" otherwise.
    damping, rcond
        As for `dense_least_norm`.
    gram, jacobian : array, shapes (N, N) and (N, m p), optional
        J J^T and J at the weights, where they are known.

    Raises
    ------
    NtkVerifyError
        If Cholesky is asked for where cond(J J^T) is beyond its limit, or J has not full rank to rounding and neither
        damping nor rcond is given.
    """
    if solver not in SOLVERS:
        raise NtkVerifyError(f"unknown solver {solver!r}; choose one of {', '.join(SOLVERS)}")
    if executor.is_exact:
        jacobian = executor.jacobian(weights, frozen) if jacobian is None else jacobian
        return _enclosed(jacobian, right, weights.shape, damping=damping, rcond=rcond)
    host = executor.to_host(right)
    smallest, count = _smallest_kept(host, damping, rcond), len(host)
    if solver == "cholesky" or (solver == "auto" and jacobian is None):
        gram = executor.gram(weights, frozen) if gram is None else gram
        with one_blas_thread():
            shifted = executor.to_host(gram) + damping * np.eye(count)
            low, high = np.linalg.eigvalsh(shifted)[[0, -1]]
            condition = float(high / low) if low > 0 else math.inf
            whole = rcond is None or low - damping > smallest**2 * (high - damping)
            if condition <= CHOLESKY_LIMIT and whole:
                y = scipy.linalg.cho_solve(scipy.linalg.cho_factor(shifted, lower=True), host)
                direction = executor.vjp(weights, frozen, forward, executor.from_host(y))
                return LeastNorm(direction, "cholesky", condition, count)
        if solver == "cholesky":
            raise NtkVerifyError(
                f"J J^T has condition number {condition:.2g}, and its Cholesky factor is noise in float64 beyond "
                f"{CHOLESKY_LIMIT:.0e} and drops no singular values; use solver='qr' or 'auto'"
            )
    refuse_beyond_memory(
        # J, its transpose laid out for LAPACK, Q, and the factorisation's own copy
        4 * 8 * count * math.prod(weights.shape),
        f"a basis of the Jacobian of {count} residuals of {weights.shape[0]} neurons",
    )
    jacobian = executor.jacobian(weights, frozen) if jacobian is None else jacobian
    solver = "qr" if solver == "auto" else solver
    solution = dense_least_norm(
        jacobian, right, solver=solver, damping=damping, rcond=rcond, gram=gram, executor=executor
    )
    # not every kind of array can be given another shape
    direction = executor.from_host(executor.to_host(solution.direction).reshape(weights.shape))
    return dataclasses.replace(solution, direction=direction)


def _enclosed(jacobian: Any, right: Any, shape: Any, *, damping: float, rcond: float | None) -> LeastNorm:
    """The same in balls, where a solution is enclosed or the matrix not proved to be regular."""
    if rcond is not None:
        raise NtkVerifyError("balls keep every singular value; leave rcond out")
    direction = least_norm_balls(jacobian, right, damping=as_ball(damping) if damping else None).reshape(shape)
    return LeastNorm(direction, "balls", math.nan, len(right))


def dense_least_norm(
    jacobian: Any,
    right: Any,
    *,
    solver: str = "qr",
    damping: float = 0.0,
    rcond: float | None = None,
    gram: Any = None,
    executor: Any = NumPy,
) -> LeastNorm:
    """Solve ``jacobian direction = right`` with the least Euclidean norm, by orthonormal rows.

    With the singular value decomposition U diag(sigma) V^T of J the solution is
    ``V diag(sigma / (sigma^2 + damping)) U^T right`` over the singular values kept (Golub and Van Loan, Matrix
    Computations, 4th ed., 5.5 and 5.6).

    Parameters
    ----------
    jacobian : array, shape (N, P)
    right : array, shape (N,)
    solver : {"qr", "householder"}
        Orthonormal rows by Gram matrices, and by Householder's QR of J^T where that is faster (P < 8 N), where
        Gram matrices leave the rank in doubt, or where refinement stalls; or by Householder's at once.
    damping : float
        lam of ``J^T (J J^T + lam)^-1 right``.
    rcond : float, optional
        Singular values up to so much of the largest are dropped, which leaves the shortest least-squares solution.
        Those up to N eps of the largest are noise and always dropped, but without damping or rcond that is an error.
    gram : array, shape (N, N), optional
        J J^T where it is known.
    executor : Executor, optional
        Whose arrays these are; NumPy's by default.

    Raises
    ------
    NtkVerifyError
        If J is not finite, or has not full rank to rounding and neither damping nor rcond is given.
    """
    if solver not in DENSE_SOLVERS:
        raise NtkVerifyError(f"unknown solver {solver!r} of a given Jacobian; choose {' or '.join(DENSE_SOLVERS)}")
    host, permitted, reason = executor.to_host(right), damping > 0 or rcond is not None, ""
    smallest, count = _smallest_kept(host, damping, rcond), len(host)
    columns = int(executor.added(np.array([float(jacobian.shape[1])]))[0])
    if solver == "qr" and columns < LEAST_COLUMNS * count:
        solver, reason = "householder", "J has few columns"
    with one_blas_thread():
        for method in DENSE_SOLVERS[DENSE_SOLVERS.index(solver) :]:
            if method == "householder":
                rows = by_householder(jacobian, executor)
            else:
                gram = (
                    executor.added(executor.to_host(jacobian @ jacobian.T)) if gram is None else executor.to_host(gram)
                )
                if not np.isfinite(gram).all():
                    reason = "J J^T is not finite"
                    continue
                rows = by_gram_matrices(jacobian, gram, executor)
            singular: Array = scipy.linalg.svdvals(rows.factor)
            rank = int((singular > smallest * singular[0]).sum())
            if rank < count and not permitted:
                reason = "Gram matrices find no full rank"
                continue
            inverse = _inverse(rows.factor, singular[:rank], damping)
            direction, excess = _refined(rows, inverse, jacobian, host, executor)
            if excess <= count or method == "householder":
                return LeastNorm(direction, method, _condition(singular[:rank], damping), rank, reason)
            reason = f"refinement stalls at {excess:.1e} times the rounding error of the residual"
    if gram is None:
        gram = executor.added(executor.to_host(jacobian @ jacobian.T))
    raise NtkVerifyError(
        f"the Jacobian of {count} residuals has not full rank to rounding (singular values from {singular[0]:.2g} to "
        f"{singular[-1]:.2g}); {_remedy(np.asarray(gram), getattr(executor, 'samples', None))}widen the network, or "
        "pass damping= or rcond="
    )


def _remedy(gram: Array, samples: Samples | None) -> str:
    """All pairs of rows that are proportional, by block and sample where the rows are those of samples."""
    if not np.isfinite(gram).all() or not (pairs := alike_rows(gram)):
        return ""
    sizes = {b.block.name: b.size for b in samples.blocks} if samples is not None else {"J": len(gram)}
    return f"{in_words(named(pairs, rows_of(sizes), PARALLEL))}, "


def _inverse(factor: Array, singular: Array, damping: float) -> Inverse:
    """How to solve with these of the factor's singular values; without vectors where nothing is dropped or damped."""
    count, rank = len(factor), len(singular)
    if rank == count and not damping:
        return Inverse(singular, np.eye(count), np.asarray(np.linalg.inv(factor)), np.zeros((count, count)))
    left, _, right = np.linalg.svd(factor, full_matrices=False)
    left, right = left[:, :rank], right[:rank].T
    shift = damping / singular
    return Inverse(singular, left, right / (singular + shift) @ left.T, left * (shift / (singular + shift)) @ left.T)


def _refined(rows: Rows, inverse: Inverse, jacobian: Any, right: Array, executor: Any) -> tuple[Any, float]:
    """The direction, and its residual in units of the rounding error that a backward stable solver leaves.

    Residuals are those of J itself, and corrections are added to the direction rather than to (J J^T)^-1 right, so
    that the error is that of a stable QR (Bjorck, Linear Algebra Appl. 88/89 (1987) 31).
    """
    scale = 2.0 ** (math.frexp(np.abs(right).max())[1] - 1)  # no norm below overflows or vanishes
    right = right / scale
    direction, moved, pull = executor.from_host(np.zeros(jacobian.shape[1])), np.zeros(len(rows.mix)), 0.0 * right
    rest = inverse.left.T @ right
    size, unit = float(np.linalg.norm(rest)), 0.0
    for rounds in range(MOST_ROUNDS):
        if size <= unit:
            break
        whole = inverse.left @ rest
        part, pulled = inverse.solve @ whole, pull + inverse.pull @ whole
        longer = direction + rows.basis.T @ executor.from_host(rows.mix.T @ part)
        rest = inverse.left.T @ (right - executor.added(executor.to_host(jacobian @ longer)) - pulled)
        now = float(np.linalg.norm(rest))
        if rounds and not now < size:
            break
        direction, moved, pull, size = longer, moved + part, pulled, now
        unit = EPS * float(np.linalg.norm(inverse.singular[0] * moved) + np.linalg.norm(pull))
    return direction * scale, size / unit if size else 0.0


def _condition(singular: Array, damping: float) -> float:
    """Condition number of ``J J^T + damping`` on these singular vectors, whose squares may leave float64's range."""
    if not len(singular):
        return math.inf
    shift = damping / singular[0] / singular[0]
    return float((1 + shift) / ((singular[-1] / singular[0]) ** 2 + shift))


def _smallest_kept(right: Array, damping: float, rcond: float | None) -> float:
    """The share of the largest singular value up to which others are dropped."""
    if not np.isfinite(right).all():
        raise NtkVerifyError("the right-hand side is not finite; take shorter steps")
    if not (0 <= damping < math.inf and 0 <= (rcond or 0) < 1):
        raise NtkVerifyError(f"damping must be at least 0 and rcond in [0, 1), not {damping} and {rcond}")
    return max(rcond or 0.0, len(right) * EPS)
