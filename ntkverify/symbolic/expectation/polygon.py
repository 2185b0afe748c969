r"""Moments of a uniform pair of weights over two half planes, exactly.

For w uniform on [-1, 1]^2 the function w^p (l.w)_+^i (l'.w)_+^j is homogeneous of degree h = |p| + i + j, so that the
divergence theorem leaves integrals over the edges of the square,

.. math:: E[w^p (l\cdot w)_+^i (l'\cdot w)_+^j]
          = \frac{1}{4 (h + 2)} \sum_{\text{edges}} \int w^p (l\cdot w)_+^i (l'\cdot w)_+^j \, ds.

Along an edge both factors are linear and at least 0 on one segment; in terms of their values at its ends the
integral is a sum of positive terms, so that nothing cancels however nearly opposite l and l' are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ntkverify.symbolic.expectation.geometry import two_product


@dataclass(frozen=True)
class _Segment:
    """A part of an edge: positions of its ends, the two factors there, and its length as a share of the edge's.

    All are arrays over the pairs of points; `length` is 0 where nothing is left.
    """

    positions: tuple[Any, Any]
    first: tuple[Any, Any]
    second: tuple[Any, Any]
    length: Any

    def swapped(self) -> _Segment:
        """With the two factors exchanged."""
        return replace(self, first=self.second, second=self.first)

    def clipped(self, cross: Any) -> _Segment:
        """The part where the first factor is at least 0; `cross` is second[0] first[1] - second[1] first[0]."""
        below, above = (end < 0 for end in self.first)
        met = below != above
        width = np.where(met, self.first[1] - self.first[0], 1)
        root = (self.positions[0] * self.first[1] - self.positions[1] * self.first[0]) / width
        other = cross / width
        kept = np.where(met, np.where(below, self.first[1], -self.first[0]) / width, 1)
        starts, stops = met & below, met & above
        return _Segment(
            (np.where(starts, root, self.positions[0]), np.where(stops, root, self.positions[1])),
            (np.where(starts, 0, self.first[0]), np.where(stops, 0, self.first[1])),
            (np.where(starts, other, self.second[0]), np.where(stops, other, self.second[1])),
            np.where(below & above, 0, self.length * kept),
        )

    def integral(self, power: int, i: int, j: int) -> Any:
        """The integral of position^power first^i second^j over the segment, in units of the edge's length."""
        coefficients: list[Any] = [1]
        for (start, stop), exponent in ((self.first, i), (self.second, j), (self.positions, power)):
            for _ in range(exponent):
                left, right = [c * start for c in coefficients], [c * stop for c in coefficients]
                coefficients = [left[0], *(a + b for a, b in zip(left[1:], right[:-1], strict=True)), right[-1]]
        # the integral of t^k (1 - t)^(n - k) over [0, 1] is 1/((n + 1) binomial(n, k))
        n = len(coefficients) - 1
        terms = (c / ((n + 1) * math.comb(n, k)) for k, c in enumerate(coefficients))
        return self.length * sum(terms, 0 * self.length)


def square_moment(powers: tuple[int, int], i: int, j: int, left: Sequence[Any], right: Sequence[Any]) -> Any:
    """E[w_0^p w_1^q (l.w)_+^i (l'.w)_+^j] for w uniform on [-1, 1]^2; a power 0 is the step 1{l.w >= 0}.

    Parameters
    ----------
    powers : (int, int)
        p and q.
    i, j : int
    left, right : two arrays each, of shapes (n, 1) and (1, n')
        The components of l and l': float64, or objects that are fractions.

    Returns
    -------
    array (n, n')
    """
    determinant = _determinant(left, right)
    total = 0 * determinant
    for fixed, running in ((0, 1), (1, 0)):
        cross = 2 * determinant * (1 if fixed else -1)
        for side in (1, -1):
            first, second = (
                (side * form[fixed] - form[running] + 0 * determinant, side * form[fixed] + form[running])
                for form in (left, right)
            )
            edge = _Segment((0 * determinant - 1, 0 * determinant + 1), first, second, 0 * determinant + 1)
            segment = edge.clipped(side * cross).swapped()
            # the other factor is at least 0 at both ends by now and this one has two signs, so that nothing cancels
            crossed = segment.second[0] * segment.first[1] - segment.second[1] * segment.first[0]
            segment = segment.clipped(crossed).swapped()
            total = total + side ** powers[fixed] * segment.integral(powers[running], i, j)
    return 2 * total / (4 * (sum(powers) + i + j + 2))


def _determinant(left: Sequence[Any], right: Sequence[Any]) -> Any:
    """l_0 l'_1 - l_1 l'_0, for floats with a small relative error."""
    if left[0].dtype == object:
        return left[0] * right[1] - left[1] * right[0]
    (plus, plus_rest), (minus, minus_rest) = two_product(left[0], right[1]), two_product(left[1], right[0])
    return (plus - minus) + (plus_rest - minus_rest)


def exact_square_moment(
    powers: tuple[int, int], i: int, j: int, left: Sequence[Fraction], right: Sequence[Fraction]
) -> Fraction:
    """`square_moment` of one pair of forms with rational coefficients."""

    def column(form: Sequence[Fraction]) -> list[Any]:
        return [np.array([[Fraction(c)]], dtype=object) for c in form]

    return Fraction(square_moment(powers, i, j, column(left), column(right)).item())
