"""What all executors share: one interface, and the reference way to each answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.evaluator import Algebra, evaluate_all
from ntkverify.execution.samples import BlockSamples, Forward, Samples, check_weights, residual_slopes


class Executor(ABC):
    """Runs one problem: ``r = scale * (R(m**-1/2 sum_j feature(theta_j; x); x) - target)``, loss ``|r|^2 / 2``.

    Weights are arrays of shape (m, p), one neuron per row; frozen weights (m, q), or None where q = 0.
    """

    def __init__(self, samples: Samples, algebra: Algebra) -> None:
        self.samples = samples
        self.algebra = algebra
        self._slopes = tuple(residual_slopes(b.block) for b in samples.blocks)

    @property
    def neuron(self) -> Any:
        """The symbolic neuron that the executor was made from."""
        return self.samples.neuron

    @abstractmethod
    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        """Sums over neurons and residuals at the given weights."""

    @abstractmethod
    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        """``J(weights)^T vector``, shape (m, p); `forward` must be the pass at the same weights."""

    @abstractmethod
    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        """Jacobian of the residuals in the weights, shape (N, m * p), neuron by neuron."""

    @abstractmethod
    def gram(self, weights: Any, frozen: Any = None) -> Any:
        """``J J^T``, shape (N, N), without ever storing J."""

    def residuals(self, weights: Any, frozen: Any = None) -> Any:
        """All residuals, shape (N,)."""
        return self.forward(weights, frozen).residuals

    def gradient(self, weights: Any, frozen: Any, forward: Forward) -> Any:
        """Gradient of the loss, shape (m, p); `forward` must be the pass at the same weights."""
        return self.vjp(weights, frozen, forward, forward.residuals)

    def step(self, weights: Any, frozen: Any, forward: Forward, eta: Any) -> Forward:
        """One step of gradient descent: changes `weights` in place, returns the pass at the new weights."""
        weights, frozen = check_weights(self.neuron, weights, frozen)
        weights[...] = weights - eta * self.gradient(weights, frozen, forward)
        return self.forward(weights, frozen)

    def _values(self, b: BlockSamples) -> dict[Any, Any]:
        return {s: b.points[:, i] for i, s in enumerate(self.neuron.coordinates)}

    def _residuals_of(self, sums: tuple[Any, ...]) -> Forward:
        """Apply the pointwise residual to the sums of every block."""
        parts = []
        for b, phi in zip(self.samples.blocks, sums, strict=True):
            if b.block.is_linear:
                value = phi[0, :]
            else:
                values = self._values(b) | {s: phi[k, :] for k, s in enumerate(b.block.sums)}
                (value,) = evaluate_all([b.block.residual], values, self.algebra)
            parts.append((value - b.targets) * b.scale)
        return Forward(sums, self._concatenate(parts))

    def slopes(self, forward: Forward) -> list[list[Any]]:
        """Per block and feature: ``scale * dR/dPhi_k``, broadcastable to (n_b,)."""
        result = []
        for b, phi, slopes in zip(self.samples.blocks, forward.sums, self._slopes, strict=True):
            if b.block.is_linear:
                result.append([b.scale])
                continue
            values = self._values(b) | {s: phi[k, :] for k, s in enumerate(b.block.sums)}
            result.append([v * b.scale for v in evaluate_all(list(slopes), values, self.algebra)])
        return result

    def _concatenate(self, parts: list[Any]) -> Any:
        return np.concatenate(parts)

    def _check_vector(self, vector: Any) -> None:
        if tuple(vector.shape) != (self.samples.total,):
            raise NtkVerifyError(f"the vector must have shape ({self.samples.total},), not {tuple(vector.shape)}")
