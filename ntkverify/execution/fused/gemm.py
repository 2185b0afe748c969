"""Many inputs per neuron: matrix products over panels of neurons, generated arithmetic between them.

Where the weights meet a sample only through one form ``z = w . v(x)`` with many terms, the sweep's own
inner products cannot keep w and its gradient in registers, and its text grows with the number of inputs. Here
BLAS forms ``Z = V W^T`` for a chunk of neurons, a generated loop turns Z into the shared slopes S in
place, BLAS forms the gradient ``S^T V``, and the updated weights go round once more for the sums. A
chunk's panel stays in the second-level cache; nothing of size n x m is stored.

Chunks are a function of the problem's size alone and each is multiplied by one BLAS thread, so
that results are bit for bit the same whatever the number of threads.
"""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.fused.cpu import check_layout
from ntkverify.execution.fused.gemm_step import measured_step
from ntkverify.execution.fused.products import add_product, sum_of_products, symmetric
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.chain import forward_statements, live
from ntkverify.execution.kernels.gemm_source import FORM, backward, gemm_source, reduction
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import available_threads, one_blas_thread, share
from ntkverify.execution.samples import Forward, Samples, check_weights
from ntkverify.execution.step import MeasuredStep, Step
from ntkverify.symbolic.network.neuron import Neuron

# one thread of an AVX-512 core, the fused sweep's time over this one's: 12 inputs 1.0 at 2 samples, 1.1 to 1.3 at more;
# 32 inputs 1.1 at 2 samples, 1.2 to 1.8 at more; 8 inputs 0.6 to 1.0, 4 inputs 0.4 to 0.5
LEAST_INPUTS, LEAST_SAMPLES = 12, 3
# beyond this many inputs the sweep takes minutes to compile
MOST_FUSED_INPUTS = 64
# samples times neurons of a panel: half a MiB
PANEL_ENTRIES = 65536


def worthwhile(neuron: Neuron, count: int) -> bool:
    """Whether products of panels beat the fused sweep at so many samples."""
    if len(neuron.weights) < LEAST_INPUTS:
        return False
    reduced = reduction(neuron)
    if reduced is None or len(reduced.grouped) < LEAST_INPUTS:
        return False
    return len(reduced.grouped) > MOST_FUSED_INPUTS or count >= LEAST_SAMPLES


def of_processor(samples: Samples, *, threads: int | None = None) -> Executor:
    """What backend "cpu" runs a problem by: panels where they win, else the fused sweep.

    A sweep of more than `MOST_FUSED_INPUTS` weights would take minutes to compile; there the plain evaluator is at work
    at once, on NumPy's own threads.
    """
    if worthwhile(samples.neuron, samples.total):
        return GemmExecutor(samples, threads=threads)
    if len(samples.neuron.weights) > MOST_FUSED_INPUTS:
        from ntkverify.execution.walking.array import ArrayExecutor

        return ArrayExecutor(samples)
    from ntkverify.execution.fused.cpu import CpuExecutor

    return CpuExecutor(samples, threads=threads)


