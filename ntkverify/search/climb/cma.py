"""Evolution strategies with a covariance matrix that adapts (CMA-ES, the library cmaes), on several hills at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from cmaes import CMA

from ntkverify.search.climb.islands import (
    Effects,
    Objective,
    Ranked,
    Used,
    ascend,
    left_after,
    mutate,
    placed,
    uniform,
    value_of,
)
from ntkverify.search.score import VACUOUS
from ntkverify.search.space.coordinates import GRID

_STARTING = 1 / 5  # share of its budget for uniform vectors, where nothing is given to start from
_MODELLED = 0.8  # share after which one hill is left, on which quadratic models are tried
_ISLAND, _MOST = 200, 5  # evaluations for each island, and how often at most their number is halved
_MOVED = 40  # coordinates that a strategy moves at most: it learns as many variances and covariances as they have
_STEP = 0.1  # standard deviation of the first generation, as a share of each coordinate's range
_COPIES, _MOST_COPIES = 4, 8  # mutated copies beside the first generation, and beside any
_PATIENCE = 3  # instances for each coordinate after which models that have found nothing better are given up
_NARROW = 4  # points of the grid that a generation spans at least; one that spans less has converged


def strategize(
    objective: Objective,
    dimension: int,
    *,
    entropy: int,
    evaluations: int,
    smooth: Sequence[int],
    used: Used,
    start: Sequence[Ranked] = (),
) -> None:
    """CMA-ES from the best few vectors, the worse half given up time and again; then `mutate`.

    It learns along which directions coordinates have to move together, which takes mutation, one or a few at a time,
    far longer. Seeds and sizes have no directions: beside each generation, copies of its island's best vector with some
    of these changed are tried, more of them where that has helped, and one uniform vector. Without two smooth
    coordinates, or where nothing is known by then that is not vacuous, `mutate` does it all. For the last fifth of the
    budget it goes on where quadratic models have found something better than the best, and turns to the next hills.

    `start` and the other parameters are those of `mutate`.
    """
    rng = np.random.default_rng([entropy, 15])
    known, rate = list(start), float(evaluations)
    if not start:
        known = [uniform(objective, dimension, rng)]
        while used() < _STARTING:
            known.append(uniform(objective, dimension, rng))
        known.sort(key=value_of)
        rate = len(known) / used()  # seconds may admit fewer than were planned for
    moved = sorted(int(i) for i in rng.permutation(list(smooth))[:_MOVED])
    begun = used()
    if len(moved) > 1 and begun < _MODELLED:
        wanted = min(round(math.log2(max(rate * (_MODELLED - begun) / _ISLAND, 1))), _MOST)
        starts = _unlike([one for one in known if one[0] != VACUOUS], 1 << wanted)
        if starts:
            known = _climbed(objective, starts, moved, rng, used) + known
    mutate(objective, dimension, entropy=entropy, evaluations=int(rate), smooth=smooth, used=used, start=known)


def _climbed(
    objective: Objective, starts: Sequence[Ranked], moved: Sequence[int], rng: np.random.Generator, used: Used
) -> list[Ranked]:
    """The best of each hill, the best first. A power of two of the `starts` is taken up, halved time and again."""
    halvings = len(starts).bit_length() - 1
    dimension = len(starts[0][1])
    effects = Effects(dimension)
    islands = [_Island(one, moved, effects, rng) for one in starts[: 1 << halvings]]
    left: list[Ranked] = []
    begun = used()
    while used() < _MODELLED and not all(island.converged for island in islands):
        for number, island in enumerate(islands):
            if island.converged:
                continue
            island.generation(objective)
            new = uniform(objective, dimension, rng)
            if new[0] > island.best[0]:  # a hill that is higher at its foot
                left.append(island.best)
                islands[number] = _Island(new, moved, effects, rng)
        islands.sort(key=lambda island: value_of(island.best))
        stay = left_after((used() - begun) / (_MODELLED - begun), halvings)
        left += [island.best for island in islands[stay:]]
        islands = islands[:stay]
    if used() >= _MODELLED:
        top = ascend(objective, islands[0].best[1], moved, radius=islands[0].radius, patience=_PATIENCE)
        models_climb = islands[0].take(top)
        while not models_climb and not islands[0].converged:  # no hill for models: then the strategy goes on
            islands[0].generation(objective)
    return sorted([*(island.best for island in islands), *left], key=value_of)


def _unlike(ranked: Sequence[Ranked], most: int) -> list[Ranked]:
    """The first few vectors of which no two share more than half of their coordinates; an engine's best often do."""
    chosen: list[Ranked] = []
    for one in ranked:
        vector = np.array(one[1])
        if all(2 * np.count_nonzero(vector == other) <= vector.size for _, other in chosen):
            chosen.append(one)
        if len(chosen) == most:
            break
    return chosen


class _Island:
    """One strategy.

    Parameters
    ----------
    start : pair
        Vector that it starts from, with its value.
    moved : sequence of int
        Coordinates that the strategy moves.
    effects : Effects
        What is known of the others.
    rng : numpy.random.Generator
        Draws the strategy's seed, and changes the others.
    """

    def __init__(self, start: Ranked, moved: Sequence[int], effects: Effects, rng: np.random.Generator) -> None:
        self.best = start
        self.converged = False
        self._moved, self._effects, self._rng = moved, effects, rng
        self._others = sorted(set(range(len(start[1]))) - set(moved))
        self._copies = _COPIES
        self.radius = _STEP  # of what a generation spans in a typical coordinate
        mean = np.array([start[1][i] / GRID for i in moved])
        self._strategy = CMA(mean=mean, sigma=_STEP, seed=int(rng.integers(2**31)))

    def generation(self, objective: Objective) -> None:
        """One generation of the strategy, then copies of the best vector with other coordinates changed."""
        base = self.best[1]
        drawn = [self._strategy.ask() for _ in range(self._strategy.population_size)]
        solutions = []
        for shares in drawn:
            vector = placed(base, self._moved, shares)
            value = objective(vector)
            solutions.append((shares, -value))
            self.take((value, vector))
        self._strategy.tell(solutions)
        spans = np.ptp(drawn, axis=0)
        self.radius = float(np.clip(np.median(spans) / 2, _NARROW * 2 / GRID, _STEP))
        self.converged = bool(spans.max() < _NARROW / GRID) or self._strategy.should_stop()
        self._copy(objective)

    def _copy(self, objective: Objective) -> None:
        """Try copies of the best vector; the more of them, the more they have helped lately."""
        helped = False
        for _ in range(self._copies if self._others else 0):
            parent = self.best
            vector = self._effects.changed(self._rng, parent[1], self._others)
            new = objective(vector), vector
            self._effects.learn(parent, new)
            helped |= self.take(new)
        self._copies = min(2 * self._copies, _MOST_COPIES) if helped else max(self._copies - 1, 1)

    def take(self, new: Ranked) -> bool:
        """Keep a vector unless it is worse than the best; whether it is better."""
        better = new[0] > self.best[0]
        if new[0] >= self.best[0]:  # the newer of two equals, to drift where the margin is flat
            self.best = new
        return better
