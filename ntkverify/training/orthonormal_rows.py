"""Orthonormal rows of a wide matrix J, by Gram matrices where Householder's QR of J^T would take several times as long.

QR reflects column by column; here all that grows with the number of columns is products of matrices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.threads import available_threads, share

EPS = float(np.finfo(np.float64).eps)
# of a Gram matrix whose eigenvectors make rows orthonormal to 1e8 eps: good enough to be refined
GOOD_CONDITION = 1e8
# each Gram matrix can divide the condition number of the rows by (N eps)^-1/2, and 1/(N eps) is the largest there is
MOST_GRAMS = 3
# of columns, for threads to share: a function of nothing, so that sums round alike
SLICES = 16


class NumPy:
    """What is asked of an executor, for NumPy's arrays."""

    to_host = from_host = added = staticmethod(np.asarray)
    ranks = 1


class Rows(NamedTuple):
    """``J = factor rows`` with orthonormal ``rows = mix basis``, which are never formed."""

    factor: Array  # (N, K)
    mix: Array  # (K, K)
    basis: Any  # (K, P), of the executor's kind


def by_gram_matrices(jacobian: Any, gram: Array, executor: Any = NumPy) -> Rows:
    """Orthonormal rows of J (N, P) from J J^T and the Gram matrices of better rows.

    Rows Y with ``Y Y^T = W diag(lam) W^T`` become ``diag(lam)^-1/2 W^T Y`` (Stathopoulos and Wu, SIAM J. Sci. Comput.
    23 (2002) 2165), with lam at least N eps of the largest, since smaller ones are noise. Like the shift of Fukaya et
    al. (SIAM J. Sci. Comput. 42 (2020) A477) this leaves rows as much better conditioned as one Gram matrix can tell,
    and another one finishes (Yamamoto et al., ETNA 44 (2015) 306). W being orthogonal, what was done can be
    undone, and singular values are off by about eps of the largest, as by Householder's QR.
    """
    basis, factor = jacobian, np.eye(len(gram))
    for grams in range(1, MOST_GRAMS + 1):
        values, vectors = np.linalg.eigh(gram)
        scales = np.sqrt(np.maximum(values, max(len(gram) * EPS * values[-1], np.finfo(float).tiny)))
        factor = factor @ (vectors * scales)
        mix = (vectors / scales).T
        if grams == MOST_GRAMS or values[0] * GOOD_CONDITION > values[-1]:
            break
        basis, gram = _turned(mix, basis, executor)
    return Rows(factor, mix, basis)


def by_householder(jacobian: Any, executor: Any = NumPy) -> Rows:
    """Orthonormal rows of J, whatever its shape and the size of its entries, by Householder's QR of J^T on the host."""
    whole(executor, "Householder's QR of J^T, which Gram matrices leave no way round here,")
    q, r = np.linalg.qr(executor.to_host(jacobian).T)
    if not np.isfinite(r).all():
        raise NtkVerifyError(f"the Jacobian of {r.shape[1]} residuals is not finite; take shorter steps")
    return Rows(r.T, np.eye(len(r)), executor.from_host(q.T))


def whole(executor: Any, what: str) -> None:
    """Refuse what needs all weights in one place where they are spread over processes.

    Raises
    ------
    NtkVerifyError
        Naming what does.
    """
    if executor.ranks > 1:
        raise NtkVerifyError(f"{what} needs all weights in one process; train this network in one.")


def _turned(matrix: Array, basis: Any, executor: Any) -> tuple[Any, Array]:
    """``matrix @ basis`` and its Gram matrix; on the host in slices, no entry depending on the number of threads."""
    if type(basis) is not np.ndarray:
        turned = executor.from_host(matrix) @ basis
        return turned, executor.added(executor.to_host(turned @ turned.T))
    turned, grams = np.empty_like(basis), np.empty((SLICES, *matrix.shape))

    def work(i: int) -> None:
        columns = slice(*(basis.shape[1] * k // SLICES for k in (i, i + 1)))
        part = turned[:, columns] = matrix @ basis[:, columns]
        grams[i] = part @ part.T

    share(work, SLICES, getattr(executor, "threads", None) or available_threads())
    return turned, executor.added(grams.sum(axis=0))
