"""Runs in balls: what a float64 run answers, every answer an enclosure of the exact one.

`BallRun` answers for parameters, data, constants and quantities; it stands in for any run of linear algebra. A run that
trains needs a class of its own, named in `ntkverify.search.ball_counterparts`; `FollowedBallRun` has what they share.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import sympy

from ntkverify.arithmetic.ball_linear import eigenvalue_balls, norm_balls
from ntkverify.arithmetic.ball_numbers import Ball, NoEnclosure, ball_array, power, raw_array
from ntkverify.arithmetic.balls import BallAlgebra
from ntkverify.arithmetic.evaluator import evaluate
from ntkverify.problems.run import Run


class _BoundAlgebra(BallAlgebra):
    """Balls, and powers whose exponent is a symbol such as the step k."""

    def __init__(self) -> None:
        super().__init__()
        self.functions = {**self.functions, sympy.Pow: np.frompyfunc(power, 2, 1)}


class BallRun(Run):
    """An instance in balls at flint's current precision.

    Integers are balls as well: a quotient of two of them would otherwise be rounded.

    Parameters
    ----------
    plain : Run
        The float64 run that it stands in for.
    """

    #: how much more work an entry of the data is per neuron and step than one multiplication
    cost = 1.0

    def __init__(self, plain: Run) -> None:
        Run.__init__(self, plain.instance, plain.theorem)
        self.plain: Any = plain

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("instance", "theorem"):
            raise AttributeError(name)
        if name in self.instance.parameters:
            return Ball(self.instance.parameters[name])
        if name in self.instance.data:
            return as_attribute(ball_array(self.instance.array(name)))
        return super().__getattr__(name)

    @property
    def m(self) -> Any:
        """Width."""
        return Ball(self.instance.width)

    @property
    def eta(self) -> Any:
        """Learning rate."""
        return Ball(self.instance.step)

    @property
    def k(self) -> Any:
        """The steps 0, 1, ..., `steps`."""
        return ball_array(np.arange(self.instance.steps + 1))

    def evaluate(self, expression: Any) -> Any:
        """A sympy expression: exact rationals at the leaves, its symbols answered by this run."""
        expression = self.theorem.expand(sympy.sympify(expression))
        values = {s: raw_array(getattr(self, str(s))) for s in expression.free_symbols}
        result = evaluate(expression, values, _BoundAlgebra())
        return as_attribute(ball_array(result))


def as_attribute(array: Any) -> Any:
    return array[()] if array.ndim == 0 else array


class FollowedBallRun(BallRun):
    """What follows from a trajectory of residuals, Gram matrices and remainders, whatever the problem."""

    @property
    def followed(self) -> Any:
        """Residuals, grams, remainders and drift of the exact trajectory."""
        raise NoEnclosure(f"{type(self).__name__} follows no trajectory.")

    @property
    def residuals(self) -> Any:
        """||r(k)||."""
        return ball_array(norm_balls(raw_array(self.followed.residuals)))

    @property
    def residuals_error(self) -> Any:
        """Zero: an enclosure has no rounding error."""
        return ball_array(np.zeros(self.instance.steps + 1))

    @property
    def losses(self) -> Any:
        """L(k)."""
        return self.residuals**2 / 2

    @property
    def losses_error(self) -> Any:
        """Zero: an enclosure has no rounding error."""
        return self.residuals_error

    @property
    def residual(self) -> Any:
        """||r(k)|| before each step."""
        return self.residuals[:-1]

    @property
    def loss(self) -> Any:
        """L(k) before each step."""
        return self.losses[:-1]

    @property
    def gram_drift(self) -> Any:
        """||H(k) - H(0)||_F."""
        grams = raw_array(self.followed.grams)
        return ball_array(norm_balls((grams - grams[0]).reshape(len(grams), -1)))

    @functools.cached_property
    def eigenvalues(self) -> Any:
        """Eigenvalues of H(k), ascending."""
        return ball_array([eigenvalue_balls(gram) for gram in raw_array(self.followed.grams)])

    @property
    def remainder(self) -> Any:
        """||I_1(k)||."""
        return ball_array(norm_balls(raw_array(self.followed.remainders)))

    @property
    def drift(self) -> Any:
        """max_r ||w_r(k) - w_r(0)||."""
        return self.followed.drift

    @property
    def residual_0(self) -> Any:
        """||r(0)||."""
        return self.residuals[0]

    @property
    def loss_0(self) -> Any:
        """L(0)."""
        return self.losses[0]
