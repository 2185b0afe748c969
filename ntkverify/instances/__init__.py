"""Hypothesis strategies for descriptors of data; NumPy draws the data themselves.

Hypothesis chooses sizes, a family and an entropy integer; its own distribution over floats is no
probability distribution, so the numbers come from NumPy's `SeedSequence`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[np.float64]
Draw = Callable[[st.SearchStrategy[Any]], Any]

#: entropy integers; far fewer than Hypothesis could shrink through, far more than it draws
entropies = st.integers(0, 2**32 - 1)


def generator(draw: Draw) -> np.random.Generator:
    """A NumPy generator whose seed Hypothesis draws."""
    return np.random.Generator(np.random.PCG64(draw(entropies)))


def orthonormal_inputs(n: int) -> Array:
    """The standard basis: n inputs in dimension n with the largest possible lambda_0 = 1/2."""
    return np.eye(n)


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
