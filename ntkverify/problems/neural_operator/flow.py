"""Gradient flow of a shallow neural operator; in float64, for no integrator here gives balls."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.problems.neural_operator.run import OperatorRun
from ntkverify.training import Trajectory

ULP = np.finfo(float).eps
#: h ||H|| of the coarser of both integrations at most, H from the last kept time; Runge-Kutta is stable up to 2.78
LONGEST = 3 / 4


class OperatorFlowRun(OperatorRun):
    """The flow d theta/dt = -grad L, kept at the times 0, eta, ..., K eta of the instance's step and number of steps.

    Integrated by the classical Runge-Kutta method, twice: the change from half as many steps is the claimed error, of
    residuals and of what else is kept. As many as the spectrum of the last kept Gram matrix asks for lie between two
    kept times. Where neurons switch the slope jumps, by the order of m^(-1/2), and an adaptive method would stop at
    each of them.
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
        coarse, beside = self._path(1)
        residuals, records = self._path(2)
        # the truncation falls like the number of steps squared, where neurons switch, or faster
        records["residuals_error"] = np.abs(residuals - coarse) + self.at_start.outputs_error
        for name in ("grams", "drift of trunk", "drift of branch"):
            records[f"{name}, changed"] = np.abs(records[name] - beside[name])
        moments = np.arange(self.steps + 1)
        notes = {"substeps": int(records.pop("substeps").max())}
        return Trajectory(moments, float(self.eta) * moments, residuals, records, None, notes)

    def _path(self, finer: int) -> tuple[Array, dict[str, Any]]:
        executor, eta = self.executor, float(self.eta)
        w, frozen = (executor.copy(self._moved(executor, part)) for part in (self.weights, self.frozen))
        start = executor.copy(w)
        kept: dict[str, list[Any]] = {"residuals": [], "grams": [], "substeps": []}

        def slope(at: Any) -> Any:
            return -executor.gradient(at, frozen, executor.forward(at, frozen))

        def largest(weights: Any, name: str) -> None:
            host = executor.to_host(weights)
            for group, places in self.neuron.groups.items():
                found = np.linalg.norm(host[:, list(places)], axis=1).max()
                kept.setdefault(f"{name} of {group}", []).append(found)

        for k in range(self.steps + 1):
            substeps = 0
            if k:
                substeps = finer * max(1, math.ceil(eta * np.linalg.norm(kept["grams"][-1], 2) / LONGEST))
            for number in range(substeps):
                h = eta / substeps
                one = slope(w)
                if number == 0:
                    largest(one, "gradients")
                two = slope(w + (h / 2) * one)
                three = slope(w + (h / 2) * two)
                w = w + (h / 6) * (one + 2 * two + 2 * three + slope(w + h * three))
            kept["residuals"].append(executor.to_host(executor.residuals(w, frozen)))
            kept["grams"].append(executor.to_host(executor.gram(w, frozen)))
            largest(w - start, "drift")
            kept["substeps"].append(substeps)
        arrays = {name: np.array(values) for name, values in kept.items()}
        return arrays.pop("residuals"), arrays

    def drift_error(self, group: str) -> Any:
        """By how much the drift of a group changes with half as many steps, and its rounding, (K+1,)."""
        drift = self.of_group("drift", group)
        return self.of_group("drift", f"{group}, changed") + 2**10 * ULP * drift

    @property
    def eigenvalues_error(self) -> Any:
        """By how much an eigenvalue may change with half as many steps, and its rounding, (K+1,)."""
        change = np.linalg.norm(self.trajectory.records["grams, changed"], axis=(1, 2))
        return change + 2**10 * ULP * self.eigenvalues[:, -1]

    @property
    def t(self) -> Any:
        """The kept times, (K+1,)."""
        return self.eta * self.k


def operator_flow(**options: Any) -> Callable[..., OperatorFlowRun]:
    """What ``run=`` of a family of instances takes; options as for `operator`."""
    return functools.partial(OperatorFlowRun, **options)
