"""What a step on each single sample would do, for expectations over the sample that a step draws."""

from __future__ import annotations

from typing import Any

from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot
from ntkverify.measures.steps import stacked


class OneSampleSteps:
    """All steps that stochastic gradient descent on single samples chooses from, tried at every moment.

    Leaves ``branches`` (K+1, N, N): entry (k, i) holds the residuals after ``theta(k) - eta N r_i(k) grad r_i(k)``, so
    that the mean over i is the exact expectation given theta(k).

    Parameters
    ----------
    eta : scalar
        The step, of the executor's arithmetic.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, eta: Any) -> None:
        self._eta = eta
        self._kept: list[Any] = []

    def _try(self, at: Snapshot) -> None:
        count = len(at.forward.residuals)
        for i in range(count):
            moved = at.weights - (self._eta * count) * at.gradient_on(i)
            self._kept.append(at.executor.forward(moved, at.frozen).residuals)

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._try(at)

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        self._try(after)

    def end(self, at: Snapshot) -> dict[str, Any]:
        count = len(at.forward.residuals)
        return {"branches": stacked(at.executor, self._kept, (-1, count, count))}
