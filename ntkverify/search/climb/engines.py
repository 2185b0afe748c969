"""Engines that climb a margin over vectors of integers, behind one interface.

An engine calls the objective with vectors of coordinates in [0, GRID) until the objective raises `Finished`;
one that has converged returns, and is started again with other entropy. Equal arguments give equal proposals on one
kind of processor with one version of numpy, scipy and cmaes, which lets a killed campaign resume: its past evaluations
are answered from the record.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy
from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis import strategies as st
from scipy.optimize import differential_evolution

from ntkverify.search.climb.cma import strategize
from ntkverify.search.climb.islands import Objective, Ranked, Used, mutate
from ntkverify.search.score import VACUOUS
from ntkverify.search.space.coordinates import GRID

Engine = Callable[..., None]


# Hypothesis now and then draws an integer constant that stands in some imported module, so that its draws depend on
# what is loaded; no module has constants up here, and equal entropy gives equal proposals in every process
_FAR = 3**60
_SHARE = 1 / 10  # of a budget, for each engine of a portfolio that evolution strategies follow
_REPEATED = 4  # calls per evaluation, repeated ones included, after which such an engine is given up


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
    start = scipy.stats.qmc.LatinHypercube(dimension, rng=np.random.default_rng([entropy, 12])).random(size)
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


def portfolio(
    objective: Objective, dimension: int, *, entropy: int, evaluations: int, smooth: Sequence[int], used: Used
) -> None:
    """Differential evolution and Hypothesis for a tenth of the budget each, then strategies from the best of both.

    Evolution strategies, mutation and quadratic models come furthest where something is to be climbed; the others find
    hills that they miss, seldom their tops. Where there are two islands, one starts from what either engine has found.
    """
    stages = [_Stage(objective, used, _SHARE * number, _REPEATED * _SHARE * evaluations) for number in (1, 2)]
    for engine, stage in zip((evolve, hypothesize), stages, strict=True):
        with contextlib.suppress(_Over):
            engine(
                stage, dimension, entropy=entropy, evaluations=int(_SHARE * evaluations) + 1, smooth=smooth, used=used
            )
    seen = sum(len(stage.seen) for stage in stages)
    best = itertools.zip_longest(*(stage.ranked() for stage in stages))
    strategize(
        objective,
        dimension,
        entropy=entropy,
        evaluations=int(seen / used()) if seen else evaluations,  # seconds may admit fewer than were planned for
        smooth=smooth,
        used=used,
        start=[one for pair in best for one in pair if one is not None],
    )


class _Stage:
    """The objective of an engine that others follow.

    Parameters
    ----------
    objective, used
        Those of the whole search.
    end : float
        Share of the budget at which the stage is over.
    most : float
        Calls after which it is over too: an engine that has converged repeats itself and uses up nothing.
    """

    def __init__(self, objective: Objective, used: Used, end: float, most: float) -> None:
        self._objective, self._used, self._end, self._left = objective, used, end, most
        self.seen: dict[tuple[int, ...], float] = {}

    def __call__(self, vector: Sequence[int]) -> float:
        if self._used() >= self._end or self._left < 0:
            raise _Over
        self._left -= 1
        value = self.seen[tuple(vector)] = self._objective(vector)
        return value

    def ranked(self) -> list[Ranked]:
        """What was seen, the best first."""
        return sorted(((value, list(vector)) for vector, value in self.seen.items()), key=lambda pair: -pair[0])


class _Over(BaseException):
    """A stage has had its share."""


ENGINES: Mapping[str, Engine] = {
    "differential-evolution": evolve,
    "evolution-strategies": strategize,
    "hypothesis": hypothesize,
    "mutation": mutate,
    "portfolio": portfolio,
    "random": random_search,
}
DEFAULT_ENGINES = ("portfolio",)


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
