"""Polynomials of Gaussian vectors split into directions that matter and independent rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

Coefficients = dict[tuple[int, int], Any]


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
    """

    def __init__(
        self,
        first: Callable[[int], Any],
        second: Callable[[int], Any],
        one: Any,
        covariance: Callable[[int, int], Any] = lambda i, k: int(i == k),
    ) -> None:
        self._first, self._second, self._covariance = cache(first), cache(second), covariance
        # no cached method: it would tie a knot, and the arrays in it would wait for the garbage collector
        self._rests: dict[tuple[int, int], Any] = {}
        self._known: dict[tuple[int, ...], Coefficients] = {(): {(0, 0): one}}

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
        if indices not in self._known:
            self._known[indices] = self._expanded(*indices)
        return self._known[indices]

    def _expanded(self, i: int, *rest: int) -> Coefficients:
        result: Coefficients = {}

        def add(key: tuple[int, int], value: Any) -> None:
            result[key] = result[key] + value if key in result else value

        for (a, b), value in self(rest).items():
            add((a + 1, b), self._first(i) * value)
            add((a, b + 1), self._second(i) * value)
        for position, k in enumerate(rest):
            for key, value in self(rest[:position] + rest[position + 1 :]).items():
                add(key, self._rest(i, k) * value)
        return result

    def _rest(self, i: int, k: int) -> Any:
        """P_ik."""
        if (i, k) not in self._rests:
            known = self._first(i) * self._first(k), self._second(i) * self._second(k)
            self._rests[i, k] = self._covariance(i, k) - known[0] - known[1]
        return self._rests[i, k]
