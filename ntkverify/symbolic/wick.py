"""Polynomials of Gaussian vectors split into directions that matter and independent rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Coefficients = dict[tuple[int, int], Any]


def plane_polynomial(
    monomial: Sequence[int],
    first: Callable[[int], Any],
    second: Callable[[int], Any],
    one: Any,
    covariance: Callable[[int, int], Any] = lambda i, k: int(i == k),
) -> Coefficients:
    """E[prod w_i | u, v] for w = u e_1 + v e_2 + (independent rest), as a polynomial in u and v.

    The rest has covariance P = Sigma - e_1 e_1^T - e_2 e_2^T, so that (Wick, one factor w_i at a time)
    T(i, rest) = (u e_1i + v e_2i) T(rest) + sum_k P_ik T(rest without k).

    Parameters
    ----------
    monomial : sequence of int
        Indices i of the product.
    first, second : callables
        Components of e_1 and e_2, in any arithmetic (arrays, balls, sympy).
    one : object
        1 of that arithmetic.
    covariance : callable
        Entries of the covariance Sigma of w; the identity by default.

    Returns
    -------
    dict
        Exponents (a, b) of u^a v^b to coefficients.
    """
    known: dict[tuple[int, ...], Coefficients] = {(): {(0, 0): one}}

    def expanded(indices: tuple[int, ...]) -> Coefficients:
        if indices in known:
            return known[indices]
        i, *rest = indices
        result: Coefficients = {}

        def add(key: tuple[int, int], value: Any) -> None:
            result[key] = result[key] + value if key in result else value

        for (a, b), value in expanded(tuple(rest)).items():
            add((a + 1, b), first(i) * value)
            add((a, b + 1), second(i) * value)
        for position, k in enumerate(rest):
            free = covariance(i, k) - first(i) * first(k) - second(i) * second(k)
            for key, value in expanded(tuple(rest[:position] + rest[position + 1 :])).items():
                add(key, free * value)
        known[indices] = result
        return result

    return expanded(tuple(monomial))
