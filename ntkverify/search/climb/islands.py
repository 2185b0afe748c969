"""Mutation of the best vectors, and models of the hills that it finds."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ntkverify.arrays import Array
from ntkverify.search.score import VACUOUS
from ntkverify.search.space.coordinates import GRID

Objective = Callable[[Sequence[int]], float]
Used = Callable[[], float]  #: share of the budget that is used up
Ranked = tuple[float, list[int]]  #: a vector with its value

_STARTING = 1 / 6  # share of its budget that `mutate` spends on uniform vectors alone
_MUTATED = 4 / 5  # share after which it turns to `ascend`
_ELITE = 6  # vectors of an island that are mutated
_ISLAND, _MOST = 500, 5  # evaluations for each island, and how often at most their number is halved
_MOVED = 40  # coordinates that `ascend` moves at most: its first model takes twice as many instances
_RADIUS = 1 / 20  # of a first model
_SILENT, _RARELY = 3, 0.05  # changes without effect after which a coordinate is changed rarely, and how rarely


def mutate(
    objective: Objective,
    dimension: int,
    *,
    entropy: int,
    evaluations: int,
    smooth: Sequence[int],
    used: Used,
    start: Sequence[Ranked] = (),
) -> None:
    """Uniform vectors at first, then copies of the best few with a few coordinates changed, by steps of all scales.

    Keeps what is good and moves little at a time, so that it climbs where the dimension is high and where some
    coordinates, such as seeds, mean nothing to their neighbours. Coordinates that were changed without any effect, such
    as those that only larger instances read, are changed rarely from then on. The first good vector leads up one hill
    of many: a larger budget goes to islands that do not mix, of which the worse half is given up time and again; one
    vector in eight is uniform to the end. When four fifths of the budget are used up, `ascend` starts from the best
    vector of all, then from the best of the first ones, most of which have other seeds; what is left after that goes on
    as before. Vectors to `start` from, neighbours in the list going to different islands, take the place of the uniform
    ones. While nothing is known that is not vacuous, all vectors are uniform.
    """
    rng = np.random.default_rng([entropy, 14])
    order = [int(i) for i in rng.permutation(list(smooth))]
    effects = Effects(dimension)

    first, count = list(start), 0
    while not start and (count < _ELITE or used() < _STARTING):
        first = _ranked(uniform(objective, dimension, rng), first, _ELITE * 2**_MOST)
        count += 1
    begun = used()
    islands = _Islands(first, evaluations * (1 - begun) if start else count / begun * (1 - begun))
    ascends = bool(order)
    for turn in itertools.count():
        if islands.best[0] == VACUOUS or rng.random() < 1 / 8:  # near what is vacuous there is nothing to be found
            islands.take(uniform(objective, dimension, rng), turn)
        else:
            islands.thin_out((used() - begun) / max(_MUTATED - begun, 1 / GRID))
            parent = islands.parent(rng, turn)
            vector = effects.changed(rng, parent[1])
            new = objective(vector), vector
            islands.take(new, turn)
            effects.learn(parent, new)
        if ascends and islands.best[0] != VACUOUS and used() >= _MUTATED:
            ascends = False
            starts = [islands.best, *(one for one in first[:_ELITE] if one != islands.best)]
            moved = sorted([i for i in order if not effects.silent[i]][:_MOVED] or order[:_MOVED])
            for _, chosen in (one for one in starts if one[0] != VACUOUS):
                islands.take(ascend(objective, chosen, moved), turn)


class _Islands:
    """Sets of good vectors that are mutated in turn and do not mix.

    Parameters
    ----------
    start : sequence of pairs
        Vectors to begin with; they are dealt out.
    evaluations : float
        What is left of the budget; decides how many islands there are, a power of two.
    """

    def __init__(self, start: Sequence[Ranked], evaluations: float) -> None:
        # nothing is left where one evaluation took longer than all that was
        wanted = min(round(math.log2(max(evaluations / _ISLAND, 1))), _MOST)
        self._halvings = min(wanted, len(start).bit_length() - 1)  # none is empty
        number = 2**self._halvings
        self._sets = [sorted(start[i::number], key=value_of)[:_ELITE] for i in range(number)]

    @property
    def number(self) -> int:
        """How many are left."""
        return len(self._sets)

    @property
    def best(self) -> Ranked:
        """The best vector of all."""
        return max((one[0] for one in self._sets), key=lambda pair: pair[0])

    def take(self, new: Ranked, turn: int) -> None:
        """Let a vector into the island whose turn it is, if it is good enough."""
        index = turn % len(self._sets)
        self._sets[index] = _ranked(new, self._sets[index])

    def parent(self, rng: np.random.Generator, turn: int) -> Ranked:
        """A vector to be mutated, of the island whose turn it is; the better, the likelier."""
        best = self._sets[turn % len(self._sets)]
        return best[int(len(best) * rng.random() ** 2)]

    def thin_out(self, share: float) -> None:
        """Give up the worse half each time that another equal part of the way has been gone, of which `share` is."""
        left = left_after(share, self._halvings)
        if left < len(self._sets):
            self._sets = sorted(self._sets, key=lambda one: value_of(one[0]))[:left]


class Effects:
    """Which coordinates matter, as far as changing them has shown."""

    def __init__(self, dimension: int) -> None:
        self._without = np.zeros(dimension, int)  # changes without effect
        self._with = np.zeros(dimension, bool)

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Coordinates that never had an effect, and were tried."""
        return (self._without >= _SILENT) & ~self._with

    def changed(self, rng: np.random.Generator, parent: Sequence[int], among: Sequence[int] | None = None) -> list[int]:
        """A copy of a vector with one, two or four coordinates (`among` these) changed, seldom silent ones."""
        vector = list(parent)
        indices = np.arange(len(vector)) if among is None else np.asarray(among)
        weights = np.where(self.silent, _RARELY, 1.0)[indices]
        count = min(int(rng.choice([1, 1, 2, 4])), len(indices))
        for index in rng.choice(indices, count, replace=False, p=weights / weights.sum()):
            if rng.random() < 1 / 5:
                vector[index] = int(rng.integers(GRID))
            else:
                step = int(np.ceil(GRID * 2.0 ** -rng.uniform(1, 16))) * int(rng.choice([-1, 1]))
                vector[index] = min(max(vector[index] + step, 0), GRID - 1)
        return vector

    def learn(self, parent: Ranked, child: Ranked) -> None:
        """See what a change has done; from a vacuous parent there is nothing to be learnt."""
        moved = np.flatnonzero(np.array(parent[1]) != np.array(child[1]))
        if parent[0] == VACUOUS:
            return
        if child[0] == parent[0]:
            self._without[moved] += 1
        elif len(moved) == 1:
            self._with[moved] = True


