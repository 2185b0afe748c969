"""First-order training: gradient descent."""

from __future__ import annotations

from typing import Any

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
