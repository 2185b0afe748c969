"""Exact moments of a ReLU^3 physics-informed neuron's gradient at single samples, derived from the neuron."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from ntkverify.problems.pinn import BLOCKS, heat_equation, problem_limit, problem_neuron
from ntkverify.symbolic.expression.functions import PositivePower


def fourth_moment(dimension: int, block: str) -> sympy.Expr:
    """E||grad||^4 in the coordinates: half the Gaussian moment of a polynomial, even and restricted to a half space."""
    neuron = problem_neuron("relu3", heat_equation, dimension)
    frozen = neuron.frozen[0]
    gradient = [g.subs(frozen, 1).replace(PositivePower, lambda z, k: z**k) for g in neuron.gradients[block][0]]
    square = sympy.Poly(sympy.expand(sum(g**2 for g in gradient)), *neuron.weights)
    total = sympy.S.Zero
    for powers, coefficient in (square**2).terms():
        if all(power % 2 == 0 for power in powers):
            total += coefficient * sympy.prod([sympy.factorial2(power - 1) for power in powers if power])
    return sympy.expand(total / 2)


def second_moment(dimension: int, block: str) -> sympy.Expr:
    """E||grad||^2 in the coordinates."""
    return problem_limit("relu3", heat_equation, dimension).trace_expression(block)


@functools.lru_cache
def _functions(moment: Callable[[int, str], sympy.Expr], dimension: int) -> dict[str, Any]:
    coordinates = problem_limit("relu3", heat_equation, dimension).neuron.coordinates
    return {block: sympy.lambdify(coordinates, moment(dimension, block), "numpy") for block in BLOCKS}


def moments(moment: Callable[[int, str], sympy.Expr], run: Any) -> dict[str, Any]:
    """One of the above at a run's samples, by block, (n_b,)."""
    functions = _functions(moment, run.points["interior"].shape[1])
    return {b: np.broadcast_to(f(*run.points[b].T), len(run.points[b])) for b, f in functions.items()}


def spread(run: Any) -> Any:
    """V >= E||G||_F^2: by Minkowski in L^2, sqrt V is the sum over samples of (E||grad||^4)^(1/2) / n_b."""
    return sum(np.sqrt(fourth).mean() for fourth in moments(fourth_moment, run).values()) ** 2


def largest_moment(run: Any) -> Any:
    """The largest E||grad||^2 of each block, added up."""
    return sum(second.max() for second in moments(second_moment, run).values())


def closed_forms(
    formula: Callable[[Any, sympy.Expr, int], sympy.Expr], block: str, *, dimensions: Any, covariance: bool = False
) -> Callable[[], tuple[sympy.Matrix, sympy.Matrix]]:
    """What the Gaussian engine derives from the neuron in so many space dimensions, and a formula for it.

    Parameters
    ----------
    formula : callable
        Takes the time coordinate, the squared norm of the space part and the dimension of space.
    block : str
        Of which block.
    dimensions : sequence of int
        Of space.
    covariance : bool
        Of the feature itself rather than of its gradient.
    """

    def sides() -> tuple[sympy.Matrix, sympy.Matrix]:
        found, wanted = [], []
        for dimension in dimensions:
            limit = problem_limit("relu3", heat_equation, dimension + 1)
            time, *others = limit.neuron.coordinates
            found.append(limit.trace_expression(block, covariance=covariance))
            wanted.append(sympy.expand(formula(time, sum(s**2 for s in others), dimension)))
        return sympy.Matrix(found), sympy.Matrix(wanted)

    return sides
