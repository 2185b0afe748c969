"""Hypothesis strategies for descriptors of data; NumPy draws the data themselves.

Hypothesis chooses sizes, a family and an entropy integer; its own distribution over floats is no
probability distribution, so the numbers come from NumPy's `SeedSequence`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

Draw = Callable[[st.SearchStrategy[Any]], Any]

#: entropy integers; far fewer than Hypothesis could shrink through, far more than it draws
entropies = st.integers(0, 2**32 - 1)


def generator(draw: Draw) -> np.random.Generator:
    """A NumPy generator whose seed Hypothesis draws.

    A ``draw`` with a method ``generator`` makes its own of that seed: a search has some of the numbers as coordinates.
    """
    make = getattr(draw, "generator", np.random.default_rng)
    made: np.random.Generator = make(np.random.PCG64(draw(entropies)))
    return made


def is_decomposition(left: Any, singular: Any, right: Any) -> bool:
    """Whether ``left diag(singular) right.T`` is the singular value decomposition of a matrix of full row rank.

    Parameters
    ----------
    left : array (N, N)
        Orthogonal, to the rounding of a QR factorisation; floats or balls, as the others.
    singular : array (N,)
        Positive, in any order.
    right : array (P, N)
        Orthonormal columns.
    """
    count = len(singular)
    if left.shape != (count, count) or right.shape[1:] != (count,) or not (singular > 0).all():
        return False
    rounding = 16 * len(right) * np.finfo(float).eps
    return all(bool((np.abs(u.T @ u - np.eye(count)) <= rounding).all()) for u in (left, right))


def orthonormal_inputs(n: int) -> Array:
    """The standard basis: n inputs in dimension n with the largest possible lambda_0 = 1/2."""
    return np.eye(n)


def two_inputs(cosine: float) -> Array:
    """Two unit inputs in the plane at an angle of this cosine; lambda_0 falls, and kappa grows, as it nears 1."""
    return np.array([[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]])


def unit_inputs(draw: Draw, n: int, d: int, *, spread: float = 1.0) -> Array:
    """`n` points on the unit sphere of dimension `d`, clustered around one direction when `spread` is small.

    Parameters
    ----------
    spread : float
        Standard deviation of the cloud around its centre before projection; 1 or more is nearly uniform.
    """
    rng = generator(draw)
    centre = rng.standard_normal(d)
    points = centre / np.linalg.norm(centre) + spread * rng.standard_normal((n, d))
    normalised: Array = points / np.linalg.norm(points, axis=1, keepdims=True)
    return normalised


def bounded_targets(draw: Draw, n: int, bound: float) -> Array:
    """`n` targets of modulus at most `bound`; one family sits at the bound with random signs."""
    rng = generator(draw)
    if draw(st.booleans()):
        extreme: Array = bound * rng.choice([-1.0, 1.0], n)
        return extreme
    inside: Array = rng.uniform(-bound, bound, n)
    return inside


def scattered(rng: np.random.Generator, n: int, sample: Callable[[np.random.Generator], Array]) -> Array:
    """`n` points, each the one of eight candidates that is farthest from those before it."""
    points = [sample(rng)]
    while len(points) < n:
        candidates = np.array([sample(rng) for _ in range(8)])
        distances = np.linalg.norm(candidates[:, None] - np.array(points)[None], axis=2).min(axis=1)
        points.append(candidates[int(distances.argmax())])
    return np.array(points)


def box_points(draw: Draw, interior: int, boundary: int, dimension: int) -> dict[str, Array]:
    """Points inside the unit box of a dimension and on its faces, scattered, by block of a physics-informed problem."""
    if dimension == 1 and boundary > 2:
        raise NtkVerifyError(f"an interval has two ends, not {boundary}: ask for at most 2 boundary points.")
    rng = generator(draw)

    def on_a_face(rng: np.random.Generator) -> Array:
        point = rng.uniform(0, 1, dimension)
        point[rng.integers(dimension)] = rng.integers(2)
        return np.asarray(point)

    inside = scattered(rng, interior, lambda rng: np.asarray(rng.uniform(0, 1, dimension)))
    if dimension == 1:
        # scattering gives up after a while, and a repeated end makes the Jacobian singular
        return {"interior": inside, "boundary": rng.permutation([0.0, 1.0])[:boundary, None]}
    return {"interior": inside, "boundary": scattered(rng, boundary, on_a_face)}


def space_time_points(draw: Draw, interior: int, boundary: int, space: int) -> dict[str, Array]:
    """Points inside (0, 1) x (0, 1)^space, time first, and at time 0 or on the spatial faces."""
    rng = generator(draw)

    def at_start_or_side(rng: np.random.Generator) -> Array:
        point = rng.uniform(0, 1, space + 1)
        axis = int(rng.integers(space + 1))
        point[axis] = 0 if axis == 0 else rng.integers(2)
        return np.asarray(point)

    return {
        "interior": scattered(rng, interior, lambda rng: np.asarray(rng.uniform(0, 1, space + 1))),
        "boundary": scattered(rng, boundary, at_start_or_side),
    }


def with_targets(draw: Draw, points: dict[str, Array]) -> dict[str, Array]:
    """Points of a physics-informed problem with uniform targets between -1 and 1, of the size of initial outputs."""
    rng = generator(draw)
    return {
        **points,
        "source": rng.uniform(-1, 1, len(points["interior"])),
        "values": rng.uniform(-1, 1, len(points["boundary"])),
    }


#: two interior and two boundary samples of a heat equation, far apart
SEPARATED = {"interior": np.array([[0.2, 0.3], [0.8, 0.7]]), "boundary": np.array([[0.0, 0.5], [0.5, 1.0]])}

#: one interior and one boundary sample, both unit vectors of space
CORNER = {"interior": [[0.0, 1.0]], "boundary": [[0.0, 1.0]]}
