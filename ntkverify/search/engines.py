"""Engines that climb a margin over vectors of integers, behind one interface.

An engine calls the objective with vectors of coordinates in [0, GRID) until the objective raises `Finished`;
one that has converged returns, and is started again with other entropy. Equal arguments give equal proposals on one
kind of processor with one version of scipy, which is what lets a killed campaign resume: its past evaluations are
answered from the record.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import differential_evolution, minimize
from scipy.stats import qmc

from ntkverify.search.margin import VACUOUS
from ntkverify.search.space import GRID

Objective = Callable[[Sequence[int]], float]
Used = Callable[[], float]  #: share of the budget that is used up
Ranked = tuple[float, list[int]]  #: a vector with its value
Engine = Callable[..., None]


# Hypothesis now and then draws an integer constant that stands in some imported module, so that its draws depend on
# what is loaded; no module has constants up here, and equal entropy gives equal proposals in every process
_FAR = 3**60
_ELITE = 6  # vectors that `mutate` starts from
_MUTATED = 4 / 5  # share of its budget after which `mutate` turns to `ascend`
_MOVED = 40  # coordinates that `ascend` moves at most: its first model takes twice as many instances
_SILENT, _RARELY = 3, 0.05  # changes without effect after which a coordinate is changed rarely, and how rarely


class Finished(BaseException):
    """The objective wants no more proposals.

    Not an `Exception`: Hypothesis would take one for a failing test and replay it.
    """


class _Carried(BaseException):
    """An error of the objective on its way through an engine: scipy takes a ValueError for one of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def random_search(
    objective: Objective, dimension: int, *, entropy: int, evaluations: int, smooth: Sequence[int], used: Used
) -> None:
    """Independent uniform vectors, the baseline."""
    rng = np.random.default_rng([entropy, 11])
    while True:
        objective(rng.integers(0, GRID, dimension).tolist())


