"""Hermite coefficients of functions of one normal variable, by composite Gauss rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from scipy import special

from ntkverify.arrays import Array
from ntkverify.symbolic.expression.functions import PositivePower, Z

# the integrands hold exp(-u^2/4) and more: exp(-CUT^2/4) is 4e-32, far below rounding for polynomials of degree 10
_CUT = 17.0
_PANEL_NODES = 16
_EPS = float(np.finfo(float).eps)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Softplus": lambda z: np.logaddexp(0.0, z),
    "PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0),
    "erf": special.erf,
}


@lru_cache(maxsize=256)
def compiled(function: sympy.Expr) -> Callable[[Array], Array]:
    """A function of ``Z`` on arrays."""
    call = sympy.lambdify(Z, function, [_FUNCTIONS, "numpy", "scipy"], cse=True)
    powers = {e: 1 / sympy.Dummy(positive=True) for e in function.atoms(sympy.exp)}
    if not powers:
        return lambda z: np.broadcast_to(np.asarray(call(z), dtype=float), z.shape)
    # where e^z overflows, e^z/(1 + e^z) is 1/(1 + e^-z)
    falling = sympy.cancel(sympy.together(function.xreplace(powers)))
    falling = falling.xreplace({1 / inverse: sympy.exp(-e.args[0]) for e, inverse in powers.items()})
    other = sympy.lambdify(Z, falling, [_FUNCTIONS, "numpy", "scipy"], cse=True)

    def values(z: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.array(np.broadcast_to(np.asarray(call(z), dtype=float), z.shape))
            lost = ~np.isfinite(found)
            if lost.any():
                found[lost] = other(z[lost])
        return found

    return values


@lru_cache(maxsize=16)
def _rule(panels: int) -> tuple[Array, Array]:
    """Composite Gauss-Legendre on [-CUT, CUT], symmetric, with a panel boundary at 0 where kinks lie."""
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    width = _CUT / panels
    positive = (width * (np.arange(panels)[:, None] + (nodes + 1) / 2)).ravel()
    masses = np.tile(weights * width / 2, panels)
    return np.concatenate([-positive[::-1], positive]), np.concatenate([masses[::-1], masses])


@lru_cache(maxsize=10)
def _hermite(panels: int, count: int) -> Array:
    """weight * h_k(u) phi(u) at the nodes, for k < count, shape (nodes, count)."""
    nodes, weights = _rule(panels)
    root = np.exp(-(nodes**2) / 4) / (2 * np.pi) ** 0.25
    # Hermite functions h_k phi^(1/2): bounded, and the recurrence upwards is stable on the whole line
    table = np.empty((count, len(nodes)))
    table[0] = root
    table[1] = nodes * root
    for k in range(1, count - 1):
        table[k + 1] = (nodes * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return np.ascontiguousarray((table * (weights * root)).T)


@dataclass
class HermiteTables:
    """Hermite coefficients of functions of one normal variable, each computed once.

    Everything is per function, power and array of norms: the function u^power * f(norm u) is sampled on a composite
    Gauss rule, and on one with panels half as wide, whose difference is the estimate of the error.
    """

    _samples: dict[tuple[Any, ...], Array] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def _sampled(self, function: sympy.Expr, norms: Array, panels: int) -> Array:
        key = (function, norms.tobytes(), panels)
        if key not in self._samples:
            self._samples[key] = compiled(function)(norms[:, None] * _rule(panels)[0])
        return self._samples[key]

    def coefficients(self, function: sympy.Expr, power: int, norms: Array, count: int) -> tuple[Array, Array]:
        """Coefficients 0 .. count - 1, and an estimate of their errors.

        Returns
        -------
        values : array (points, count)
        errors : array (points,)
            The largest difference to a rule with panels half as wide, plus rounding.
        """
        key = (function, power, norms.tobytes(), count)
        if key not in self._known:
            results = []
            for panels in _panels(norms, count):
                nodes, _ = _rule(panels)
                values = self._sampled(function, norms, panels)
                results.append((values * nodes**power if power else values) @ _hermite(panels, count))
            fine = results[1]
            size = np.sqrt(np.sum(fine**2, axis=1))
            errors = np.max(np.abs(fine - results[0]), axis=1, initial=0.0) + 4 * _EPS * size
            # what is below rounding is noise, which the factors sqrt((k + q)!/k!) would raise
            self._known[key] = np.where(np.abs(fine) > 2 * _EPS * size[:, None], fine, 0.0), errors
        return self._known[key]  # type: ignore[no-any-return]

    def energies(self, function: sympy.Expr, power: int, order: int, norms: Array) -> Array | None:
        """E[(u^power norm^q f^(q)(norm u))^2] for the derivative of order q, or None if that is no function."""
        if order and function.has(PositivePower):
            return None
        key = ("energy", function, power, order, norms.tobytes())
        if key not in self._known:
            panels = _panels(norms, 128)[1]
            nodes, weights = _rule(panels)
            mass = weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * nodes ** (2 * power)
            values = self._sampled(sympy.diff(function, Z, order), norms, panels)
            self._known[key] = (values**2 @ mass) * norms ** (2 * order)
        return self._known[key]  # type: ignore[no-any-return]


def _panels(norms: Array, count: int) -> tuple[int, int]:
    # powers of two, so that the tables of Hermite functions are shared
    scale = 2.0 ** math.ceil(math.log2(max(1.0, float(np.max(norms, initial=0.0)), math.sqrt(count) / 6)))
    return math.ceil(_CUT * scale / 2), 2 * math.ceil(_CUT * scale / 2)
