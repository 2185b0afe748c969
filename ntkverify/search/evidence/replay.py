"""Replaying a violation in float64: the trajectory against its bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.expressions import evaluate
from ntkverify.judging.falsehoods import planted
from ntkverify.judging.outcome import Outcome
from ntkverify.search.evidence.violation import Violation
from ntkverify.search.score import outcome_of
from ntkverify.theorem.quantifiers import identity
from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Replay:
    """A violation repeated in float64.

    Parameters
    ----------
    outcome : Outcome
        What the run says about the claim.
    measured, bound : array
        Entry by entry, where the claim applies or not.
    applies : array of bool
        Where the event that the claim conditions on happens.
    """

    outcome: Outcome
    measured: Array
    bound: Array
    applies: NDArray[np.bool_]


def replay(theorem: Theorem, violation: Violation) -> Replay:
    """Repeat a violation in float64.

    Raises
    ------
    NtkVerifyError
        If the violation is of another theorem, or its instance can't be run.
    """
    with planted(theorem, violation.plants):
        claim, family = violation.parts(theorem)
        outcome = outcome_of(theorem, claim, family, violation.instance, relax=violation.relax)
        run = family.run(violation.instance, theorem)
        with np.errstate(all="ignore"):
            if claim.quantifier is identity:
                left, right = (np.asarray(side, np.float64) for side in claim.measure(run))
                measured = np.abs(left - right)
                bound = np.asarray(claim.error(run) if claim.error else 0.0, np.float64)
            else:
                if claim.bound is None:
                    raise NtkVerifyError(f"claim {claim.name!r} has no bound to replay against.")
                measured = np.asarray(claim.measure(run), np.float64)
                bound = np.asarray(evaluate(theorem, theorem.bound_of(claim), run), np.float64)
            applies = np.asarray(True if claim.given is None else claim.given(run), bool)
    return Replay(outcome, measured, np.broadcast_to(bound, measured.shape), np.broadcast_to(applies, measured.shape))