def evolve(
    objective: Objective, dimension: int, *, entropy: int, evaluations: int, smooth: Sequence[int], used: Used
) -> None:
    """Differential evolution by scipy, on the integers.

    The population is small where the budget is, so that there are some thirty generations. Good at ridges in a few
    coordinates; where most instances are vacuous it starts blind, and Hypothesis does better.
    """
    size = int(np.clip(evaluations // 30, 8, 60))
    start = qmc.LatinHypercube(dimension, rng=np.random.default_rng([entropy, 12])).random(size)
    differential_evolution(
        lambda x: -objective([int(c) for c in x]),
        [(0, GRID - 1)] * dimension,
        integrality=np.ones(dimension, bool),
        init=np.floor(start * GRID),
        rng=np.random.default_rng([entropy, 13]),
        maxiter=max(evaluations, 1),
        mutation=(0.4, 1.0),
        recombination=0.8,
        tol=0.0,
        polish=False,
    )


def hypothesize(
    objective: Objective, dimension: int, *, entropy: int, evaluations: int, smooth: Sequence[int], used: Used
) -> None:
    """Hypothesis with ``target(margin)`` on the integer grid.

    Its own bias towards small, repeated and extreme coordinates finds corners; its hill climbing moves one
    coordinate at a time.
    """

    @seed(entropy)
    @settings(
        max_examples=max(evaluations, 1),
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*[st.integers(_FAR, _FAR + GRID - 1)] * dimension))
    def climb(shifted: tuple[int, ...]) -> None:
        margin = objective([c - _FAR for c in shifted])
        if margin != VACUOUS:
            target(margin, label="margin")

    climb()


def mutate(
    objective: Objective, dimension: int, *, entropy: int, evaluations: int, smooth: Sequence[int], used: Used
) -> None:
    """Uniform vectors at first, then copies of the best few with a few coordinates changed, by steps of all scales.

    Keeps what is good and moves little at a time, so that it climbs where the dimension is high and where some
    coordinates, such as seeds, mean nothing to their neighbours. Coordinates that were changed without any effect, such
    as those that only larger instances read, are changed rarely from then on. It may stay on the wrong hill: one vector
    in eight is uniform to the end. When four fifths of the budget are used up, `ascend` starts from the best vector of
    all, then from the best of the uniform ones, whose seeds are others; what is left after that goes on as before.
    """
    rng = np.random.default_rng([entropy, 14])
    best: list[Ranked] = []
    uniform: list[Ranked] = []
    order = [int(i) for i in rng.permutation(list(smooth))]
    effects = _Effects(dimension)
    ascends = bool(order)
    for count in itertools.count():
        starting = count < _ELITE or used() < 1 / 6
        parent: Ranked | None = None
        if starting or rng.random() < 1 / 8:
            vector = rng.integers(0, GRID, dimension).tolist()
        else:
            parent = best[int(len(best) * rng.random() ** 2)]
            vector = list(parent[1])
            for index in effects.pick(rng, min(int(rng.choice([1, 1, 2, 4])), dimension)):
                if rng.random() < 1 / 5:
                    vector[index] = int(rng.integers(GRID))
                else:
                    step = int(np.ceil(GRID * 2.0 ** -rng.uniform(1, 16))) * int(rng.choice([-1, 1]))
                    vector[index] = min(max(vector[index] + step, 0), GRID - 1)
        new = objective(vector), vector
        best = _ranked(new, best)
        if parent:
            effects.learn(parent, new)
        if starting:
            uniform = list(best)
        if ascends and not starting and best[0][0] != VACUOUS and used() >= _MUTATED:
            ascends = False
            starts = [best[0], *(one for one in uniform if one != best[0])]
            moved = sorted([i for i in order if not effects.silent[i]][:_MOVED] or order[:_MOVED])
            for _, start in (one for one in starts if one[0] != VACUOUS):
                best = _ranked(ascend(objective, start, moved), best)


class _Effects:
    """Which coordinates matter, as far as changing them has shown."""

    def __init__(self, dimension: int) -> None:
        self._without = np.zeros(dimension, int)  # changes without effect
        self._with = np.zeros(dimension, bool)

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Coordinates that never had an effect, and were tried."""
        return (self._without >= _SILENT) & ~self._with

    def pick(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Coordinates to change next."""
        weights = np.where(self.silent, _RARELY, 1.0)
        return rng.choice(len(weights), count, replace=False, p=weights / weights.sum())

    def learn(self, parent: Ranked, child: Ranked) -> None:
        """See what a change has done; from a vacuous parent there is nothing to be learnt."""
        moved = np.flatnonzero(np.array(parent[1]) != np.array(child[1]))
        if parent[0] == VACUOUS:
            return
        if child[0] == parent[0]:
            self._without[moved] += 1
        elif len(moved) == 1:
            self._with[moved] = True


def _ranked(new: Ranked, best: Sequence[Ranked]) -> list[Ranked]:
    """The best few; the newer of two equals goes first, to drift where the margin is flat."""
    return sorted([new, *best], key=lambda pair: -pair[0])[:_ELITE]


def ascend(objective: Objective, start: Sequence[int], smooth: Sequence[int]) -> Ranked:
    """Quadratic models in a trust region (COBYQA, scipy) over the coordinates in `smooth`, until they have converged.

    It leaves seeds and sizes as they are: the top of a narrow hill, of which mutation has met the slope. Returns the
    best vector and its value.
    """
    first = objective(start)
    best = first, list(start)

    def fallen(x: NDArray[np.float64]) -> float:
        """Minus the objective at shares of the smooth coordinates, for a minimiser."""
        nonlocal best
        vector = list(start)
        for index, share in zip(smooth, x, strict=True):
            # beyond an end the coordinate comes back: given bounds, COBYQA would first move a start that is near one
            vector[index] = min(int(np.rint((1 - abs(1 - share % 2)) * GRID)), GRID - 1)
        value = objective(vector)
        if value == VACUOUS:
            return -first  # a cliff would spoil the models
        best = max(best, (value, vector), key=lambda pair: pair[0])
        return -value

    minimize(
        fallen,
        np.array([start[index] / GRID for index in smooth]),
        method="COBYQA",
        options={"initial_tr_radius": 1 / 20, "final_tr_radius": 4 / GRID},
    )
    return best


ENGINES: Mapping[str, Engine] = {
    "differential-evolution": evolve,
    "hypothesis": hypothesize,
    "mutation": mutate,
    "random": random_search,
}
#: with their shares of a budget: mutation found most where something was to be climbed, the others find what it misses
DEFAULT_ENGINES: Mapping[str, int] = {"differential-evolution": 1, "mutation": 3, "hypothesis": 1}


def climb(
    engine: str,
    objective: Objective,
    dimension: int,
    *,
    entropy: int,
    evaluations: int,
    smooth: Sequence[int] = (),
    used: Used | None = None,
) -> None:
    """Run an engine, again and again with other entropy, until the objective has had enough.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    objective : callable
        Takes a vector and returns what to climb; raises `Finished` in the end.
    dimension : int
        Number of coordinates; without any there is one instance, evaluated once.
    entropy : int
        Changes every proposal.
    evaluations : int
        How many proposals to plan for.
    smooth : sequence of int
        Coordinates whose small changes change an instance a little; not seeds or sizes.
    used : callable, optional
        Share of the budget that is used up; by default the share of the `evaluations`, repeated ones counted.
    """
    count = 0

    def carried(vector: Sequence[int]) -> float:
        """The objective, counted; an error of its own passes through scipy and Hypothesis unseen."""
        nonlocal count
        count += 1
        try:
            return objective(vector)
        except Exception as error:
            raise _Carried(error) from error

    try:
        if dimension == 0:
            objective([])
            return
        for attempt in range(100):
            ENGINES[engine](
                carried,
                dimension,
                entropy=1000 * entropy + attempt,
                evaluations=evaluations,
                smooth=smooth,
                used=used or (lambda: count / evaluations),
            )
    except _Carried as carrier:
        raise carrier.error from None
    except Finished as end:
        if type(end) is not Finished:  # it says more than that the budget is used up
            raise
