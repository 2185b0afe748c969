"""The vectors that a cell searches, and the entropy of whatever it draws."""

from __future__ import annotations

import hashlib

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.score import draws_weights
from ntkverify.search.space.coordinates import GRID, Space
from ntkverify.search.space.deformations import useful
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem


def entropy_of(*names: object) -> int:
    """A seed that belongs to these names."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, names)).encode()).digest()[:4], "little")


def space_of(theorem: Theorem, cell: Cell) -> Space:
    """The vectors that a cell searches, and the instances that they stand for."""
    case, entropy = cell.case(theorem), entropy_of(cell.entropy, cell.claim)
    plain = Space(case.family, theorem.id, entropy=entropy)
    drawn = _drawn(plain, entropy)
    stretches = useful(case, drawn) if cell.relax else ()
    # a claim of probability is scored by several draws of one instance; beyond an assumption anything may be asked for
    weights = not case.claim.quantifier.is_decided_by_redrawing and plain.seeded
    weights = weights and (bool(cell.relax) or draws_weights(case, [i for i in drawn if i.width <= cell.max_width]))
    return Space(case.family, theorem.id, entropy=entropy, stretches=stretches, weights=weights)


def _drawn(space: Space, entropy: int) -> list[Instance]:
    """A few instances of a family."""
    rng = np.random.default_rng([entropy, 4])
    drawn: list[Instance] = []
    for _ in range(6):
        try:
            instance = space.instance(rng.integers(0, GRID, max(space.dimension, 1)).tolist())
        except NtkVerifyError:
            continue
        if instance is not None:
            drawn.append(instance)
    return drawn