def uniform(objective: Objective, dimension: int, rng: np.random.Generator) -> Ranked:
    """A vector drawn uniformly, with its value."""
    vector = rng.integers(0, GRID, dimension).tolist()
    return objective(vector), vector


def placed(start: Sequence[int], moved: Sequence[int], shares: Array) -> list[int]:
    """A copy of `start`, the coordinates in `moved` at these shares of their range; beyond an end they come back."""
    vector = list(start)
    for index, share in zip(moved, shares, strict=True):
        vector[index] = min(int(np.rint((1 - abs(1 - share % 2)) * GRID)), GRID - 1)
    return vector


def left_after(share: float, halvings: int) -> int:
    """How many of 2^halvings are left on a `share` of a way of equal parts, the number halved between them."""
    return 1 << max(halvings - int(share * (halvings + 1)), 0)


def _ranked(new: Ranked, best: Sequence[Ranked], most: int = _ELITE) -> list[Ranked]:
    """The best few; the newer of two equals goes first, to drift where the margin is flat."""
    return sorted([new, *best], key=value_of)[:most]


def value_of(one: Ranked) -> float:
    """What to sort by, to have the best first."""
    return -one[0]


def ascend(
    objective: Objective,
    start: Sequence[int],
    smooth: Sequence[int],
    *,
    radius: float = _RADIUS,
    patience: float = math.inf,
) -> Ranked:
    """Quadratic models in a trust region (COBYQA, scipy) over the coordinates in `smooth`, until they have converged.

    It leaves seeds and sizes as they are: the top of a narrow hill, of which others have met the slope. Returns the
    best vector and its value.

    Parameters
    ----------
    radius : float
        Of the first model, as a share of a coordinate's range.
    patience : float
        Instances for each coordinate after which models are given up where none is better than the start; the first
        model takes two.
    """
    first = objective(start)
    best = first, list(start)
    tried = 0

    def fallen(x: Array) -> float:
        """Minus the objective at shares of the smooth coordinates, for a minimiser."""
        nonlocal best, tried
        tried += 1
        if tried > patience * len(smooth) and best[0] <= first:
            raise _Hopeless
        # not given bounds: COBYQA would first move a start that is near one
        vector = placed(start, smooth, x)
        value = objective(vector)
        if value == VACUOUS:
            return -first  # a cliff would spoil the models
        best = max(best, (value, vector), key=lambda pair: pair[0])
        return -value

    with contextlib.suppress(_Hopeless):
        minimize(
            fallen,
            np.array([start[index] / GRID for index in smooth]),
            method="COBYQA",
            options={"initial_tr_radius": radius, "final_tr_radius": 4 / GRID},
        )
    return best


class _Hopeless(BaseException):
    """Models that are nowhere near: scipy would take an Exception for one of its own."""
