"""Shrinking inside a family: the coordinates of a violation are lowered as far as it still violates.

Families draw sizes first, and 0 is the simplest of every choice. A smaller size may need other numbers to violate,
which is a small search of its own: each coordinate is lowered while those after it climb.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.search.score import VACUOUS, Score
from ntkverify.search.space.coordinates import GRID
from ntkverify.theorem.instance import Instance

_CLIMB = 40  # evaluations of the search at each value that is tried for a coordinate


class _Scores:
    """Scores of vectors; at most so many of them."""

    def __init__(
        self,
        instance_of: Callable[[Sequence[int]], Instance | None],
        measure: Callable[[Instance], Score],
        most: int,
    ) -> None:
        self._instance_of, self._measure = instance_of, measure
        self._known: dict[str, Score] = {}
        self.left = most

    def __call__(self, vector: Sequence[int]) -> Score:
        """The score of the instance that a vector stands for; vacuous when the evaluations are used up."""
        try:
            instance = self._instance_of(vector)
        except NtkVerifyError:
            instance = None
        if instance is None:
            return Score(VACUOUS)
        key = instance.to_json()
        if key not in self._known:
            if self.left <= 0:
                return Score(VACUOUS)
            self.left -= 1
            self._known[key] = self._measure(instance)
        return self._known[key]


def lower(
    vector: Sequence[int],
    instance_of: Callable[[Sequence[int]], Instance | None],
    measure: Callable[[Instance], Score],
    *,
    most: int,
) -> tuple[int, ...]:
    """Lower each coordinate as far as the instance still violates, until nothing gives way.

    Parameters
    ----------
    vector : sequence of int
        Stands for an instance that violates.
    instance_of : callable
        The instance of a vector; None, or an error of the user's, where there is none.
    measure : callable
        Scores an instance.
    most : int
        Evaluations altogether.
    """
    scores = _Scores(instance_of, measure, most)
    best = [int(c) for c in vector]
    for index in range(len(best)):
        for value in sorted({0, best[index] // 4, best[index] // 2, 3 * best[index] // 4}):
            if value < best[index] and scores.left > most // 3:
                best = _climb(best, index, value, scores) or best
    before: list[int] = []
    while best != before and scores.left > 0:
        before = list(best)
        for index in range(len(best)):
            best[index] = _bisect(best, index, scores)
    return tuple(best)


def _climb(vector: list[int], index: int, value: int, scores: _Scores) -> list[int] | None:
    """A vector that violates with `value` at `index` and other coordinates after it, by a climb from where it was."""
    rng = np.random.default_rng([index, value])
    current = [*vector[:index], value, *vector[index + 1 :]]
    score = scores(current)
    for _ in range(_CLIMB):
        if score.failed:
            return current
        if index + 1 == len(vector):
            break
        candidate = list(current)
        place = int(rng.integers(index + 1, len(vector)))
        step = int(GRID * 2.0 ** -rng.uniform(1, 8)) * int(rng.choice([-1, 1]))
        candidate[place] = int(rng.integers(GRID)) if rng.random() < 0.5 else (candidate[place] + step) % GRID
        found = scores(candidate)
        if found.margin >= score.margin:
            current, score = candidate, found
    return current if score.failed else None


def _bisect(vector: list[int], index: int, scores: _Scores) -> int:
    """The least value of one coordinate that bisection finds to violate."""

    def violates(value: int) -> bool:
        return scores([*vector[:index], value, *vector[index + 1 :]]).failed

    low, high = 0, vector[index]
    if high == 0 or violates(0):
        return 0
    for _ in range(12):
        middle = (low + high) // 2
        if middle in (low, high):
            break
        if violates(middle):
            high = middle
        else:
            low = middle
    return high
