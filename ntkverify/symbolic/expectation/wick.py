"""Polynomials of Gaussian vectors split into directions that matter and independent rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

Coefficients = dict[tuple[int, int], Any]
_Parts = dict[tuple[int, int, int], Any]


@dataclass(frozen=True)
class Squares:
    r"""The sum of the squares of all weights, |w|^2 = |e_1|^2 u^2 + |e_2|^2 v^2 + R, R the square of the rest.

    The rest is rotation invariant: its length is independent of its direction, so that besides a product of degree m
    in the rest E[R^l ...] = (n + m)(n + m + 2) .. (n + m + 2 l - 2) E[...], n = size - |e_1|^2 - |e_2|^2.

    Parameters
    ----------
    index : int
        Stands for the sum in a product.
    size : int
        The number of weights.
    first, second : object
        |e_1|^2 and |e_2|^2, each 1 or 0 (where the vectors are 0 or parallel), in the arithmetic of the others.
    """

    index: int
    size: int
    first: Any
    second: Any

    def power(self, k: int, degree: int) -> Coefficients:
        """E[|w|^(2k) | u, v] besides a product of `degree` factors of the rest, as a polynomial in u and v."""
        result: Coefficients = {}
        dimension = self.size - self.first - self.second
        for i in range(k + 1):
            for j in range(k + 1 - i):
                factor = math.comb(k, i) * math.comb(k - i, j) * self.first**i * self.second**j
                for step in range(k - i - j):
                    factor = factor * (dimension + degree + 2 * step)
                result[2 * i, 2 * j] = factor
        return result


def _add(result: dict[Any, Any], key: Any, value: Any) -> None:
    result[key] = result[key] + value if key in result else value


class PlanePolynomials:
    """E[prod w_i | u, v] for w = u e_1 + v e_2 + (independent rest), as polynomials in u and v.

    The rest has covariance P = Sigma - e_1 e_1^T - e_2 e_2^T, so that (Wick, one factor w_i at a time)
    T(i, rest) = (u e_1i + v e_2i) T(rest) + sum_k P_ik T(rest without k).
    What several products have in common is computed once.

    Parameters
    ----------
    first, second : callables
        Components of e_1 and e_2, in any arithmetic (arrays, balls, sympy).
    one : object
        1 of that arithmetic.
    covariance : callable
        Entries of the covariance Sigma of w; the identity by default.
    squares : Squares, optional
        The sum of the squares of all w_i, if products hold it. Only where Sigma is the identity.
    """

    def __init__(
        self,
        first: Callable[[int], Any],
        second: Callable[[int], Any],
        one: Any,
        covariance: Callable[[int, int], Any] = lambda i, k: int(i == k),
        squares: Squares | None = None,
    ) -> None:
        self._squares = squares
        self._first, self._second, self._covariance = cache(first), cache(second), covariance
        # no cached method: it would tie a knot, and the arrays in it would wait for the garbage collector
        self._rests: dict[tuple[int, int], Any] = {}
        self._known: dict[tuple[int, ...], _Parts] = {(): {(0, 0, 0): one}}
        self._whole: dict[tuple[int, ...], Coefficients] = {}

    def __call__(self, monomial: Sequence[int]) -> Coefficients:
        """The polynomial of one product.

        Parameters
        ----------
        monomial : sequence of int
            Indices i of the product.

        Returns
        -------
        dict
            Exponents (a, b) of u^a v^b to coefficients.
        """
        indices = tuple(monomial)
        if indices not in self._whole:
            whole: Coefficients = {}
            if self._squares is None or self._squares.index not in indices:
                for (a, b, _), value in self._parts(indices).items():
                    _add(whole, (a, b), value)
            else:
                power = indices.count(self._squares.index)
                for (a, b, degree), value in self._parts(tuple(i for i in indices if i != self._squares.index)).items():
                    for (c, d), factor in self._squares.power(power, degree).items():
                        _add(whole, (a + c, b + d), factor * value)
            self._whole[indices] = whole
        return self._whole[indices]

    def _parts(self, indices: tuple[int, ...]) -> _Parts:
        """As `__call__`, with the number of factors that the rest contributes as a third exponent."""
        if indices not in self._known:
            self._known[indices] = self._expanded(*indices)
        return self._known[indices]

    def _expanded(self, i: int, *rest: int) -> _Parts:
        result: _Parts = {}
        for (a, b, degree), value in self._parts(rest).items():
            _add(result, (a + 1, b, degree), self._first(i) * value)
            _add(result, (a, b + 1, degree), self._second(i) * value)
        for position, k in enumerate(rest):
            for (a, b, degree), value in self._parts(rest[:position] + rest[position + 1 :]).items():
                _add(result, (a, b, degree + 2), self._rest(i, k) * value)
        return result

    def _rest(self, i: int, k: int) -> Any:
        """P_ik."""
        if (i, k) not in self._rests:
            known = self._first(i) * self._first(k), self._second(i) * self._second(k)
            self._rests[i, k] = self._covariance(i, k) - known[0] - known[1]
        return self._rests[i, k]
