"""Certified least eigenvalues of symmetric matrices of balls (python-flint's ``arb_mat``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError


@dataclass(frozen=True)
class Enclosure:
    """Numbers of python-flint (``arb``, of radius 0) between which a real number is proved to lie.

    Parameters
    ----------
    lower, upper : arb
    """

    lower: Any
    upper: Any

    @property
    def is_positive(self) -> bool:
        """Whether the number is proved to be positive."""
        return bool(self.lower > 0)


def is_positive_definite(matrix: Any) -> bool:
    """Whether a Cholesky factorisation in balls proves every symmetric matrix enclosed to be positive definite.

    False means that nothing was proved.
    """
    n = matrix.nrows()
    rows: list[list[Any]] = []
    for i in range(n):
        row: list[Any] = []
        for j in range(i):
            row.append((matrix[i, j] - sum((row[k] * rows[j][k] for k in range(j)), matrix[0, 0] * 0)) / rows[j][j])
        pivot = matrix[i, i] - sum((x * x for x in row), matrix[0, 0] * 0)
        if not pivot > 0:
            return False
        rows.append([*row, pivot.sqrt()])
    return True


def _first_guess(matrix: Any) -> list[float]:
    """Float64's eigenvector, from which few inverse iterations are left even where the next eigenvalue is near."""
    n = matrix.nrows()
    entries = np.array([[float(matrix[i, j]) for j in range(n)] for i in range(n)])
    # entries without pattern, so that no symmetric matrix met has its eigenvector orthogonal to them
    vector = np.cos(np.arange(n) ** 2 + 1.0)
    if np.isfinite(entries).all():
        vector = np.linalg.eigh(entries)[1][:, 0] + np.finfo(np.float64).eps * vector
    return [float(entry) for entry in vector]


def least_eigenvalue(matrix: Any, *, bits: int = 256, digits: int = 6) -> Enclosure:
    """Enclose the least eigenvalue of a symmetric positive definite matrix of balls.

    The upper end is a Rayleigh quotient after inverse iteration; the lower end the largest shift s of a
    bisection for which a Cholesky factorisation proves ``matrix - s I`` positive definite, 0 if there is none.

    Parameters
    ----------
    matrix : arb_mat
    bits : int
        Working precision.
    digits : int
        About how many decimal digits the two ends are to share, where the matrix' own radii allow it.
    """
    from flint import arb, arb_mat, ctx

    n = matrix.nrows()
    if n != matrix.ncols() or n == 0:
        raise NtkVerifyError(f"an eigenvalue needs a square matrix, not one of {n} by {matrix.ncols()}.")
    before = ctx.prec
    ctx.prec = bits
    try:
        middle = arb_mat([[matrix[i, j].mid() for j in range(n)] for i in range(n)])
        vector = arb_mat([[arb(entry)] for entry in _first_guess(middle)])
        for _ in range(8):
            try:
                solved = middle.solve(vector)
            except ZeroDivisionError:
                break  # singular to working precision: the last vector is near the kernel
            size = max(abs(float(solved[i, 0].mid())) for i in range(n))
            if not 0 < size < float("inf"):
                break
            vector = arb_mat([[solved[i, 0].mid() / arb(size)] for i in range(n)])
            vector = arb_mat([[vector[i, 0].mid()] for i in range(n)])
        quotient = (vector.transpose() * matrix * vector)[0, 0] / (vector.transpose() * vector)[0, 0]
        upper = quotient.upper()
        lower = arb(0)
        if upper > 0 and is_positive_definite(matrix):
            # widen until the shifted matrix is proved positive: by shares of the upper end, then by powers of two
            gaps = [10.0**-digits * 4**i for i in range(64)]
            shares = [1 - gap for gap in gaps if gap < 0.5] + [0.5**i for i in range(1, bits)]
            for share in shares:
                shift = (upper * share).lower()
                shifted = arb_mat([[matrix[i, j] - (shift if i == j else 0) for j in range(n)] for i in range(n)])
                if is_positive_definite(shifted):
                    lower = shift
                    break
        return Enclosure(lower, upper)
    finally:
        ctx.prec = before
