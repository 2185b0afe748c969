"""A moment of training, as methods and measures see it."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.execution import Executor, Forward
from ntkverify.execution.machine.memory import refuse_beyond_memory


@dataclass(frozen=True)
class Snapshot:
    """A moment of a run; arrays are the run's own and must not be changed.

    Parameters
    ----------
    step : int
        Number of steps done.
    time : float
        Training time: the sum of the step sizes, or the flow's time.
    weights, frozen : arrays, shape (m, p) and (m, q)
        Weights at this moment. A run goes on in the same array: what is to last is to be copied.
    forward : Forward
        The forward pass at these weights.
    executor : Executor
        The problem.
    """

    step: int
    time: float
    weights: Any
    frozen: Any
    forward: Forward
    executor: Executor

    @functools.cached_property
    def jacobian(self) -> Any:
        """J at these weights, (N, m p); whoever asks first, while the weights are these, forms it for all."""
        entries = math.prod(self.weights.shape) * len(self.forward.residuals)
        # this Jacobian, one of an earlier moment, their difference, and what forming one takes
        refuse_beyond_memory(8 * 4 * entries, f"the Jacobian of {self.weights.shape[0]} neurons at every step")
        return self.executor.jacobian(self.weights, self.frozen)

    def gradient_on(self, chosen: Any) -> Any:
        """J_S^T r_S at these weights, (m, p): the gradient of half the squares of some residuals, by their places."""
        mask = np.zeros(len(self.forward.residuals))
        mask[chosen] = 1
        # a zero is an exact number in every arithmetic
        vector = self.forward.residuals * self.executor.from_host(mask)
        return self.executor.vjp(self.weights, self.frozen, self.forward, vector)

    @functools.cached_property
    def group_grams(self) -> dict[str, Any]:
        """J_g J_g^T at these weights, (N, N), of every group of weights, likewise."""
        return self.executor.group_grams(self.weights, self.frozen)

    @functools.cached_property
    def gram(self) -> Any:
        """J J^T at these weights, (N, N), likewise."""
        if "jacobian" in self.__dict__:
            return self.executor.outer(self.jacobian)
        if "group_grams" in self.__dict__:
            return functools.reduce(operator.add, self.group_grams.values())
        return self.executor.gram(self.weights, self.frozen)
