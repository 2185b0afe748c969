"""Hessians of the sums Phi_i[u] = d^i u/dx^i of a network on a line: one small block per neuron, and its bounds."""

from __future__ import annotations

from typing import Any

import sympy

from ntkverify.symbolic.network.activations import Activation

#: absolute inner and outer weight of a neuron, absolute point
U, A, X = sympy.symbols("U A X", nonnegative=True)


def second_derivatives(order: int, u: Any, x: Any, s: Any) -> dict[str, Any]:
    """Derivatives of ``phi = u^i sigma^(i)(u x + v)`` by hand: d_u, d_v, d_uu, d_uv, d_vv.

    Parameters
    ----------
    order : int
        i, the order of the derivative in x.
    u, x : numbers or symbols
        Inner weight and point.
    s : callable
        ``s(j)`` is sigma^(j) at u x + v.
    """
    i = order

    def power(n: int) -> Any:
        # a negative power comes with the factor 0
        return u**n if n > 0 else sympy.Integer(int(n == 0))

    return {
        "u": i * power(i - 1) * s(i) + x * power(i) * s(i + 1),
        "v": power(i) * s(i + 1),
        "uu": i * (i - 1) * power(i - 2) * s(i) + 2 * i * x * power(i - 1) * s(i + 1) + x**2 * power(i) * s(i + 2),
        "uv": i * power(i - 1) * s(i + 1) + x * power(i) * s(i + 2),
        "vv": power(i) * s(i + 2),
    }


def block_bound(activation: Activation, order: int) -> sympy.Expr:
    """Bound of the spectral norm of a neuron's block, times sqrt(m), by its Frobenius norm; in `U`, `A` and `X`.

    The block in (a, u, v) is ``((0, d_u, d_v), (., a d_uu, a d_uv), (., ., a d_vv))``; every derivative of the
    activation is replaced by its supremum.
    """
    d = second_derivatives(order, U, X, lambda j: activation.supremum(j).value)
    square = 2 * (d["u"] ** 2 + d["v"] ** 2) + A**2 * (d["uu"] ** 2 + 2 * d["uv"] ** 2 + d["vv"] ** 2)
    return sympy.sqrt(square)
