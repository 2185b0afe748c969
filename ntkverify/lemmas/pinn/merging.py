"""How lambda_0 vanishes as two samples of a physics-informed problem merge: their distance h is halved.

An observation about few samples: in a row of them lambda_0 may be the row's, and another pair as close decides it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import always
from ntkverify.instances import space_time_points
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.pinn import PinnRun
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

h = sympy.Symbol("h", positive=True)  #: distance of the two samples that merge
ONE_PAIR = "one pair, h <= 1/512 apart, among at most 3 interior and 2 boundary samples of the unit square"
APART = "other samples of a block 4 sqrt(h) apart"


class MergingRun(PinnRun):
    """A problem with two interior samples that merge, and ``closer``, where they are half as far apart."""

    further_data = ("closer",)


class Merging(Part):
    """Two interior samples at the distance h, and half as far in ``closer``; assumptions on where the others are.

    Parameters
    ----------
    theorem : Theorem
        Receives the assumptions `ONE_PAIR` and `APART`, and the quantity pair.
    """

    name = "merging samples"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        theorem.assumption(ONE_PAIR)(one_pair)
        theorem.assumption(APART)(others_apart)
        self.pair = theorem.quantity("pair", pair_bound)

    def at_most_a_pair(self, **where: Any) -> None:
        """A Rayleigh quotient bounds lambda_0."""
        self.lemma(
            "lambda_0 <= E||grad r_p - grad r_q||^2 / 2 for any two samples of a block",
            of=least,
            holds=always,
            bound=self.pair,
            **where,
        )

    def halving(self, sentence: str, factor: int, *, kind: str = "lemma", **where: Any) -> None:
        """Halving h divides lambda_0 by `factor`, up to sqrt(h)."""
        add = {"lemma": self.lemma, "control": self.control}[kind]

        @add(sentence, holds=always, bound=sqrt(h), error=eigenvalue_error, **where)
        def halving(run: Any) -> Any:
            return abs(factor * halved(run) - 1)


def least(run: Any) -> Any:
    """lambda_0, whatever float64 can tell of it."""
    return run.limit_eigenvalues[0]


def merging(interior: Any, offset: Any, boundary: Any, h: float) -> Instance:
    """The first interior sample and another at `offset`, of length h, from it; half as far in `closer`."""
    pair, offset = np.asarray(interior[0]), np.asarray(offset)
    data = {"interior": np.vstack([interior, pair + offset]), "closer": np.vstack([interior, pair + offset / 2])}
    return Instance(data={**data, "boundary": boundary}, parameters={"h": h}, width=1)


def merging_pair(draw: Any) -> Instance:
    """One of eight directions, h from 2^-12 to 2^-9."""
    points = space_time_points(draw, 2, 2, 1)
    angle, distance = draw(st.integers(0, 7)), 2.0 ** -draw(st.integers(9, 12))
    direction = np.array([np.cos(angle * np.pi / 4), np.sin(angle * np.pi / 4)])
    return merging(points["interior"], distance * direction, points["boundary"], distance)


def one_pair(run: Any) -> Any:
    """The first and the last interior sample, half as far apart in `closer`; time and one coordinate of space."""
    before, after, boundary = (run.instance.array(name) for name in ("interior", "closer", "boundary"))
    if before.shape != after.shape or len(before) < 2 or before.shape[1] != 2:
        return -np.inf
    distance, samples = run.instance.parameters["h"], np.concatenate([before, boundary])
    middle = (before[0] + before[-1]) / 2
    off = max(
        abs(np.linalg.norm(before[-1] - before[0]) / distance - 1),
        np.linalg.norm(after[-1] - middle) / distance,
        np.abs(after[:-1] - before[:-1]).max(),
    )
    # `off` is the rounding of coordinates near 1, relative to h >= 2^-12 less than 1e-11
    # the drawn one of the pair lies in the square, the other h away from it
    inside = min(samples.min(), 1 - samples.max()) + distance
    return min(3 - len(before), 2 - len(boundary), 1 / 512 - distance, 1e-9 - off, inside)


def others_apart(run: Any) -> Any:
    """A third sample beside the pair changes the rate, and another pair as close decides lambda_0 itself."""
    gaps = []
    for block, x in run.points.items():
        i, j = np.triu_indices(len(x), 1)
        others = (block == "boundary") | (j - i < len(x) - 1)  # the first and the last interior sample merge
        gaps.append(np.linalg.norm(x[i[others]] - x[j[others]], axis=1))
    distances = np.concatenate(gaps)
    return (distances.min() if len(distances) else np.inf) - 4 * np.sqrt(run.h)


def pair_bound(run: Any) -> Any:
    """E||grad r_p - grad r_q||^2 / 2 of the closest two samples of a block: a Rayleigh quotient."""
    gram, start, best = run.limit_gram, 0, np.inf
    for x in run.points.values():
        rows = np.arange(start, start + len(x))
        part = gram[np.ix_(rows, rows)]
        pairs = np.diag(part)[:, None] + np.diag(part)[None] - 2 * part
        best = min(best, pairs[~np.eye(len(x), dtype=bool)].min(initial=np.inf))
        start += len(x)
    return best / 2


def halved(run: Any) -> Any:
    """lambda_0 after the two samples came twice as close, relative to before."""
    return least(run.with_samples(interior=run.instance.data["closer"])) / least(run)


def eigenvalue_error(run: Any) -> Any:
    """Backward error of both eigensolves, relative to the smaller eigenvalue."""
    return 4 * run.n * ULP * run.limit_norm / least(run) * 8
