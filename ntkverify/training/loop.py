"""The loop: a method says where to go, measures see how it went, and a recorder keeps what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ntkverify.execution import Forward
from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot
from ntkverify.measures.steps import Measure
from ntkverify.training.record import Measurements, Recorder, Trajectory, on_the_executor, prepare


class Method(Protocol):
    """A training method: a direction and a step rule.

    Parameters
    ----------
    name : str
        What it is called in sentences.
    copies : int
        Arrays of the weights' size that it works with.
    eta : float
        Step; added to the training time.
    """

    name: str
    copies: int
    eta: Any

    def change(self, at: Snapshot) -> Any:
        """Change of the weights, (m, p); None for ``-eta grad L``, which executors form and take in one sweep.

        Raise `Stopped` to end the run.
        """

    def notes(self) -> dict[str, Any]:
        """Resolved settings, and what the method saw on its way."""


class Stopped(Exception):
    """A method has no step to take; the reason is kept in its notes."""


def follow(
    executor: Any,
    weights: Any,
    frozen: Any,
    method: Method,
    *,
    steps: int,
    measures: Iterable[Measure] = (),
    every: int = 1,
    record: Measurements | None = None,
    in_place: bool = False,
) -> Trajectory:
    """Train, and measure every step.

    Parameters
    ----------
    executor : Executor
        The problem, in whatever arithmetic.
    weights, frozen : arrays, shape (m, p) and (m, q)
        Initial weights, of the executor's kind of array.
    method : Method
        Where each step goes.
    steps : int
        Number of steps, at most.
    measures : iterable of Measure
        What is seen of every step; what they leave are records of the trajectory.
    every : int
        A moment is kept at step 0 and after every so many steps.
    record : mapping from name to function of a Snapshot, optional
        Further quantities to keep.
    in_place : bool
        Train the given array instead of a copy; halves the memory of a very wide network.
    """
    weights, frozen = on_the_executor(executor, weights, frozen)
    prepare(weights, method.name, copies=method.copies + (0 if in_place else 1), steps=steps, eta=method.eta)
    steps = int(steps)
    observers = list(measures)
    needs = frozenset().union(*(measure.needs for measure in observers))
    w = weights if in_place else executor.copy(weights)
    start = executor.copy(w) if observers else None
    recorder = Recorder(executor, frozen, record, every)
    at = Snapshot(0, 0.0, w, frozen, executor.forward(w, frozen), executor)
    recorder.keep(at)
    if observers:
        still = executor.measured_step(w, frozen, at.forward, 0, start=start, gram=False)
        for measure in observers:
            measure.begin(at, still)
    for k in range(1, steps + 1):
        if "jacobian" in needs:
            _ = at.jacobian  # once, for methods and measures, while the weights are these
        try:
            change = method.change(at)
        except Stopped:
            break
        middle = None
        if "middle" in needs:
            change = -method.eta * executor.gradient(w, frozen, at.forward) if change is None else change
            middle = executor.jacobian(w + change / 2, frozen)
        if observers:
            step = _measured(executor, w, frozen, at, method, change, start, needs)
            forward = step.forward
        else:
            forward = _moved(executor, w, frozen, at, method, change)
        after = Snapshot(k, at.time + method.eta, w, frozen, forward, executor)
        for measure in observers:
            measure.see(at, step, after, middle)
        recorder.keep(after)
        at = after
    seen: dict[str, Any] = {}
    for measure in observers:
        seen |= measure.end(at)
    return recorder.finish(w, method.notes() | {"steps": steps}, seen)


def _measured(
    executor: Any, w: Any, frozen: Any, at: Snapshot, method: Method, change: Any, start: Any, needs: frozenset[str]
) -> MeasuredStep:
    """Take a step and measure it; the Gram matrix is formed while the weights are the old ones."""
    # a sweep may form the Gram matrix on its way, unless it is known or follows from what is
    by_sweep = "gram" in needs and not {"gram", "jacobian", "group_grams"} & set(vars(at))
    if "gram" in needs and not by_sweep:
        _ = at.gram
    step: MeasuredStep = executor.measured_step(
        w, frozen, at.forward, method.eta, start=start, change=change, gram=by_sweep
    )
    if by_sweep:
        vars(at)["gram"] = step.gram
    return step


def _moved(executor: Any, w: Any, frozen: Any, at: Snapshot, method: Method, change: Any) -> Forward:
    if change is None:
        stepped: Forward = executor.step(w, frozen, at.forward, method.eta)
        return stepped
    w += change
    forward: Forward = executor.forward(w, frozen)
    return forward
