"""Laws of quadratic forms in Gaussian vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

#: nodes of the trapezoidal rule over a quarter of a turn, which converges faster than any power for a periodic function
NODES = 512


def weighted_chi_square(one: Any, other: Any) -> Callable[[Any], Array]:
    """Distribution function of ``one X^2 + other Y^2``, X and Y independent standard normal, weights not negative.

    In polar coordinates the form is R^2 s(phi), s = one cos^2 + other sin^2, and R^2/2 is exponential, so that
    ``P(form <= x) = 1 - E[exp(-x/(2 s(phi)))]`` over a uniform angle.

    Raises
    ------
    NtkVerifyError
        If a weight is negative or both are zero.
    """
    least, most = sorted((float(one), float(other)))
    if least < 0 or not most > 0:
        raise NtkVerifyError(f"the weights of a sum of squares must not be negative nor both zero: {one}, {other}.")
    angle = (np.arange(NODES) + 0.5) * np.pi / (2 * NODES)
    size = 2 * (least * np.cos(angle) ** 2 + most * np.sin(angle) ** 2)

    def distribution(x: Any) -> Array:
        values = np.maximum(np.asarray(x, float), 0)
        return np.asarray(1 - np.exp(-values[..., None] / size).mean(axis=-1))

    return distribution


def eigenvalues_of_form(form: Array, covariance: Array) -> Array:
    """The weights, ascending, of ``g^T form g`` as a sum of weighted chi-squares, g normal with that covariance."""
    root = np.linalg.cholesky(covariance)
    return np.asarray(np.linalg.eigvalsh(root.T @ form @ root))
