"""Gradient flow of a shallow neural operator; in float64, for no integrator here gives balls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.problems.neural_operator.run import OperatorRun
from ntkverify.training import Trajectory

#: steps of the Runge-Kutta method between two kept times
SUBSTEPS = 2


class OperatorFlowRun(OperatorRun):
    """The flow d theta/dt = -grad L, kept at the times 0, eta, ..., K eta of the instance's step and number of steps.

    Integrated by the classical Runge-Kutta method, twice: the change from half as many steps is the claimed error.
    Where neurons switch the slope jumps, by the order of m^(-1/2), and an adaptive method would stop at each of them.
    """

    @functools.cached_property
    def trajectory(self) -> Trajectory:
        """Residuals, Gram matrices and drift of both groups at the kept times, gradients at all but the last."""
        return self.shared(f"flow {self.kind}", self._integrate)

    def _integrate(self) -> Trajectory:
        if self.is_exact:
            raise NtkVerifyError(
                "the gradient flow is integrated in float64; there are no balls of it to certify with."
            )
        coarse, _ = self._path(SUBSTEPS // 2)
        residuals, records = self._path(SUBSTEPS)
        # the truncation falls like the number of steps squared, where neurons switch, or faster
        records["residuals_error"] = np.abs(residuals - coarse) + self.at_start.outputs_error
        moments = np.arange(self.steps + 1)
        return Trajectory(moments, float(self.eta) * moments, residuals, records, None, {"substeps": SUBSTEPS})

    def _path(self, substeps: int) -> tuple[Array, dict[str, Any]]:
        executor, h = self.executor, float(self.eta) / substeps
        w, frozen = (executor.copy(self._moved(executor, part)) for part in (self.weights, self.frozen))
        start = executor.copy(w)
        kept: dict[str, list[Any]] = {"residuals": [], "grams": []}

        def slope(at: Any) -> Any:
            return -executor.gradient(at, frozen, executor.forward(at, frozen))

        def largest(weights: Any, name: str) -> None:
            host = executor.to_host(weights)
            for group, places in self.neuron.groups.items():
                found = np.linalg.norm(host[:, list(places)], axis=1).max()
                kept.setdefault(f"{name} of {group}", []).append(found)

        for k in range(self.steps + 1):
            for number in range(substeps if k else 0):
                one = slope(w)
                if number == 0:
                    largest(one, "gradients")
                two = slope(w + (h / 2) * one)
                three = slope(w + (h / 2) * two)
                w = w + (h / 6) * (one + 2 * two + 2 * three + slope(w + h * three))
            kept["residuals"].append(executor.to_host(executor.residuals(w, frozen)))
            kept["grams"].append(executor.to_host(executor.gram(w, frozen)))
            largest(w - start, "drift")
        arrays = {name: np.array(values) for name, values in kept.items()}
        return arrays.pop("residuals"), arrays

    @property
    def t(self) -> Any:
        """The kept times, (K+1,)."""
        return self.eta * self.k


def operator_flow(**options: Any) -> Callable[..., OperatorFlowRun]:
    """What ``run=`` of a family of instances takes; options as for `operator`."""
    return functools.partial(OperatorFlowRun, **options)
