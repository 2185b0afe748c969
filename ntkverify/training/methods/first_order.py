"""First-order training: gradient descent, gradient flow, and the baselines Adam and L-BFGS."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import minimize

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.training.record import Measurements, Recorder, Trajectory, prepare


def gradient_descent(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    eta: float,
    steps: int,
    every: int = 1,
    record: Measurements | None = None,
    in_place: bool = False,
) -> Trajectory:
    """Gradient descent ``theta <- theta - eta grad L``.

    Parameters
    ----------
    executor : Executor
        The problem; on the CPU each step is one fused sweep.
    weights, frozen : arrays, shape (m, p) and (m, q)
        Initial weights.
    eta : float
        Step.
    steps : int
        Number of steps.
    every : int
        A moment is kept at step 0 and after every so many steps.
    record : mapping from name to function of a Snapshot, optional
        Further quantities to keep.
    in_place : bool
        Train the given array instead of a copy; halves the memory of a very wide network.
    """
    prepare(weights, "gradient descent", copies=0 if in_place else 1, steps=steps, eta=eta)
    w = weights if in_place else executor.copy(weights)
    recorder = Recorder(executor, frozen, record, every)
    forward = executor.forward(w, frozen)
    recorder.see(0, 0.0, w, forward)
    for k in range(1, steps + 1):
        forward = executor.step(w, frozen, forward, eta)
        recorder.see(k, k * eta, w, forward)
    return recorder.finish(w, {"method": "gradient descent", "eta": eta, "steps": steps})


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


def adam(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    eta: float,
    steps: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    every: int = 1,
    record: Measurements | None = None,
) -> Trajectory:
    """Full-batch Adam with bias correction (Kingma and Ba, arXiv:1412.6980, algorithm 1), as a baseline."""
    prepare(weights, "Adam", copies=6, steps=steps, eta=eta)
    w = executor.copy(weights)
    first, second = w * 0, w * 0
    recorder = Recorder(executor, frozen, record, every)
    forward = executor.forward(w, frozen)
    recorder.see(0, 0.0, w, forward)
    for k in range(1, steps + 1):
        gradient = executor.gradient(w, frozen, forward)
        first += (1 - beta_1) * (gradient - first)
        second += (1 - beta_2) * (gradient**2 - second)
        w -= eta * (first / (1 - beta_1**k)) / ((second / (1 - beta_2**k)) ** 0.5 + epsilon)
        forward = executor.forward(w, frozen)
        recorder.see(k, k * eta, w, forward)
    return recorder.finish(
        w, {"method": "Adam", "eta": eta, "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "steps": steps}
    )


def lbfgs(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    steps: int,
    memory: int = 10,
    every: int = 1,
    record: Measurements | None = None,
) -> Trajectory:
    """Limited-memory BFGS by scipy (L-BFGS-B without bounds), as a baseline; times count iterations."""
    prepare(weights, "L-BFGS", copies=2 * memory + 8, steps=steps)
    shape = weights.shape
    recorder = Recorder(executor, frozen, record, every)

    def loss(flat: Any) -> tuple[float, Any]:
        w = executor.from_host(flat.reshape(shape))
        forward = executor.forward(w, frozen)
        return float(forward.loss), executor.to_host(executor.gradient(w, frozen, forward)).ravel()

    count = [0]

    def see(flat: Any) -> None:
        if count[0] % every == 0:  # a forward pass only for moments that are kept
            w = executor.from_host(flat.reshape(shape))
            recorder.see(count[0], float(count[0]), w, executor.forward(w, frozen))
        count[0] += 1

    start = executor.to_host(weights).ravel()
    see(start)
    # no tolerance of scipy's: the number of steps alone ends the run
    options: Any = {"maxiter": steps, "maxcor": memory, "ftol": 0.0, "gtol": 0.0, "maxfun": 20 * steps + 20}
    # the stubs know no overload with jac=True and a callback
    scipy_minimize: Any = minimize
    result = scipy_minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=see,
        options=options,
    )
    return recorder.finish(
        executor.from_host(result.x.reshape(shape)),
        {"method": "L-BFGS", "memory": memory, "stopped": str(result.message), "steps": steps},
    )
