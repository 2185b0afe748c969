"""Gaussian moments of smooth functions of two linear forms, in coordinates of their plane.

The weights are u e_1 + v e_2 + (independent rest). Tilting by Gaussian factors exp(-c z^2/2 - d z'^2/2) adds positive
terms to the precision of (u, v), and its inverse is written out here without a difference: a function that is
concentrated where z is small leaves u a variance of 1/(1 + c |x|^2), which 1 - c |x|^2/(1 + c |x|^2) would round away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.symbolic.expectation.closed_forms import LEFT, RIGHT, ArrayFunctions, Geometry, Token
from ntkverify.symbolic.expectation.geometry import Frames, inner_products

FIRST, SECOND = 0, 1
"""The tokens u and v."""


class PlaneGeometry(Geometry):
    """Covariances of u, v and the two forms for all pairs of points, tilted by c and d.

    Parameters
    ----------
    norms : two arrays, (n, 1) and (1, n')
    cosine, sine, product : arrays (n, n')
        Of the angle, and the inner products of the forms.
    tilt : (float, float)
        c and d.
    """

    def __init__(
        self,
        norms: tuple[Array, Array],
        cosine: Array,
        sine: Array,
        product: Array,
        tilt: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._plane = (norms, cosine, sine, product)
        self._tilt = c, d = tilt
        (left, right), across = norms, norms[1] * sine
        along = right * cosine
        self._determinant = 1 + c * left**2 + d * right**2 + c * d * (left * across) ** 2
        values = {
            (FIRST, FIRST): 1 + d * across**2,
            (FIRST, SECOND): -d * along * across,
            (SECOND, SECOND): 1 + c * left**2 + d * along**2,
            (LEFT, FIRST): left * (1 + d * across**2),
            (LEFT, SECOND): -left * d * along * across,
            (RIGHT, FIRST): along,
            (RIGHT, SECOND): across * (1 + c * left**2),
            (LEFT, LEFT): left**2 * (1 + d * across**2),
            (RIGHT, LEFT): product,
            (RIGHT, RIGHT): right**2 + c * (left * across) ** 2,
        }
        super().__init__(
            ArrayFunctions(), lambda a, b: values[a, b] / self._determinant, (left * across) ** 2 / self._determinant
        )

    @classmethod
    def of(cls, u: Array, v: Array, frames: Frames) -> PlaneGeometry:
        """All pairs of rows of u (n, d) and v (n', d)."""
        norms = (frames.norms_left[:, None], frames.norms_right[None, :])
        # the kernel of erf is as accurate as the inner product with which it changes its sign
        return cls(norms, np.cos(frames.angle), np.sin(frames.angle), inner_products(u, v))

    def tilted(self, left: sympy.Expr, right: sympy.Expr) -> tuple[Geometry, Any]:
        """As in `Geometry`; tilts add up."""
        if (left, right) not in self._tilts:
            c, d = self._tilt[0] + float(2 * left), self._tilt[1] + float(2 * right)
            moved = PlaneGeometry(*self._plane, tilt=(c, d))
            self._tilts[left, right] = moved, np.sqrt(self._determinant / moved._determinant)
        return self._tilts[left, right]

    def tokens(self, first: int, second: int) -> tuple[Token, ...]:
        """u^first v^second."""
        return (FIRST,) * first + (SECOND,) * second