class GemmExecutor(Executor):
    """Runs a problem by panels of neurons; chosen by backend "cpu" where it wins.

    Parameters
    ----------
    samples : Samples
        The problem.
    threads : int, optional
        Number of threads; all processors that the process may use by default.

    Raises
    ------
    NtkVerifyError
        If no weights meet the samples through one form only.
    """

    def __init__(self, samples: Samples, *, threads: int | None = None) -> None:
        super().__init__(samples, ArrayAlgebra(np))
        if threads is not None and threads < 1:
            raise NtkVerifyError(f"threads must be at least 1, not {threads}")
        found = reduction(samples.neuron)
        if found is None:
            raise NtkVerifyError("panels need weights that meet the samples through one sum only; use CpuExecutor")
        self.threads = available_threads() if threads is None else threads
        self.reduction = found
        self._features = max(len(b.block.features) for b in samples.blocks)
        self._module: ModuleType = load_generated(gemm_source(found))
        self._sizes = np.array([b.size for b in samples.blocks], dtype=np.int64)
        places = (found.grouped, found.others, found.own, found.squared)
        self._places = tuple(np.array(c, dtype=np.int64) for c in places)
        self._gather(samples)

    def operations_per_step(self, m: int) -> int:
        """Arithmetic operations of one step of gradient descent at width m: three products and what lies between."""
        found = self.reduction
        products = 6 * len(found.grouped)
        codes = zip(self.samples.blocks, found.neuron.blocks, strict=True)
        each = sum(
            b.size
            * (
                products
                + backward(found, block).operations
                + live(forward_statements(found.neuron, block, found.given), frozenset({FORM})).operations
            )
            for b, block in codes
        )
        return m * each

    def _gather(self, samples: Samples) -> None:
        self._points = np.ascontiguousarray(np.concatenate([b.points for b in samples.blocks]))
        values = {s: self._points[:, i] for i, s in enumerate(self.reduction.neuron.coordinates[:-1])}
        columns = evaluate_all(list(self.reduction.vectors), values, self.algebra)
        self._vectors = np.ascontiguousarray(np.stack([np.broadcast_to(c, samples.total) for c in columns], axis=1))

    def with_samples(self, samples: Samples) -> GemmExecutor:
        other = super().with_samples(samples)
        other._gather(samples)
        return other

    def _rebuilt(self, samples: Samples) -> Executor:
        return of_processor(samples, threads=self.threads)

    def _stack(self, parts: list[Array], axis: int) -> Array:
        return np.stack(parts, axis=axis)

    def forward(self, weights: Array, frozen: Array | None = None) -> Forward:
        return self._sweep(weights, frozen, None, None, 0.0)

    def vjp(self, weights: Array, frozen: Array | None, forward: Forward, vector: Array) -> Array:
        self._check_vector(vector)
        gradient = np.empty((weights.shape[0], len(self.neuron.weights)))
        self._sweep(weights, frozen, self._cotangents(forward, vector, weights.shape[0]), gradient, 0.0)
        return gradient

    def step(self, weights: Array, frozen: Array | None, forward: Forward, eta: float) -> Forward:
        """One step of gradient descent: changes `weights` in place, returns the pass at the new ones."""
        cotangents = self._cotangents(forward, forward.residuals, weights.shape[0])
        return self._sweep(weights, frozen, cotangents, None, float(eta))

    def _measured(self, step: Step) -> MeasuredStep:
        weights, frozen = check_weights(self.neuron, step.weights, step.frozen)
        check_layout(weights=weights, frozen=frozen)
        return measured_step(self, dataclasses.replace(step, weights=weights, frozen=frozen))

    def _cotangents(self, forward: Forward, vector: Array, m: int) -> Array:
        result = np.zeros((self._features, self.samples.total))
        root = 1 / np.sqrt(np.float64(m))
        for b, slopes in zip(self.samples.blocks, self.slopes(forward), strict=True):
            for k, slope in enumerate(slopes):
                result[k, b.rows] = slope * root * vector[b.rows]
        return result

    def _chunk(self) -> int:
        return max(128, min(1024, PANEL_ENTRIES // self.samples.total))

    def _sweep(
        self, weights: Array, frozen: Array | None, cotangents: Array | None, gradient: Array | None, eta: float
    ) -> Forward:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        check_layout(weights=weights, frozen=frozen)
        m, chunk = len(weights), self._chunk()
        starts = range(0, m, chunk)
        sums = np.zeros((len(starts), self._features, self.samples.total))
        # what stands for "not asked for" in compiled code
        nothing = np.empty((0, 0))
        slopes, kept = nothing if cotangents is None else cotangents, nothing if gradient is None else gradient

        def work(i: int) -> None:
            rows = slice(starts[i], min(starts[i] + chunk, m))
            self._module.advance(
                weights[rows], frozen[rows], self._vectors, self._points, *self._places, slopes,
                self._sizes, eta, kept[rows], sums[i],
            )  # fmt: skip

        with one_blas_thread():
            share(work, len(starts), self.threads)
        if gradient is not None:
            return Forward((), np.empty(0))
        total = sums.sum(axis=0) * (1 / np.sqrt(np.float64(m)))
        return self._residuals_of(tuple(total[: len(b.block.features), b.rows] for b in self.samples.blocks))

    def _columns(self) -> Any:
        first, last = self.reduction.grouped[0], self.reduction.grouped[-1]
        # a range can be multiplied where it lies; scattered columns are copied
        return slice(first, last + 1) if last - first + 1 == len(self.reduction.grouped) else self.reduction.grouped

    def _panels(self, weights: Array, frozen: Array | None) -> tuple[Any, int]:
        """A function that gives, for a chunk, the shared slopes (N, L) and the other gradients, (p', N, L)."""
        weights, frozen = check_weights(self.neuron, weights, frozen)
        check_layout(weights=weights, frozen=frozen)
        if self.samples.is_linear:
            forward = Forward(tuple(np.empty((1, b.size)) for b in self.samples.blocks), np.empty(0))
        else:
            forward = self.forward(weights, frozen)
        cotangents = self._cotangents(forward, np.ones(self.samples.total), len(weights))

        def panel(start: int, stop: int) -> tuple[Array, Array]:
            w, f = weights[start:stop], np.ascontiguousarray(frozen[start:stop].T)
            rest = self._rest(w)
            z = self._vectors @ w[:, self._columns()].T
            each = np.empty((self.samples.total, *rest.shape))
            self._module.panels(z, rest, f, self._points, cotangents, self._sizes, each)
            return z, each.transpose(1, 0, 2)

        return panel, len(weights)

    def _rest(self, weights: Array) -> Array:
        """What features hold besides the form, (p', L): other weights, own appearances, the sum of squares."""
        found, shared = self.reduction, weights[:, self._columns()]
        rows = [weights[:, list(found.others)].T, shared[:, list(found.own)].T]
        if found.squared:
            rows.append(np.sum(shared[:, list(found.squared)] ** 2, axis=1)[None, :])
        return np.ascontiguousarray(np.concatenate(rows))

    def _gradients_of(self, slopes: Array, each: Array, weights: Array) -> Array:
        """The gradient (N, L, p) of some neurons from the shared slopes and those in what else features hold."""
        found, count = self.reduction, len(self.reduction.others)
        result = np.empty((self.samples.total, len(weights), len(self.neuron.weights)))
        shared = slopes[:, :, None] * self._vectors[:, None, :]
        for k, place in enumerate(found.own):
            shared[:, :, place] += each[count + k]
        if found.squared:
            places = list(found.squared)
            shared[:, :, places] += 2 * each[-1][:, :, None] * weights[:, self._columns()][:, places]
        result[:, :, self._columns()] = shared
        result[:, :, list(found.others)] = each[:count].transpose(1, 2, 0)
        return result

    def jacobian(self, weights: Array, frozen: Array | None = None) -> Array:
        needed = 8 * self.samples.total * weights.size
        refuse_beyond_memory(needed, f"the Jacobian of {self.samples.total} residuals at m = {len(weights)}")
        panel, m = self._panels(weights, frozen)
        result = np.empty((self.samples.total, m, len(self.neuron.weights)))
        for start in range(0, m, self._chunk()):
            stop = min(start + self._chunk(), m)
            slopes, each = panel(start, stop)
            result[:, start:stop] = self._gradients_of(slopes, each, weights[start:stop])
        return result.reshape(self.samples.total, -1)

    def gram(self, weights: Array, frozen: Array | None = None) -> Array:
        """``J J^T = (S S^T) * (V V^T)`` plus the products of the other weights' gradients."""
        panel, m = self._panels(weights, frozen)
        n, components = self.samples.total, 1 + len(self.reduction.others)
        if self.reduction.own or self.reduction.squared:
            return self._gram_of_gradients(panel, weights)
        products = np.zeros((n, n))

        def fill(out: Array, start: int, stop: int) -> None:
            out[0], out[1:] = panel(start, stop)

        shared, dense = sum_of_products(fill, components, n, m, strip=self._chunk(), threads=self.threads)
        add_product(products, self._vectors, self.threads)
        return symmetric(shared * products + dense)

    def _gram_of_gradients(self, panel: Any, weights: Array) -> Array:
        """``J J^T`` where gradients are no multiples of one vector per sample."""
        n, (m, p) = self.samples.total, weights.shape

        def fill(out: Array, start: int, stop: int) -> None:
            slopes, each = panel(start, stop)
            out[:] = self._gradients_of(slopes, each, weights[start:stop]).transpose(2, 0, 1)

        one, others = sum_of_products(fill, p, n, m, strip=self._chunk(), threads=self.threads)
        return symmetric(one + others)
