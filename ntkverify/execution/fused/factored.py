"""Products on processors: a step of gradient descent is one generated sweep, all else goes factor by factor."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.fused.cpu import check_layout
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.product_source import MOST_SENSORS, at_once, product_source
from ntkverify.execution.machine.threads import available_threads, one_blas_thread, share
from ntkverify.execution.product_samples import ProductSamples
from ntkverify.execution.samples import Forward, check_weights
from ntkverify.execution.walking.factored import FactoredExecutor

#: neurons of a chunk of the sweep, so that its arrays stay in the second-level cache
CHUNK = 256


class FactoredCpuExecutor(FactoredExecutor):
    """Runs a `ProductSamples` problem; chunks are of one size, so that results do not depend on the threads.

    Parameters
    ----------
    samples : ProductSamples
        The problem.
    threads : int, optional
        Number of threads; all processors that the process may use by default.
    """

    def __init__(self, samples: ProductSamples, *, threads: int | None = None) -> None:
        super().__init__(samples)
        if threads is not None and threads < 1:
            raise NtkVerifyError(f"threads must be at least 1, not {threads}")
        self.threads = available_threads() if threads is None else threads
        n_1, q = self._u.shape
        functions = at_once(n_1)
        self._inputs = np.zeros((-(-n_1 // functions) * functions, q))
        self._inputs[:n_1] = self._u
        # beyond so many weights a unit's text would take long to compile
        compiles = q <= MOST_SENSORS
        self._module = load_generated(product_source(self.product, functions)) if compiles else None
        self._points = np.ascontiguousarray(np.concatenate(self._y))
        self._sizes = np.array([len(y) for y in self._y], dtype=np.int64)

    def _rebuilt(self, samples: Any) -> Any:
        if isinstance(samples, ProductSamples):
            return FactoredCpuExecutor(samples, threads=self.threads)
        return super()._rebuilt(samples)

    def forward(self, weights: Array, frozen: Array | None = None) -> Forward:
        if self._module is None:
            return super().forward(weights, frozen)
        return self._sweep(weights, frozen, None, 0.0)

    def step(self, weights: Array, frozen: Array | None, forward: Forward, eta: Any) -> Forward:
        """One step of gradient descent in one sweep: changes `weights` in place, returns the pass at the new ones."""
        if self._module is None:
            return super().step(weights, frozen, forward, eta)
        return self._sweep(weights, frozen, forward, float(eta))

    def _sweep(self, weights: Array, frozen: Array | None, forward: Forward | None, eta: float) -> Forward:
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        frozen = np.ascontiguousarray(frozen)
        check_layout(weights=weights, frozen=frozen)
        m, (n_1, n) = len(weights), (len(self._u), len(self._inputs))
        table = np.zeros((n, len(self._points)))
        if forward is not None:
            table[:n_1] = np.concatenate(self._cotangent_tables(forward, forward.residuals, m), axis=1)
        starts = range(0, m, CHUNK)
        sums = np.empty((len(starts), n, len(self._points)))

        def work(i: int) -> None:
            rows = slice(starts[i], min(starts[i] + CHUNK, m))
            self._module.advance(  # type: ignore[union-attr]
                weights[rows], frozen[rows], self._inputs, self._points, table, self._sizes, self._inner, eta,
                forward is not None, sums[i],
            )  # fmt: skip

        with one_blas_thread():
            share(work, len(starts), self.threads)
        total = sums.sum(axis=0)[:n_1]
        ends = np.cumsum([0, *self._sizes])
        tables = [total[:, lo:hi] for lo, hi in itertools.pairwise(ends)]
        return self._residuals_of(self._sums(tables, m))
