"""Linear algebra on object arrays of python-flint balls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arithmetic.balls import Undecided


def as_matrix(array: Any) -> Any:
    """An ``arb_mat`` of a two-dimensional object array."""
    import flint

    return flint.arb_mat([list(row) for row in array])


def as_object_array(matrix: Any) -> Any:
    """An object array of an ``arb_mat``."""
    result = np.empty((matrix.nrows(), matrix.ncols()), dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = matrix[index]
    return result


def eigenvalue_balls(matrix: Any) -> list[Any]:
    """Enclosures of the eigenvalues of a symmetric matrix of python-flint balls, ascending.

    Gershgorin or Krawczyk clusters may overlap and their order be open; the j-th smallest eigenvalue lies between
    the j-th smallest lower end and the j-th smallest upper end all the same.
    """
    import flint

    if len(matrix) == 1:
        return [matrix[0, 0]]
    try:
        found = [e.real for e in flint.acb_mat(as_matrix(matrix)).eig(multiple=True)]
    except (ValueError, ZeroDivisionError):
        raise Undecided("the eigenvalues are not enclosed at this precision") from None
    lower = _sorted([e.lower() for e in found])
    upper = _sorted([e.upper() for e in found])
    return [low.union(high) for low, high in zip(lower, upper, strict=True)]


def _sorted(ends: list[Any]) -> list[Any]:
    # ends of balls are exact, so that comparisons are decided
    def order(a: Any, b: Any) -> int:
        return -1 if a < b else 1 if a > b else 0

    return sorted(ends, key=functools.cmp_to_key(order))


def norm_balls(values: Any) -> Any:
    """Euclidean norm over the last axis of an object array."""
    flat = np.asarray(values, dtype=object)
    squares = np.add.reduce(flat * flat, axis=-1)
    return np.frompyfunc(lambda b: b.nonnegative_part().sqrt(), 1, 1)(squares)


def largest_ball(values: Any) -> Any:
    """The largest entry, enclosed even where it is open which one that is."""
    return functools.reduce(lambda a, b: a.max(b), np.asarray(values, dtype=object).ravel())


def spectral_norm_ball(matrix: Any) -> Any:
    """Largest singular value of a matrix, from the smaller of its two Gram matrices."""
    rows = np.asarray(matrix, dtype=object)
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    if all(entry == 0 for entry in gram.ravel()):
        return gram[0, 0]
    return eigenvalue_balls(gram)[-1].nonnegative_part().sqrt()


def solve_balls(matrix: Any, right: Any) -> Any:
    """Enclosure of the solution x of ``matrix x = right``, for a vector or the columns of a matrix.

    Raises
    ------
    Undecided
        If the matrix is not proved to be regular at this precision.
    """
    import flint

    right = np.asarray(right, dtype=object)
    columns = right.reshape(len(right), -1)
    try:
        solved = as_matrix(matrix).solve(flint.arb_mat([list(row) for row in columns]))
    except ZeroDivisionError:
        raise Undecided("a matrix is not proved to be regular at this precision") from None
    return as_object_array(solved).reshape(right.shape)


def least_norm_balls(matrix: Any, right: Any, *, damping: Any = None) -> Any:
    """``A^T (A A^T + damping)^-1 right``; without damping A is to have full row rank."""
    rows = np.asarray(matrix, dtype=object)
    gram = rows @ rows.T
    if damping is not None:
        places = range(len(gram))
        gram[places, places] += damping
    return rows.T @ solve_balls(gram, right)


def _each(function: Callable[[Any], Any], stack: Any) -> Any:
    """A function of matrices for all matrices of a stack."""
    if stack.ndim == 2:
        return np.array(function(stack), dtype=object)
    return np.array([function(matrix) for matrix in stack], dtype=object)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.linalg.norm`` where it is a largest singular value; the others are sums of entries."""
    matrix = x.ndim == 2 and axis in (None, (0, 1), (-2, -1))
    stack = x.ndim == 3 and axis in ((1, 2), (-2, -1))
    if ord != 2 or not (matrix or stack) or keepdims:
        return NotImplemented
    return _each(spectral_norm_ball, x)


def _pinv(a: Any) -> Any:
    """Moore-Penrose inverse of a matrix of full rank."""
    import flint

    small = min(a.shape)
    unit = np.array([[flint.arb(int(i == j)) for j in range(small)] for i in range(small)], dtype=object)
    wide = a.shape[0] <= a.shape[1]
    return least_norm_balls(a, unit) if wide else least_norm_balls(a.T, unit).T


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.linalg.eigvalsh: lambda a: _each(eigenvalue_balls, a),
    np.linalg.norm: _norm,
    np.linalg.pinv: _pinv,
    np.linalg.solve: solve_balls,
}
