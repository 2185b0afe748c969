"""What a training run leaves behind: what was asked for, at a stride, and never the weights' history."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ntkverify.arrays import real_array, real_number, whole_number
from ntkverify.display import details_html, table_html, tagged
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor, Forward
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.samples import check_weights
from ntkverify.measures.snapshot import Snapshot

_SHOWN = 20  # moments of a trajectory that a notebook shows
Measurements = Mapping[str, Callable[[Snapshot], Any]]


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        moments, count = np.shape(self.residuals)
        measured = f"; measured {', '.join(sorted(self.records))}" if self.records else ""
        return f"<Trajectory of {count} residuals at {moments} moments, {self._fall}{measured}>"

    @property
    def _fall(self) -> str:
        first, last = (float(loss) for loss in self.losses[[0, -1]])
        return f"loss {first:.3g} -> {last:.3g} after {int(self.steps[-1])} steps"

    def _repr_html_(self) -> str:
        losses = list(zip(self.steps, self.times, self.losses, strict=True))
        shown = losses if len(losses) <= _SHOWN else [losses[round(i)] for i in np.linspace(0, len(losses) - 1, _SHOWN)]
        rows = [(int(step), f"{float(time):.4g}", f"{float(loss):.4g}") for step, time, loss in shown]
        kinds = [(name, "x".join(map(str, np.shape(values))) or "number") for name, values in self.records.items()]
        return "".join(
            [
                tagged("code", f"Trajectory: {self._fall}"),
                details_html("loss", table_html(("step", "time", "loss"), rows)),
                details_html(f"{len(kinds)} measured", table_html(("name", "shape"), kinds)),
                details_html("notes", table_html(("", ""), list(self.notes.items()))),
            ]
        )


def on_the_executor(executor: Any, weights: Any, frozen: Any) -> tuple[Any, Any]:
    """Weights as the executor's own arrays where they were given as lists, of shapes that fit the neuron."""
    given = []
    for name, values in (("weights", weights), ("frozen", frozen)):
        if isinstance(values, list | tuple):
            given.append(executor.from_host(real_array(f"{name} are", values, "give one row a neuron")))
        elif isinstance(values, np.ndarray) and np.iscomplexobj(values):
            raise NtkVerifyError(f"{name} are complex; give real numbers, such as the real parts.")
        else:
            given.append(values)
        if isinstance(given[-1], np.ndarray) and given[-1].dtype.kind == "f" and not np.isfinite(given[-1]).all():
            raise NtkVerifyError(f"{name} hold numbers that are not finite; start from finite ones.")
    return check_weights(executor.neuron, *given)


def prepare(weights: Any, method: str, *, copies: int, steps: int = 0, eta: Any = 1.0) -> None:
    """Check a run's settings, and that the arrays of the weights' size that it works with fit in memory.

    Raises
    ------
    NtkVerifyError
        If a setting is out of range, or `copies` arrays of the weights' size do not fit.
    """
    is_number = not isinstance(eta, str | bytes | bool | list | tuple) and eta is not None
    if isinstance(eta, int) and is_number:
        eta = real_number(f"{method}: eta", eta)  # an integer may be beyond every float
    count = real_number(f"{method}: steps", steps)
    if not is_number or not 0 < eta < math.inf or count < 0 or count != math.floor(count):
        raise NtkVerifyError(
            f"{method}: eta must be positive and finite, and steps at least 0 and whole, not {eta!r} and {steps!r}"
        )
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
        self.executor = executor
        self.frozen = frozen
        self.every = whole_number("every", every, least=1)
        self._record = dict(record or {})
        self._steps: list[int] = []
        self._times: list[float] = []
        self._residuals: list[Any] = []
        self._values: dict[str, list[Any]] = {name: [] for name in self._record}

    @property
    def names(self) -> list[str]:
        """The quantities that were asked for."""
        return list(self._record)

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
