"""Networks trained by flows, integrated to a stated tolerance; in float64 only."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.training import Trajectory, gauss_newton_flow, gradient_flow

FlowName = Literal["gradient", "Gauss-Newton"]
FLOWS: dict[str, Any] = {"gradient": gradient_flow, "Gauss-Newton": gauss_newton_flow}


class FlowRun(FullNetworkRun):
    """The flow of a network up to the instance's parameter ``time``, seen at ``steps`` equal intervals.

    Parameters
    ----------
    flow : {"gradient", "Gauss-Newton"}
    rtol : float
        Relative local error of one step of the integrator; the absolute one is a hundredth of it.
    """

    def __init__(self, *args: Any, flow: FlowName = "gradient", rtol: float = 1e-9, **options: Any) -> None:
        super().__init__(*args, **options)
        if flow not in FLOWS:
            raise NtkVerifyError(f"unknown flow {flow!r}; choose one of {', '.join(FLOWS)}.")
        if self.backend == "ball":
            raise NtkVerifyError("a flow is integrated to a tolerance, which no ball encloses; use another backend.")
        self.flow, self.rtol = flow, rtol

    @property
    def time(self) -> Any:
        """Times at which the flow is seen, (K+1,)."""
        return np.linspace(0, self.instance.parameters["time"], self.instance.steps + 1)

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance."""
        return f"{super().kind} {self.flow} flow {self.rtol}"

    def _train(self) -> Trajectory:
        weights, frozen = (self._moved(self.executor, part) for part in self._drawn_here())

        def distance(at: Any) -> float:
            difference = at.weights - weights
            return math.sqrt(self.executor.dot(difference, difference))

        record = {"grams": lambda at: at.gram, "distance": distance}
        found = FLOWS[self.flow](
            self.executor, weights, frozen, times=self.time, rtol=self.rtol, atol=self.rtol / 100, record=record
        )
        return Trajectory(found.steps, found.times, found.residuals, found.records, None, found.notes)

    @property
    def residuals_error(self) -> Any:
        """Bound of the error of ||r(t)|| that the integrator's tolerance and rounding leave, (K+1,), a thousandfold."""
        return 1000 * self.rtol * (1 + self.time) * self.residuals[0] + 0 * self.residuals

    @property
    def path(self) -> Any:
        """||theta(t) - theta(0)||, (K+1,)."""
        return self.trajectory.distance

    @property
    def eigenvalues(self) -> Any:
        """Eigenvalues of J J^T, loss weights included, in ascending order, (K+1, N)."""
        return np.linalg.eigvalsh(self.trajectory.grams)


def flow(equation: Any = None, **options: Any) -> Any:
    """What ``run=`` of a family of flows takes; options as for `full_network`."""
    return full_network(equation, kind=FlowRun, **options)
