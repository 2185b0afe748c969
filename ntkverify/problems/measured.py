"""Runs whose trajectory is measured with the Jacobian in memory, whatever the problem and the method."""

from __future__ import annotations

import functools

import numpy as np

from ntkverify.arrays import Array
from ntkverify.measures.jacobian import Sweeper
from ntkverify.measures.network import Network, draw_network
from ntkverify.problems.trained import TrainedRun


class MeasuredRun(TrainedRun):
    """A wide network trained by gradient or natural gradient descent; subclasses say on which samples."""

    @property
    def n(self) -> int:
        """Number of residuals, n_1 + n_2."""
        return int(self.samples.total)

    @property
    def d(self) -> int:
        """Number of trainable weights of a neuron: the coordinates and the bias."""
        return len(self.neuron.weights)

    @functools.cached_property
    def network(self) -> Network:
        """The weights as drawn."""
        return draw_network(self.instance.weight_seed, self.m, self.d)

    @functools.cached_property
    def sweeper(self) -> Sweeper:
        """Values and Jacobians of the network at any weights (d, m)."""
        return Sweeper(self.samples, self.network.signs)

    @functools.cached_property
    def derivative_check(self) -> tuple[Array, Array, Array]:
        """J(0) v for a random v, the central difference of the outputs along v, and a bound of how far they may differ.

        The truncation error of the difference over h is judged neuron by neuron, by its change from 2h, which is three
        times its error if it is smooth (none is where a kink is crossed); rounding is divided by h.
        """
        return self.shared(f"derivative {self.kind}", self._differences)

    @functools.cached_property
    def along_weights(self) -> tuple[Array, Array, Array]:
        """J(0) theta(0), the outputs at theta(0), and a bound of the rounding error of either."""
        return self.shared(f"along the weights {self.kind}", self._along_weights)

    def _along_weights(self) -> tuple[Array, Array, Array]:
        weights = self.network.weights
        values, jacobian = self.sweeper.values_and_jacobian(weights)
        # the terms of J theta are those of the outputs times a power
        rounding = 2 * self.d * self.sweeper.rounding(weights)
        return np.einsum("pim,pm->i", jacobian, weights), values.sum(axis=1), rounding

    def _differences(self) -> tuple[Array, Array, Array]:
        weights = self.network.weights
        direction = np.random.default_rng(self.instance.seed).standard_normal(weights.shape)
        step = 2.0**-12

        def difference(h: float) -> Array:
            ends = [self.sweeper.values(weights + sign * h * direction) for sign in (1, -1)]
            return np.asarray((ends[0] - ends[1]) / (2 * h))

        fine, coarse = difference(step), difference(2 * step)
        product = np.einsum("pim,pm->i", self.sweeper.jacobian(weights), direction)
        rounding = self.sweeper.rounding(np.abs(weights) + 2 * step * np.abs(direction))
        return product, fine.sum(axis=1), np.abs(coarse - fine).sum(axis=1) + 2 * rounding / step

    # -- along the trajectory ---------------------------------------------------------------------------------------

    @property
    def residual_0(self) -> float:
        """||r(0)||."""
        return float(self.residuals[0])

    @property
    def loss_0(self) -> float:
        """L(0)."""
        return float(self.losses[0])

    @property
    def remainder_error(self) -> Array:
        """Bound of the rounding error of `remainder`, (K,): it cancels two outputs and a linear term of their size."""
        return np.asarray(4 * (self.residuals_error[1:] + self.residuals_error[:-1]))

    @property
    def drift_rms(self) -> Array:
        """Root of the mean over neurons of ||w_r(k) - w_r(0)||^2, (K+1,)."""
        return np.asarray(self.trajectory.drift_rms)
