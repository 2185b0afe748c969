"""The network as a function: its values at points that are not trained on, and the kernel between them and those."""

from __future__ import annotations

from typing import Any

from ntkverify.execution import Executor
from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot
from ntkverify.measures.steps import stacked


class Field:
    """Residuals at q test points along training, which with targets 0 and scales 1 are the outputs there.

    Leaves ``field`` (K+1, q), and ``field_error`` (K+1, q), the bound of its rounding errors; with `kernels` also
    ``cross_kernels`` (K+1, q, N), J_x J^T, and ``field_kernels`` (K+1, q), the diagonal of J_x J_x^T. Whatever the
    method; the loop's own executor never sees the test points.

    Parameters
    ----------
    executor : Executor
        Of the samples that are trained on followed by the test points, in the arithmetic of the run.
    trained : int
        How many residuals are trained on, N.
    kernels : bool
        Whether the Gram matrix of all points is formed at every step.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, executor: Executor, trained: int, *, kernels: bool = True) -> None:
        self._executor = executor
        self._trained = trained
        self._kernels = kernels
        self._kept: dict[str, list[Any]] = {"field": [], "field_error": []}

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._keep(at)

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        self._keep(after)

    def _keep(self, at: Snapshot) -> None:
        executor, first = self._executor, self._trained
        forward = executor.forward(at.weights, at.frozen)
        # a step of length zero, of a copy: where a gradient overflows the weights would not survive it
        still = executor.measured_step(
            executor.copy(at.weights), at.frozen, forward, 0, start=at.weights, gram=self._kernels
        )
        found = {"field": forward.residuals[first:], "field_error": still.errors[first:]}
        if self._kernels:
            rows = executor.to_host(still.gram)[first:]
            found |= {"cross_kernels": rows[:, :first], "field_kernels": rows[:, first:].diagonal()}
        for name, values in found.items():
            self._kept.setdefault(name, []).append(executor.to_host(executor.copy(values)))

    def end(self, at: Snapshot) -> dict[str, Any]:
        return {name: stacked(at.executor, values) for name, values in self._kept.items()}
