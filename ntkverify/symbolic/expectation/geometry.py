"""Pairs of vectors and their plane: accurate angles, also of nearly parallel ones, and Gaussian moments in coordinates.

The frame of a pair (x, x') is e_1 = x/||x|| and e_2, the direction of the part of x' orthogonal to x. In these
coordinates the weights are u e_1 + v e_2 + (independent rest). Tilting by Gaussian factors exp(-c z^2/2 - d z'^2/2)
adds positive terms to the precision of (u, v), and its inverse is written out here without a difference: a function
that is concentrated where z is small leaves u a variance of 1/(1 + c |x|^2), which 1 - c |x|^2/(1 + c |x|^2) would
round away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.symbolic.expectation.closed_forms import LEFT, RIGHT, ArrayFunctions, Geometry, Token
from ntkverify.symbolic.expression.running_error import UNIT, Tracked

# Below this sine the orthogonal part is recomputed without cancellation; above it, plain arithmetic loses one digit.
_REFINE_BELOW = 0.3
_SPLITTER = 2.0**27 + 1.0
#: norms, sines and cosines are a few roundings off, inner products what is left of twice the precision
_FEW, _TWICE = 4 * UNIT, 2.0**-40


@dataclass(frozen=True)
class Frames:
    """Geometry of all pairs of rows of two arrays of vectors.

    Parameters
    ----------
    norms_left, norms_right : arrays of shape (n,) and (n',)
    angle, supplement : arrays of shape (n, n')
        theta and pi - theta, each to full relative accuracy.
    first : array of shape (n, n', d)
        e_1 per pair; where the left vector is 0, the direction of the right one.
    second : array of shape (n, n', d) or None
        e_2 per pair; zero where the vectors are exactly parallel. None if it was not asked for.
    """

    norms_left: Array
    norms_right: Array
    angle: Array
    supplement: Array
    first: Array
    second: Array | None


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Dekker: a*b = high + low exactly (no overflow for inputs below 1e150)."""
    high = a * b
    t = _SPLITTER * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = _SPLITTER * b
    b_high = t - (t - b)
    b_low = b - b_high
    return high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low


def inner_products(left: Array, right: Array) -> Array:
    """All inner products of the rows of `left` (n, d) and `right` (n', d), as if computed in twice the precision."""
    total = np.zeros((len(left), len(right)))
    rest = np.zeros_like(total)
    for a, b in zip(left.T, right.T, strict=True):
        product, low = two_product(a[:, None], b[None, :])
        added = total + product
        # Knuth's two-sum: total + product = added + lost exactly
        back = added - total
        lost = (total - (added - back)) + (product - back)
        total, rest = added, rest + (lost + low)
    return total + rest


def _orthogonal_part(x: Array, y: Array) -> Array:
    """y minus its projection on x, row by row, with small relative error even if nearly parallel.

    y - t x is evaluated with the exact product for the rounded t, so that it is accurate as a vector;
    what it still has along x is of the size of t's rounding and is taken out by a second projection.
    """
    squared = np.sum(x * x, axis=-1, keepdims=True)
    t = np.sum(x * y, axis=-1, keepdims=True) / squared
    high, low = two_product(np.broadcast_to(t, x.shape), x)
    rest = (y - high) - low
    part: Array = rest - (np.sum(rest * x, axis=-1, keepdims=True) / squared) * x
    return part


def pair_frames(left: Array, right: Array, *, with_second: bool) -> Frames:
    """Geometry of all pairs of rows of `left` (n, d) and `right` (n', d).

    A zero vector takes the direction of its partner, so its angle is 0; two zero vectors have angle 0 too.
    """
    # scaling by a power of two is exact and keeps squares away from overflow and underflow
    unit_left, norms_left = _normalise(left)
    unit_right, norms_right = _normalise(right)
    zero_left, zero_right = norms_left == 0, norms_right == 0
    cosine = unit_left @ unit_right.T
    sine = np.sqrt(np.maximum((1 - cosine) * (1 + cosine), 0.0))
    second = None
    if with_second:
        rest = unit_right[None, :, :] - cosine[:, :, None] * unit_left[:, None, :]
        size = np.sqrt(np.sum(rest * rest, axis=-1))
        second = np.divide(rest, size[..., None], out=np.zeros_like(rest), where=size[..., None] > 0)
    rows, columns = np.nonzero((sine < _REFINE_BELOW) & ~zero_left[:, None] & ~zero_right[None, :])
    # the exact vectors, not the rounded unit vectors: normalising perturbs the angle by an ulp of 1
    near = _orthogonal_part(_scaled(left)[rows], _scaled(right)[columns])
    size = np.sqrt(np.sum(near * near, axis=-1))
    sine[rows, columns] = size / np.sqrt(np.sum(_scaled(right)[columns] ** 2, axis=-1))
    if second is not None:
        second[rows, columns] = np.divide(near, size[:, None], out=np.zeros_like(near), where=size[:, None] > 0)
    degenerate = zero_left[:, None] | zero_right[None, :]
    sine[degenerate], cosine[degenerate] = 0.0, 1.0
    if second is not None:
        second[degenerate] = 0.0
    # where sine is small, |cosine| follows from it more accurately than from the dot product
    cosine = np.where(sine < _REFINE_BELOW, np.copysign(np.sqrt((1 - sine) * (1 + sine)), cosine), cosine)
    first = np.broadcast_to(unit_left[:, None, :], (*cosine.shape, left.shape[1]))
    if np.any(zero_left):
        first = first.copy()
        first[zero_left] = unit_right
    return Frames(norms_left, norms_right, np.arctan2(sine, cosine), np.arctan2(sine, -cosine), first, second)


def _scaled(vectors: Array) -> Array:
    largest = np.max(np.abs(vectors), axis=-1, keepdims=True, initial=0.0)
    exponent = np.frexp(largest)[1]
    scaled: Array = np.ldexp(vectors, -exponent)
    return scaled


def _normalise(vectors: Array) -> tuple[Array, Array]:
    scaled = _scaled(vectors)
    scaled_norm = np.sqrt(np.sum(scaled * scaled, axis=-1))
    exponent = np.frexp(np.max(np.abs(vectors), axis=-1, initial=0.0))[1]
    unit = np.divide(scaled, scaled_norm[:, None], out=np.zeros_like(scaled), where=scaled_norm[:, None] > 0)
    return unit, np.ldexp(scaled_norm, exponent)


FIRST, SECOND = 0, 1
"""The tokens u and v."""


class PlaneGeometry(Geometry):
    """Covariances of u, v and the two forms for all pairs of points, tilted by c and d.

    Parameters
    ----------
    norms : two arrays, (n, 1) and (1, n')
    cosine, sine, product : arrays (n, n')
        Of the angle, and the inner products of the forms; all of them with their errors.
    tilt : (float, float)
        c and d.
    """

    def __init__(
        self,
        norms: tuple[Tracked, Tracked],
        cosine: Tracked,
        sine: Tracked,
        product: Tracked,
        tilt: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._plane = (norms, cosine, sine, product)
        self._tilt = tilt
        c, d = (Tracked.rounded(x) for x in tilt)
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
        inner = inner_products(u, v)
        product = Tracked(inner, UNIT * (np.abs(inner) + _TWICE * norms[0] * norms[1]))
        left, right = (Tracked(norm, _FEW * norm) for norm in norms)
        cosine, sine = np.cos(frames.angle), np.sin(frames.angle)
        return cls((left, right), Tracked(cosine, _FEW), Tracked(sine, _FEW * sine), product)

    def tilted(self, left: sympy.Expr, right: sympy.Expr) -> tuple[Geometry, Any]:
        """As in `Geometry`; tilts add up."""
        if (left, right) not in self._tilts:
            c, d = self._tilt[0] + float(2 * left), self._tilt[1] + float(2 * right)
            moved = PlaneGeometry(*self._plane, tilt=(c, d))
            self._tilts[left, right] = moved, (self._determinant / moved._determinant).sqrt()
        return self._tilts[left, right]

    def tokens(self, first: int, second: int) -> tuple[Token, ...]:
        """u^first v^second."""
        return (FIRST,) * first + (SECOND,) * second
