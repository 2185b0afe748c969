"""The path of one trained value u(x) at width m: what it departs from the infinite width's by, to first order in 1/m.

With g, H and D3 the gradient, the Hessian and the third derivatives of u in the weights at the start, training moves
the weights along g to first order, and four numbers say what follows: Theta = |g|^2, g.H g, |H g|^2 and D3[g, g, g].
The first is of order 1; g.H g is of order 1/m and random, since terms of random sign cancel; the last two are of order
1/m and deterministic in the limit. Every further one is of order m^(-2).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.network.activations import get_activation

#: nodes for the outer weight, in which all is a polynomial, and for the argument of the activation
NODES = (12, 200)


@dataclass(frozen=True)
class PathLimits:
    """Limits, as m grows, for the network u(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j) + c, all standard normal.

    Parameters
    ----------
    field : float
        E[u(x)^2], at every width.
    kernel : float
        Theta.
    bend_spread, bend_field : float
        m g.H g is normal, with this variance, and this covariance with u(x).
    turn, third : float
        m |H g|^2 and m D3[g, g, g].
    """

    field: float
    kernel: float
    bend_spread: float
    bend_field: float
    turn: float
    third: float

    def draw(self, count: int, seed: Any) -> tuple[Array, Array]:
        """Independent draws of u(x) and m g.H g, (count,) each."""
        covariance = [[self.field, self.bend_field], [self.bend_field, self.bend_spread]]
        found = np.random.default_rng(seed).standard_normal((count, 2)) @ np.linalg.cholesky(covariance).T
        return found[:, 0], found[:, 1]


@functools.lru_cache(maxsize=16)
def path_limits(activation: str, squared_norm: float) -> PathLimits:
    """The limits at a point x of this squared norm; expectations by Gauss-Hermite quadrature.

    One neuron adds m^(-1/2) f(a, z), f = a sigma(z) and z ~ N(0, 1 + |x|^2), and a direction along its part of g is
    ``D = f_a d_a + (1 + |x|^2) f_z d_z`` in (a, z). So it adds D f to Theta, D D f/2 to g.H g, and
    D(D D f/2) to D3[g, g, g] + 2 |H g|^2.
    """
    a, kappa = sympy.symbols("a kappa", positive=True)
    f = a * get_activation(activation).expression

    def along(h: sympy.Expr) -> sympy.Expr:
        return f.diff(a) * h.diff(a) + kappa * f.diff(Z) * h.diff(Z)

    theta = along(f)
    bend = along(theta) / 2
    turn = (theta.diff(a) ** 2 + kappa * theta.diff(Z) ** 2) / 4
    wanted = [f**2, theta, bend**2, bend * f, turn, along(bend) - 2 * turn]
    (outer, p), (inner, q) = (np.polynomial.hermite_e.hermegauss(n) for n in NODES)
    size = 1 + squared_norm
    evaluate = sympy.lambdify((a, Z, kappa), wanted, "numpy", cse=True)
    values = evaluate(outer[:, None], np.sqrt(size) * inner, size)
    means = [float(p @ (np.zeros((len(p), len(q))) + v) @ q / p.sum() / q.sum()) for v in values]
    # the output bias adds 1 to u^2 and to Theta, and bends nothing
    return PathLimits(means[0] + 1, means[1] + 1, *means[2:])


def follow_path(
    u: Any, kernel: Any, slope: Callable[[Any], Any], *, eta: float, steps: int, bend: Any, turn: Any, third: Any
) -> tuple[Any, Any]:
    """u and Theta after so many steps of gradient descent on a loss of u, to first order in `bend`, `turn`, `third`.

    Parameters
    ----------
    u, kernel : arrays
        u and Theta = |g|^2 at the start.
    slope : callable
        Derivative of the loss in u.
    eta, steps
        Of gradient descent.
    bend, turn, third : arrays or numbers
        g.H g, |H g|^2 and D3[g, g, g]; all 0 for the infinite width.

    Notes
    -----
    The weights are at ``theta(0) - s g + c H g`` after steps of lengths a = eta slope(u), with s and c the sums of a
    and of a s. A step is ``u+ = u - a Theta(k) + a^2/2 g(k).H(k) g(k) - a^3/6 D3[g, g, g]``, and
    ``Theta(k) = |g + H (-s g + c H g) + s^2/2 D3[g, g]|^2``.
    """
    moved, twice, now = 0 * u, 0 * u, kernel + 0 * u
    for _ in range(steps):
        a = eta * slope(u)
        u = u - a * now + a**2 / 2 * (bend - moved * (2 * turn + third)) - a**3 / 6 * third
        twice = twice + a * moved
        moved = moved + a
        now = kernel - 2 * moved * bend + 2 * twice * turn + moved**2 * (turn + third)
    return u, now
