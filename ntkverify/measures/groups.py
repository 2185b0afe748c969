"""What lemmas about several groups of weights speak of: each group's own Gram matrix, and the units inside a neuron."""

from __future__ import annotations

import functools
from typing import Any

from ntkverify.execution.step import MeasuredStep
from ntkverify.measures.snapshot import Snapshot
from ntkverify.measures.steps import stacked


class GroupGrams:
    """Leaves ``grams of GROUP`` (K+1, N, N), J_g J_g^T for the columns of J that belong to the group's weights."""

    needs: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._kept: dict[str, list[Any]] = {}

    def _keep(self, at: Snapshot) -> None:
        for group, found in at.group_grams.items():
            self._kept.setdefault(group, []).append(at.executor.copy(found))

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._keep(at)

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        self._keep(after)

    def end(self, at: Snapshot) -> dict[str, Any]:
        return {f"grams of {group}": stacked(at.executor, kept) for group, kept in self._kept.items()}


class UnitDrift:
    """Leaves ``unit_drift`` (K+1,): the largest distance of a unit's weights from where they started.

    Parameters
    ----------
    first, units, size : int
        A neuron's weights from `first` on are those of `units` units, `size` weights each.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, first: int, units: int, size: int) -> None:
        self._columns = slice(first, first + units * size)
        self._size = size
        self._start: Any = None
        self._kept: list[Any] = []

    def _of(self, at: Snapshot) -> Any:
        return at.executor.copy(at.weights[:, self._columns])

    def begin(self, at: Snapshot, still: MeasuredStep) -> None:
        self._start = self._of(at)
        self._keep(at)

    def _keep(self, at: Snapshot) -> None:
        moved = at.executor.to_host((self._of(at) - self._start) ** 2).reshape((-1, self._size)).sum(axis=1)
        largest = functools.reduce(at.executor.larger, moved) if at.executor.is_exact else moved.max()
        self._kept.append(largest)

    def see(self, before: Snapshot, step: MeasuredStep, after: Snapshot, middle: Any) -> None:
        self._keep(after)

    def end(self, at: Snapshot) -> dict[str, Any]:
        squares = stacked(at.executor, self._kept)
        if not at.executor.is_exact:
            return {"unit_drift": squares**0.5}
        roots = [square.nonnegative_part().sqrt() for square in squares]
        return {"unit_drift": stacked(at.executor, roots)}
