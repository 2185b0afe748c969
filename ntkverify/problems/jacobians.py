"""Runs about Jacobians: given by their singular values, of a freshly drawn network, and after moves of its neurons."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import PinnRun

ULP = np.finfo(float).eps


class JacobianRun(AlgebraRun):
    """A Jacobian with left and right singular vectors and singular values given."""

    @property
    def jacobian(self) -> Any:
        """J, (N, P)."""
        return (self.left * self.singular) @ self.right.T

    @property
    def least(self) -> Any:
        """Least eigenvalue of J J^T."""
        return self.singular.min() ** 2

    @property
    def scale(self) -> Any:
        """Bound of the rounding error: backward errors of 16 N P eps, amplified by the squared condition number."""
        condition = self.singular.max() / self.singular.min()
        size = np.linalg.norm(self.vector) / self.singular.min()
        return 16 * len(self.singular) * len(self.right) * ULP * condition**2 * size


class NetworkJacobianRun(PinnRun):
    """The Jacobian of a freshly drawn network and its initial residual."""

    @property
    def jacobian(self) -> Any:
        """J, (N, P)."""
        rows = self.jacobian_at(self.weights)
        return rows.reshape(len(rows), -1)

    @property
    def vector(self) -> Any:
        """r(0)."""
        return self.at_start.outputs - self.scaled_targets

    @property
    def scale(self) -> Any:
        """As for a Jacobian with its singular values given."""
        singular = np.linalg.svd(self.jacobian, compute_uv=False)
        size = np.linalg.norm(self.vector) / singular[-1]
        return 16 * self.jacobian.size * ULP * (singular[0] / singular[-1]) ** 2 * size


class PerturbedRun(PinnRun):
    """A freshly drawn network whose neurons are moved by at most R each, towards the worst."""

    @property
    def D(self) -> Any:
        """Number of weights of a neuron."""
        return self.d

    @property
    def n_1(self) -> Any:
        """Number of interior samples."""
        return len(self.points["interior"])

    @property
    def inputs(self) -> Any:
        """The interior samples (x, 1)."""
        return self.sample_inputs[: self.n_1]

    @property
    def sizes(self) -> Any:
        """|w_r(0)| + R."""
        return np.linalg.norm(self.weights, axis=1) + self.R

    @property
    def B(self) -> Any:
        """Largest of 2 and |w_r| before and after."""
        return max(2.0, self.sizes.max())

    @property
    def near(self) -> Any:
        """Largest share of neurons, over the interior samples, within R of a sign change."""
        x = self.inputs
        return (np.abs(x @ self.weights.T) <= self.R * np.linalg.norm(x, axis=1)[:, None]).mean(axis=1).max()

    def across(self, radius: Any) -> Any:
        """Weights after every neuron within `radius` of the first sample's hyperplane has crossed it."""
        x = self.inputs[0] / np.linalg.norm(self.inputs[0])
        height = self.weights @ x
        near, far = np.abs(height) <= radius / 2, np.abs(height) <= radius
        move = np.where(near, -2 * height, np.where(far, -height * 1.0001, 0))
        return self.weights + np.clip(move, -radius, radius)[:, None] * x

    def towards(self, radius: Any) -> Any:
        """Weights after every neuron moved by `radius` towards the first sample."""
        x = self.inputs[0] / np.linalg.norm(self.inputs[0])
        return self.weights + radius * x

    def change(self, weights: Any) -> Any:
        """J(w) - J(0), (N, m, p)."""
        return self.jacobian_at(weights) - self.start

    @property
    def start(self) -> Any:
        """J(0)."""
        return self.jacobian_at(self.weights)


def perturbed(activation: str) -> Callable[..., PerturbedRun]:
    """What ``run=`` of a family of instances takes: a `PerturbedRun` of this activation."""
    return functools.partial(PerturbedRun, activation=activation)
