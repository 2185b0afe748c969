"""Tensor Gauss-Legendre rules for analytic functions of weights on a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.hermite import compiled
from ntkverify.symbolic.expectation.terms import GroupKey
from ntkverify.symbolic.expression.functions import PositivePower

_PANEL_NODES = 32
_FIRST, _MOST = 32, 2**18
# nodes per weight and unit of the linear form, so that no feature of a function of unit scale falls between them
_DENSITY = 8
_EPS = float(np.finfo(float).eps)
_SETTLED, _ACCEPTED = 1e-14, 1e-11


@lru_cache(maxsize=64)
def _rule(panels: int) -> tuple[Array, Array]:
    """Composite Gauss-Legendre on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    centres = (2 * np.arange(panels) + 1) / panels - 1
    return (centres[:, None] + nodes / panels).ravel(), np.tile(weights / panels, panels)


def wave_rule(frequency: float) -> tuple[Array, Array]:
    """Nodes and weights on [-1, 1], exact to rounding for low powers times waves up to this frequency.

    On a panel of half-width 1/panels the frequency is at most 16, and Gauss-Legendre with N = 32 nodes leaves
    less than (e 16/(4 N))^(2 N) < 1e-29 of it.
    """
    panels = max(1, math.ceil(frequency / 16))
    if panels > 4096:
        raise NtkVerifyError(f"a wave of frequency {frequency:.3g} is too fast for the rule; scale the points down.")
    return _rule(panels)


def gauss_sum(members: list[tuple[GroupKey, Array]], u: Array, v: Array, radii: Array) -> tuple[Array, Array]:
    """sum of coefficient * E[w^monomial A(w.u) B(w.v)] for w on [-1, 1]^d times the radii, and error estimates.

    Twice as many nodes per weight are taken until nothing changes; the change is the estimate.
    """
    for key, _ in members:
        if key[1].has(PositivePower) or key[3].has(PositivePower):
            raise NtkVerifyError(
                f"no rule is known for {key[1]} times {key[3]} under a uniform law, as one has a kink and the other is "
                "curved; give the two parts networks of their own."
            )
    inside = [k for k, r in enumerate(radii) if r != 0]
    total, error = np.zeros((len(u), len(v))), np.zeros((len(u), len(v)))
    for key, coefficient in members:
        scale = math.prod(radii[k] for k in key[0])
        fine, uncertain = _settled(key, u, v, inside)
        total += coefficient * scale * fine
        error += np.abs(coefficient * scale) * uncertain
    return total, error


def _settled(key: GroupKey, u: Array, v: Array, inside: Sequence[int]) -> tuple[Array, Array]:
    """The first value that twice as many nodes per weight left alone, and the estimate of its error."""
    longest = max(float(np.max(np.abs(form[:, inside]), initial=0.0)) for form in (u, v))
    panels, coarse = math.ceil(max(_FIRST, _DENSITY * longest) / _PANEL_NODES), None
    while True:
        nodes = (_PANEL_NODES * panels) ** len(inside)
        if nodes > _MOST:
            raise NtkVerifyError(
                f"the Gauss rule for {key[1]} times {key[3]} does not settle with {_MOST} nodes for {len(inside)} "
                "uniform weights; scale points or radius down."
            )
        fine, size = _tensor_gauss(key, u, v, inside, panels)
        if coarse is not None:
            change = np.abs(fine - coarse)
            last = nodes * 2 ** len(inside) > _MOST
            if np.all(change <= (_ACCEPTED if last else _SETTLED) * size):
                # a weighted sum of N numbers is good to about log2(N) roundings of its size
                return fine, change + 16 * _EPS * math.log2(nodes) * size
        coarse, panels = fine, 2 * panels


def _tensor_gauss(key: GroupKey, u: Array, v: Array, inside: Sequence[int], panels: int) -> tuple[Array, Array]:
    """The rule's value, and sqrt(E[(w^p A)^2] E[B^2]), to which rounding is relative."""
    nodes, weights = _rule(panels)
    grid = np.stack([g.ravel() for g in np.meshgrid(*[nodes] * len(inside), indexing="ij")])
    mass = np.prod(np.meshgrid(*[weights / 2] * len(inside), indexing="ij"), axis=0).ravel()
    monomial = math.prod((grid[inside.index(k)] for k in key[0]), start=np.ones(grid.shape[1]))
    left = compiled(key[1])(u[:, inside] @ grid) * monomial
    right = compiled(key[3])(v[:, inside] @ grid)
    size = np.sqrt(np.multiply.outer((left**2) @ mass, (right**2) @ mass))
    return (left * mass) @ right.T, np.maximum(size, np.finfo(float).tiny)
