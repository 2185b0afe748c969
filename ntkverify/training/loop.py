"""The loop: a method says where to go, measures see how it went, and a recorder keeps what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ntkverify.execution import Forward
from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot
from ntkverify.measures.steps import Measure
from ntkverify.training.checkpoint import Checkpoint
from ntkverify.training.record import Measurements, Recorder, Trajectory, prepare


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
    checkpoint: Checkpoint | None = None,
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
    checkpoint : Checkpoint, optional
        Where the state is kept now and then, and taken from if it is there: a training that was ended goes on, and
        ends as it would have.

    Raises
    ------
    NtkVerifyError
        If a setting is out of range, memory does not suffice, or the checkpoint is another training's.
    """
    prepare(weights, method.name, copies=method.copies + (0 if in_place else 1), steps=steps, eta=method.eta)
    observers = list(measures)
    needs = frozenset().union(*(measure.needs for measure in observers))
    w = weights if in_place else executor.copy(weights)
    start = executor.copy(w) if observers else None
    recorder = Recorder(executor, frozen, record, every)
    holders = [method, recorder, *observers]
    at = None if checkpoint is None else _resumed(checkpoint, executor, w, frozen, holders)
    if at is None:
        at = Snapshot(0, 0.0, w, frozen, executor.forward(w, frozen), executor)
        recorder.keep(at)
        if observers:
            still = executor.measured_step(w, frozen, at.forward, 0, start=start, gram=False)
            for measure in observers:
                measure.begin(at, still)
    for k in range(at.step + 1, steps + 1):
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
        if checkpoint is not None:
            checkpoint.write(executor, k, _state(at, holders))
    seen: dict[str, Any] = {}
    for measure in observers:
        seen |= measure.end(at)
    return recorder.finish(w, method.notes() | {"steps": steps}, seen)


def _state(at: Snapshot, holders: Sequence[Any]) -> dict[str, Any]:
    """All that the steps to come depend on, and what was seen so far."""
    kept = [{name: value for name, value in vars(holder).items() if name not in _GIVEN} for holder in holders]
    return {"step": at.step, "time": at.time, "weights": at.weights, "forward": at.forward, "kept": kept}


#: what a recorder has from the call, not from the steps
_GIVEN = frozenset({"executor", "frozen", "_record"})


def _resumed(checkpoint: Checkpoint, executor: Any, w: Any, frozen: Any, holders: Sequence[Any]) -> Snapshot | None:
    """The moment that a checkpoint holds, with weights, method, recorder and measures as they were."""
    method, recorder, *observers = holders
    named = [(type(o).__qualname__, sorted(vars(o))) for o in observers]
    state = checkpoint.begin(
        executor, w, [type(method).__qualname__, method.name, method.eta, recorder.every, recorder.names, named]
    )
    if state is None:
        return None
    w[...] = state["weights"]
    for holder, values in zip(holders, state["kept"], strict=True):
        vars(holder).update(values)
    return Snapshot(state["step"], state["time"], w, frozen, state["forward"], executor)


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
