"""What all executors share: one interface, and the reference way to each answer."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ntkverify.arithmetic.evaluator import Algebra, evaluate_all
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import BlockSamples, Forward, Samples, check_weights, residual_slopes
from ntkverify.execution.step import MeasuredStep, Step
from ntkverify.symbolic.network.neuron import Neuron


class Executor(ABC):
    """Runs one problem: ``r = scale * (R(m**-1/2 sum_j feature(theta_j; x); x) - target)``, loss ``|r|^2 / 2``.

    Weights are arrays of shape (m, p), one neuron per row; frozen weights (m, q), or None where q = 0.
    """

    #: whether numbers are enclosures, which have no rounding error
    is_exact = False
    #: which of the processes that share the network this is, and how many there are
    rank, ranks = 0, 1

    def __init__(self, samples: Samples, algebra: Algebra) -> None:
        self.samples = samples
        self.algebra = algebra
        self._slopes = tuple(residual_slopes(b.block) for b in samples.blocks)

    @property
    def neuron(self) -> Neuron:
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

    def group_gram(self, weights: Any, frozen: Any, group: str) -> Any:
        """The part of ``J J^T`` that the columns of one group of weights make, (N, N)."""
        rows, places = self.jacobian(weights, frozen), self.neuron.groups[group]
        by_weight = rows.reshape((len(rows), *weights.shape))
        first, last = places[0], places[-1] + 1
        columns = by_weight[:, :, first:last] if last - first == len(places) else by_weight[:, :, list(places)]
        return self.outer(columns.reshape((len(rows), -1)))

    def group_grams(self, weights: Any, frozen: Any) -> dict[str, Any]:
        """The same of every group; they add up to ``J J^T``."""
        return {group: self.group_gram(weights, frozen, group) for group in self.neuron.groups}

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

    def measured_step(
        self,
        weights: Any,
        frozen: Any,
        forward: Forward,
        eta: Any,
        *,
        start: Any,
        change: Any = None,
        gram: bool = True,
    ) -> MeasuredStep:
        """One step that measures itself: changes `weights` in place.

        Parameters
        ----------
        weights, frozen : arrays, shape (m, p) and (m, q)
            Weights of all neurons.
        forward : Forward
            The pass at these weights.
        eta : scalar
            The step is ``-eta J^T r``; 0 measures without moving.
        start : array, shape (m, p)
            Where drift is measured from.
        change : array, shape (m, p), optional
            A step of another direction, taken instead.
        gram : bool
            Whether the Gram matrix is wanted.
        """
        return self._measured(Step(weights, frozen, forward, eta, start, change, gram))

    def _measured(self, step: Step) -> MeasuredStep:
        """`measured_step`, by whatever the executor has for it."""
        from ntkverify.execution.walking.array import ArrayExecutor

        # an executor without a sweep of its own takes the reference's
        found = ArrayExecutor(self.samples)._measured(step)
        found.forward.keep(None)  # nobody asks that executor again
        return found

    def with_samples(self, samples: Samples) -> Self:
        """The same executor for other points and targets of the same sizes."""
        other = copy.copy(self)
        other.samples = samples
        return other

    def for_neuron(self, neuron: Neuron) -> Executor:
        """An executor of the same kind for another neuron at the same points, with targets 0 and the same scales."""
        blocks = tuple(
            dataclasses.replace(b, block=other, targets=b.targets * 0)
            for b, other in zip(self.samples.blocks, neuron.blocks, strict=True)
        )
        return self._rebuilt(Samples(neuron, blocks))

    @abstractmethod
    def _rebuilt(self, samples: Samples) -> Executor:
        """An executor of the same kind and options for other samples."""

    def descend(
        self,
        weights: Any,
        frozen: Any,
        eta: Any,
        *,
        steps: int,
        every: int = 1,
        points: Mapping[str, Any] | None = None,
        targets: Mapping[str, Any] | None = None,
    ) -> Any:
        """Gradient descent on a batch of networks in one call; changes `weights` in place.

        Parameters
        ----------
        weights, frozen : arrays, shape (count, m, p) and (count, m, q)
            Weights of all networks; `frozen` may be None where q = 0.
        eta : number or sequence of `count` numbers
            Step of every network.
        steps : int
            Number of steps.
        every : int
            Residuals are kept at step 0 and after every so many steps.
        points, targets : mapping from block name to array, optional
            Samples of each network, shapes (count, n_b, k) and (count, n_b); the executor's own by default.

        Returns
        -------
        array, shape (count, steps // every + 1, N)
            The kept residuals.
        """
        kept = []
        for j, (executor, step) in enumerate(self._networks(weights, eta, steps, every, points, targets)):
            w, f = weights[j, ...], None if frozen is None else frozen[j, ...]
            forward = executor.forward(w, f)
            history = [forward.residuals]
            for k in range(1, steps + 1):
                forward = executor.step(w, f, forward, step)
                if k % every == 0:
                    history.append(forward.residuals)
            weights[j, ...] = w
            kept.append(self._stack(history, 0))
        return self._stack(kept, 0)

    def _networks(
        self,
        weights: Any,
        eta: Any,
        steps: int,
        every: int,
        points: Mapping[str, Any] | None,
        targets: Mapping[str, Any] | None,
    ) -> list[tuple[Self, Any]]:
        """Per network of a batch, an executor with its samples, and its step."""
        if weights.ndim != 3:
            raise NtkVerifyError(f"a batch of weights must have shape (count, m, p), not {tuple(weights.shape)}")
        if steps < 0 or every < 1:
            raise NtkVerifyError(f"steps must be at least 0 and every at least 1, not {steps} and {every}")
        count = weights.shape[0]
        etas = list(eta) if isinstance(eta, Sequence | np.ndarray) else [eta] * count
        if len(etas) != count:
            raise NtkVerifyError(f"eta must be one number or {count} numbers, not {len(etas)}")
        result = []
        for j in range(count):
            executor = self
            if points is not None or targets is not None:
                blocks = []
                for b in self.samples.blocks:
                    x = b.points if points is None else points[b.block.name][j, ...]
                    y = b.targets if targets is None else targets[b.block.name][j, ...]
                    if tuple(x.shape) != tuple(b.points.shape) or tuple(y.shape) != tuple(b.targets.shape):
                        raise NtkVerifyError(
                            f"block {b.block.name!r} of network {j} must have points {tuple(b.points.shape)} and "
                            f"targets {tuple(b.targets.shape)}, not {tuple(x.shape)} and {tuple(y.shape)}"
                        )
                    blocks.append(dataclasses.replace(b, points=x, targets=y))
                executor = self.with_samples(Samples(self.neuron, tuple(blocks)))
            result.append((executor, etas[j]))
        return result

    @abstractmethod
    def _stack(self, parts: list[Any], axis: int) -> Any:
        """Stack arrays along a new axis."""

    def copy(self, array: Any) -> Any:
        """A copy of one of the executor's arrays."""
        return array.copy()

    def dot(self, a: Any, b: Any) -> float:
        """Sum of the products of two arrays of one shape."""
        return float((a * b).sum())

    def outer(self, rows: Any) -> Any:
        """``rows rows^T`` of one of the executor's matrices."""
        return rows @ rows.T

    def larger(self, one: Any, other: Any) -> Any:
        """The larger of two of the executor's numbers, which is no number where one of them is none."""
        return float(np.maximum(one, other))

    def concatenate(self, parts: list[Any], axis: int = 0) -> Any:
        """Join the executor's arrays along an axis that they have."""
        return np.concatenate(parts, axis=axis)

    def centred(self, array: Any) -> Any:
        """The numbers of an array without what encloses them, which floats have not."""
        return array

    def width_of(self, weights: Any) -> int:
        """Number of neurons of the network whose weights, or whose process' share of them, these are."""
        return int(weights.shape[0])

    def added(self, array: Any) -> Any:
        """The sum over all processes of what each found for its neurons, a NumPy array; with one, the array itself."""
        return array

    def gathered(self, value: Any) -> list[Any]:
        """What all processes say, in their order."""
        return [value]

    def to_host(self, array: Any) -> Any:
        """A NumPy array with the same entries, which for NumPy arrays is the array itself."""
        return array

    def from_host(self, array: Any) -> Any:
        """The executor's kind of array from a NumPy array."""
        return array

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
        return Forward(sums, self.concatenate(parts))

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

    def _check_vector(self, vector: Any) -> None:
        if tuple(vector.shape) != (self.samples.total,):
            raise NtkVerifyError(f"the vector must have shape ({self.samples.total},), not {tuple(vector.shape)}")
