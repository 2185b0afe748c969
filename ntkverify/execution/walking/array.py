"""The reference executor: the evaluator over array-API arrays, nothing clever."""

from __future__ import annotations

import dataclasses
import functools
import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from ntkverify.arithmetic.evaluator import ArrayAlgebra, Formulas
from ntkverify.execution.base import Executor
from ntkverify.execution.machine.memory import ALWAYS_FREE
from ntkverify.execution.machine.threads import in_order
from ntkverify.execution.rounding import CHUNK, sum_roundings
from ntkverify.execution.samples import Forward, Samples, check_weights
from ntkverify.execution.step import MeasuredStep, Step
from ntkverify.execution.walking.chunk import Chunk, same, total
from ntkverify.execution.walking.step import measured_step
from ntkverify.symbolic.expression.majorant import majorant, roundings

#: numbers that the arrays of one chunk hold, at most: they are to stay near the processor
CHUNK_NUMBERS = 1 << 22
#: passes whose neurons are looked at: an implicit step asks at its start again after a round elsewhere
RECENT = 3
#: bytes that the neurons of one pass may come to if they are kept; all recent ones stay below what nobody asks for
KEPT_BYTES = ALWAYS_FREE // (RECENT + 1)


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

    # -- what the neurons are asked for -------------------------------------------------------------------------------

    @functools.cached_property
    def formulas(self) -> list[Formulas]:
        """Per block, the features, and their derivatives feature by feature."""
        gradients = self.neuron.gradients
        return [
            Formulas([b.block.features, [g for gs in gradients[b.block.name] for g in gs]], self.algebra)
            for b in self.samples.blocks
        ]

    @functools.cached_property
    def bounds(self) -> list[Formulas]:
        """Per block, the majorants of the features."""
        given = frozenset(self.neuron.coordinates)
        return [Formulas([[majorant(f, given) for f in b.block.features]], self.algebra) for b in self.samples.blocks]

    @property
    def coordinates(self) -> list[dict[Any, Any]]:
        """Per block, the samples' coordinates, (n_b, 1)."""
        return [
            {s: b.points[:, i][:, None] for i, s in enumerate(self.neuron.coordinates)} for b in self.samples.blocks
        ]

    @functools.cached_property
    def _own_roundings(self) -> int:
        """Most roundings within one neuron's features."""
        given = frozenset(self.neuron.coordinates)
        return max(roundings(f, given) for b in self.samples.blocks for f in b.block.features)

    @functools.cached_property
    def at_once(self) -> int:
        """Neurons of one chunk."""
        return max(1, min(CHUNK, CHUNK_NUMBERS // (self.samples.total * (len(self.neuron.weights) + 2))))

    def _slices(self, m: int) -> list[slice]:
        return [slice(lo, min(lo + self.at_once, m)) for lo in range(0, m, self.at_once)]

    def _neurons(self, weights: Any, frozen: Any) -> Chunk:
        """Neurons at these weights."""
        return Chunk(self, weights, frozen)

    def _keeps(self, m: int) -> bool:
        """Whether passes over so many neurons keep them."""
        return False

    def _keep(self, chunk: Chunk, forward: Forward) -> None:
        """Keep a whole network's neurons, at arrays that nobody else has, as long as the pass at them lives."""

    def _cotangents(self, slopes: list[list[Any]], vector: Any, m: int) -> list[list[Any]]:
        """Per block and feature, what its derivatives are multiplied by, (n_b,)."""
        root = self._inverse_root(m)
        return [
            [slope * root * vector[b.rows] for slope in ks] for b, ks in zip(self.samples.blocks, slopes, strict=True)
        ]

    def _slopes_at(self, weights: Any, frozen: Any) -> list[list[Any]]:
        """The slopes there, for which linear residuals need no pass."""
        if self.samples.is_linear:
            return [[b.scale] for b in self.samples.blocks]
        return self.slopes(self.forward(weights, frozen))

    # -- the interface ------------------------------------------------------------------------------------------------

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        m = weights.shape[0]
        chunks, root = self._slices(m), self._inverse_root(m)
        keeps = self._keeps(m)
        if keeps:  # whoever trains these weights changes the array
            weights, frozen = self.copy(weights), self.copy(frozen)

        def part(rows: slice) -> tuple[list[Any], Chunk | None]:
            chunk = self._neurons(weights[rows, :], frozen[rows, :])
            found = [self._stack([self._sum(f, 1) for f in features], 0) for features in chunk.features]
            return found, chunk if keeps else None

        (sums, kept), *others = self._in_order(part, chunks)
        for found, _ in others:
            sums = [a + b for a, b in zip(sums, found, strict=True)]
        forward = self._residuals_of(tuple(array * root for array in sums))
        if kept is not None:
            self._keep(kept, forward)
        return forward

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        self._check_vector(vector)
        m = weights.shape[0]
        cotangents = self._cotangents(self.slopes(forward), vector, m)
        chunks = self._slices(m)
        if len(chunks) == 1:
            chunk = self._neurons(weights, frozen)
            if vector is forward.residuals:  # a measured step will ask for it again
                return self.copy(chunk.steepest_again(cotangents))
            return chunk.steepest(cotangents)

        def part(rows: slice) -> Any:
            return self._neurons(weights[rows, :], frozen[rows, :]).steepest(cotangents)

        return self.concatenate(list(self._in_order(part, chunks)))

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        return self._jacobian_of(self._slopes_at(weights, frozen), weights, frozen)

    def _jacobian_of(self, slopes: list[list[Any]], weights: Any, frozen: Any) -> Any:
        """The Jacobian where the derivatives of the pointwise residuals are known."""
        (m, p), chunk = weights.shape, self._neurons(weights, frozen)
        root = self._inverse_root(m)
        columns = [[rows * root for rows in chunk.weighted(slopes, i)] for i in range(p)]
        # each (n_b, m, p)
        blocks = [self._stack(list(parts), 2) for parts in zip(*columns, strict=True)]
        return self.concatenate([self._rows(block) for block in blocks])

    def _rows(self, array: Any) -> Any:
        """(n, m, p) to (n, m * p)."""
        return array.reshape((array.shape[0], -1))

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        slopes, m = self._slopes_at(weights, frozen), weights.shape[0]
        root = self._inverse_root(m)

        def part(rows: slice) -> Any:
            return self._neurons(weights[rows, :], frozen[rows, :]).gram(slopes)

        return total(self._in_order(part, self._slices(m))) * root * root


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
        super().__init__(self._own(samples), ArrayAlgebra(xp))
        #: passes that keep their neurons
        self._recent: list[weakref.ref[Forward]] = []

    def _own(self, samples: Samples) -> Samples:
        """The samples in arrays of their own: what is kept holds for these points, whatever becomes of the caller's."""
        blocks = tuple(
            dataclasses.replace(b, points=self.copy(b.points), targets=self.copy(b.targets)) for b in samples.blocks
        )
        return Samples(samples.neuron, blocks)

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        return super().forward(weights, self._frozen(weights, frozen))

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        return super().vjp(weights, self._frozen(weights, frozen), forward, vector)

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        return super().jacobian(weights, self._frozen(weights, frozen))

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        return super().gram(weights, self._frozen(weights, frozen))

    def _measured(self, step: Step) -> MeasuredStep:
        if step.frozen is None:
            step = dataclasses.replace(step, frozen=self._frozen(step.weights, None))
        return super()._measured(step)

    @functools.cached_property
    def coordinates(self) -> list[dict[Any, Any]]:
        return super().coordinates

    def with_samples(self, samples: Samples) -> Self:
        other = super().with_samples(self._own(samples))
        other._recent = []
        vars(other).pop("coordinates", None)
        return other

    def _neurons(self, weights: Any, frozen: Any) -> Chunk:
        """Neurons at these weights, those that a pass left behind if they are the same."""
        for reference in self._recent:
            forward = reference()
            known: Chunk | None = None if forward is None else forward.kept
            if (
                known is not None
                and known.samples is self.samples
                and same(known.weights, weights)
                and same(known.frozen, frozen)
            ):
                return known
        return super()._neurons(weights, frozen)

    @functools.cached_property
    def _kept_bytes(self) -> int:
        """Bytes of one neuron, at most: weights, majorants, and all values on the way to features and derivatives."""
        own = 2 * len(self.neuron.weights) + len(self.neuron.frozen)
        blocks = zip(self.formulas, self.samples.blocks, strict=True)
        return 8 * (own + sum((f.length + len(b.block.features)) * b.size for f, b in blocks))

    def _keeps(self, m: int) -> bool:
        return self.xp is np and m <= self.at_once and m * self._kept_bytes <= KEPT_BYTES

    def _keep(self, chunk: Chunk, forward: Forward) -> None:
        forward.keep(chunk)
        for reference in self._recent[RECENT - 1 :]:
            if (old := reference()) is not None:
                old.keep(None)
        self._recent = [weakref.ref(forward), *self._recent[: RECENT - 1]]

    def _largest(self, values: Any) -> Any:
        return float(self.xp.max(values))

    def _total(self, values: Any) -> Any:
        return float(self._sum(values, 0))

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
        # what NumPy's own sum comes to, after as long a way as a small sum takes
        return np.add.reduce(array, axis=axis) if self.xp is np else self.xp.sum(array, axis=axis)

    def _full(self, array: Any, shape: tuple[int, int]) -> Any:
        return array if array.shape == shape else self.xp.broadcast_to(array, shape)

    def _stack(self, parts: list[Any], axis: int) -> Any:
        return parts[0][None] if len(parts) == 1 and axis == 0 and self.xp is np else self.xp.stack(parts, axis=axis)

    def _rows(self, array: Any) -> Any:
        return self.xp.reshape(array, (array.shape[0], -1))

    def copy(self, array: Any) -> Any:
        return self.xp.asarray(array, copy=True)

    def dot(self, a: Any, b: Any) -> float:
        return float(self.xp.sum(a * b))

    def concatenate(self, parts: list[Any], axis: int = 0) -> Any:
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=axis)

    def to_host(self, array: Any) -> Any:
        # CuPy converts only when told to
        return array.get() if hasattr(array, "get") else np.asarray(array)

    def from_host(self, array: Any) -> Any:
        return self.xp.asarray(array)
