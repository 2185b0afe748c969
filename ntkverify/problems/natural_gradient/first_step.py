"""The first natural gradient step of a freshly drawn network, for laws over many draws: what a trajectory repeats."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.initial import Initial
from ntkverify.problems.pinn import Equation, PinnRun, heat_equation
from ntkverify.symbolic.network.activations import Activation
from ntkverify.training import Trajectory, least_norm

NO_TRAJECTORY = "a run of the first step alone follows no trajectory; measure `first_step`, or use a run of pinn(...)."


class FirstStep(NamedTuple):
    """What the first natural gradient step leaves, and how far it moves the weights.

    Parameters
    ----------
    whole, half : float
        ||r(1)|| from r(0) and from r(0)/2.
    rounding : float
        Bound of the rounding error of either.
    squares, cubes : float
        sum_r |w_r(1) - w_r(0)|^2 of the whole step, and of third powers.
    weight_norm : float
        Largest |w_r| on the whole step.
    """

    whole: Any
    half: Any
    rounding: Any
    squares: Any
    cubes: Any
    weight_norm: Any


class FirstStepRun(PinnRun):
    """A step of length 1 from residuals that the instance gives: -source/sqrt(n_1) and -values/sqrt(n_2).

    Parameters
    ----------
    random_signs : bool
        Whether the frozen outer weights are fair signs; all are +1 otherwise.
    """

    def __init__(self, *args: Any, random_signs: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        self.random_signs = random_signs

    def drawn(self) -> tuple[Array, Array]:
        """The weights as drawn, and the signs."""
        weights, signs = super().drawn()
        return weights, signs if self.random_signs else np.ones_like(signs)

    @property
    def residual_0(self) -> Any:
        """||r(0)||."""
        return np.linalg.norm(self.given_residuals)

    @functools.cached_property
    def trajectory(self) -> Trajectory:
        """Refused: r(0) is given here, and no trajectory starts from it."""
        raise NtkVerifyError(NO_TRAJECTORY)

    @property
    def has_overflowed(self) -> bool:
        """A single step of a freshly drawn network does not."""
        return False

    @functools.cached_property
    def at_start(self) -> Initial:
        """Refused likewise: outputs with the signs as drawn would be those of another network."""
        raise NtkVerifyError(NO_TRAJECTORY)

    @functools.cached_property
    def first_step(self) -> FirstStep:
        """The step from r(0) and the one from r(0)/2, along one direction.

        r(1) is summed neuron by neuron: what the values move beyond their linearisation.
        """
        return self.shared(f"first step {self.kind} {self.random_signs}", self._measure)

    def _measure(self) -> FirstStep:
        executor = self.executor
        weights, frozen = (self._moved(executor, part) for part in (self.weights, self.frozen))
        forward = executor.forward(weights, frozen)
        right = self._moved(executor, self.given_residuals)
        change = -least_norm(executor, weights, frozen, forward, right, solver="qr").direction

        def stepped(part: Any) -> MeasuredStep:
            moved = executor.copy(weights)
            step: MeasuredStep = executor.measured_step(
                moved, frozen, forward, 0, start=weights, change=part, gram=False
            )
            return step

        still, whole, half = (stepped(part) for part in (change * 0, change, change / 2))
        lengths = np.linalg.norm(self.numbers(executor.to_host(change)), axis=1)
        # a norm is convex: largest at an end of the segment
        reach = executor.larger(*(step.moves["weights"].norm for step in (still, whole)))
        return FirstStep(
            self._length(whole.remainders),
            self._length(half.remainders),
            8 * self._length(still.errors),
            (lengths**2).sum(),
            (lengths**3).sum(),
            self.number(reach),
        )

    def _length(self, values: Any) -> Any:
        return np.linalg.norm(self.numbers(self.executor.to_host(values)))


def first_step(
    *, activation: str | Activation, equation: Equation = heat_equation, random_signs: bool = True
) -> Callable[..., FirstStepRun]:
    """What ``run=`` of a family of instances takes: a `FirstStepRun` with these options."""
    return functools.partial(FirstStepRun, activation=activation, equation=equation, random_signs=random_signs)
