"""The reference executor: the evaluator over array-API arrays, nothing clever."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.execution.base import Executor
from ntkverify.execution.machine.threads import in_order
from ntkverify.execution.rounding import sum_roundings
from ntkverify.execution.samples import BlockSamples, Forward, Samples, check_weights
from ntkverify.execution.step import MeasuredStep, Step
from ntkverify.execution.walking.step import measured_step


class WalkingExecutor(Executor):
    """Evaluates features and gradients on (m, n) arrays by walking their trees, whatever the number type."""

    def _inverse_root(self, m: int) -> Any:
        return 1 / math.sqrt(m)

    def _sum(self, array: Any, axis: int) -> Any:
        return array.sum(axis=axis)

    def _full(self, array: Any, shape: tuple[int, int]) -> Any:
        return np.broadcast_to(array, shape)

    def _stack(self, parts: list[Any], axis: int) -> Any:
        return np.stack(parts, axis=axis)

    def _square_root(self, value: Any) -> Any:
        """Root of a sum of squares."""
        return math.sqrt(value)

    def _largest(self, values: Any) -> Any:
        """The largest of the entries of (c,)."""
        return functools.reduce(self.larger, values)

    def _total(self, values: Any) -> Any:
        """The sum of the entries of (c,)."""
        return self._sum(values, 0)

    def _in_order(self, work: Callable[[slice], Any], chunks: list[slice]) -> Iterator[Any]:
        """Results of `work` in the order of the chunks."""
        return map(work, chunks)

    def _sum_roundings(self, width: int, chunk: int) -> int:
        """Most roundings between a neuron's term and the total over a network, added chunk by chunk."""
        return chunk + -(-width // chunk)

    def _measured(self, step: Step) -> MeasuredStep:
        return measured_step(self, step)

    def _neuron_values(self, b: BlockSamples, weights: Any, frozen: Any) -> dict[Any, Any]:
        neuron = self.neuron
        values = {s: weights[:, i][:, None] for i, s in enumerate(neuron.weights)}
        values |= {s: frozen[:, i][:, None] for i, s in enumerate(neuron.frozen)}
        return values | {s: b.points[:, i][None, :] for i, s in enumerate(neuron.coordinates)}

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        m = weights.shape[0]
        sums = []
        for b in self.samples.blocks:
            features = evaluate_all(list(b.block.features), self._neuron_values(b, weights, frozen), self.algebra)
            full = [self._full(f, (m, b.size)) for f in features]
            sums.append(self._stack([self._sum(f, 0) * self._inverse_root(m) for f in full], 0))
        return self._residuals_of(tuple(sums))

    def _gradients(self, b: BlockSamples, slopes: list[Any], weights: Any, frozen: Any) -> list[Any]:
        """Per weight: derivative of every residual of the block in that weight of every neuron, (m, n_b)."""
        m, p = weights.shape[0], len(self.neuron.weights)
        per_feature = self.neuron.gradients[b.block.name]
        flat = evaluate_all(
            [g for gs in per_feature for g in gs], self._neuron_values(b, weights, frozen), self.algebra
        )
        result = []
        for i in range(p):
            total = None
            for k in range(len(per_feature)):
                term = self._full(flat[k * p + i], (m, b.size)) * slopes[k]
                total = term if total is None else total + term
            result.append(total * self._inverse_root(m))
        return result

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        self._check_vector(vector)
        total: Any = None
        for b, slopes in zip(self.samples.blocks, self.slopes(forward), strict=True):
            v = vector[b.rows][None, :]
            part = self._stack([self._sum(g * v, 1) for g in self._gradients(b, slopes, weights, frozen)], 1)
            total = part if total is None else total + part
        return total

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        return self._jacobian_of(self.slopes(self.forward(weights, frozen)), weights, frozen)

    def _jacobian_of(self, slopes: list[list[Any]], weights: Any, frozen: Any) -> Any:
        """The Jacobian where the derivatives of the pointwise residuals are known."""
        blocks = zip(self.samples.blocks, slopes, strict=True)
        # each (p, m, n)
        gradients = [self._stack(self._gradients(b, s, weights, frozen), 0) for b, s in blocks]
        return self.concatenate([self._rows(g) for g in gradients])

    def _rows(self, array: Any) -> Any:
        """(p, m, n) to (n, m * p)."""
        return np.transpose(array, (2, 1, 0)).reshape((array.shape[2], -1))

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        jacobian = self.jacobian(weights, frozen)
        return jacobian @ jacobian.T


class ArrayExecutor(WalkingExecutor):
    """Executor over arrays of an array-API namespace; keeps (m, n) arrays, so meant for small problems.

    Parameters
    ----------
    samples : Samples
        Problem, with NumPy arrays; they are moved to `xp`.
    xp : module
        The array-API namespace.
    """

    def __init__(self, samples: Samples, xp: Any = np) -> None:
        self.xp = xp
        blocks = tuple(
            BlockSamples(b.block, xp.asarray(b.points), xp.asarray(b.targets), b.scale, b.rows) for b in samples.blocks
        )
        super().__init__(Samples(samples.neuron, blocks), ArrayAlgebra(xp))

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        return super().forward(weights, self._frozen(weights, frozen))

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        return super().vjp(weights, self._frozen(weights, frozen), forward, vector)

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        return super().jacobian(weights, self._frozen(weights, frozen))

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        jacobian = self.jacobian(weights, frozen)
        return jacobian @ self.xp.permute_dims(jacobian, (1, 0))

    def _measured(self, step: Step) -> MeasuredStep:
        return super()._measured(dataclasses.replace(step, frozen=self._frozen(step.weights, step.frozen)))

    def _largest(self, values: Any) -> Any:
        return float(self.xp.max(values))

    def _total(self, values: Any) -> Any:
        return float(self.xp.sum(values))

    def outer(self, rows: Any) -> Any:
        return rows @ self.xp.permute_dims(rows, (1, 0))

    def _in_order(self, work: Callable[[slice], Any], chunks: list[slice]) -> Iterator[Any]:
        return in_order(work, chunks) if self.xp is np else map(work, chunks)

    def _sum_roundings(self, width: int, chunk: int) -> int:
        return sum_roundings(width, chunk) if self.xp is np else super()._sum_roundings(width, chunk)

    def step(self, weights: Any, frozen: Any, forward: Forward, eta: Any) -> Forward:
        return super().step(weights, self._frozen(weights, frozen), forward, eta)

    def _frozen(self, weights: Any, frozen: Any) -> Any:
        return self.xp.zeros((weights.shape[0], 0), dtype=self.xp.float64) if frozen is None else frozen

    def _rebuilt(self, samples: Samples) -> ArrayExecutor:
        return ArrayExecutor(samples, self.xp)

    def _sum(self, array: Any, axis: int) -> Any:
        return self.xp.sum(array, axis=axis)

    def _full(self, array: Any, shape: tuple[int, int]) -> Any:
        return self.xp.broadcast_to(array, shape)

    def _stack(self, parts: list[Any], axis: int) -> Any:
        return self.xp.stack(parts, axis=axis)

    def _rows(self, array: Any) -> Any:
        return self.xp.reshape(self.xp.permute_dims(array, (2, 1, 0)), (array.shape[2], -1))

    def copy(self, array: Any) -> Any:
        return self.xp.asarray(array, copy=True)

    def dot(self, a: Any, b: Any) -> float:
        return float(self.xp.sum(a * b))

    def concatenate(self, parts: list[Any], axis: int = 0) -> Any:
        return self.xp.concat(parts, axis=axis)

    def to_host(self, array: Any) -> Any:
        # CuPy converts only when told to
        return array.get() if hasattr(array, "get") else np.asarray(array)

    def from_host(self, array: Any) -> Any:
        return self.xp.asarray(array)
