"""The fused CPU executor: kernels generated from the neuron, compiled by numba, cached on disk."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.fused.products import Fill, Run, add_product, fill_in_strips, sum_of_products, symmetric
from ntkverify.execution.fused.step import measured_step
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.panel_source import PanelSource, panel_source
from ntkverify.execution.kernels.sweep_source import batch_source, kernel_source, padded_size
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import available_threads, share
from ntkverify.execution.samples import Forward, Samples, check_weights
from ntkverify.execution.step import MeasuredStep, Step

# one chunk, some 200 microseconds of work, should outlast the tens of microseconds that handing it to a thread takes
CHUNK_OPERATIONS = 1_000_000
MOST_CHUNKS = 64


class CpuExecutor(Executor):
    """Runs a problem in fused sweeps over the neurons.

    The neurons are cut into chunks by the size of the problem alone and the chunks' sums are added in order,
    so that results are bit for bit the same whatever the number of threads.

    Parameters
    ----------
    samples : Samples
        The problem.
    threads : int, optional
        Number of threads; all processors that the process may use by default.
    """

    def __init__(self, samples: Samples, *, threads: int | None = None) -> None:
        super().__init__(samples, ArrayAlgebra(np))
        if threads is not None and threads < 1:
            raise NtkVerifyError(f"threads must be at least 1, not {threads}")
        self.threads = available_threads() if threads is None else threads
        sizes = tuple(b.size for b in samples.blocks)
        self.source = kernel_source(samples.neuron, sizes)
        self._module = load_generated(self.source.text)
        padded = [padded_size(n, s) for n, s in zip(sizes, self.source.at_once, strict=True)]
        self._sizes = np.array(padded, dtype=np.int64)
        starts = np.cumsum([0, *padded])
        #: rows of the padded arrays that hold real samples
        self._rows = [slice(s, s + n) for s, n in zip(starts, sizes, strict=False)]
        self._features = max(len(b.block.features) for b in samples.blocks)
        self._points = self._pad_points(tuple(b.points for b in samples.blocks))
        self._nothing = np.empty((0, len(samples.neuron.weights)))
        self._no_cotangents = np.zeros((self._features, self._padded))

    @property
    def _padded(self) -> int:
        return int(self._sizes.sum())

    def _pad_points(self, points: tuple[Array, ...]) -> Array:
        """All points, every block's last one repeated up to a whole number of passes."""
        parts = [
            np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])
            for x, size in zip(points, self._sizes, strict=True)
        ]
        return np.ascontiguousarray(np.concatenate(parts))

    def operations_per_step(self, m: int) -> int:
        """Arithmetic operations of one step of gradient descent at width m."""
        each = zip(self.source.gradient_operations, self.source.forward_operations, strict=True)
        return m * sum(b.size * (g + f) for b, (g, f) in zip(self.samples.blocks, each, strict=True))

    def forward(self, weights: Array, frozen: Array | None = None) -> Forward:
        return self._sweep(weights, frozen, None, 0.0, self._nothing, add=True)

    def vjp(self, weights: Array, frozen: Array | None, forward: Forward, vector: Array) -> Array:
        self._check_vector(vector)
        gradient = np.empty((weights.shape[0], len(self.neuron.weights)))
        self._sweep(weights, frozen, self._cotangents(forward, vector, weights.shape[0]), 0.0, gradient, add=False)
        return gradient

    def step(self, weights: Array, frozen: Array | None, forward: Forward, eta: float) -> Forward:
        """One step of gradient descent in one sweep: changes `weights` in place, returns the pass at the new ones."""
        cotangents = self._cotangents(forward, forward.residuals, weights.shape[0])
        return self._sweep(weights, frozen, cotangents, float(eta), self._nothing, add=True)

    def _measured(self, step: Step) -> MeasuredStep:
        weights, frozen = self._checked(step.weights, step.frozen)
        return measured_step(self, dataclasses.replace(step, weights=weights, frozen=frozen))

    def with_samples(self, samples: Samples) -> CpuExecutor:
        """The same kernels on other samples, padded like these."""
        other = super().with_samples(samples)
        other._points = other._pad_points(tuple(b.points for b in samples.blocks))
        return other

    def descend(
        self,
        weights: Array,
        frozen: Array | None,
        eta: Any,
        *,
        steps: int,
        every: int = 1,
        points: Any = None,
        targets: Any = None,
    ) -> Array:
        """A batch of networks in one compiled call, each in one thread for all of its steps."""
        networks = self._networks(weights, eta, steps, every, points, targets)
        count, m = weights.shape[:2]
        if frozen is None:
            frozen = np.empty((count, m, 0))
        if frozen.shape != (count, m, len(self.neuron.frozen)):
            raise NtkVerifyError(f"frozen must have shape {(count, m, len(self.neuron.frozen))}, not {frozen.shape}")
        for j in range(count):
            check_weights(self.neuron, weights[j], frozen[j])
        check_layout(weights=weights, frozen=frozen)
        stored = np.empty((count, steps // every + 1, self._padded))
        refuse_beyond_memory(stored.nbytes, f"the residuals of {count} networks over {steps} steps")
        different = networks if points is not None or targets is not None else networks[:1]
        x = np.stack([e._points for e, _ in different]).astype(np.float64, copy=False)
        y = np.stack([e._padded_rows([b.targets for b in e.samples.blocks]) for e, _ in different])
        scale = self._padded_rows([np.full(b.size, b.scale) for b in self.samples.blocks])
        etas = np.array([step for _, step in networks])
        root = 1 / np.sqrt(np.float64(m))
        batch = load_generated(batch_source(self.neuron, self._module.__name__))

        def work(i: int) -> None:
            batch.descend(
                weights, frozen, x, y, scale, self._sizes, etas, steps, every, root, stored, i * count // shares,
                (i + 1) * count // shares,
            )  # fmt: skip

        # more shares than threads, so that a thread that is held up leaves its work to the others
        shares = min(count, 8 * self.threads)
        small = count * steps * self.operations_per_step(m) < CHUNK_OPERATIONS
        share(work, shares, 1 if small else self.threads, brief=False)
        return stored[:, :, self._kept]

    def _rebuilt(self, samples: Samples) -> CpuExecutor:
        return CpuExecutor(samples, threads=self.threads)

    def _stack(self, parts: list[Array], axis: int) -> Array:
        return np.stack(parts, axis=axis)

    def _padded_rows(self, parts: list[Array]) -> Array:
        """One row per padded sample; zero, also for the scale, where there is no sample."""
        result = np.zeros(self._padded)
        for rows, part in zip(self._rows, parts, strict=True):
            result[rows] = part
        return result

    def _cotangents(self, forward: Forward, vector: Array, m: int) -> Array:
        result = np.zeros((self._features, self._padded))
        root = 1 / np.sqrt(np.float64(m))
        for b, rows, slopes in zip(self.samples.blocks, self._rows, self.slopes(forward), strict=True):
            for k, slope in enumerate(slopes):
                result[k, rows] = slope * root * vector[b.rows]
        return result

    def _sweep(
        self, weights: Array, frozen: Array | None, cotangents: Array | None, eta: float, gradient: Array, *, add: bool
    ) -> Forward:
        weights, frozen = self._checked(weights, frozen)
        m = weights.shape[0]
        differentiate = cotangents is not None
        c = self._no_cotangents if cotangents is None else cotangents
        update = differentiate and not len(gradient)
        starts = self.chunks(m, self.source.lanes)
        sums = np.zeros((len(starts) - 1, self._features, self._padded))

        def work(i: int) -> None:
            self._module.sweep(
                weights, frozen, self._points, c, self._sizes, eta, gradient, sums[i], differentiate, update, add,
                starts[i], starts[i + 1],
            )  # fmt: skip

        share(work, len(starts) - 1, self.threads)
        if not add:
            return Forward((), np.empty(0))
        total = sums[0] if len(sums) == 1 else sums.sum(axis=0)
        total *= 1 / np.sqrt(np.float64(m))
        parts = zip(self.samples.blocks, self._rows, strict=True)
        return self._residuals_of(tuple(total[: len(b.block.features), rows] for b, rows in parts))

    def chunks(self, m: int, lanes: int) -> list[int]:
        """Boundaries of the chunks of neurons, of whole groups of `lanes`: a function of the problem's size only."""
        count = min(MOST_CHUNKS, max(1, self.operations_per_step(m) // CHUNK_OPERATIONS))
        size = -(-m // (count * lanes)) * lanes
        return [*range(0, m, size), m]

    def _checked(self, weights: Array, frozen: Array | None) -> tuple[Array, Array]:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        check_layout(weights=weights, frozen=frozen)
        return weights, frozen

    def jacobian(self, weights: Array, frozen: Array | None = None) -> Array:
        """J of shape (N, m p), filled strip by strip of the neurons."""
        weights, frozen = self._checked(weights, frozen)
        (m, p), count, kept = weights.shape, self.samples.total, self._kept
        refuse_beyond_memory(8 * count * m * p, f"the Jacobian of {count} residuals at m = {m}")
        source, fill, _ = self._panels(weights, frozen, factor=False)
        result = np.empty((count, m, p))

        def put(out: Array, start: int, stop: int) -> None:
            strip = np.empty((source.components, self._padded, stop - start))
            fill(strip, start, stop)
            out[...] = strip[:, kept]

        fill_in_strips(put, result.transpose(2, 0, 1), 0, m, strip=16 * self.source.lanes, threads=self.threads)
        return result.reshape(count, -1)

    def gram(self, weights: Array, frozen: Array | None = None) -> Array:
        """``J J^T`` from products of panels of neurons: J is never stored."""
        weights, frozen = self._checked(weights, frozen)
        source, fill, run = self._panels(weights, frozen, factor=True)
        if not source.components:
            return np.zeros((self.samples.total, self.samples.total))
        first, others = sum_of_products(
            fill, source.components, self._padded, len(weights), strip=self.source.lanes, threads=self.threads, run=run
        )
        if source.factored:
            products = np.zeros_like(first)
            add_product(products, self._vectors(source), self.threads)
            first = first * products
        return symmetric(first + others)[np.ix_(self._kept, self._kept)]

    @cached_property
    def _factored_panel(self) -> tuple[PanelSource, ModuleType]:
        return self._panel_module(factor=True)

    @cached_property
    def _dense_panel(self) -> tuple[PanelSource, ModuleType]:
        return self._panel_module(factor=False)

    def _panel_module(self, *, factor: bool) -> tuple[PanelSource, ModuleType]:
        source = panel_source(self.neuron, self.source.at_once, factor=factor)
        return source, load_generated(source.text)

    @property
    def _kept(self) -> npt.NDArray[np.int64]:
        """Which of the padded rows are samples."""
        return np.concatenate([np.arange(r.start, r.stop) for r in self._rows])

    def _panels(self, weights: Array, frozen: Array, *, factor: bool) -> tuple[PanelSource, Fill, Run]:
        """The generated panels, and what fills them, and adds up their products, at these weights."""
        source, module = self._factored_panel if factor else self._dense_panel
        if self.samples.is_linear:
            # the slopes are constants, so the sums need not be known
            forward = Forward(tuple(np.empty((1, b.size)) for b in self.samples.blocks), np.empty(0))
        else:
            forward = self.forward(weights, frozen)
        cotangents = self._cotangents(forward, np.ones(self.samples.total), weights.shape[0])

        def fill(out: Array, start: int, stop: int) -> None:
            strip = np.empty(out.shape)
            module.panel(weights, frozen, self._points, cotangents, self._sizes, strip, start, stop)
            out[...] = strip

        def run(room: Array, first: int, last: int, one: Array, others: Array) -> None:
            module.run(weights, frozen, self._points, cotangents, self._sizes, room, first, last, one, others)

        return source, fill, run

    def _vectors(self, source: PanelSource) -> Array:
        """The vectors that multiply the shared scalar, shape (padded rows, factored weights)."""
        result = np.zeros((self._padded, len(source.factored)))
        for b, rows, vector in zip(self.samples.blocks, self._rows, source.vectors, strict=True):
            values = {s: b.points[:, i] for i, s in enumerate(source.coordinates)}
            for k, column in enumerate(evaluate_all(list(vector), values, self.algebra)):
                result[rows, k] = column
        return result


def check_layout(**arrays: Array) -> None:
    """The kernels work in place on memory that they can write, neuron by neuron."""
    for name, array in arrays.items():
        if array.dtype != np.float64 or not (array.flags.c_contiguous and array.flags.writeable):
            raise NtkVerifyError(
                f"{name} must be a C-contiguous, writeable float64 array, not {array.dtype} with flags "
                f"{array.flags.num}; pass np.array({name}, dtype=float, order='C')"
            )
