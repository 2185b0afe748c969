"""L-BFGS, a baseline; scipy's own loop."""

from __future__ import annotations

from typing import Any

from scipy.optimize import minimize

from ntkverify.execution import Executor
from ntkverify.training.orthonormal_rows import whole
from ntkverify.training.record import Measurements, Recorder, Trajectory, prepare


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
    whole(executor, "L-BFGS by SciPy")
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
