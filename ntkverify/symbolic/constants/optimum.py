"""The free parameters of a chain of inequalities that make its unknown smallest, in floating point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from scipy import optimize

from ntkverify.arrays import Array
from ntkverify.symbolic.constants.requirements import Requirement


def floating_optimum(
    requirements: Sequence[Requirement],
    thresholds: Sequence[sympy.Expr],
    unknown: sympy.Symbol,
    origin: Mapping[sympy.Symbol, Any],
    width: int,
) -> dict[sympy.Symbol, float]:
    """The floating-point optimum: minimise t = log(unknown) subject to every requirement at exp(t).

    A requirement enters as log(right) - log(left) >= 0 where both sides are positive, so that widths of any
    size and radii of any size weigh alike; closed-form thresholds enter as t >= log(threshold).

    Parameters
    ----------
    requirements : sequence of Requirement
        In the unknown and the free parameters.
    thresholds : sequence of sympy.Expr
        Lower bounds of the unknown, in the free parameters.
    unknown : sympy.Symbol
    origin : mapping of sympy.Symbol to number
        Where to start; names the free parameters.
    width : int
        A feasible value of the unknown.
    """
    free = list(origin)
    sides = sympy.lambdify((*free, unknown), [[r.left, r.right] for r in requirements], "numpy")
    closed = sympy.lambdify(free, list(thresholds), "numpy")

    def constraints(z: Array) -> Array:
        parameters, t = np.exp(z[:-1]), z[-1]
        with np.errstate(all="ignore"):
            thresholds = t - np.log(np.asarray(closed(*parameters), float).ravel())
            pairs = np.asarray(sides(*parameters, np.exp(t)), float).reshape(-1, 2)
            left, right = pairs[:, 0], pairs[:, 1]
            positive = (left > 0) & (right > 0)
            gaps = np.where(positive, np.log(right) - np.log(left), right - left)
        every = np.concatenate([thresholds, gaps])
        return np.asarray(np.nan_to_num(every, nan=-1e3, posinf=1e3, neginf=-1e3))

    z0 = np.log([*(float(origin[s]) for s in free), float(width)])
    result = optimize.minimize(
        lambda z: float(z[-1]),
        list(z0),
        constraints=optimize.NonlinearConstraint(constraints, 0, np.inf),
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    found = np.exp(np.clip(result.x[:-1], -600, 600))
    return dict(zip(free, map(float, found), strict=True))


def rounded_fraction(value: float, towards: Callable[[float], int]) -> sympy.Rational:
    """A positive float as a fraction with five significant digits."""
    if not (math.isfinite(value) and value > 0):
        return sympy.S.Zero
    exponent = 4 - math.floor(math.log10(value))
    return (
        sympy.Rational(towards(sympy.Rational(value) * sympy.Integer(10) ** exponent)) / sympy.Integer(10) ** exponent
    )
