"""What a training run leaves behind: what was asked for, at a stride, and never the weights' history."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor, Forward
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.measures.snapshot import Snapshot

Measurements = Mapping[str, Callable[[Snapshot], Any]]


@dataclass(frozen=True)
class Trajectory:
    """A training run.

    Parameters
    ----------
    steps, times : arrays, shape (K,)
        Step numbers and training times of the kept moments. What is kept lies in NumPy arrays, whatever the executor.
    residuals : array, shape (K, N)
        Residuals at the kept moments.
    records : mapping from name to array, first axis of length K
        The quantities that were asked for; those that `follow` measures are attributes too.
    weights : array, shape (m, p)
        Weights at the end, in the executor's kind of array.
    notes : mapping
        Resolved settings, solvers chosen, condition numbers, reasons for stopping.
    """

    steps: Any
    times: Any
    residuals: Any
    records: Mapping[str, Any]
    weights: Any
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        records = self.__dict__.get("records", {})
        if name in records:
            return records[name]
        if name.startswith("__"):
            raise AttributeError(name)
        raise NtkVerifyError(f"the trajectory holds no {name!r}; measured were {', '.join(sorted(records)) or 'none'}.")

    @property
    def losses(self) -> Any:
        """Half the squared residual norm at the kept moments, shape (K,)."""
        return (self.residuals**2).sum(axis=1) / 2


def prepare(weights: Any, method: str, *, copies: int, steps: int = 0, eta: Any = 1.0) -> None:
    """Check a run's settings, and that the arrays of the weights' size that it works with fit in memory.

    Raises
    ------
    NtkVerifyError
        If a setting is out of range, or `copies` arrays of the weights' size do not fit.
    """
    if not 0 < eta < math.inf or steps < 0:
        raise NtkVerifyError(f"{method}: eta must be positive and finite, and steps at least 0, not {eta} and {steps}")
    if isinstance(weights, np.ndarray):
        refuse_beyond_memory(copies * weights.nbytes, f"{method} of {len(weights)} neurons with {copies} such arrays")


def check_finite(executor: Executor, forward: Forward, step: int) -> None:
    """Say that a run diverged rather than hand noise to a solver.

    Raises
    ------
    NtkVerifyError
        If a residual is not finite.
    """
    if not np.isfinite(np.asarray(executor.to_host(forward.residuals), dtype=float)).all():
        raise NtkVerifyError(f"the residuals are no longer finite after {step} steps; take shorter steps")


class Recorder:
    """Collects moments of a run; `every` steps one is kept."""

    def __init__(self, executor: Executor, frozen: Any, record: Measurements | None, every: int) -> None:
        if every < 1:
            raise NtkVerifyError(f"every must be at least 1, not {every}")
        self.executor = executor
        self.frozen = frozen
        self.every = every
        self._record = dict(record or {})
        self._steps: list[int] = []
        self._times: list[float] = []
        self._residuals: list[Any] = []
        self._values: dict[str, list[Any]] = {name: [] for name in self._record}

    def see(self, step: int, time: float, weights: Any, forward: Forward) -> None:
        """Keep this moment if it is due."""
        self.keep(Snapshot(step, time, weights, self.frozen, forward, self.executor))

    def keep(self, at: Snapshot) -> None:
        """Keep this moment if it is due."""
        if at.step % self.every:
            return
        self._steps.append(at.step)
        self._times.append(at.time)
        self._residuals.append(self.executor.to_host(self.executor.copy(at.forward.residuals)))
        for name, measure in self._record.items():
            self._values[name].append(measure(at))

    def finish(self, weights: Any, notes: Mapping[str, Any], seen: Mapping[str, Any] | None = None) -> Trajectory:
        """The trajectory of what was kept, and of what measures have seen."""
        values = {name: np.array([self.executor.to_host(v) for v in kept]) for name, kept in self._values.items()}
        return Trajectory(
            np.array(self._steps),
            np.array(self._times),
            np.array(self._residuals),
            values | dict(seen or {}),
            weights,
            dict(notes),
        )
