"""The first natural gradient step of a freshly drawn network, for laws over many draws: what a trajectory repeats."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.measures.initial import Initial
from ntkverify.measures.network import Network
from ntkverify.problems.pinn import Equation, PinnRun, heat_equation
from ntkverify.symbolic.network.activations import Activation
from ntkverify.training import Trajectory, dense_least_norm

NO_TRAJECTORY = "a run of the first step alone follows no trajectory; measure `first_step`, or use a run of pinn(...)."


class FirstStep(NamedTuple):
    """What the first natural gradient step leaves, and how far it moves the weights.

    Parameters
    ----------
    whole, half : float
        ||r(1)|| from r(0) and from r(0)/2.
    rounding : float
        Bound of the rounding error of either.
    cubes : float
        sum_r |w_r(1) - w_r(0)|^3 of the whole step.
    weight_norm : float
        Largest |w_r| on the whole step.
    """

    whole: float
    half: float
    rounding: float
    cubes: float
    weight_norm: float


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

    @functools.cached_property
    def network(self) -> Network:
        """The weights as drawn, and the signs."""
        drawn = super().network
        return drawn if self.random_signs else replace(drawn, signs=np.ones_like(drawn.signs))

    @property
    def residual_0(self) -> float:
        """||r(0)||."""
        return float(np.linalg.norm(self.given_residuals))

    @functools.cached_property
    def trajectory(self) -> Trajectory:
        """Refused: r(0) is given here, and no trajectory starts from it."""
        raise NtkVerifyError(NO_TRAJECTORY)

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
        weights = self.network.weights
        values, jacobian = self.sweeper.values_and_jacobian(weights)
        rows = np.moveaxis(jacobian, 1, 0)
        solution = dense_least_norm(rows.reshape(len(rows), -1), self.given_residuals)
        change = -solution.direction.reshape(weights.shape)
        linear = np.einsum("pim,pm->im", jacobian, change)
        found = []
        for share in (1.0, 0.5):
            after = self.sweeper.values(weights + share * change)
            found.append(float(np.linalg.norm((after - values - share * linear).sum(axis=1))))
        rounding = 8 * float(np.linalg.norm(self.sweeper.rounding(weights)))
        moved = np.linalg.norm(change, axis=0)
        # a norm is convex: largest at an end of the segment
        reach = max(np.linalg.norm(w, axis=0).max() for w in (weights, weights + change))
        return FirstStep(found[0], found[1], rounding, float((moved**3).sum()), float(reach))


def first_step(
    *, activation: str | Activation, equation: Equation = heat_equation, random_signs: bool = True
) -> Callable[..., FirstStepRun]:
    """What ``run=`` of a family of instances takes: a `FirstStepRun` with these options."""
    return functools.partial(FirstStepRun, activation=activation, equation=equation, random_signs=random_signs)
