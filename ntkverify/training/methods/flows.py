"""Flows, integrated adaptively: gradient flow and Gauss-Newton flow."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import DOP853

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.training.least_norm import least_norm
from ntkverify.training.orthonormal_rows import whole
from ntkverify.training.record import Measurements, Recorder, Trajectory, prepare


def integrate(
    velocity: Any,
    recorder: Recorder,
    weights: Any,
    times: Any,
    *,
    rtol: float,
    atol: float,
    notes: dict[str, Any],
) -> Trajectory:
    """Integrate ``d theta / dt = velocity(theta)`` by DOP853 and keep the moments `times`.

    SciPy integrates on the host; `velocity` takes and gives the executor's arrays. The weights at a kept time come from
    the integrator's own dense output of order 7.
    """
    times = np.asarray(times, dtype=float)
    if times.ndim != 1 or times.size == 0 or times[0] < 0 or (np.diff(times) <= 0).any():
        raise NtkVerifyError("times must be increasing and start at 0 or later")
    # DOP853 holds 16 slopes, the solution before and after the step, and its dense output
    prepare(weights, str(notes["method"]), copies=30)
    executor, frozen, shape = recorder.executor, recorder.frozen, weights.shape
    whole(executor, "a flow integrated by SciPy")
    solver = DOP853(
        lambda t, y: executor.to_host(velocity(executor.from_host(y.reshape(shape)))).ravel(),
        0.0,
        executor.to_host(weights).ravel(),
        times[-1],
        rtol=rtol,
        atol=atol,
    )
    kept, current = 0, executor.copy(weights)
    while kept < len(times):
        if solver.t < times[kept]:
            message = solver.step()
            if solver.status == "failed":
                raise NtkVerifyError(f"the flow's integrator stopped at t = {solver.t:.6g}: {message}; loosen rtol")
        while kept < len(times) and times[kept] <= solver.t:
            y = solver.y.copy() if times[kept] == solver.t else solver.dense_output()(times[kept])
            current = executor.from_host(y.reshape(shape))
            recorder.see(kept, float(times[kept]), current, executor.forward(current, frozen))
            kept += 1
    return recorder.finish(current, {**notes, "rtol": rtol, "atol": atol, "evaluations": solver.nfev})


def gradient_flow(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    times: Any,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    record: Measurements | None = None,
) -> Trajectory:
    """Gradient flow ``d theta / dt = -grad L``, adaptive with a stated tolerance.

    Parameters
    ----------
    executor : Executor
        The problem.
    weights, frozen : arrays, shape (m, p) and (m, q)
        Initial weights.
    times : increasing sequence of floats
        Moments to keep; the last one ends the run.
    rtol, atol : float
        Local error of one step of DOP853, relative and absolute; kept in the trajectory's notes, to be counted
        into a claim's tolerance.
    record : mapping, optional
        Further quantities to keep.
    """

    def velocity(w: Any) -> Any:
        return -executor.gradient(w, frozen, executor.forward(w, frozen))

    recorder = Recorder(executor, frozen, record, 1)
    return integrate(velocity, recorder, weights, times, rtol=rtol, atol=atol, notes={"method": "gradient flow"})


def gauss_newton_flow(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    times: Any,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    solver: str = "auto",
    damping: float = 0.0,
    rcond: float | None = None,
    record: Measurements | None = None,
) -> Trajectory:
    """Gauss-Newton flow ``d theta / dt = -J^T (J J^T)^-1 r``, along which r(t) = e^-t r(0) while J has full rank.

    Options are those of `least_norm`. The notes hold the tolerances and the condition number of every system solved.
    """
    conditions: list[float] = []

    def velocity(w: Any) -> Any:
        forward = executor.forward(w, frozen)
        solution = least_norm(
            executor, w, frozen, forward, forward.residuals, solver=solver, damping=damping, rcond=rcond
        )
        conditions.append(solution.condition)
        return -solution.direction

    recorder = Recorder(executor, frozen, record, 1)
    notes: dict[str, Any] = {"method": "Gauss-Newton flow", "conditions": conditions}
    return integrate(velocity, recorder, weights, times, rtol=rtol, atol=atol, notes=notes)
