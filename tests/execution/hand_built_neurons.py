"""Small neurons of every kind, built by hand."""

from __future__ import annotations

import sympy

from ntkverify.symbolic.expression.functions import PositivePower, Softplus
from ntkverify.symbolic.network.neuron import Block, Neuron

PHI = sympy.Symbol("Phi_1", real=True)


def _symbols(text):
    return sympy.symbols(text, real=True, seq=True)


def _affine(w, x):
    return sympy.Add(*(a * b for a, b in zip(w, x, strict=True)))


def regression(activation, d, *, trainable_outer=False):
    w, x = _symbols(f"w0:{d}"), _symbols(f"x0:{d}")
    (a,) = _symbols("a")
    block = Block("data", (a * activation(_affine(w, x)),), (PHI,), PHI)
    if trainable_outer:
        return Neuron((*w, a), (), x, (block,))
    return Neuron(w, (a,), x, (block,))


def relu_regression(d, **options):
    return regression(lambda z: PositivePower(z, 1), d, **options)


def softplus_regression(d, **options):
    return regression(Softplus, d, **options)


def sine_regression(d, **options):
    return regression(sympy.sin, d, **options)


def gaussian_regression(d, **options):
    return regression(lambda z: sympy.exp(-(z**2) / 2), d, **options)


def heat_relu3(d=1):
    """u_t - Laplacian u on the interior, u on the boundary; coordinates t, x_1..x_d, 1."""
    w, x = _symbols(f"w0:{d + 2}"), (*_symbols(f"t x1:{d + 1}"), *_symbols("one"))
    (a,) = _symbols("a")
    u = a * PositivePower(_affine(w, x), 3)
    interior = sympy.diff(u, x[0]) - sum(sympy.diff(u, v, 2) for v in x[1:-1])
    return Neuron(w, (a,), x, (Block("interior", (interior,), (PHI,), PHI), Block("boundary", (u,), (PHI,), PHI)))


def poisson_tanh(d=1):
    """-Laplacian u on the interior, u on the boundary; coordinates x_1..x_d, 1."""
    w, x = _symbols(f"w0:{d + 1}"), (*_symbols(f"x1:{d + 1}"), *_symbols("one"))
    (a,) = _symbols("a")
    u = a * sympy.tanh(_affine(w, x))
    interior = -sum(sympy.diff(u, v, 2) for v in x[:-1])
    return Neuron(w, (a,), x, (Block("interior", (interior,), (PHI,), PHI), Block("boundary", (u,), (PHI,), PHI)))


def advection_tanh():
    """The nonlinear residual u u_x, all of u's weights trained; a boundary block for u."""
    w, x = _symbols("w b"), _symbols("x")
    (a,) = _symbols("a")
    u = a * sympy.tanh(w[0] * x[0] + w[1])
    p, q = sympy.symbols("Phi_1 Phi_2", real=True)
    interior = Block("interior", (u, sympy.diff(u, x[0])), (p, q), p * q)
    return Neuron((*w, a), (), x, (interior, Block("boundary", (u,), (p,), p)))


KINDS = {
    "relu": lambda: relu_regression(3),
    "relu, outer weights trained": lambda: relu_regression(2, trainable_outer=True),
    "softplus": lambda: softplus_regression(2),
    "sine": lambda: sine_regression(2, trainable_outer=True),
    "gaussian": lambda: gaussian_regression(2),
    "heat": heat_relu3,
    "poisson": lambda: poisson_tanh(2),
    "advection": advection_tanh,
}
