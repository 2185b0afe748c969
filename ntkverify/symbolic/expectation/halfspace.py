r"""Moments of Gaussian vectors over half spaces: the arc-cosine family of every order.

With u, v independent standard normal and theta in [0, pi], everything reduces to

.. math:: E[u^a v^b (u)_+^i (u\cos\theta + v\sin\theta)_+^j]
          = \frac{2^{n/2}\Gamma(n/2+1)}{2\pi} \int_0^{\Phi} \sin^{a+i}s\,\cos^b s\,\sin^j(\Phi - s)\,ds,

n = a + b + i + j and Phi = pi - theta: polar coordinates u = r sin s, v = r cos s, exact radial integral.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from scipy.special import gammaln

from ntkverify.arrays import Array

theta_symbol = sympy.Symbol("theta", nonnegative=True)


def radial_moment(n: int) -> sympy.Expr:
    """E[r^n] for r^2 = u^2 + v^2, i.e. 2^(n/2) Gamma(n/2 + 1)."""
    return sympy.sqrt(2) ** n * sympy.gamma(sympy.Rational(n, 2) + 1)


def sine_cosine_integral(p: int, q: int, phi: Any, sine: Any, cosine: Any) -> Any:
    """The integral of sin^p cos^q from 0 to `phi`, by the reduction formulas.

    Works in every arithmetic that mixes with integers (sympy, mpmath, balls); `sine` and `cosine` belong to `phi`.
    """
    if p >= 2:
        boundary = -(sine ** (p - 1)) * cosine ** (q + 1)
        return (boundary + (p - 1) * sine_cosine_integral(p - 2, q, phi, sine, cosine)) / (p + q)
    if q >= 2:
        boundary = sine ** (p + 1) * cosine ** (q - 1)
        return (boundary + (q - 1) * sine_cosine_integral(p, q - 2, phi, sine, cosine)) / (p + q)
    return {(0, 0): phi, (1, 0): 1 - cosine, (0, 1): sine, (1, 1): sine * sine / 2}[p, q]


def angular_integral(a: int, b: int, i: int, j: int, phi: Any, sine: Any, cosine: Any) -> Any:
    """The integral of sin^(a+i)(s) cos^b(s) sin^j(phi - s) over [0, phi], in closed form."""
    total = 0 * phi
    for k in range(j + 1):
        weight = int(sympy.binomial(j, k)) * (-1) ** (j - k)
        part = sine_cosine_integral(a + i + j - k, b + k, phi, sine, cosine)
        total = total + weight * sine**k * cosine ** (j - k) * part
    return total


@lru_cache(maxsize=512)
def plane_moment(a: int, b: int, i: int, j: int) -> sympy.Expr:
    """E[u^a v^b (u)_+^i (u cos(theta) + v sin(theta))_+^j] as an expression in ``theta_symbol``."""
    theta = theta_symbol
    sine, cosine = sympy.sin(theta), -sympy.cos(theta)
    closed = sympy.expand(angular_integral(a, b, i, j, sympy.pi - theta, sine, cosine))
    reduced = sympy.expand(sympy.trigsimp(closed)) if i + j + a + b <= 2 else closed
    return sympy.factor_terms(radial_moment(a + b + i + j) * reduced / (2 * sympy.pi))


def arc_cosine_kernel(i: int, j: int, norm_left: Any, norm_right: Any, theta: Any) -> sympy.Expr:
    """E[(w.x)_+^i (w.x')_+^j] for w ~ N(0, I), in the norms and the angle (any dimension)."""
    return norm_left**i * norm_right**j * plane_moment(0, 0, i, j).xreplace({theta_symbol: theta})


class PlaneMoments:
    """The same moments for arrays of angles in float64, to full relative accuracy at every angle.

    The closed form cancels as theta approaches pi, where the value is of order (pi - theta)^(i+j+1).
    Gauss-Legendre on [0, pi - theta] has only positive summands for even b, hence no cancellation, and is exact to
    rounding: the integrand is a trigonometric polynomial of degree n, and N = 16 + n nodes on an interval of
    length at most pi leave less than (n pi/4)^(2N)/(2N)! of it.

    Parameters
    ----------
    supplement : array
        pi - theta, of any shape.
    degree : int
        Largest a + b + i + j that will be asked for.
    """

    def __init__(self, supplement: Array, *, degree: int) -> None:
        self._nodes, self._weights = np.polynomial.legendre.leggauss(16 + degree)
        self._half = supplement / 2
        self._powers: dict[tuple[int, int], Array] = {}
        self._known: dict[tuple[int, int, int], Array] = {}

    def _power(self, which: int, exponent: int) -> Array:
        if (which, exponent) not in self._powers:
            if exponent == 1:
                # sin(s), cos(s) and sin(Phi - s) at the nodes, made on first use: most kernels need few of them
                s = self._half[..., None] * ((1 - self._nodes) if which == 2 else (1 + self._nodes))
                self._powers[which, 1] = np.cos(s) if which == 1 else np.sin(s)
            else:
                self._powers[which, exponent] = self._power(which, exponent - 1) * self._power(which, 1)
        return self._powers[which, exponent]

    def __call__(self, a: int, b: int, i: int, j: int) -> Array:
        """E[u^a v^b (u)_+^i (u cos(theta) + v sin(theta))_+^j], same shape as the angles."""
        exponents = (a + i, b, j)
        if exponents not in self._known:
            factors = [self._power(which, e) for which, e in enumerate(exponents) if e > 0]
            if not factors:
                integral = 2 * self._half
            else:
                product = factors[0]
                for factor in factors[1:]:
                    product = product * factor
                integral = (product @ self._weights) * self._half
            self._known[exponents] = float_radial_moment(sum(exponents)) / (2 * np.pi) * integral
        return self._known[exponents]


def float_radial_moment(n: int) -> float:
    """`radial_moment` in float64."""
    return float(np.exp(0.5 * n * np.log(2.0) + gammaln(n / 2 + 1))) if n > 30 else float(radial_moment(n))
