"""What lemmas about the steps of training speak of, observed step by step; K steps, N residuals.

A measure says what it needs of a step, sees each step between two snapshots, and leaves arrays by name. Numbers are the
executor's: floats, or balls.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from ntkverify.arithmetic.ball_linear import spectral_norm_ball
from ntkverify.execution import Executor
from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot

EPS = float(np.finfo(np.float64).eps)


class Measure(Protocol):
    """An observer of training.

    Parameters
    ----------
    needs : set of {"gram", "jacobian", "middle"}
        What it asks of every snapshot or step besides the measured step itself; the loop forms it once for all.
    """

    needs: frozenset[str]

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        """See the start, and a step of length zero there."""

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        """See one step; `middle` is the Jacobian half-way, where somebody needs it."""

    def end(self, at: Snapshot) -> dict[str, Any]:
        """What was seen, by name."""


class Steps:
    """Everything that lemmas about single steps speak of.

    Leaves ``residuals_error`` (K+1, N), the bound of the rounding errors of r(k); ``grams`` (K+1, N, N); ``linear``
    (K, N), J(k) (theta(k+1) - theta(k)), and ``linear_error`` (K, N), which counts the solve of a natural gradient in;
    ``remainders`` (K, N), r(k+1) - r(k) - linear; ``lengths`` (K,), ||theta(k+1) - theta(k)||; ``drift`` and
    ``drift_rms`` (K+1,), max_r ||w_r(k) - w_r(0)|| and the root of the mean of its square; ``weight_norm`` (K+1,),
    max_r ||w_r(k)||; ``gradients`` (K,), max_r ||dL/dw_r||. Where weights come in several groups those of a group
    are ``drift of GROUP`` and so on.
    """

    needs = frozenset({"gram"})

    def __init__(self) -> None:
        self._kept: dict[str, list[Any]] = {}

    def _keep(self, **values: Any) -> None:
        for name, value in values.items():
            self._kept.setdefault(name, []).append(value)

    def _moves(self, step: MeasuredStep, *, moved: bool) -> None:
        single = len(step.moves) == 1
        for group, move in step.moves.items():
            suffix = "" if single else f" of {group}"
            state = {"drift": move.drift, "drift_rms": move.drift_rms, "weight_norm": move.norm}
            change = {"gradients": move.gradient, "lengths": move.length} if moved else {}
            self._keep(**{f"{name}{suffix}": value for name, value in {**state, **change}.items()})

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._keep(residuals_error=still.errors)
        self._moves(still, moved=False)

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        gram = before.gram
        self._keep(residuals_error=step.errors, grams=gram, linear=step.linear, remainders=step.remainders)
        self._moves(step, moved=True)
        length = math.sqrt(sum(float(move.length) ** 2 for move in step.moves.values())) if _float(before) else 0.0
        # a backward stable solve is off by at most rows times columns of J, of its norm times the length of the step
        size = before.executor.width_of(before.weights) * before.weights.shape[1] * len(step.linear)
        solve = size * EPS * math.sqrt(float(before.executor.to_host(gram).trace())) * length if length else 0.0
        self._keep(linear_error=step.linear * 0 + solve if length else step.linear * 0)

    def end(self, at: Snapshot) -> dict[str, Any]:
        self._keep(grams=at.gram)
        count = len(at.forward.residuals)
        single = len(at.executor.neuron.groups) == 1
        for name in ("linear", "linear_error", "remainders", *(("gradients", "lengths") if single else ())):
            self._kept.setdefault(name, [])
        shapes = {name: (-1, count) for name in ("linear", "linear_error", "remainders")}
        return {name: stacked(at.executor, values, shapes.get(name)) for name, values in self._kept.items()}


class JacobianPath:
    """How far the Jacobian moves, with J in memory.

    Leaves ``jacobian_change`` (K+1,), ||J(k) - J(0)||_2; ``path_change`` (K,), the larger of ||J - J(k)||_2 in the
    middle and at the end of step k; ``path_from_start`` (K,), ||J - J(0)||_2 in the middle of step k.
    """

    needs = frozenset({"jacobian", "middle"})

    def __init__(self) -> None:
        self._first: Any = None
        self._from_first: list[Any] = []
        self._along: list[Any] = []
        self._middles: list[Any] = []

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._first = at.jacobian
        self._from_first.append(spectral_norm(at.executor, at.jacobian - at.jacobian))

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        executor = before.executor

        def apart(one: Any, other: Any) -> Any:
            return spectral_norm(executor, one - other)

        half, end = apart(middle, before.jacobian), apart(after.jacobian, before.jacobian)
        self._along.append(executor.larger(half, end))
        first = before.jacobian is self._first
        self._middles.append(half if first else apart(middle, self._first))
        self._from_first.append(end if first else apart(after.jacobian, self._first))

    def end(self, at: Snapshot) -> dict[str, Any]:
        kept = {
            "jacobian_change": self._from_first,
            "path_change": self._along,
            "path_from_start": self._middles,
        }
        return {name: stacked(at.executor, values) for name, values in kept.items()}


class WayBack:
    """Steps as they look from where they end, which is what implicit methods speak of; one group of weights.

    Leaves ``back_linear`` (K, N), J(k+1) (theta(k) - theta(k+1)); ``back_remainders`` (K, N), r(k) - r(k+1) -
    back_linear, summed neuron by neuron; ``back_gradients`` (K,), max_r ||dL/dw_r|| at the end of each step.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._before: Any = None
        self._kept: list[tuple[Any, Any, Any]] = []

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._before = at.executor.copy(at.weights)

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        executor, end = after.executor, after.executor.copy(after.weights)
        change = self._before - end
        # the measured step goes back in the array that held the start of this step, once it is of no more use
        self._before[...] = end
        back = executor.measured_step(
            self._before, after.frozen, after.forward, 0, start=end, change=change, gram=False
        )
        (move,) = back.moves.values()
        self._kept.append((back.linear, back.remainders, move.gradient))
        self._before = end

    def end(self, at: Snapshot) -> dict[str, Any]:
        linear, remainders, gradients = zip(*self._kept, strict=True) if self._kept else ((), (), ())
        rows = (-1, len(at.forward.residuals))
        found = {"back_linear": stacked(at.executor, list(linear), rows)}
        found["back_remainders"] = stacked(at.executor, list(remainders), rows)
        return found | {"back_gradients": stacked(at.executor, list(gradients))}


def spectral_norm(executor: Executor, rows: Any) -> Any:
    """Largest singular value of a matrix of the executor's numbers with few rows and many columns."""
    if executor.is_exact:
        return spectral_norm_ball(rows)
    gram = executor.to_host(executor.outer(rows))
    # an entry that is no number makes LAPACK give up
    return math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0)) if np.isfinite(gram).all() else math.nan


def stacked(executor: Executor, values: list[Any], shape: tuple[int, ...] | None = None) -> Any:
    """What was kept step by step as one array on the host."""
    kind = object if executor.is_exact else np.float64
    result = np.array([executor.to_host(value) for value in values], dtype=kind)
    return result if shape is None else result.reshape(shape)


def _float(at: Snapshot) -> bool:
    return not at.executor.is_exact
