"""What every trained run answers for, whatever the problem, the method and the backend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.execution.backends import executor_of, fastest_backend
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.samples import Samples
from ntkverify.measures.steps import JacobianPath, Measure, Steps
from ntkverify.problems.run import Run
from ntkverify.training import GradientDescent, Method, NaturalGradient, Trajectory, follow

MethodName = Literal["gradient", "natural gradient"]
METHODS: dict[str, Callable[[Any], Method]] = {"gradient": GradientDescent, "natural gradient": NaturalGradient}


class TrainedRun(Run):
    """A network trained for K steps on N residuals; subclasses say on which samples, and by which method."""

    method: MethodName = "gradient"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for old in ("record", "descent"):
            if old in vars(cls) and "trajectory" not in vars(cls):
                raise NtkVerifyError(
                    f"{cls.__name__} overrides {old!r}, from which nothing follows; override `training` instead."
                )

    @functools.cached_property
    def samples(self) -> Samples:
        """Points, targets and scales of the problem."""
        raise NtkVerifyError(f"{type(self).__name__} defines no samples; override `samples`.")

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance."""
        return str([b.block.features for b in self.samples.blocks])

    @functools.cached_property
    def executor(self) -> Executor:
        """Runs the problem on the backend that was asked for, or that is fastest."""
        chosen = self.backend if self.backend != "auto" else fastest_backend(self.samples, self.instance.width)
        return executor_of(self.samples, backend=chosen)

    def training(self) -> Method:
        """The training method; a subclass with one of its own returns it here."""
        if self.method not in METHODS:
            raise NtkVerifyError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}.")
        return METHODS[self.method](self.eta)

    def measures(self) -> list[Measure]:
        """What is seen of every step; lemmas about gradient descent do not speak of J."""
        return [Steps(), JacobianPath()] if self.method == "natural gradient" else [Steps()]

    @functools.cached_property
    def trajectory(self) -> Trajectory:
        """The trained trajectory with everything measured."""
        return self.shared(f"trajectory {self.kind} {self.method}", self._train)

    @property
    def descent(self) -> Trajectory:
        """The trajectory."""
        return self.trajectory

    def _train(self) -> Trajectory:
        executor = self.executor
        weights, frozen = draw_weights(self.samples.neuron, self.instance.weight_seed, self.instance.width)
        found = follow(
            executor,
            executor.from_host(weights),
            executor.from_host(frozen),
            self.training(),
            steps=self.instance.steps,
            measures=self.measures(),
            in_place=True,
        )
        # weights are not kept: forty networks of 1e6 neurons are to cost no more memory than one
        return replace(found, weights=None)

    @property
    def residuals(self) -> Array:
        """||r(k)||, (K+1,)."""
        return np.asarray(np.linalg.norm(self.trajectory.residuals, axis=1))

    @property
    def residuals_error(self) -> Array:
        """Bound of the rounding error of ||r(k)||, (K+1,)."""
        return np.asarray(np.linalg.norm(self.trajectory.residuals_error, axis=1))

    @property
    def losses(self) -> Array:
        """L(k) = ||r(k)||^2 / 2, (K+1,)."""
        return np.asarray(self.residuals**2 / 2)

    @property
    def losses_error(self) -> Array:
        """Bound of the rounding error of L(k), (K+1,)."""
        return np.asarray(self.residuals * self.residuals_error + self.residuals_error**2)

    @property
    def residual(self) -> Array:
        """||r(k)|| before each step, (K,)."""
        return self.residuals[:-1]

    @property
    def loss(self) -> Array:
        """L(k) before each step, (K,)."""
        return self.losses[:-1]

    @functools.cached_property
    def eigenvalues(self) -> Array:
        """Eigenvalues of H(k) in ascending order, (K+1, N)."""
        return np.asarray(np.linalg.eigvalsh(self.trajectory.grams), np.float64)

    @property
    def gram_drift(self) -> Array:
        """||H(k) - H(0)||_F, (K+1,)."""
        return np.asarray(np.linalg.norm(self.trajectory.grams - self.trajectory.grams[0], axis=(1, 2)))

    @property
    def remainder(self) -> Array:
        """||r(k+1) - r(k) - J(k) (theta(k+1) - theta(k))||, for gradient descent ||I_1(k)||, (K,)."""
        return np.asarray(np.linalg.norm(self.trajectory.remainders, axis=1))

    @property
    def drift(self) -> Array:
        """max_r ||w_r(k) - w_r(0)||, (K+1,)."""
        return np.asarray(self.trajectory.drift)
