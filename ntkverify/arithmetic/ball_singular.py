"""Singular values enclosed in balls, however small: what float64 says of those near its rounding is noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arithmetic.ball_linear import as_matrix
from ntkverify.arithmetic.balls import Undecided, escalate

#: relative half-width of singular values that are handed out as floats
ACCURACY = 2.0**-40


def singular_value_balls(matrix: Any) -> list[Any]:
    """Enclosures of the min(n, m) largest singular values, descending, at flint's current precision.

    With G the smaller Gram matrix and Q approximate eigenvectors, D = Q^T G Q is congruent to G: by Ostrowski's theorem
    its k-th eigenvalue is that of G times a factor in [1 - e, 1 + e], e = ||Q^T Q - I||_F, and by Weyl's inequality it
    lies within ||D - diag D||_F of the k-th diagonal entry. Q need not be accurate for that, only exact numbers.

    Parameters
    ----------
    matrix : object array (n, m)
        Of python-flint balls.

    Raises
    ------
    Undecided
        If Q is not nearly orthonormal: eigenvalues coincide at this precision.
    """
    import flint

    rows = as_matrix(matrix)
    gram = rows * rows.transpose() if rows.nrows() <= rows.ncols() else rows.transpose() * rows
    size = gram.nrows()
    if not all(entry.is_finite() for entry in gram.entries()):
        raise Undecided("a matrix is not enclosed at this precision")
    vectors = _real_vectors(gram) if size > 1 else flint.arb_mat([[1]])
    turned = vectors.transpose() * gram * vectors
    excess = (vectors.transpose() * vectors - flint.arb_mat(size, size, 1)).entries()
    defect = _root_of_squares(excess)
    if not defect < 0.5:
        raise Undecided("eigenvectors are not resolved at this precision")
    diagonal = [turned[i, i] for i in range(size)]
    off = _root_of_squares(turned[i, j] for i in range(size) for j in range(size) if i != j)
    around, factor = _symmetric(off), 1 + _symmetric(defect)
    # the k-th largest lies between the k-th largest lower and the k-th largest upper end
    lower = sorted(((d + around).lower() for d in diagonal), reverse=True)
    upper = sorted(((d + around).upper() for d in diagonal), reverse=True)
    return [(low.union(high) / factor).nonnegative_part().sqrt() for low, high in zip(lower, upper, strict=True)]


def _real_vectors(gram: Any) -> Any:
    """Approximate eigenvectors of a symmetric matrix as exact real columns; each is known up to a complex phase."""
    import flint

    _, found = flint.acb_mat(gram.mid()).eig(right=True, algorithm="approx")
    size = gram.nrows()
    columns = []
    for j in range(size):
        column = [found[i, j] for i in range(size)]
        largest = max(column, key=lambda z: float(abs(z)))
        turned = [(z / largest).real.mid() for z in column]
        length = sum((x * x for x in turned), flint.arb(0)).sqrt()
        columns.append([(x / length).mid() for x in turned])
    return flint.arb_mat(columns).transpose()


def _root_of_squares(entries: Any) -> Any:
    import flint

    return sum((e * e for e in entries), flint.arb(0)).nonnegative_part().sqrt()


def _symmetric(bound: Any) -> Any:
    """The ball of all numbers of modulus at most `bound`."""
    import flint

    return flint.arb(0, bound.upper())


def certified_singular_values(matrix: Callable[[], Any], *, bits: int = 256, limit: int = 2**14) -> Any:
    """Singular values (min(n, m),) of a matrix, descending, each correct in float64 to a relative `ACCURACY`.

    Parameters
    ----------
    matrix : callable
        Returns the matrix in python-flint balls computed at flint's current precision, an object array (n, m).
    bits, limit : int
        Precision of the first attempt, and the largest one tried.

    Raises
    ------
    Undecided
        If that does not suffice; a matrix of less than full rank has a value 0 that no precision tells from others.
    """
    import flint

    def attempt(precision: int) -> Any:
        with flint.ctx.workprec(precision):
            found = singular_value_balls(matrix())
            if not all(value.rad() <= ACCURACY * value.mid() for value in found):
                raise Undecided(f"the smallest singular values are not resolved at {precision} bits")
            return np.array([float(value.mid()) for value in found])

    return escalate(attempt, bits=bits, limit=limit)
