"""Bounds of one neuron's gradients under the heat operator, from bounds of the activation's derivatives.

With z = w . (x, 1), |(x, 1)| <= rho, and w_0, w_1 the time and space parts of w,

    psi = sigma''(z) w_0 x + sigma'(z) e_0 - sigma'''(z) |w_1|^2 x - 2 sigma''(z) w_1,      chi = sigma'(z) y

are the gradients of an interior and of a boundary sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from ntkverify.symbolic.constants.derived import Derived, derived
from ntkverify.symbolic.network.activations import positive_power

rho = sympy.Symbol("rho", positive=True)  #: largest |(x, 1)|


def interior_bound(first: sympy.Expr, second: sympy.Expr, third: sympy.Expr, rho: sympy.Expr) -> sympy.Expr:
    """|psi| at |w| = 1 by the triangle inequality, from bounds of sigma', sigma'', sigma'''."""
    return second * rho + first + third * rho + 2 * second


def interior_gradient(w: Sequence[sympy.Expr], x: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    """psi in w of an active ReLU^3 neuron under d/dt - d^2/dx^2, w = (w_0, w_1, w_2), sample x = (t, x, 1)."""
    z = sympy.Symbol("z", positive=True)
    inner = sum(a * b for a, b in zip(w, x, strict=True))
    first, second = (positive_power(3)(z, order).subs(z, inner) for order in (1, 2))
    return [sympy.diff(first * w[0] - second * w[1] ** 2, symbol) for symbol in w]


def block_bound(first: sympy.Expr, second: sympy.Expr, third: sympy.Expr, rho: sympy.Expr) -> sympy.Expr:
    """sqrt(|psi|^2 + |chi|^2) at |w| = 1, the means over the samples of each block included."""
    return sympy.sqrt(interior_bound(first, second, third, rho) ** 2 + (first * rho) ** 2)


def block_slope(second: sympy.Expr, third: sympy.Expr, fourth: sympy.Expr, rho: sympy.Expr) -> sympy.Expr:
    """Lipschitz constant in w of (psi, chi) over B^2, where 1 <= |w| <= B: each term differentiated."""
    interior = rho**2 * (third + fourth) + 2 * rho * second + 4 * rho * third + 2 * second
    return sympy.sqrt(interior**2 + (rho**2 * second) ** 2)


def block_curvature(third: sympy.Expr, fourth: sympy.Expr, fifth: sympy.Expr, rho: sympy.Expr) -> sympy.Expr:
    """Bound of the second derivative in w of (psi, chi) over B^2, 1 <= |w| <= B: each term differentiated twice."""
    interior = rho**3 * (fourth + fifth) + 3 * rho**2 * third + 6 * rho**2 * fourth + 6 * rho * third
    return sympy.sqrt(interior**2 + (rho**3 * third) ** 2)


def relu_cubed_interior() -> Derived:
    """|psi(w)| <= K |w|^2 for ReLU^3, whose derivatives are those of z^3 where it is not 0."""
    expression = interior_bound(*_relu_cubed_derivatives(), rho)
    return derived(expression, "triangle inequality for psi at |w| = 1")


def relu_cubed_block() -> Derived:
    """||J_r||_F <= C_g |w_r|^2/sqrt(m) for ReLU^3."""
    reason = "triangle inequality for the gradients of an interior and of a boundary sample at |w| = 1"
    return derived(block_bound(*_relu_cubed_derivatives(), rho), reason)


def smooth_block(first: sympy.Expr, second: sympy.Expr, third: sympy.Expr) -> Derived:
    """||J_r||_F <= C_g max(1, |w_r|^2)/sqrt(m), from bounds of the activation's derivatives."""
    return derived(block_bound(first, second, third, rho), "triangle inequality, term by term")


def smooth_slope(second: sympy.Expr, third: sympy.Expr, fourth: sympy.Expr) -> Derived:
    """||J_r(w) - J_r(w')||_F <= C_L B^2 |w_r - w'_r|/sqrt(m)."""
    return derived(block_slope(second, third, fourth, rho), "each term of psi and chi differentiated in w")


def smooth_curvature(third: sympy.Expr, fourth: sympy.Expr, fifth: sympy.Expr) -> Derived:
    """||D^2 J_r|| <= C_T B^2/sqrt(m)."""
    return derived(block_curvature(third, fourth, fifth, rho), "each term of psi and chi differentiated twice in w")


def neuron_blocks(run: Any) -> Any:
    """sqrt(m) ||J_r||_F of each neuron as drawn, (m,)."""
    return np.sqrt(run.m * np.square(run.jacobian_at(run.weights)).sum(axis=(0, 2)))


def neuron_sizes(run: Any) -> Any:
    """|w_r|^2 of each neuron as drawn, (m,)."""
    return np.square(run.weights).sum(axis=1)


def _relu_cubed_derivatives() -> tuple[sympy.Expr, sympy.Expr, sympy.Expr]:
    """The first three derivatives of the activation at z = rho."""
    first, second, third = (positive_power(3)(rho, order) for order in (1, 2, 3))
    return first, second, third
