"""The kernel of the sums Phi_k along training."""

from __future__ import annotations

from typing import Any

from ntkverify.execution import Executor
from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot
from ntkverify.measures.steps import stacked


class SumKernels:
    """K_Phi at every step, the Gram matrix of the sums before the pointwise residuals act on them.

    Leaves ``sum_kernels`` (K+1, S, S), S the number of sums at all samples.

    Parameters
    ----------
    executor : Executor
        Of the neuron's `ntkverify.symbolic.network.tangent.sums_neuron`, in the arithmetic of the run.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._kept: list[Any] = []

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._kept.append(self._executor.gram(at.weights, at.frozen))

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        self._kept.append(self._executor.gram(after.weights, after.frozen))

    def end(self, at: Snapshot) -> dict[str, Any]:
        return {"sum_kernels": stacked(at.executor, self._kept)}
