"""Mutants that the check lets pass, put to the search: is the statement still true, or is the check blind?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ntkverify.judging.falsehoods import planted
from ntkverify.judging.mutation import Mutant, is_implied
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import MAX_WIDTH, cells_of
from ntkverify.search.campaign.store import Store
from ntkverify.search.score import searchable
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Hunt:
    """What a search finds of one mutated claim.

    Parameters
    ----------
    claim : str
        Which.
    violated : bool
        Whether an instance inside the assumptions exceeds the mutated bound beyond rounding.
    reached : float or None
        Largest measured/bound, bound/measured for a lower bound; None where nothing was exercised.
    evaluations : int
        Instances tried.
    """

    claim: str
    violated: bool
    reached: float | None
    evaluations: int

    @property
    def said(self) -> str:
        """Both in words."""
        reached = "nothing exercised" if self.reached is None else f"{self.reached:.3g} of the bound reached"
        return f"{self.claim!r}: {reached} in a search of {self.evaluations} instances"


def hunts(
    theorem: Theorem,
    mutant: Mutant,
    *,
    path: str | Path,
    evaluations: int = 2000,
    seconds: float = 60,
    entropy: int = 0,
    max_width: int = MAX_WIDTH,
) -> Iterator[Hunt]:
    """Search every claim about all instances whose bound the mutant tightens, until one is violated.

    A bound that is only scaled the other way is implied by the old one, and not searched. Neither is a claim whose
    bound stays: what a constant does to assumptions, events and measured numbers is left to the check.

    Parameters
    ----------
    theorem, path
        The theorem as it stands, and its module.
    mutant : Mutant
        What is scaled.
    evaluations, seconds : int, float
        Budget of each claim, in instances and seconds of processor time.
    entropy : int
        Changes every draw.
    max_width : int
        Wider instances are not run.
    """
    for claim in _changed(theorem, mutant):
        best, count, violated = None, 0, False
        cells = cells_of(
            theorem, path=path, claims=[claim.name], plants=[mutant.plant], evaluations=evaluations, seconds=seconds,
            entropy=entropy, max_width=max_width, goal=0.0,
        )  # fmt: skip
        with Store(None) as store:
            for cell in cells:
                search_cell(theorem, cell, store, path=path)
                for one in store.evaluations(store.open_cell(cell.settings())).values():
                    count += 1
                    if not one.vacuous:
                        best = one.margin if best is None else max(best, one.margin)
                    violated = violated or (one.failed and one.margin >= 0)
                if violated:
                    break
        yield Hunt(claim.name, violated, _share(best, claim.from_below), count)
        if violated:
            return


def _share(margin: float | None, from_below: bool) -> float | None:
    """Measured over bound, bound over measured for a lower bound; infinite where that is not even positive."""
    if margin is None:
        return None
    if not from_below:
        return 1 + margin
    return 1 / (1 - margin) if margin < 1 else math.inf


def _changed(theorem: Theorem, mutant: Mutant) -> list[Claim]:
    """Claims about all instances whose bound the mutant tightens, or changes in a way that is not plain."""
    known = [
        claim
        for claim in theorem.claims.values()
        if searchable(claim)
        and claim.quantifier.is_decided_by_one_run
        and claim.bound is not None
        and claim.kind != "control"
    ]
    if not mutant.is_constant and mutant.kind == "bound":
        return [claim for claim in known if claim.name == mutant.name]
    before = {claim.name: theorem.bound_of(claim) for claim in known}
    with planted(theorem, [mutant.plant]):
        changed = {claim.name: theorem.bound_of(theorem.claims[claim.name]) for claim in known}
    return [claim for claim in known if not is_implied(before[claim.name], changed[claim.name], claim.from_below)]
