"""Assumptions that many theorems share, by the data that they speak of."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

from ntkverify.lemmas.rounding import TINY, ULP
from ntkverify.theorem.theorem import Theorem

PINN_POINTS = {"interior": ("n_1", "coordinates"), "boundary": ("n_2", "coordinates")}
PINN_DATA = {**PINN_POINTS, "source": ("n_1",), "values": ("n_2",)}
REGRESSION_DATA = {"inputs": ("n", "d"), "targets": ("n",)}


def step_at_most(theorem: Theorem, name: str, largest: sympy.Expr) -> None:
    """The step is positive and at most `largest`."""
    theorem.declare(largest_step=largest)

    @theorem.assumption(name)
    def step_allowed(run: Any) -> Any:
        return min(run.eta - TINY, run.evaluate(largest) * (1 + 4 * ULP) - run.eta)


def step_below(theorem: Theorem, name: str, supremum: sympy.Expr) -> None:
    """The step is positive and below `supremum`, by a unit in the last place at least."""
    theorem.declare(largest_step=supremum)

    @theorem.assumption(name)
    def step_allowed(run: Any) -> Any:
        return min(run.eta - TINY, run.evaluate(supremum) * (1 - ULP) - run.eta)


def width_at_least(theorem: Theorem, name: str, width: sympy.Expr) -> None:
    """The network has at least `width` neurons."""
    theorem.declare(width=width)

    @theorem.assumption(name)
    def wide(run: Any) -> Any:
        return run.m - run.evaluate(width) * (1 - 4 * ULP)


def distinct_samples(theorem: Theorem, name: str = "samples of a block distinct") -> tuple[str, ...]:
    """No two samples of a block of a physics-informed problem within 1e-6."""
    theorem.declare(data=PINN_DATA)

    @theorem.assumption(name)
    def distinct(run: Any) -> Any:
        gaps = [np.linalg.norm(x[:, None] - x[None], axis=2) + 2 * np.eye(len(x)) for x in run.points.values()]
        return min(gap.min() for gap in gaps) - 1e-6

    return (name,)


def unit_inputs(theorem: Theorem, *, parallel: bool = False) -> tuple[str, ...]:
    """Inputs of length 1, no two parallel unless `parallel` ones are allowed, and targets of modulus at most C."""
    theorem.declare(data=REGRESSION_DATA, parameters={"C": lambda data: float(np.abs(data["targets"]).max(initial=0))})

    @theorem.assumption("unit inputs")
    def unit(run: Any) -> Any:
        return 4 * run.d * ULP - np.abs(np.linalg.norm(run.inputs, axis=1) - 1).max()

    if not parallel:

        @theorem.assumption("no two inputs parallel")
        def not_parallel(run: Any) -> Any:
            return run.lambda_0

    @theorem.assumption("targets at most C")
    def targets_bounded(run: Any) -> Any:
        return run.C - np.abs(run.targets).max()

    return ("unit inputs", *(() if parallel else ("no two inputs parallel",)), "targets at most C")
