"""Linear algebra on object arrays of python-flint balls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arithmetic.balls import Undecided

#: sweeps of Jacobi rotations at most: they converge quadratically, and a thousand bits take ten
_SWEEPS = 40
#: steps of the iteration for a matrix' sign at most: an eigenvalue grows by half in each while it is small
_SIGNS = 256


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
    the j-th smallest lower end and the j-th smallest upper end all the same. Where flint separates no clusters, as of
    [1, 0, 0], Weyl's inequality about a nearly diagonal matrix does.
    """
    import flint

    if len(matrix) == 1:
        return [matrix[0, 0]]
    try:
        found = [e.real for e in flint.acb_mat(as_matrix(matrix)).eig(multiple=True)]
    except (ValueError, ZeroDivisionError):
        return _eigenvalues_by_rotations(matrix)
    lower = _sorted([e.lower() for e in found])
    upper = _sorted([e.upper() for e in found])
    return [low.union(high) for low, high in zip(lower, upper, strict=True)]


def _eigenvalues_by_rotations(matrix: Any) -> list[Any]:
    """Enclosures by Jacobi rotations, for which multiple eigenvalues are as good as any.

    With Q the product of exact approximate rotations, D = Q^T A Q is congruent to A. Each eigenvalue of A times one of
    [1 - e, 1 + e], e = ||Q^T Q - I||_F, lies within ||D - diag D||_F of the diagonal entry of its rank (Ostrowski's
    theorem and Weyl's inequality).
    """
    import flint

    given = as_matrix(matrix)
    given = (given + given.transpose()) / 2
    size = given.nrows()
    if not all(entry.is_finite() for entry in given.entries()):
        raise Undecided("a matrix is not enclosed at this precision")
    vectors = _rotations(given.mid())
    turned = vectors.transpose() * given * vectors
    unit = flint.arb_mat([[int(i == j) for j in range(size)] for i in range(size)])
    defect = norm_balls(np.array((vectors.transpose() * vectors - unit).entries(), dtype=object))
    if not defect < 0.5:
        raise Undecided("the eigenvalues are not enclosed at this precision")
    beside = [turned[i, j] for i in range(size) for j in range(size) if i != j]
    around = flint.arb(0, norm_balls(np.array(beside, dtype=object)).upper())
    factor = 1 + flint.arb(0, defect.upper())
    found = [turned[i, i] + around for i in range(size)]
    lower, upper = _sorted([e.lower() for e in found]), _sorted([e.upper() for e in found])
    return [low.union(high) / factor for low, high in zip(lower, upper, strict=True)]


def _rotations(matrix: Any) -> Any:
    """An ``arb_mat`` of exact numbers whose columns are eigenvectors of an exact symmetric matrix, nearly."""
    import flint

    size = matrix.nrows()
    a = [[matrix[i, j] for j in range(size)] for i in range(size)]
    v = [[flint.arb(int(i == j)) for j in range(size)] for i in range(size)]
    tiny = sum((x * x for row in a for x in row), flint.arb(0)).mid() * flint.arb(2) ** (-2 * flint.ctx.prec)
    for _ in range(_SWEEPS):
        off = sum((a[i][j] ** 2 for i in range(size) for j in range(i)), flint.arb(0))
        if (off - tiny).mid() <= 0:
            break
        for i in range(size):
            for j in range(i):
                _rotate(a, v, i, j)
    return flint.arb_mat(v)


def _rotate(a: list[list[Any]], v: list[list[Any]], i: int, j: int) -> None:
    """Make one entry beside the diagonal vanish; all numbers are midpoints."""
    if a[i][j].mid() == 0:
        return
    ratio = ((a[j][j] - a[i][i]) / (2 * a[i][j])).mid()
    tangent = (1 / (abs(ratio) + (1 + ratio**2).sqrt())).mid() * (-1 if ratio < 0 else 1)
    cosine = (1 / (1 + tangent**2).sqrt()).mid()
    sine = (tangent * cosine).mid()
    for row in (*a, *v):
        row[i], row[j] = (cosine * row[i] - sine * row[j]).mid(), (sine * row[i] + cosine * row[j]).mid()
    first, second = a[i], a[j]
    a[i] = [(cosine * x - sine * y).mid() for x, y in zip(first, second, strict=True)]
    a[j] = [(sine * x + cosine * y).mid() for x, y in zip(first, second, strict=True)]


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


def spectral_projector(matrix: Any, level: Any) -> Any:
    """Enclosure of the projector on the eigenvectors of a symmetric matrix with eigenvalues above `level`.

    It is (1 + S)/2, S the sign of ``matrix - level`` by the iteration S <- S (3 - S^2)/2; while ||S^2 - 1|| <= d < 1/2
    every eigenvalue of S is within d of its sign.

    Raises
    ------
    Undecided
        If an eigenvalue is too near the level to be told from it at this precision.
    """
    import flint

    given = as_matrix(matrix)
    size = given.nrows()
    unit = flint.arb_mat([[int(i == j) for j in range(size)] for i in range(size)])
    sign = (given + given.transpose()) / 2 - level * unit
    length = norm_balls(np.array(sign.entries(), dtype=object)).upper()
    if not length > 0 or not length.is_finite():
        raise Undecided("a matrix is not told from a multiple of the unit matrix at this precision")
    sign = sign / length
    for _ in range(_SIGNS):
        defect = norm_balls(np.array((sign * sign - unit).entries(), dtype=object)).upper()
        if defect < flint.arb(2) ** (-flint.ctx.prec // 3):
            around = flint.arb(0, defect)
            count = range(size)
            whole = flint.arb_mat([[sign[i, j] + around for j in count] for i in count])
            return as_object_array((unit + whole) / 2)
        sign = sign * (3 * unit - sign * sign) / 2
    raise Undecided("an eigenvalue is not told from the level at this precision")


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
